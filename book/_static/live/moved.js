/* A recording with another pitch or another vocal tract, declared in words on the live page.

A longer tract lowers every resonance by the same factor, which is what playing a recording slower does; that also
lowers the pitch, which is then put back. Pitch is moved alone by linear prediction: an all-pole filter of 18
coefficients, new every 10 ms, stands for the tract; what is left of the sound without it is stretched in time
(overlapping pieces of 30 ms, laid where they fit best) and played faster or slower to its old length; then the filters
are put back. */
"use strict";
var s2fLive = globalThis.s2fLive || {};

s2fLive.moved = (() => {
  const HOP = 160, WINDOW = 480, ORDER = 18, PIECE = 480, SEARCH = 200;

  /** A sound played faster (above 1) or slower, every frequency times `speed`. */
  function played(x, speed) {
    const out = new Float32Array(Math.floor(x.length / speed)), cut = Math.min(1, 1 / speed), half = Math.ceil(16 / cut);
    for (let i = 0; i < out.length; i++) {
      const at = i * speed, from = Math.max(0, Math.ceil(at - half)), to = Math.min(x.length - 1, Math.floor(at + half));
      let sum = 0;
      for (let k = from; k <= to; k++) {
        const t = k - at, phase = Math.PI * t * cut;
        sum += x[k] * (t === 0 ? cut : (cut * Math.sin(phase)) / phase) * (0.5 + 0.5 * Math.cos((Math.PI * t) / (half + 1)));
      }
      out[i] = sum;
    }
    return out;
  }

  /** All-pole filters, Float64Array [ORDER] for every 10 ms (Levinson and Durbin). */
  function tracts(x) {
    const shape = Float64Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (WINDOW - 1)));
    const all = [], piece = new Float64Array(WINDOW), r = new Float64Array(ORDER + 1);
    for (let start = 0; start < x.length; start += HOP) {
      for (let i = 0; i < WINDOW; i++) piece[i] = (x[start + i - (WINDOW - HOP) / 2] || 0) * shape[i];
      for (let lag = 0; lag <= ORDER; lag++) {
        r[lag] = 0;
        for (let i = lag; i < WINDOW; i++) r[lag] += piece[i] * piece[i - lag];
      }
      const a = new Float64Array(ORDER);
      let error = r[0] * (1 + 1e-5) + 1e-9;
      for (let i = 0; i < ORDER; i++) {
        let sum = r[i + 1];
        for (let j = 0; j < i; j++) sum += a[j] * r[i - j];
        const k = -sum / error;
        for (let j = 0; j < i >> 1; j++) {
          const one = a[j], other = a[i - 1 - j];
          a[j] += k * other;
          a[i - 1 - j] += k * one;
        }
        if (i & 1) a[i >> 1] *= 1 + k;
        a[i] = k;
        error *= 1 - k * k;
      }
      all.push(a);
    }
    return all;
  }

  /** A sound without its filters; with `back`, what was left of it through them again. */
  function filtered(x, filters, back) {
    const out = new Float32Array(x.length), heard = back ? out : x;
    for (let n = 0; n < x.length; n++) {
      const a = filters[Math.min(Math.floor(n / HOP), filters.length - 1)];
      let sum = 0;
      for (let k = 1; k <= ORDER && k <= n; k++) sum += a[k - 1] * heard[n - k];
      out[n] = back ? x[n] - sum : x[n] + sum;
    }
    return out;
  }

  /** A sound `factor` times as long with its pitch: pieces overlap by half, each laid where it continues the last. */
  function stretched(x, factor) {
    const half = PIECE / 2, out = new Float32Array(Math.round(x.length * factor));
    const fade = Float64Array.from({ length: half }, (_, i) => 0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / half));
    let last = 0;
    for (let at = 0; at < out.length; at += half) {
      const wanted = Math.round(at / factor);
      let best = wanted, most = -Infinity;
      if (at) {
        for (let shift = -SEARCH; shift <= SEARCH; shift += 2) {
          const from = wanted + shift;
          if (from < 0 || from + PIECE > x.length) continue;
          let sum = 0;
          for (let i = 0; i < half; i += 3) sum += x[last + half + i] * x[from + i] || 0;
          if (sum > most) [most, best] = [sum, from];
        }
      }
      for (let i = 0; i < PIECE && at + i < out.length; i++) {
        const gain = i < half ? (at ? fade[i] : 1) : 1 - fade[i - half];
        out[at + i] += gain * (x[best + i] || 0);
      }
      last = best;
    }
    return out;
  }

  /** A wave at 16 kHz with its pitch moved by semitones and its vocal tract made `percent` longer. */
  function moved(wave, { semitones, percent }) {
    if (!semitones && !percent) return wave;
    const longer = 1 + percent / 100, pitch = 2 ** (semitones / 12) * longer;
    let out = percent ? played(wave, 1 / longer) : wave;
    if (Math.abs(pitch - 1) > 1e-6) {
      const filters = tracts(out), left = filtered(out, filters, false);
      out = filtered(played(stretched(left, pitch), pitch), filters, true);
    }
    const peak = out.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    return peak > 0.99 ? out.map((each) => (each * 0.99) / peak) : out;
  }

  return moved;
})();
globalThis.s2fLive = s2fLive;
