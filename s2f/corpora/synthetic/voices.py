"""Voices of the synthetic population: a source–filter synthesiser of syllables that mean nothing.

A recording is a row of phones (`_score`), turned into control tracks every 5 ms (`_tracks`: intonation,
loudness, formants), spoken one glottal period at a time (`_speak`) and sent through a channel (`_transmit`).
One period is one short spectrum, H·(a·S + b·N) + c·F·N: the vocal tract H filters the glottal pulse S and the
breath noise N; fricatives and bursts are noise of their own shape F. Summed at the instants of the pulses,
the inverse transforms are the voice [1, 2].

Everything that tells two people apart is in the person's row, but for the habits of articulation in
`_Habits`: they follow from the name alone and have nothing to do with any face.

References
----------
[1] G. Fant, Acoustic Theory of Speech Production, Mouton, 1960.
[2] D. H. Klatt, Software for a cascade/parallel formant synthesizer, JASA 67:971–995, 1980.
[3] J. Hillenbrand et al., Acoustic characteristics of American English vowels, JASA 97:3099–3111, 1995.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from s2f.corpora.synthetic import population
from s2f.errors import CorpusError, nearest

SAMPLE_RATE = 16000
REFERENCE_TRACT_CM = 16.9  # of the vocal tract whose formants the table of phones holds: an adult man's
SNR_DB = (20.0, 40.0)  # speech to background noise, over a recording's speech
KEYS = ("identity", *population.VOICE)

_STEP = 80  # samples between two values of a control track (5 ms)
_N_FFT = 512  # 32 ms: one period and the ringing of the formants after it
_N_FRACTIONS = 16  # a pulse falls on a sixteenth of a sample, so that rounding adds no audible jitter
_EFFORTS = np.linspace(-1.0, 1.0, 9)  # soft to loud

# ms: duration before scaling to the person's rate. voice, breath, noise: amplitudes of the three sources.
# centre, width (Hz): the noise's resonance. F1–F4 (Hz). damp: factor on the bandwidths (the nose damps).
# Vowels: men's averages in [3], table V. Consonants: loci and noises of the usual order of magnitude [2].
_PHONES = MappingProxyType(
    {
        #       ms voice breath noise centre width   F1   F2    F3    F4   damp
        "iy": (130, 1.0, 0.0, 0.0, 4000, 2000, 342, 2322, 3000, 3657, 1),
        "ih": (100, 1.0, 0.0, 0.0, 4000, 2000, 427, 2034, 2684, 3618, 1),
        "ey": (130, 1.0, 0.0, 0.0, 4000, 2000, 476, 2089, 2691, 3649, 1),
        "eh": (110, 1.0, 0.0, 0.0, 4000, 2000, 580, 1799, 2605, 3677, 1),
        "ae": (140, 1.0, 0.0, 0.0, 4000, 2000, 588, 1952, 2601, 3624, 1),
        "ah": (140, 1.0, 0.0, 0.0, 4000, 2000, 768, 1333, 2522, 3687, 1),
        "aw": (140, 1.0, 0.0, 0.0, 4000, 2000, 652, 997, 2538, 3486, 1),
        "oa": (130, 1.0, 0.0, 0.0, 4000, 2000, 497, 910, 2459, 3384, 1),
        "oo": (100, 1.0, 0.0, 0.0, 4000, 2000, 469, 1122, 2434, 3400, 1),
        "uw": (130, 1.0, 0.0, 0.0, 4000, 2000, 378, 997, 2343, 3357, 1),
        "uh": (100, 1.0, 0.0, 0.0, 4000, 2000, 623, 1200, 2550, 3557, 1),
        "er": (130, 1.0, 0.0, 0.0, 4000, 2000, 474, 1379, 1710, 3334, 1),
        "l": (65, 0.60, 0.0, 0.0, 4000, 2000, 360, 1150, 2700, 3500, 1.5),
        "r": (65, 0.60, 0.0, 0.0, 4000, 2000, 350, 1150, 1600, 3300, 1.5),
        "w": (65, 0.55, 0.0, 0.0, 4000, 2000, 300, 700, 2300, 3400, 1.5),
        "y": (65, 0.55, 0.0, 0.0, 4000, 2000, 280, 2250, 3000, 3650, 1.5),
        "m": (75, 0.45, 0.0, 0.0, 4000, 2000, 250, 1050, 2300, 3400, 3),
        "n": (75, 0.45, 0.0, 0.0, 4000, 2000, 250, 1600, 2600, 3500, 3),
        "h": (60, 0.0, 0.35, 0.0, 4000, 2000, 550, 1450, 2500, 3550, 2),
        "s": (105, 0.0, 0.0, 0.35, 6000, 1300, 400, 1750, 2700, 3600, 1),
        "sh": (105, 0.0, 0.0, 0.40, 3300, 1000, 400, 1900, 2600, 3500, 1),
        "f": (90, 0.0, 0.0, 0.10, 5000, 4000, 400, 1100, 2300, 3500, 1),
        "z": (80, 0.40, 0.0, 0.22, 6000, 1300, 320, 1750, 2700, 3600, 2),
        "v": (60, 0.40, 0.0, 0.06, 5000, 4000, 320, 1100, 2300, 3500, 2),
        "p-": (60, 0.0, 0.0, 0.0, 1200, 1500, 350, 900, 2300, 3500, 1),  # closures, then releases
        "t-": (60, 0.0, 0.0, 0.0, 4200, 2000, 350, 1750, 2700, 3600, 1),
        "k-": (60, 0.0, 0.0, 0.0, 1900, 700, 350, 2000, 2350, 3500, 1),
        "b-": (50, 0.12, 0.0, 0.0, 1200, 1500, 250, 900, 2300, 3500, 3),
        "d-": (50, 0.12, 0.0, 0.0, 4200, 2000, 250, 1750, 2700, 3600, 3),
        "g-": (50, 0.12, 0.0, 0.0, 1900, 700, 250, 2000, 2350, 3500, 3),
        "p": (40, 0.0, 0.25, 0.20, 1200, 1500, 400, 1000, 2350, 3500, 1),
        "t": (40, 0.0, 0.20, 0.35, 4200, 2000, 400, 1750, 2700, 3600, 1),
        "k": (45, 0.0, 0.20, 0.35, 1900, 700, 400, 2000, 2350, 3500, 1),
        "b": (12, 0.40, 0.0, 0.20, 1200, 1500, 350, 1000, 2350, 3500, 1),
        "d": (12, 0.40, 0.0, 0.30, 4200, 2000, 350, 1750, 2700, 3600, 1),
        "g": (15, 0.40, 0.0, 0.30, 1900, 700, 350, 2000, 2350, 3500, 1),
        "": (0, 0.0, 0.0, 0.0, 4000, 2000, 500, 1450, 2500, 3500, 1),  # nothing, and silence
    }
)
_NAMES = tuple(_PHONES)
_VOWELS = _NAMES[:12]
_STOPS = ("p", "t", "k", "b", "d", "g")
_ONSETS = (
    *(("", c) for c in ("", "l", "r", "w", "y", "m", "n", "h", "s", "sh", "f", "z", "v")),
    *((f"{c}-", c) for c in _STOPS),
)
_CODAS = (*(("", c) for c in ("l", "r", "m", "n", "s", "sh", "f", "z")), *((f"{c}-", c) for c in "ptkdg"))
_SLOTS = 7  # of a syllable: two each for onset, vowel and coda, one for the pause after it


@dataclass(frozen=True)
class _Habits:
    """How one person articulates, whatever the body: drawn from the name alone."""

    formants: np.ndarray  # [n_phones, 4] factors on the formants
    bandwidths: np.ndarray  # [4] factors
    noise: float  # factor on the resonances of fricatives
    glide_ms: float  # time over which one formant target becomes the next
    coda: float  # share of closed syllables
    phrase: float  # mean number of syllables between pauses
    accent: float  # share of accented syllables


def _habits(identity: str) -> _Habits:
    rng = np.random.default_rng(np.random.SeedSequence(list(str(identity).encode())))
    each = rng.normal(0.0, [0.015, 0.02, 0.02, 0.02], 4)
    each -= each.mean()  # a common factor would be another length of the vocal tract
    return _Habits(
        formants=np.exp(each + rng.normal(0.0, 0.02, (len(_NAMES), 4))),
        bandwidths=np.exp(rng.normal(0.0, 0.15, 4)),
        noise=float(np.exp(rng.normal(0.0, 0.08))),
        glide_ms=rng.uniform(45.0, 85.0),
        coda=rng.uniform(0.2, 0.5),
        phrase=rng.uniform(5.0, 10.0),
        accent=rng.uniform(0.3, 0.55),
    )


def synthesise(
    person: Mapping, *, duration_s: float, rng: np.random.Generator, channel_rng: np.random.Generator
) -> np.ndarray:
    """A person speaking nonsense syllables, as a microphone somewhere recorded it.

    Parameters
    ----------
    person : mapping
        A row of the population; only `KEYS` are read. `f0_hz` is the geometric mean, `f0_range_semitones` the
        standard deviation in speech, `breathiness` 0 to 1, `jitter_percent` local, `syllables_s` without
        pauses, `tilt_db_octave` beside a source whose flow falls by 12 dB an octave.
    duration_s : float, length of the recording, at least 1 s
    rng : numpy.random.Generator, what is said, and the noise under it
    channel_rng : numpy.random.Generator
        Microphone, room, level and signal-to-noise ratio. Recordings of one video share a channel when each
        is given a generator in the same state.

    Returns
    -------
    numpy.ndarray, samples at 16 kHz, float32 [n_samples] in [−1, 1], never clipped

    Raises
    ------
    CorpusError: a key is missing, or the duration is too short
    """
    wave, is_speech = utterance(person, duration_s=duration_s, rng=rng)
    return _transmit(wave, is_speech, rng=rng, channel_rng=channel_rng)


def utterance(person: Mapping, *, duration_s: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The same speech without a channel, and where it is.

    Returns
    -------
    wave : numpy.ndarray, Float32 [n_samples], vowels at an RMS of about 0.1; silence between phrases is exactly zero
    is_speech : numpy.ndarray, bool [n_samples]: true from the first to the last phone of each phrase

    Raises
    ------
    CorpusError: as `synthesise`
    """
    for key in KEYS:
        if key not in person:
            who = f"person {person.get('identity', '?')}"
            raise CorpusError(who, f"has no '{key}'", remedy=nearest(key, person), reason="missing_key")
    if not duration_s >= 1.0:
        raise CorpusError(f"duration_s={duration_s}", "is too short", remedy="Ask for at least 1 s.")
    habits = _habits(person["identity"])
    phones, ends_s = _score(person, habits, duration_s, rng)
    tracks = _tracks(person, habits, phones, ends_s, duration_s, rng)
    wave = _speak(person, tracks, round(duration_s * SAMPLE_RATE), rng)
    return wave, np.repeat(tracks["speech"] > 0, _STEP)[: len(wave)]


