// Figures that a reader can move: curves of a training, and a map of voices. No library, no request to another host.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [640, 260, 58, 34, 10];

  function make(name, about = {}, ...inner) {
    const element = about.svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(about)) if (key !== "svg") element.setAttribute(key, value);
    element.append(...inner);
    return element;
  }
  const svg = (name, about = {}, ...inner) => make(name, { svg: true, ...about }, ...inner);
  const short = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 5 });

  function curves(box, { series }) {
    const choice = make("select", { id: "moving-what" });
    series.forEach((each, k) => choice.append(make("option", { value: k }, `${each.part}: ${each.name}`)));
    const place = make("input", { type: "range", id: "moving-step", min: 0, value: 0 });
    const said = make("output", { for: "moving-what moving-step" });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    const line = svg("polyline", { class: "moving-line" });
    const mark = svg("line", { class: "moving-mark", y1: TOP, y2: HEIGHT - BOTTOM });
    const dot = svg("circle", { class: "moving-dot", r: 5 });
    const words = [[LEFT - 6, TOP + 10, "end"], [LEFT - 6, HEIGHT - BOTTOM, "end"], [LEFT, HEIGHT - 14, "start"],
      [WIDTH - 4, HEIGHT - 14, "end"]].map(([x, y, side]) => svg("text", { x, y, "text-anchor": side }));
    const frame = svg("path", { class: "moving-frame", d: `M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH}` });
    picture.append(frame, mark, line, dot, ...words);
    let shown, points;

    function move() {
      const k = Number(place.value);
      const [x, y] = points[k];
      for (const end of ["x1", "x2"]) mark.setAttribute(end, x);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      said.textContent = `step ${shown.steps[k].toLocaleString("en")}: ${short(shown.values[k])}`;
      place.setAttribute("aria-valuetext", said.textContent);
    }

    function choose() {
      shown = series[Number(choice.value)];
      const [low, high] = [Math.min(...shown.values), Math.max(...shown.values)];
      const [first, last] = [shown.steps[0], shown.steps[shown.steps.length - 1]];
      points = shown.values.map((value, k) => [
        LEFT + 4 + ((shown.steps[k] - first) / (last - first || 1)) * (WIDTH - LEFT - 12),
        HEIGHT - BOTTOM - 4 - ((value - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP - 10),
      ]);
      line.setAttribute("points", points.map((each) => each.map((v) => v.toFixed(1)).join(",")).join(" "));
      [short(high), short(low), `step ${first.toLocaleString("en")}`, `step ${last.toLocaleString("en")}`]
        .forEach((text, k) => { words[k].textContent = text; });
      picture.setAttribute("aria-label", `${shown.part}, ${shown.name}: from ${short(shown.values[0])} at step ${first} ` +
        `to ${short(shown.values[points.length - 1])} at step ${last}`);
      place.max = points.length - 1;
      place.value = points.length - 1;
      move();
    }

    picture.addEventListener("pointermove", (event) => {
      const at = ((event.clientX - picture.getBoundingClientRect().left) / picture.clientWidth) * WIDTH;
      const away = points.map(([x]) => Math.abs(x - at));
      place.value = away.indexOf(Math.min(...away));
      move();
    });
    choice.addEventListener("change", choose);
    place.addEventListener("input", move);
    box.append(
      make("p", {}, "One curve at a time: choose it, and move along it."),
      make("div", { class: "moving-row" }, make("label", { for: "moving-what" }, "Curve"), choice), picture,
      make("div", { class: "moving-row" }, make("label", { for: "moving-step" }, "Step"), place, said));
    choose();
  }

  function map(box, { people }) {
    const across = people.map((each) => each.x);
    const up = people.map((each) => each.y);
    const within = (value, all) => 6 + (88 * (value - Math.min(...all))) / (Math.max(...all) - Math.min(...all) || 1);
    const field = make("div", { class: "moving-map", role: "group", "aria-label": "Voices of held-out people, alike ones near each other" });
    const face = make("img", { width: 96, height: 96, alt: "", hidden: "" });
    const about = make("p", { role: "status" }, "Choose a face to hear the voice.");
    const audio = make("audio", { controls: "", preload: "none", "aria-label": "The chosen voice" });
    const buttons = [];
    for (const each of people) {
      const style = `left:${within(each.x, across).toFixed(2)}%;bottom:${within(each.y, up).toFixed(2)}%`;
      if (!each.face) {
        field.append(make("span", { class: `moving-person moving-${each.sex}`, style }));
        continue;
      }
      const button = make("button", { type: "button", class: `moving-face moving-${each.sex}`, style,
        "aria-label": each.about, "aria-pressed": "false", title: each.about },
      make("img", { src: each.face, width: 40, height: 40, alt: "" }));
      button.addEventListener("click", () => {
        for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
        face.src = each.face;
        face.alt = `Photograph of this person: ${each.about}`;
        face.hidden = false;
        about.textContent = each.about;
        audio.src = each.sound;
        audio.play().catch(() => { about.textContent = `${each.about}. Press play to hear the voice.`; });
      });
      buttons.push(button);
    }
    // From left to right, so that the keyboard goes over the map as the eye does; arrows go to the next one.
    buttons.sort((a, b) => parseFloat(a.style.left) - parseFloat(b.style.left));
    buttons.forEach((button, k) => {
      button.tabIndex = k ? -1 : 0;
      button.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const next = buttons[(k + by + buttons.length) % buttons.length];
        button.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
    });
    field.append(...buttons);
    const key = make("p", { class: "moving-key" }, make("span", { class: "moving-key-f" }), " woman  ",
      make("span", { class: "moving-key-m" }), " man");
    box.append(field, key, make("div", { class: "moving-row" }, face, about, audio));
  }

  for (const box of document.querySelectorAll(".moving[data-moving]")) {
    const content = JSON.parse(box.querySelector("script").textContent);
    ({ curves, map })[box.dataset.moving](box, content);
    box.hidden = false;
  }
})();
