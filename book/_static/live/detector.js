/* Voice activity detection: WebRTC's detector, mode 2, 20 ms frames at 16 kHz, in the same whole numbers.

Rewritten in JavaScript from WebRTC's common_audio/vad, of which the licence is:

Copyright (c) 2011, The WebRTC project authors. All rights reserved.
Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:
* Redistributions of source code must retain the above copyright notice, this list of conditions and the following
  disclaimer.
* Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
  disclaimer in the documentation and/or other materials provided with the distribution.
* Neither the name of Google nor the names of its contributors may be used to endorse or promote products derived from
  this software without specific prior written permission.
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE. */
"use strict";
var s2fLive = globalThis.s2fLive || {};

s2fLive.detector = (() => {
  const FRAME = 320; // samples, 20 ms
  const BANDS = 6; // two Gaussians each, of noise and of speech
  const WEIGHT = [6, 8, 10, 12, 14, 16];
  const LOCAL = 78, GLOBAL = 260, OVER_SHORT = 3, OVER_LONG = 5; // of mode 2 and 20 ms
  const LEAST_ENERGY = 10, LEAST_DEVIATION = 384;
  const LEAST_DIFFERENCE = [544, 544, 576, 576, 576, 576];
  const MOST_SPEECH = [11392, 11392, 11520, 11520, 11520, 11520];
  const MOST_NOISE = [9216, 9088, 8960, 8832, 8704, 8576];
  const LEAST_MEAN = [640, 768];
  const OFFSET = [368, 368, 272, 176, 176, 176];
  const NOISE = {
    weights: [34, 62, 72, 66, 53, 25, 94, 66, 56, 62, 75, 103],
    means: [6738, 4892, 7065, 6715, 6771, 3369, 7646, 3863, 7820, 7266, 5020, 4362],
    deviations: [378, 1064, 493, 582, 688, 593, 474, 697, 475, 688, 421, 455],
  };
  const SPEECH = {
    weights: [48, 82, 45, 87, 50, 47, 80, 46, 83, 41, 78, 81],
    means: [8306, 10085, 10078, 11823, 11843, 6309, 9473, 9571, 10879, 7581, 8180, 7483],
    deviations: [555, 505, 567, 524, 585, 1231, 509, 828, 492, 1540, 1079, 850],
  };

  const short = (x) => (x << 16) >> 16;
  const product = (a, b, shift) => Math.imul(a, b) >> shift;
  const quotient = (a, b) => Math.trunc(a / b) | 0;
  const leading = (x) => (x === 0 ? 0 : Math.clz32(x < 0 ? ~x : x) - 1);

  class Detector {
    constructor() {
      this.noiseMeans = Int16Array.from(NOISE.means);
      this.speechMeans = Int16Array.from(SPEECH.means);
      this.noiseDeviations = Int16Array.from(NOISE.deviations);
      this.speechDeviations = Int16Array.from(SPEECH.deviations);
      this.n = this.overHang = this.nSpeech = 0;
      this.half = new Int32Array(2);
      this.ages = new Int16Array(16 * BANDS);
      this.lowest = new Int16Array(16 * BANDS).fill(10000);
      this.medians = new Int16Array(BANDS).fill(1600);
      this.upper = new Int16Array(5);
      this.lower = new Int16Array(5);
      this.high = new Int16Array(4);
      this.total = 0;
    }

    /** Whether a frame, Int16Array [320], is speech; the detector adapts with every question. */
    isSpeech(frame) {
      const features = this.features(this.halved(frame));
      return this.decide(features) > 0;
    }

    halved(frame) {
      const out = new Int16Array(frame.length >> 1);
      let [first, second] = this.half;
      for (let n = 0; n < out.length; n++) {
        const a = short((first >> 1) + product(5243, frame[2 * n], 14));
        first = (frame[2 * n] - product(5243, a, 12)) | 0;
        const b = short((second >> 1) + product(1392, frame[2 * n + 1], 14));
        second = (frame[2 * n + 1] - product(1392, b, 12)) | 0;
        out[n] = a + b;
      }
      this.half[0] = first;
      this.half[1] = second;
      return out;
    }

    /** Energies of six bands of 8 kHz samples, on a logarithmic scale. */
    features(samples) {
      this.total = 0;
      const found = new Int16Array(BANDS);
      const [above2000, below2000] = this.split(samples, 0);
      const [above3000, below3000] = this.split(above2000, 1);
      found[5] = this.energy(above3000, 5);
      found[4] = this.energy(below3000, 4);
      const [above1000, below1000] = this.split(below2000, 2);
      found[3] = this.energy(above1000, 3);
      const [above500, below500] = this.split(below1000, 3);
      found[2] = this.energy(above500, 2);
      const [above250, below250] = this.split(below500, 4);
      found[1] = this.energy(above250, 1);
      found[0] = this.energy(this.above80(below250), 0);
      return found;
    }

    split(samples, band) {
      const a = allPass(samples, 0, 20972, this.upper, band);
      const b = allPass(samples, 1, 5571, this.lower, band);
      const high = new Int16Array(a.length), low = new Int16Array(a.length);
      for (let i = 0; i < a.length; i++) {
        high[i] = a[i] - b[i];
        low[i] = b[i] + a[i];
      }
      return [high, low];
    }

    above80(samples) {
      const out = new Int16Array(samples.length), state = this.high;
      for (let i = 0; i < samples.length; i++) {
        let x = (Math.imul(6631, samples[i]) + Math.imul(-13262, state[0]) + Math.imul(6631, state[1])) | 0;
        state[1] = state[0];
        state[0] = samples[i];
        x = (x - Math.imul(-7756, state[2]) - Math.imul(5620, state[3])) | 0;
        state[3] = state[2];
        state[2] = x >> 14;
        out[i] = state[2];
      }
      return out;
    }

    energy(samples, band) {
      let peak = -1;
      for (const x of samples) peak = Math.max(peak, short(Math.abs(x)));
      const bits = 32 - Math.clz32(samples.length);
      const room = leading(Math.imul(peak, peak));
      let shifts = peak === 0 || room > bits ? 0 : bits - room;
      let energy = 0;
      for (const x of samples) energy = (energy + product(x, x, shifts)) | 0;
      energy >>>= 0;
      if (energy === 0) return OFFSET[band];
      const more = 17 - Math.clz32(energy);
      shifts += more;
      energy = more < 0 ? (energy << -more) >>> 0 : energy >>> more;
      const logarithm = short(14336 + ((energy & 0x3fff) >> 4));
      const found = short(product(24660, logarithm, 19) + product(shifts, 24660, 9));
      if (this.total <= LEAST_ENERGY) {
        this.total = short(this.total + (shifts >= 0 ? LEAST_ENERGY + 1 : short(energy >>> -shifts)));
      }
      return short(Math.max(found, 0) + OFFSET[band]);
    }

    decide(features) {
      let speech = 0;
      if (this.total > LEAST_ENERGY) {
        const found = this.judge(features);
        speech = found.speech;
        this.adapt(features, found);
        this.n++;
      }
      if (!speech) {
        if (this.overHang > 0) speech = 2 + this.overHang--;
        this.nSpeech = 0;
      } else if (++this.nSpeech > 6) {
        this.nSpeech = 6;
        this.overHang = OVER_LONG;
      } else {
        this.overHang = OVER_SHORT;
      }
      return speech;
    }

    judge(features) {
      const found = { speech: 0, noiseDelta: [], speechDelta: [], noiseShare: Array(12).fill(0), speechShare: Array(12).fill(0) };
      let sum = 0;
      for (let band = 0; band < BANDS; band++) {
        const noise = [0, 0], speech = [0, 0];
        for (let k = 0; k < 2; k++) {
          const g = band + k * BANDS;
          const [p, noiseDelta] = gaussian(features[band], this.noiseMeans[g], this.noiseDeviations[g]);
          const [q, speechDelta] = gaussian(features[band], this.speechMeans[g], this.speechDeviations[g]);
          found.noiseDelta[g] = noiseDelta;
          found.speechDelta[g] = speechDelta;
          noise[k] = Math.imul(NOISE.weights[g], p);
          speech[k] = Math.imul(SPEECH.weights[g], q);
        }
        const h0 = (noise[0] + noise[1]) | 0, h1 = (speech[0] + speech[1]) | 0;
        const ratio = short((h0 === 0 ? 31 : leading(h0)) - (h1 === 0 ? 31 : leading(h1)));
        sum += ratio * WEIGHT[band];
        if (ratio << 2 > LOCAL) found.speech = 1;
        share(found.noiseShare, band, noise[0], short(h0 >> 12), 16384);
        share(found.speechShare, band, speech[0], short(h1 >> 12), 0);
      }
      if (sum >= GLOBAL) found.speech = 1;
      return found;
    }

    adapt(features, found) {
      let most = 12800;
      for (let band = 0; band < BANDS; band++) {
        const least = this.minimum(features[band], band);
        const global = short(average(this.noiseMeans, band, 0, NOISE.weights) >> 6);
        for (let k = 0; k < 2; k++) {
          const g = band + k * BANDS;
          const noiseMean = this.noiseMeans[g], speechMean = this.speechMeans[g];
          let moved = noiseMean;
          if (!found.speech) {
            const delta = short(product(found.noiseShare[g], found.noiseDelta[g], 11));
            moved = short(noiseMean + short(product(delta, 655, 22)));
          }
          moved = short(moved + short(product(short((least << 4) - global), 154, 9)));
          this.noiseMeans[g] = Math.min(Math.max(moved, (k + 5) << 7), (72 + k - band) << 7);
          if (found.speech) this.adaptSpeech(features[band], found, g, k, speechMean, most);
          else this.adaptNoise(features[band], found, g, noiseMean);
        }
        most = this.separate(band);
      }
    }

    adaptSpeech(feature, found, g, k, mean, most) {
      const delta = short(product(found.speechShare[g], found.speechDelta[g], 11));
      const step = short(product(delta, 6554, 21));
      const moved = short(mean + ((step + 1) >> 1));
      this.speechMeans[g] = Math.min(Math.max(moved, LEAST_MEAN[k]), most + 640);
      const off = short(feature - ((mean + 4) >> 3));
      const scaled = (product(found.speechDelta[g], off, 3) - 4096) | 0;
      const change = Math.imul(found.speechShare[g] >> 2, scaled) >> 4;
      const ten = short(this.speechDeviations[g] * 10);
      const by = change > 0 ? short(quotient(change, ten)) : short(-short(quotient(-change, ten)));
      this.speechDeviations[g] = Math.max(short(this.speechDeviations[g] + (short(by + 128) >> 8)), LEAST_DEVIATION);
    }

    adaptNoise(feature, found, g, mean) {
      const off = short(feature - (mean >> 3));
      const scaled = (product(found.noiseDelta[g], off, 3) - 4096) | 0;
      const change = Math.imul(short((found.noiseShare[g] + 2) >> 2), scaled) >> 14;
      const deviation = this.noiseDeviations[g];
      const by = change > 0 ? short(quotient(change, deviation)) : short(-short(quotient(-change, deviation)));
      this.noiseDeviations[g] = Math.max(short(deviation + (short(by + 32) >> 6)), LEAST_DEVIATION);
    }

    /** Keep the models of noise and speech apart and in their bounds; gives the bound of speech. */
    separate(band) {
      let noise = average(this.noiseMeans, band, 0, NOISE.weights);
      let speech = average(this.speechMeans, band, 0, SPEECH.weights);
      const apart = short(short(speech >> 9) - short(noise >> 9));
      if (apart < LEAST_DIFFERENCE[band]) {
        const missing = short(LEAST_DIFFERENCE[band] - apart);
        speech = average(this.speechMeans, band, short(product(13, missing, 2)), SPEECH.weights);
        noise = average(this.noiseMeans, band, -short(product(3, missing, 2)), NOISE.weights);
      }
      const over = [short(speech >> 7) - MOST_SPEECH[band], short(noise >> 7) - MOST_NOISE[band]];
      [this.speechMeans, this.noiseMeans].forEach((means, i) => {
        if (over[i] > 0) for (let k = 0; k < 2; k++) means[band + k * BANDS] -= over[i];
      });
      return MOST_SPEECH[band];
    }

    /** Smoothed median of the five lowest values that a band had in its last 100 frames. */
    minimum(value, band) {
      const lowest = this.lowest.subarray(16 * band, 16 * band + 16), ages = this.ages.subarray(16 * band, 16 * band + 16);
      for (let i = 0; i < 16; i++) {
        if (ages[i] !== 100) {
          ages[i]++;
          continue;
        }
        for (let j = i; j < 15; j++) {
          lowest[j] = lowest[j + 1];
          ages[j] = ages[j + 1];
        }
        ages[15] = 101;
        lowest[15] = 10000;
      }
      const place = lowest.findIndex((each) => value < each);
      if (place >= 0) {
        for (let i = 15; i > place; i--) {
          lowest[i] = lowest[i - 1];
          ages[i] = ages[i - 1];
        }
        lowest[place] = value;
        ages[place] = 1;
      }
      let median = 1600, alpha = 0;
      if (this.n > 2) median = lowest[2];
      else if (this.n > 0) median = lowest[0];
      if (this.n > 0) alpha = median < this.medians[band] ? 6553 : 32439;
      const sum = (Math.imul(alpha + 1, this.medians[band]) + Math.imul(32767 - alpha, median) + 16384) | 0;
      this.medians[band] = sum >> 15;
      return this.medians[band];
    }
  }

  function allPass(samples, from, coefficient, states, band) {
    const out = new Int16Array(samples.length >> 1);
    let state = states[band] << 16;
    for (let i = 0; i < out.length; i++) {
      const x = samples[from + 2 * i];
      out[i] = (state + Math.imul(coefficient, x)) >> 16;
      state = ((x << 14) - Math.imul(coefficient, out[i])) << 1;
    }
    states[band] = state >> 16;
    return out;
  }

  /** Probability of a feature, and the derivative that means are moved by. */
  function gaussian(feature, mean, deviation) {
    const inverse = short(quotient(131072 + (deviation >> 1), deviation));
    const square = short(product(inverse >> 2, inverse >> 2, 2));
    const off = short(short(feature << 3) - mean);
    const delta = short(product(square, off, 10));
    const exponent = product(delta, off, 9);
    let value = 0;
    if (exponent < 22005) {
      const power = short(-short(product(5909, short(exponent), 12)));
      value = (0x0400 | (power & 0x03ff)) >> ((short(~power) >> 10) + 1);
    }
    return [Math.imul(inverse, value), delta];
  }

  function share(shares, band, first, all, otherwise) {
    if (all > 0) {
      shares[band] = short(quotient((first & 0xfffff000) << 2, all));
      shares[band + BANDS] = short(16384 - shares[band]);
    } else {
      shares[band] = otherwise;
    }
  }

  function average(means, band, offset, weights) {
    let sum = 0;
    for (let g = band; g < 2 * BANDS; g += BANDS) {
      means[g] += offset;
      sum = (sum + Math.imul(means[g], weights[g])) | 0;
    }
    return sum;
  }

  /** Which 20 ms frames of 16-bit samples are voiced, as s2f.features.front_end.voiced_mask says it. */
  function mask(samples) {
    const detector = new Detector(), found = [];
    let inside = false, before = null;
    const n = Math.max(0, Math.floor((samples.length - 1) / FRAME));
    for (let i = 0; i < n; i++) {
      const frame = samples.subarray(i * FRAME, (i + 1) * FRAME);
      // The older frame first, and both always asked: the detector adapts with every question.
      const older = before && detector.isSpeech(before), newer = detector.isSpeech(frame);
      found.push(inside);
      if (before && older === newer && newer !== inside) {
        found[i - 1] = found[i] = true;
        inside = !inside;
        before = null;
      } else {
        before = frame;
      }
    }
    return found;
  }

  return { FRAME, mask };
})();
globalThis.s2fLive = s2fLive;