def _score(person, habits, duration_s, rng):
    """What is said: phones (indices) and the times at which they end, pauses included."""
    n = int(1.5 * duration_s * person["syllables_s"]) + 8  # more than fit
    onset, coda = rng.integers(len(_ONSETS), size=n), rng.integers(len(_CODAS), size=n)
    vowel, glide = rng.integers(len(_VOWELS), size=(2, n))
    closed, diphthong = rng.random(n) < habits.coda, rng.random(n) < 0.3
    last = rng.random(n) < 1.0 / habits.phrase  # of a phrase
    last[1:] &= ~last[:-1]
    onsets, codas = (np.array([[_NAMES.index(a), _NAMES.index(b)] for a, b in pairs]) for pairs in (_ONSETS, _CODAS))
    empty = _NAMES.index("")
    phones = np.full((n, _SLOTS), empty)  # [n_syllables, 7]
    phones[:, 0:2] = onsets[onset]
    phones[:, 2] = vowel
    phones[diphthong, 3] = glide[diphthong]
    phones[closed, 4:6] = codas[coda[closed]]

    table = np.array([_PHONES[name][0] for name in _NAMES])
    seconds = table[phones] * 1e-3 * rng.lognormal(0.0, 0.15, (n, _SLOTS))
    seconds[last] *= 1.25  # speech slows down at the end of a phrase
    seconds *= n / (person["syllables_s"] * seconds.sum())
    seconds[last, -1] = rng.uniform(0.27, 0.78, last.sum())

    edge_s = rng.uniform(0.04, 0.12, 2)  # of silence at either end
    ends = seconds.sum(1).cumsum()
    n = 1 + int(np.argmin(np.abs(ends - seconds[:, -1] - (duration_s - edge_s.sum()))))
    seconds[n - 1, -1] = 0.0
    seconds = seconds[:n] * (duration_s - edge_s.sum()) / seconds[:n].sum()  # by half a syllable at most
    seconds = np.concatenate([edge_s[:1], seconds.ravel(), edge_s[1:]])
    phones = np.concatenate([[empty], phones[:n].ravel(), [empty]])
    return phones, seconds.cumsum()


