/* The audio front end of s2f.features: a recording to 16 kHz, to its voiced log-mel frames, to what networks read. */
"use strict";
var s2fLive = globalThis.s2fLive || {};

s2fLive.sound = (() => {
  const RATE = 16000; // Hz
  const HOP = 160, WINDOW = 400, N_FFT = 1024, N_MELS = 64, N_FRAMES_MIN = 1000;
  const ZEROS = 64, ROLLOFF = 0.9475937167399596, BETA = 14.769656459379492; // of the study's resampler
  const KERNEL_LIMIT = 4000000;

  const divisor = (a, b) => (b ? divisor(b, a % b) : a);

  /** To the nearest whole number, halves to the even one. */
  function rounded(x) {
    const whole = Math.floor(x), rest = x - whole;
    return rest < 0.5 || (rest === 0.5 && whole % 2 === 0) ? whole : whole + 1;
  }

  function bessel(x) {
    let sum = 1, term = 1;
    for (let k = 1; term > 1e-17 * sum; k++) sum += term *= (x / (2 * k)) ** 2;
    return sum;
  }

  /** Samples of one rate at another, by the Kaiser-windowed sinc that torchaudio has. */
  function resample(samples, rate, target = RATE) {
    if (rate === target) return Float32Array.from(samples);
    const common = divisor(rate, target), down = rate / common, up = target / common;
    const base = Math.min(down, up) * ROLLOFF, width = Math.ceil((ZEROS * down) / base);
    const all = bessel(BETA), kernels = [];
    for (let phase = 0; phase < up; phase++) {
      const taps = [];
      for (let k = -width; k < width + down; k++) {
        const t = (-phase / up + k / down) * base;
        if (Math.abs(t) >= ZEROS) continue;
        const window = bessel(BETA * Math.sqrt(1 - (t / ZEROS) ** 2)) / all;
        const sinc = t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t);
        if (!taps.length) taps.first = k;
        taps.push((sinc * window * base) / down);
      }
      kernels.push(taps);
    }
    const out = new Float32Array(Math.ceil((up * samples.length) / down));
    for (let i = 0; i < out.length; i++) {
      const taps = kernels[i % up], from = Math.floor(i / up) * down + taps.first;
      let sum = 0;
      for (let j = Math.max(0, -from), n = Math.min(taps.length, samples.length - from); j < n; j++) sum += taps[j] * samples[from + j];
      out[i] = sum;
    }
    return out.map((x) => Math.max(-1, Math.min(1, x)));
  }

  /** The rate that a file says it has; 48 kHz, that of the web's codecs, where none is found. */
  function rateOf(bytes) {
    const view = new DataView(bytes), n = bytes.byteLength;
    const word = (at) => (at + 4 <= n ? String.fromCharCode(...new Uint8Array(bytes, at, 4)) : "");
    if (word(0) === "RIFF" && n > 28) return plausible(view.getUint32(24, true));
    if (word(0) === "fLaC" && n > 21) return plausible((view.getUint16(18) << 4) | (view.getUint8(20) >> 4));
    if (word(0) === "OggS") {
      const at = 27 + view.getUint8(26);
      return word(at + 1) === "vorb" ? plausible(view.getUint32(at + 12, true)) : 48000;
    }
    if (word(4) === "ftyp") {
      for (let i = 8; i + 36 < Math.min(n, 1 << 24); i++) {
        if (view.getUint8(i) === 109 && word(i) === "mp4a") return plausible(view.getUint16(i + 28));
      }
      return 48000;
    }
    let at = 0;
    if (n > 10 && word(0).startsWith("ID3")) at = 10 + [6, 7, 8, 9].reduce((sum, i) => sum * 128 + (view.getUint8(i) & 127), 0);
    for (const end = Math.min(n - 4, at + 8192); at < end; at++) {
      if (view.getUint8(at) !== 0xff || (view.getUint8(at + 1) & 0xe6) !== 0xe2) continue;
      const version = (view.getUint8(at + 1) >> 3) & 3, rate = [44100, 48000, 32000][(view.getUint8(at + 2) >> 2) & 3];
      if (version !== 1 && rate) return rate / [4, 0, 2, 1][version];
    }
    return 48000;
  }

  const plausible = (rate) => (rate >= 8000 && rate <= 192000 ? rate : 48000);

  /** Channels of an uncompressed 16-bit wav file as they are: browsers scale its positive samples by 32768 / 32767. */
  function wav(bytes) {
    const view = new DataView(bytes), n = bytes.byteLength;
    const word = (at) => String.fromCharCode(...new Uint8Array(bytes, at, 4));
    if (n < 44 || word(0) !== "RIFF" || word(8) !== "WAVE") return null;
    let format = null;
    for (let at = 12; at + 8 <= n; ) {
      const size = view.getUint32(at + 4, true);
      if (word(at) === "fmt ") format = { code: view.getUint16(at + 8, true), channels: view.getUint16(at + 10, true), bits: view.getUint16(at + 22, true) };
      if (word(at) === "data") {
        if (!format || format.code !== 1 || format.bits !== 16 || !format.channels) return null;
        const length = Math.floor(Math.min(size, n - at - 8) / 2 / format.channels);
        return Array.from({ length: format.channels }, (_, c) =>
          Float32Array.from({ length }, (_, i) => view.getInt16(at + 8 + 2 * (i * format.channels + c), true) / 32768));
      }
      at += 8 + size + (size % 2);
    }
    return null;
  }

  /** Channels averaged, or the loudest alone where averaging would cancel the voice; a second is looked at at a time. */
  function mixed(channels, rate) {
    const n = channels.length, size = channels[0].length, loudness = channels.map(() => 0);
    if (n === 1) return channels[0];
    let whole = 0, cancelled = 0;
    for (let from = 0; from < size; from += rate) {
      const to = Math.min(size, from + rate), each = channels.map(() => 0), sums = channels.map(() => 0), squares = channels.map(() => 0);
      let together = 0;
      for (let i = from; i < to; i++) {
        let mean = 0;
        channels.forEach((channel, c) => {
          sums[c] += channel[i];
          squares[c] += channel[i] ** 2;
          if (i === from) return;
          const step = channel[i] - channel[i - 1]; // so that neither an offset nor hum hides that the voice cancels
          each[c] += step * step;
          mean += step / n;
        });
        together += mean * mean;
      }
      const sound = squares.reduce((all, square, c) => all + square - sums[c] ** 2 / (to - from), 0) / n;
      if (together < each.reduce((a, b) => a + b) / n / (2 * n)) cancelled += sound;
      whole += sound;
      each.forEach((power, c) => { loudness[c] += power; });
    }
    if (cancelled > 0.1 * whole) return channels[loudness.indexOf(Math.max(...loudness))];
    return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / n);
  }

  /** A sound file as 16 kHz mono, decoded at its own rate and resampled with the study's filter. */
  async function read(bytes) {
    let rate = rateOf(bytes);
    const own = divisor(rate, RATE);
    const fits = (rate / own) * (RATE / own) <= KERNEL_LIMIT;
    let channels = fits && wav(bytes);
    if (!channels) {
      if (!fits) rate = 48000;
      const decoded = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.slice(0));
      channels = Array.from({ length: decoded.numberOfChannels }, (_, c) => decoded.getChannelData(c));
    }
    const mono = mixed(channels, rate);
    if (!mono.every(Number.isFinite)) throw new Error("samples that are no numbers");
    return resample(mono, rate);
  }

  const filters = (() => {
    const mel = (f) => 2595 * Math.log10(1 + f / 700), low = mel(20), high = mel(7200), bin = RATE / N_FFT;
    const edges = Array.from({ length: N_MELS + 2 }, (_, i) =>
      rounded((700 * (10 ** ((low + ((high - low) * i) / (N_MELS + 1)) / 2595) - 1)) / bin));
    return Array.from({ length: N_MELS }, (_, i) => {
      const [left, centre, right] = edges.slice(i, i + 3), height = 2 / ((right - left) * bin), weights = [];
      for (let k = left; k <= right; k++) {
        const rise = (k - left) / Math.max(centre - left, 1), fall = (right - k) / Math.max(right - centre, 1);
        weights.push(Math.max(k < centre ? rise : k > centre ? fall : 1, 0) * height);
      }
      return { from: left, weights };
    });
  })();
  const hamming = Float64Array.from({ length: WINDOW }, (_, i) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / (WINDOW - 1)));
  const turns = Array.from({ length: N_FFT / 2 }, (_, i) => [Math.cos((2 * Math.PI * i) / N_FFT), -Math.sin((2 * Math.PI * i) / N_FFT)]);
  const cosines = Float64Array.from(turns, ([c]) => c), sines = Float64Array.from(turns, ([, s]) => s);
  const reversed = Uint16Array.from({ length: N_FFT }, (_, i) => parseInt(i.toString(2).padStart(10, "0").split("").reverse().join(""), 2));

  /** Fourier transform in place of what `reversed` has put in order. */
  function transform(re, im) {
    for (let size = 2; size <= N_FFT; size *= 2) {
      const half = size / 2, step = N_FFT / size;
      for (let start = 0; start < N_FFT; start += size) {
        for (let k = 0; k < half; k++) {
          const c = cosines[k * step], s = sines[k * step], a = start + k, b = a + half;
          const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
          re[b] = re[a] - x;
          im[b] = im[a] - y;
          re[a] += x;
          im[a] += y;
        }
      }
    }
  }

  const whole = (wave) => Int16Array.from(wave, (x) => Math.max(-32768, Math.min(32767, rounded(x * 32768))));

  /** Log-mel frames Float64Array [n, 64] of 16-bit samples. A frame's first sample is emphasised with the last one of
      the frame before, and frames that run past the end are filled by repeating their own samples: the released front
      end of Wen et al. does so. */
  function logMel(samples) {
    const n = 1 + Math.floor(samples.length / HOP), out = new Float64Array(n * N_MELS);
    const re = new Float64Array(N_FFT), im = new Float64Array(N_FFT), pair = [re, im];
    const place = new Float64Array(WINDOW), power = new Float64Array(N_FFT / 2 + 1);
    let last = 0;
    for (let i = 0; i < n; i += 2) { // two frames are one transform of complex numbers
      re.fill(0);
      im.fill(0);
      for (let j = 0; j < 2 && i + j < n; j++) {
        const start = (i + j) * HOP, left = samples.length - start;
        for (let k = 0; k < WINDOW; k++) place[k] = left > 0 ? samples[start + (k < left ? k : k % left)] : 0;
        for (let k = 0; k < WINDOW; k++) pair[j][reversed[k]] = (place[k] - 0.97 * (k ? place[k - 1] : last)) * hamming[k];
        last = place[WINDOW - 1];
      }
      transform(re, im);
      for (let j = 0; j < 2 && i + j < n; j++) {
        for (let k = 0; k <= N_FFT / 2; k++) {
          const m = (N_FFT - k) % N_FFT;
          const a = j ? im[k] + im[m] : re[k] + re[m], b = j ? re[m] - re[k] : im[k] - im[m];
          power[k] = (a * a + b * b) / 4;
        }
        filters.forEach(({ from, weights }, m) => {
          let sum = 0;
          for (let k = 0; k < weights.length; k++) sum += weights[k] * power[from + k];
          out[(i + j) * N_MELS + m] = Math.log(Math.max(sum, 1e-5));
        });
      }
    }
    return out;
  }

  /** Each band with mean 0 and deviation 1, Float32Array [n, 64]. */
  function normalised(frames) {
    const n = frames.length / N_MELS, out = new Float32Array(frames.length);
    for (let m = 0; m < N_MELS; m++) {
      let mean = 0, power = 0;
      for (let i = m; i < frames.length; i += N_MELS) mean += frames[i];
      mean /= n;
      for (let i = m; i < frames.length; i += N_MELS) power += (frames[i] - mean) ** 2;
      const scale = Math.sqrt(power / n) + 2 ** -23;
      for (let i = m; i < frames.length; i += N_MELS) out[i] = (frames[i] - mean) / scale;
    }
    return out;
  }

  /** Frames repeated until there are 10 s of them. */
  function repeated(frames) {
    const least = N_FRAMES_MIN * N_MELS;
    return frames.length >= least ? frames : Float32Array.from({ length: least }, (_, i) => frames[i % frames.length]);
  }

  /** What is heard in a wave: its mask, seconds of voice, log-mel of the voiced parts, and features for the networks. */
  function heard(wave) {
    const samples = whole(wave), mask = s2fLive.detector.mask(samples), size = s2fLive.detector.FRAME;
    const voiced = new Int16Array(size * mask.filter(Boolean).length);
    let at = 0;
    mask.forEach((speech, i) => {
      if (!speech) return;
      voiced.set(samples.subarray(i * size, (i + 1) * size), at);
      at += size;
    });
    const found = { mask, totalS: wave.length / RATE, voiceS: at / RATE };
    if (found.voiceS < 0.5) return found;
    found.logMel = logMel(voiced);
    found.features = repeated(normalised(found.logMel));
    return found;
  }

  return { RATE, N_MELS, read, rateOf, resample, heard, logMel, normalised, whole };
})();
globalThis.s2fLive = s2fLive;
