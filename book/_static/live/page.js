/* The live page: what is chosen, moved and drawn. */
"use strict";
var s2fLive = globalThis.s2fLive || {};
globalThis.s2fLive = s2fLive;

s2fLive.page = (() => {
  const { sound, networks, moved } = s2fLive;
  const N_DRAWS = 6, MOST_S = 60, RECORD_S = 15, MOST_DEVIATION = 60; // grey levels, the end of the map's colours, as in the book's figures
  const COLOURS = [[0, 34, 78], [61, 78, 107], [124, 123, 120], [187, 172, 107], [254, 232, 56]]; // legible to all eyes
  const $ = (id) => document.getElementById(`live-${id}`);
  const HERE = document.currentScript.src.replace(/[^/]*$/, "run/");
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;

  const state = { run: null, variants: {}, voice: null, noise: null, wave: null, shown: null, features: null, embedding: null, person: null, axes: [], url: null, turn: 0, hearing: 0 };

  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in made && name !== "list") made[name] = value;
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  const say = (text) => { $("said").textContent = text; };
  const breath = () => new Promise((done) => setTimeout(done, 0));
  const signed = (x, digits) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(digits)}`;

  // ------------------------------------------------------------------------------------------------ loading

  function load(name) {
    return new Promise((done, failed) => {
      document.head.append(make("script", { src: HERE + name, onload: done, onerror: () => failed(new Error(name)) }));
    });
  }

  s2fLive.receive = (content) => {
    if (!content.variant) {
      state.run = content;
      return;
    }
    for (const part of ["generator", "sampler", "voice"]) {
      const same = content[part]?.same_as;
      if (same && same !== "run.js") content[part] = state.variants[same].content[part];
    }
    const own = content.voice && !content.voice.same_as;
    const shared = Object.values(state.variants).find((other) => other.content.generator === content.generator);
    state.variants[content.variant] = {
      content,
      generator: shared ? shared.generator : networks.layers(content.generator),
      sampler: content.sampler && networks.sampler(content.sampler),
      voice: own ? networks.layers(content.voice) : state.voice,
    };
  };

  async function start() {
    $("app").hidden = false;
    try {
      await load("run.js");
    } catch {
      return stop("The networks are not beside this page, so there is nothing to run here: they are written when the book is built.");
    }
    const { run } = state;
    if (run.problem) return stop(run.problem);
    if (!run.synthetic) $("warning").textContent = "Do not trust a face drawn from a voice: what these networks get right of strangers, and what not, is on the results page.";
    state.voice = networks.layers(run.voice);
    state.noise = networks.numbers(run.noise);
    people();
    axes();
    rows();
    bind();
    for (const { name, title } of run.variants) {
      say(`Loading ${title} …`);
      await load(`${name}.js`);
      if (name === run.variants[0].name) {
        if (run.people.length) await choose(run.people[0]);
        else say("Choose a sound file or record your voice: this run's own recordings are of real people and stay where they are.");
      } else if (state.embedding) draw();
    }
    ready(true);
  }

  function stop(problem) {
    $("app").hidden = true;
    $("problem").hidden = false;
    $("problem").textContent = problem;
    ready(false);
  }

  const ready = (well) => { document.documentElement.dataset.live = well ? "ready" : "stopped"; };

  // ------------------------------------------------------------------------------------------------ what is on the page

  function people() {
    const { people: all } = state.run;
    $("people").closest("fieldset").hidden = !all.length;
    all.forEach((person, i) => {
      const input = make("input", { type: "radio", name: "live-person", value: i, checked: i === 0, onchange: () => choose(person) });
      $("people").append(make("label", { className: "live-choice" }, input, ` ${person.about}`));
    });
  }

  function slider(id, label, { min, max, step }, told) {
    const output = make("output", { htmlFor: id });
    const input = make("input", { type: "range", id, min, max, step, value: 0 });
    const show = () => { output.textContent = told(Number(input.value)); input.setAttribute("aria-valuetext", output.textContent); };
    const place = (value) => { input.value = value; show(); };
    return { part: make("div", { className: "live-slider" }, make("label", { htmlFor: id }, label), input, output), input, place, show };
  }

  const sliders = {};

  function axes() {
    sliders.pitch = slider("live-pitch", "Pitch", { min: -8, max: 8, step: 0.5 }, (x) => (x ? `${signed(x, 1)} semitones` : "as recorded"));
    sliders.tract = slider("live-tract", "Vocal tract", { min: -20, max: 20, step: 1 }, (x) => (x ? `${Math.abs(x)} % ${x > 0 ? "longer" : "shorter"}` : "as recorded"));
    $("sound").append(sliders.pitch.part, sliders.tract.part);
    state.run.axes.forEach((axis, k) => {
      const follows = axis.follows ? `, ${axis.r >= 0.5 ? "follows" : "hints at"} ${axis.follows} (r\u00a0=\u00a0${axis.r.toFixed(2)})` : "";
      const label = `Axis ${k + 1}: ${Math.round(100 * axis.share)} % of the variance${follows}`;
      const made = slider(`live-axis-${k + 1}`, label, { min: -3, max: 3, step: 0.1 }, (x) =>
        `${signed(x, 1)}${state.axes[k] === null ? ", as heard" : ""}`);
      sliders[k] = made;
      state.axes.push(null);
      state.run.axes[k].numbers = networks.numbers(axis.axis);
      $("axes").append(made.part);
    });
  }

  function rows() {
    const single = !state.run.samples;
    $("faces").classList.toggle("live-single", single);
    state.run.variants.forEach(({ name, title }, i) => {
      const input = make("input", { type: "radio", name: "live-variant", value: name, checked: i === 0, onchange: () => only(name) });
      $("variants").append(make("label", { className: "live-choice" }, input, ` ${title}`));
    });
    $("variants").hidden = single || state.run.variants.length < 2;
    $("again").hidden = $("key").hidden = single;
    for (const { name, title } of state.run.variants) {
      const row = make("div", { className: "live-row", id: `live-row-${name}`, role: "group", "aria-label": title });
      row.append(make("h3", {}, title), make("div", { className: "live-draws" }), make("p", { className: "live-note" }, "Loading …"));
      $("rows").append(row);
    }
    only(state.run.variants[0].name);
  }

  /** On a narrow screen, of several rows of draws only one is shown. */
  function only(name) {
    state.only = name;
    for (const row of $("rows").children) row.classList.toggle("live-shown", row.id === `live-row-${name}`);
  }

  /** Canvases of a variant's row: its draws, and where they differ. */
  function canvases(name, title, many) {
    const place = $(`row-${name}`).querySelector(".live-draws");
    if (!place.children.length) {
      for (let i = 0; i < (many ? N_DRAWS : 1); i++) {
        place.append(make("canvas", { width: 64, height: 64, role: "img", "aria-label": `${title}, ${many ? `draw ${i + 1}` : "its one face of this voice"}` }));
      }
      if (many) place.append(make("canvas", { width: 64, height: 64, role: "img", className: "live-map", "aria-label": `${title}: where its draws differ` }));
    }
    return [...place.children];
  }

  function bind() {
    const event = calm ? "change" : "input";
    for (const name of ["pitch", "tract"]) {
      sliders[name].input.addEventListener("input", sliders[name].show);
      sliders[name].input.addEventListener(event, () => hear());
    }
    state.run.axes.forEach((_, k) => {
      sliders[k].input.addEventListener("input", () => { state.axes[k] = Number(sliders[k].input.value); sliders[k].show(); });
      sliders[k].input.addEventListener(event, () => draw());
    });
    $("back").addEventListener("click", () => {
      asHeard();
      say("Everything is as it was recorded.");
    });
    $("again").addEventListener("click", () => {
      state.noise = state.noise.map(() => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
      draw();
    });
    $("file").addEventListener("change", async () => {
      const [file] = $("file").files;
      if (file) await own(await file.arrayBuffer(), file.name);
    });
    $("record").addEventListener("click", record);
  }

  // ------------------------------------------------------------------------------------------------ voices

  async function choose(person) {
    const bytes = Uint8Array.from(atob(person.sound), (c) => c.charCodeAt(0)).buffer;
    $("truth").hidden = false;
    $("true").src = `data:image/png;base64,${person.face}`;
    $("true").alt = `The true face of this voice: ${person.about}`;
    await take(await sound.read(bytes), person);
  }

  async function own(bytes, name) {
    let wave;
    try {
      wave = await sound.read(bytes);
    } catch {
      return say(`${name} is no sound that this browser can read: the page still shows the voice before. Try wav, flac, mp3, m4a or ogg.`);
    }
    const cut = wave.length > MOST_S * sound.RATE;
    if (cut) wave = wave.slice(0, MOST_S * sound.RATE);
    if (sound.heard(wave).voiceS < 0.5) return say(`${name} holds less than half a second of voice: the page still shows the voice before. Record more speech, louder.`);
    for (const input of document.querySelectorAll("[name=live-person]")) input.checked = false;
    $("truth").hidden = true;
    await take(wave, null);
    say(`${name}: ${state.heard.voiceS.toFixed(1)} s of voice${cut ? ` in its first ${MOST_S} s` : ""}. ${$("warning").textContent}`);
  }

  async function take(wave, person) {
    state.wave = wave;
    state.person = person;
    await asHeard();
  }

  function asHeard() {
    state.axes.fill(null);
    sliders.pitch.place(0);
    sliders.tract.place(0);
    return hear();
  }

  async function hear() {
    const turn = ++state.hearing;
    await breath();
    if (turn !== state.hearing) return; // moved on meanwhile
    const wave = moved(state.wave, { semitones: Number(sliders.pitch.input.value), percent: Number(sliders.tract.input.value) });
    const found = sound.heard(wave);
    if (!found.features) return say("After this move too little voice is heard: move it back a little.");
    state.heard = found;
    state.shown = wave;
    state.embedding = networks.embed(state.voice, found.features);
    play(wave);
    spectrogram(found);
    await draw();
  }

  function play(wave) {
    if (state.url) URL.revokeObjectURL(state.url);
    state.url = URL.createObjectURL(new Blob([file(wave)], { type: "audio/wav" }));
    const playing = !$("audio").paused;
    $("audio").src = state.url;
    if (playing) $("audio").play().catch(() => {}); // a browser may refuse what nobody has clicked
  }

  /** A 16-bit wav file. */
  function file(wave) {
    const view = new DataView(new ArrayBuffer(44 + 2 * wave.length));
    const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    word(0, "RIFF");
    view.setUint32(4, 36 + 2 * wave.length, true);
    word(8, "WAVEfmt ");
    [[16, 16], [24, sound.RATE], [28, 2 * sound.RATE], [40, 2 * wave.length]].forEach(([at, x]) => view.setUint32(at, x, true));
    [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, x]) => view.setUint16(at, x, true));
    word(36, "data");
    sound.whole(wave).forEach((x, i) => view.setInt16(44 + 2 * i, x, true));
    return view.buffer;
  }

  // ------------------------------------------------------------------------------------------------ pictures

  function colour(share) {
    const at = Math.max(0, Math.min(0.9999, share)) * (COLOURS.length - 1), i = Math.floor(at);
    return COLOURS[i].map((each, c) => each + (at - i) * (COLOURS[i + 1][c] - each));
  }

  function spectrogram({ logMel, voiceS, totalS }) {
    const bands = sound.N_MELS, n = Math.min(1000, logMel.length / bands), canvas = $("mel");
    const ordered = Float64Array.from(logMel.subarray(0, n * bands)).sort(), low = ordered[Math.floor(0.02 * ordered.length)], high = ordered.at(-1);
    canvas.width = n;
    const image = new ImageData(n, bands);
    for (let t = 0; t < n; t++) {
      for (let m = 0; m < bands; m++) {
        image.data.set([...colour((logMel[t * bands + m] - low) / (high - low)), 255], 4 * ((bands - 1 - m) * n + t));
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    const words = `${voiceS.toFixed(1)} s of voice, kept of ${totalS.toFixed(1)} s`;
    canvas.setAttribute("aria-label", `Log-mel spectrogram of ${words}: time to the right, frequency upwards`);
    $("mel-note").textContent = `${words}${n < logMel.length / bands ? "; the first 10 s are shown" : ""}.`;
  }

  /** The unit embedding with its axes where the sliders are. */
  function embedding(heard) {
    const out = Float64Array.from(heard);
    state.run.axes.forEach(({ numbers, centre, deviation }, k) => {
      const at = heard.reduce((sum, each, i) => sum + each * numbers[i], 0);
      const wanted = state.axes[k];
      if (wanted === null) sliders[k].place(Math.round((10 * (at - centre)) / deviation) / 10);
      else numbers.forEach((each, i) => { out[i] += (centre + wanted * deviation - at) * each; });
    });
    return networks.unit(out);
  }

  /** Draw all faces anew, the first of each row that is shown first; what was being drawn is left when something moves again. */
  async function draw() {
    const turn = ++state.turn, jobs = [], narrow = matchMedia("(max-width: 720px)").matches;
    $("rows").setAttribute("aria-busy", "true");
    for (const { name, title } of state.run.variants) {
      const variant = state.variants[name];
      if (!variant) continue;
      const heard = variant.voice === state.voice ? state.embedding : networks.embed(variant.voice, state.heard.features);
      const place = embedding(heard), { sampler, generator } = variant;
      const listened = sampler && networks.listened(sampler, place), faces = [], shown = canvases(name, title, Boolean(sampler));
      for (let i = 0; i < (sampler ? N_DRAWS : 1); i++) {
        jobs.push([narrow && name !== state.only ? i + N_DRAWS : i, () => {
          const input = sampler ? networks.code(sampler, listened, state.noise.slice(i * sampler.dim, (i + 1) * sampler.dim)) : place;
          faces.push(networks.face(generator, input));
          shown[i].getContext("2d").putImageData(new ImageData(faces[i], 64, 64), 0, 0);
          if (faces.length === N_DRAWS) differ(name, faces, shown[N_DRAWS]);
          else if (!sampler) note(name, "One face for one voice.");
        }]);
      }
    }
    jobs.sort(([a], [b]) => a - b);
    for (const [, job] of jobs) {
      await breath();
      if (turn !== state.turn) return;
      job();
    }
    $("rows").setAttribute("aria-busy", "false");
    say(`Faces drawn: ${state.run.variants.filter(({ name }) => state.variants[name]).map(({ title }) => title).join(", ")}.`);
  }

  function note(name, text) {
    const { learned_from: who } = state.run.variants.find((each) => each.name === name);
    $(`row-${name}`).querySelector(".live-note").textContent = `${who ? `Learned from ${who} alone. ` : ""}${text}`;
  }

  /** Standard deviation of each pixel over the draws, in grey levels, of red, green and blue as one. */
  function differ(name, faces, canvas) {
    const image = new ImageData(64, 64), n = faces.length;
    let all = 0;
    for (let p = 0; p < 64 * 64; p++) {
      let variance = 0;
      for (let c = 0; c < 3; c++) {
        const values = faces.map((face) => face[4 * p + c]), mean = values.reduce((a, b) => a + b) / n;
        variance += values.reduce((a, b) => a + (b - mean) ** 2, 0) / n / 3;
      }
      const deviation = Math.sqrt(variance);
      all += deviation / (64 * 64);
      image.data.set([...colour(deviation / MOST_DEVIATION), 255], 4 * p);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    note(name, `Draws differ by ${all.toFixed(0)} grey levels on average.`);
  }

  // ------------------------------------------------------------------------------------------------ microphone

  let recorder = null;

  async function record() {
    if (recorder) return recorder.stop();
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    } catch (error) {
      return say(`The browser gives no microphone (${error.name}): choose a sound file instead.`);
    }
    const parts = [];
    recorder = new MediaRecorder(stream);
    const timer = setTimeout(() => recorder.stop(), RECORD_S * 1000);
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = async () => {
      clearTimeout(timer);
      recorder = null;
      stream.getTracks().forEach((track) => track.stop());
      $("record").textContent = "Record";
      await own(await new Blob(parts).arrayBuffer(), "Your recording");
    };
    recorder.start();
    $("record").textContent = "Stop recording";
    say(`Recording: speak for a few seconds, then press Stop. It stops by itself after ${RECORD_S} s.`);
  }

  const begin = () => requestAnimationFrame(() => setTimeout(start, 0)); // after the first paint
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
  return { state, draw, hear };
})();