def _smooth(values, n):
    """Moving average along the first axis with a Hann window of about `n` steps, ends held."""
    window = np.hanning(2 * (n // 2) + 3)[1:-1]
    window /= window.sum()
    half = len(window) // 2
    padded = np.concatenate([values[:1].repeat(half, 0), values, values[-1:].repeat(half, 0)])
    if values.ndim == 1:
        return np.convolve(padded, window, mode="valid")
    return np.stack([np.convolve(column, window, mode="valid") for column in padded.T], axis=1)


def _tracks(person, habits, phones, ends_s, duration_s, rng):
    """Control tracks, one value every 5 ms, from the score."""
    n_steps = int(np.ceil(duration_s * SAMPLE_RATE / _STEP)) + 1
    times = np.arange(n_steps) * (_STEP / SAMPLE_RATE)
    segment = np.minimum(np.searchsorted(ends_s, times, side="right"), len(phones) - 1)  # [n_steps]
    table = np.array([_PHONES[name] for name in _NAMES])
    _, voice, breath, noise, centre, width, *_, damp = table[phones[segment]].T

    is_pause = np.ones(len(phones), bool)
    is_pause[1:-1] = np.arange(len(phones) - 2) % _SLOTS == _SLOTS - 1
    starts_s = np.concatenate([[0.0], ends_s[:-1]])
    speech = ~is_pause[segment]
    breaks = np.flatnonzero(is_pause & (ends_s > starts_s))  # segments between which phrases lie
    phrase = np.searchsorted(breaks, segment)  # [n_steps]
    start, end = ends_s[breaks[np.maximum(phrase - 1, 0)]], starts_s[breaks[phrase.clip(max=len(breaks) - 1)]]
    place = np.clip((times - start) / np.maximum(end - start, 0.1), 0.0, 1.0)  # 0 to 1 along a phrase

    # Intonation and loudness fall along a phrase and rise on accents; speech of one person varies a little.
    syllable = np.maximum(segment - 1, 0) // _SLOTS
    n_syllables = syllable[-1] + 1
    accent = (rng.random(n_syllables) < habits.accent) * rng.uniform(0.4, 1.0, n_syllables)
    accent = _smooth(accent[syllable], 30)
    shift = rng.normal(0.0, 0.1, len(breaks) + 1)[phrase]
    contour = 0.55 * accent - 0.5 * place + shift + _smooth(rng.normal(0.0, 0.5, n_steps), 40)
    contour = 3.6 * (contour - contour[voice > 0.3].mean())  # standard deviation about 1
    # Jitter is the fast part of an unsteady voice; the slow part, tremor of pitch (0.25 semitones a per cent)
    # and loudness (2.5 dB, ours: more than real, for frames of 25 ms to show it), grows with it.
    tremor = person["jitter_percent"] * _smooth(rng.standard_normal((n_steps, 2)), 10) / 0.355  # [n_steps, 2]
    semitones = person["f0_range_semitones"] * contour + 0.25 * tremor[:, 0] + rng.normal(0.0, 0.3)
    effort = accent - 0.8 * place**2 + rng.normal(0.0, 0.15, len(breaks) + 1)[phrase]
    loudness = 10 ** ((4.0 * effort + 2.5 * tremor[:, 1]) / 20)

    scale = REFERENCE_TRACT_CM / person["vocal_tract_cm"]
    formants = scale * (table[:, 6:10] * habits.formants)[phones[segment]]  # [n_steps, 4]
    formants = np.exp(_smooth(np.log(formants), round(habits.glide_ms / 5)))
    openness = formants[:, :1] / (500.0 * scale)
    bandwidths = np.array([50.0, 70.0, 110.0, 180.0]) * habits.bandwidths * scale * damp[:, None]
    bandwidths[:, 0] *= (1.0 + 1.2 * person["breathiness"]) * openness[:, 0] ** 0.3
    return {
        "speech": speech,
        "f0": person["f0_hz"] * 2 ** (semitones / 12),
        "voice": _smooth(voice, 6) * loudness,
        "breath": _smooth(breath, 3) * loudness,
        "noise": _smooth(noise, 3) * np.sqrt(loudness),
        "centre": np.minimum(centre * scale * habits.noise, 7000.0),
        "width": width,
        "formants": formants,
        "bandwidths": _smooth(bandwidths, 6),
        "effort": effort,
    }


def _glottal(person):
    """Spectra of one pulse of the glottis (flow derivative), [n_efforts, n_fractions, n_bins].

    Above F0 the flow falls by 12 dB an octave and `tilt_db_octave` (more when soft); radiation adds 6 dB.
    """
    f = 1j * np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE) / person["f0_hz"]
    slope = (6.0 - person["tilt_db_octave"] - 3.0 * _EFFORTS[:, None, None]) / 6.02
    pulse = f / (0.5 + f) * (1.0 + f) ** -slope
    pulse = pulse * (1.0 + 1.5 * person["breathiness"] / (1.0 + f**2 + 0.7 * f))  # a round pulse: strong H1
    pulse = pulse / np.sqrt((np.abs(pulse) ** 2).sum(-1, keepdims=True))
    delay = np.exp(-2j * np.pi * np.outer(np.arange(_N_FRACTIONS) / _N_FRACTIONS, np.fft.rfftfreq(_N_FFT)))
    return (pulse * delay).astype(np.complex64)


def _resonances(formants, bandwidths):
    """Transfer function of resonators in cascade, complex [n, n_bins], of gain 1 at 0 Hz [2]."""
    radius = np.exp(-np.pi * bandwidths / SAMPLE_RATE)
    first, second = -2.0 * radius * np.cos(2 * np.pi * formants / SAMPLE_RATE), radius**2  # [n, n_formants]
    polynomial = np.ones((len(formants), 1))
    for a, b in zip(first.T[..., None], second.T[..., None], strict=True):
        longer = np.pad(polynomial, ((0, 0), (0, 2)))
        longer[:, 1:-1] += a * polynomial
        longer[:, 2:] += b * polynomial
        polynomial = longer
    powers = np.exp(-2j * np.pi * np.outer(np.arange(polynomial.shape[1]), np.fft.rfftfreq(_N_FFT)))
    # One product of real matrices instead of complex arithmetic on every bin of every resonator.
    denominator = (polynomial @ powers.view(np.float64)).view(np.complex128)
    return (polynomial.sum(1, keepdims=True) / denominator).astype(np.complex64)


def _speak(person, tracks, n_samples, rng):
    """Sum of one short response for each period of the glottis."""
    # Instants of the glottis: phase is the integral of F0; jitter moves the mark at which a period ends.
    # Differences of successive periods average 1.128 sigma: local jitter as it is usually defined.
    phase = np.concatenate([[0.0], np.cumsum(tracks["f0"][:-1]) * _STEP / SAMPLE_RATE])
    n_periods = int(phase[-1])
    jitter = person["jitter_percent"] / 100
    marks = np.cumsum(1.0 + jitter / 1.128 * rng.standard_normal(n_periods))
    instants = np.interp(marks, phase, np.arange(len(phase)) * _STEP)  # samples
    shimmer = 1.0 + 5.0 * jitter * rng.standard_normal(n_periods)

    period = np.minimum(np.diff(instants, append=instants[-1] + _STEP), _N_FFT // 2)
    step = np.minimum((instants / _STEP).astype(int), len(phase) - 1)
    sounding = tracks["voice"][step] + tracks["breath"][step] + tracks["noise"][step] > 1e-3
    instants, period, step, shimmer = instants[sounding], period[sounding], step[sounding], shimmer[sounding]
    start = instants.astype(int)
    voice, breath, noise = (tracks[k][step].astype(np.float32) for k in ("voice", "breath", "noise"))
    open_breath = 10 ** ((45.0 * person["breathiness"] - 36.0) / 20)  # beside the pulses: −36 dB to 9
    breath = breath + open_breath * voice
    voice = voice * shimmer.astype(np.float32)

    tract = _resonances(tracks["formants"][step], tracks["bandwidths"][step])  # [n, n_bins]
    upper = (2 * np.arange(5, 9) - 1) * 35000 / (4 * person["vocal_tract_cm"])  # of a uniform tube [1]
    upper = upper[upper < 0.47 * SAMPLE_RATE][None]
    tract *= _resonances(upper, 0.06 * upper)

    fraction = ((instants - start) * _N_FRACTIONS).astype(int)
    effort = np.abs(_EFFORTS[:, None] - tracks["effort"][step]).argmin(0)
    pulses = _glottal(person)[effort, fraction]  # [n, n_bins]
    hiss = rng.standard_normal(n_samples + 2 * _N_FFT, dtype=np.float32)
    length = int(period.max()) + 1
    excerpt = hiss[start[:, None] + np.arange(length)]
    excerpt[np.arange(length) >= np.diff(start, append=start[-1] + length)[:, None]] = 0.0  # a period each
    hiss = np.fft.rfft(excerpt, _N_FFT)

    # Amplitudes are relative to the RMS of this voice's vowels. A talker makes up for most (in dB) of what
    # the vowels' formants do to their loudness.
    spectrum = pulses * tract
    power = 2 / _N_FFT * (spectrum.real**2 + spectrum.imag**2).sum(1) / period  # Parseval
    vowel = voice > 0.7 * shimmer
    equal = (power[vowel].mean() / power) ** 0.35
    gain = voice * equal / np.sqrt((power * equal**2)[vowel].mean())
    hush = breath * equal / np.sqrt((np.abs(tract[vowel]) ** 2).mean())
    spectrum *= gain[:, None].astype(np.float32)
    spectrum += tract * hiss * hush[:, None].astype(np.float32)

    rough = np.flatnonzero(noise > 1e-3)
    f = np.fft.rfftfreq(_N_FFT, 1 / SAMPLE_RATE)
    centre, width = tracks["centre"][step[rough], None], tracks["width"][step[rough], None]
    shape = noise[rough, None] * np.sqrt(16000 / (np.pi * width)) / (1.0 + 1j * (f - centre) / width) ** 2
    spectrum[rough] += shape.astype(np.complex64) * hiss[rough]

    frames = np.fft.irfft(spectrum, _N_FFT)  # [n, _N_FFT]
    wave = np.zeros(n_samples + 2 * _N_FFT, np.float32)
    for at, frame in zip(start.tolist(), frames, strict=True):
        wave[at : at + _N_FFT] += frame
    return 0.1 * wave[:n_samples]


def _transmit(wave, is_speech, *, rng, channel_rng):
    """Microphone, room, background noise and level of one video."""
    rolloff_hz = np.array([channel_rng.uniform(50.0, 180.0), channel_rng.uniform(5000.0, 9000.0)])
    bands_db = channel_rng.normal(0.0, 3.0, 8)
    reverberation_s = channel_rng.uniform(0.1, 0.35)
    direct_db = channel_rng.uniform(10.0, 25.0)
    room_rng = np.random.default_rng(channel_rng.integers(2**63))
    snr_db = channel_rng.uniform(*SNR_DB)
    slope_db = channel_rng.uniform(-9.0, -3.0)  # an octave: rooms rumble more than they hiss
    peak = 10 ** (channel_rng.uniform(-18.0, -1.0) / 20)

    room = room_rng.standard_normal(int(reverberation_s * SAMPLE_RATE)).astype(np.float32)
    room *= 10 ** (-3.0 * np.arange(len(room)) / len(room))  # 60 dB down at its end
    room *= 10 ** (-direct_db / 20) / np.linalg.norm(room)
    room[0] = 1.0
    n_fft = _fast_length(len(wave) + len(room))
    f = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE).astype(np.float32)
    coarse = np.geomspace(20.0, 8000.0, 256)
    curve_db = np.interp(np.log(coarse), np.log(np.geomspace(60.0, 8000.0, 8)), bands_db)
    curve_db -= 10 * np.log10(1 + (rolloff_hz[0] / coarse) ** 4)
    curve_db -= 10 * np.log10(1 + (coarse / rolloff_hz[1]) ** 8)
    response = np.interp(f, coarse, 10 ** (curve_db / 20)).astype(np.float32)
    heard = np.fft.irfft(np.fft.rfft(wave, n_fft) * np.fft.rfft(room, n_fft) * response, n_fft)[: len(wave)]

    hiss = np.fft.rfft(rng.standard_normal(n_fft, dtype=np.float32))
    hiss *= np.interp(f, coarse, (np.maximum(coarse, 100.0) / 1000) ** (slope_db / 6.02)).astype(np.float32)
    background = np.fft.irfft(hiss, n_fft)[: len(wave)]
    level = np.sqrt(np.mean(heard[is_speech] ** 2)) / np.sqrt(np.mean(background**2))
    heard = heard + background * (level * 10 ** (-snr_db / 20))
    return (heard * (peak / np.abs(heard).max())).astype(np.float32)


def _fast_length(n):
    """Smallest length of at least `n` that the Fourier transform likes: 2^k times 1, 3, 5, 9 or 15."""
    return min(m << max(0, (-(-n // m) - 1).bit_length()) for m in (1, 3, 5, 9, 15))
