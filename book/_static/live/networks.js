/* Forward passes of the networks that s2f.report.live exports: voice embedding, sampler, generator. */
"use strict";
var s2fLive = globalThis.s2fLive || {};

s2fLive.networks = (() => {
  const SIDE = 64; // px of a face

  function bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out.buffer;
  }

  /** Numbers of an exported array: {f2: base64} of half or {f4: base64} of single precision, little-endian. */
  function numbers(array) {
    if (array.f4 !== undefined) return new Float32Array(bytes(array.f4));
    const halves = new Uint16Array(bytes(array.f2)), out = new Float32Array(halves.length);
    for (let i = 0; i < out.length; i++) {
      const h = halves[i], exponent = (h >> 10) & 31, fraction = h & 1023;
      const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
      out[i] = h & 0x8000 ? -size : size;
    }
    return out;
  }

  /** Layers, as exported: weights [kernel, in, out] of a convolution over time, [in, kernel, kernel, out] of a transposed one. */
  const layers = (exported) => exported.map((each) => ({ ...each, weight: numbers(each.weight), bias: numbers(each.bias) }));

  function activate(x, kind) {
    if (kind === "relu") for (let i = 0; i < x.length; i++) x[i] = x[i] > 0 ? x[i] : 0;
    else if (kind === "tanh") for (let i = 0; i < x.length; i++) x[i] = Math.tanh(x[i]);
    return x;
  }

  function add(out, at, weight, row, n, by) {
    for (let o = 0; o < n; o++) out[at + o] += by * weight[row + o];
  }

  function convolved(x, { n_in, n_out, kernel, stride, padding, weight, bias, activation }) {
    const n = x.length / n_in, steps = Math.floor((n + 2 * padding - kernel) / stride) + 1;
    const out = new Float32Array(steps * n_out);
    for (let t = 0; t < steps; t++) {
      out.set(bias, t * n_out);
      for (let k = 0; k < kernel; k++) {
        const from = t * stride + k - padding;
        if (from < 0 || from >= n) continue;
        for (let i = 0; i < n_in; i++) {
          const by = x[from * n_in + i];
          if (by !== 0) add(out, t * n_out, weight, (k * n_in + i) * n_out, n_out, by);
        }
      }
    }
    return activate(out, activation);
  }

  /** A transposed convolution of a square [side, side, in]. */
  function grown(x, { n_in, n_out, kernel, stride, padding, weight, bias, activation }) {
    const side = Math.round(Math.sqrt(x.length / n_in)), size = (side - 1) * stride - 2 * padding + kernel;
    const out = new Float32Array(size * size * n_out);
    for (let at = 0; at < out.length; at += n_out) out.set(bias, at);
    for (let i = 0; i < n_in; i++) {
      for (let ky = 0; ky < kernel; ky++) {
        for (let kx = 0; kx < kernel; kx++) {
          const row = ((i * kernel + ky) * kernel + kx) * n_out;
          for (let y = 0; y < side; y++) {
            const oy = y * stride - padding + ky;
            if (oy < 0 || oy >= size) continue;
            for (let x0 = 0; x0 < side; x0++) {
              const ox = x0 * stride - padding + kx, by = x[(y * side + x0) * n_in + i];
              if (by !== 0 && ox >= 0 && ox < size) add(out, (oy * size + ox) * n_out, weight, row, n_out, by);
            }
          }
        }
      }
    }
    return activate(out, activation);
  }

  function unit(x) {
    const length = Math.sqrt(x.reduce((sum, each) => sum + each * each, 0));
    return Float32Array.from(x, (each) => each / Math.max(length, 1e-12));
  }

  /** Unit voice embedding of features Float32Array [n_frames, 64]. */
  function embed(network, features) {
    const track = network.reduce(convolved, features), n_out = network.at(-1).n_out, mean = new Float64Array(n_out);
    for (let i = 0; i < track.length; i++) mean[i % n_out] += track[i];
    return unit(mean);
  }

  /** A face, Uint8ClampedArray [64, 64, 4] as canvases take it, of a unit embedding or of a face code. */
  function face(generator, input) {
    const drawn = generator.reduce(grown, input), out = new Uint8ClampedArray(SIDE * SIDE * 4);
    for (let i = 0; i < SIDE * SIDE; i++) {
      for (let c = 0; c < 3; c++) out[4 * i + c] = 127.5 * (Math.max(-1, Math.min(1, drawn[3 * i + c])) + 1);
      out[4 * i + 3] = 255;
    }
    return out;
  }

  // ------------------------------------------------------------------------------------------------ sampler

  const matrix = (exported) => ({ ...exported, weight: numbers(exported.weight), bias: exported.bias && numbers(exported.bias) });

  /** Weights [in, out] of a linear layer, times x. */
  function linear({ n_out, weight, bias }, x) {
    const out = bias ? new Float32Array(bias) : new Float32Array(n_out);
    for (let i = 0; i < x.length; i++) if (x[i] !== 0) add(out, 0, weight, i * n_out, n_out, x[i]);
    return out;
  }

  function layerNorm({ weight, bias }, x) {
    const n = x.length, out = new Float32Array(n);
    let mean = 0, power = 0;
    for (let i = 0; i < n; i++) mean += x[i] / n;
    for (let i = 0; i < n; i++) power += ((x[i] - mean) * (x[i] - mean)) / n;
    const scale = 1 / Math.sqrt(power + 1e-5);
    for (let i = 0; i < n; i++) out[i] = (x[i] - mean) * scale * weight[i] + bias[i];
    return out;
  }

  function sampler(exported) {
    const out = { ...exported, centre: numbers(exported.centre), frequencies: numbers(exported.frequencies) };
    for (const name of ["axes", "code_in", "time_in", "voice_in", "code_out", "out_norm"]) out[name] = matrix(exported[name]);
    out.layers = exported.layers.map((layer) => Object.fromEntries(Object.entries(layer).map(([name, each]) => [name, matrix(each)])));
    return out;
  }

  /** What the layers are told at a time: of it, and of the voice or of none. */
  function told(network, time, condition) {
    const angles = network.frequencies.map((f) => f * time), axes = network.voice_in.weight.length / network.voice_in.n_out;
    const moment = linear(network.time_in, [...angles.map(Math.sin), ...angles.map(Math.cos)]);
    const voice = linear(network.voice_in, condition ? [...condition, 1] : Array(axes).fill(0));
    return moment.map((each, i) => each + voice[i]);
  }

  /** What a voice tells a sampler, at every time: it is the same for all of its draws. */
  function listened(network, embedding) {
    const off = Float32Array.from(unit(embedding), (each, i) => each - network.centre[i]);
    const condition = linear(network.axes, off), n = network.kind === "flow" ? network.n_steps : 0, all = [];
    for (let i = 0; i <= n; i++) {
      const time = n ? i / n : 0;
      all.push([told(network, time, condition), network.guidance === 1 ? null : told(network, time, null)]);
    }
    return all;
  }

  function velocity(network, x, said) {
    let hidden = linear(network.code_in, x);
    for (const layer of network.layers) {
      const first = linear(layer.first, layerNorm(layer.norm, hidden)).map((each, i) => each + said[i]);
      const second = linear(layer.second, first.map((each) => each / (1 + Math.exp(-each))));
      hidden = hidden.map((each, i) => each + second[i]);
    }
    return linear(network.code_out, layerNorm(network.out_norm, hidden));
  }

  function guided(network, x, [voice, anybody]) {
    const with_ = velocity(network, x, voice);
    if (!anybody) return with_;
    const without = velocity(network, x, anybody);
    return with_.map((each, i) => without[i] + network.guidance * (each - without[i]));
  }

  /** A face code of noise Float32Array [dim], by Heun's method, or in one step. */
  function code(network, all, noise) {
    if (network.kind !== "flow") return guided(network, noise, all[0]);
    const step = 1 / network.n_steps;
    let x = noise;
    for (let i = 0; i < network.n_steps; i++) {
      const first = guided(network, x, all[i]);
      const second = guided(network, x.map((each, j) => each + step * first[j]), all[i + 1]);
      x = x.map((each, j) => each + (step * (first[j] + second[j])) / 2);
    }
    return x;
  }

  return { SIDE, numbers, layers, sampler, embed, face, listened, code, unit };
})();
globalThis.s2fLive = s2fLive;
