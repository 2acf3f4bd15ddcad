"""The synthesiser against signal processing that knows nothing of it: autocorrelation, LPC, a detector."""

import numpy as np
import pytest

from s2f.corpora.synthetic import population, voices
from s2f.errors import CorpusError

RATE = voices.SAMPLE_RATE
MAN = {
    "identity": "a man",
    "f0_hz": 110.0,
    "f0_range_semitones": 2.5,
    "vocal_tract_cm": 17.0,
    "breathiness": 0.2,
    "jitter_percent": 0.6,
    "syllables_s": 4.8,
    "tilt_db_octave": -2.0,
}
WOMAN = MAN | {"identity": "a woman", "f0_hz": 210.0, "vocal_tract_cm": 14.5, "breathiness": 0.35}


def speak(person, *, seed=0, duration_s=8.0):
    return voices.utterance(person, duration_s=duration_s, rng=np.random.default_rng(seed))


def record(person, *, seed=0, channel=0, duration_s=8.0):
    return voices.synthesise(
        person, duration_s=duration_s, rng=np.random.default_rng(seed), channel_rng=np.random.default_rng(channel)
    )


def autocorrelation(wave, *, f0_hz, n=1024, hop=320):
    """Height and lag (s) of the peak within 8 semitones of `f0_hz`, for each loud frame (Boersma 1993)."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, n)[::hop]
    frames = frames[frames.std(1) > 0.4 * wave.std()]
    window = np.hanning(n)
    both = [np.fft.irfft(np.abs(np.fft.rfft(x, 4 * n)) ** 2)[..., : n // 2] for x in (frames * window, window)]
    r = both[0] / both[1] / (both[0][:, :1] / both[1][0])
    low, high = int(RATE / f0_hz / 1.6), int(RATE / f0_hz * 1.6)
    lag = low + r[:, low:high].argmax(1)
    return r[np.arange(len(r)), lag], lag / RATE


def pitch(wave, *, f0_hz):
    """F0 in semitones from `f0_hz`, of the frames that are clearly periodic."""
    height, lag_s = autocorrelation(wave, f0_hz=f0_hz)
    return -12 * np.log2(lag_s[height > 0.8] * f0_hz)


def poles(frame, *, order=18):
    """Frequencies (Hz) of the narrow resonances that linear prediction finds."""
    x = np.append(frame[0], frame[1:] - 0.97 * frame[:-1]) * np.hamming(len(frame))
    r = np.array([x[: len(x) - k] @ x[k:] for k in range(order + 1)])
    lags = np.abs(np.subtract.outer(np.arange(order), np.arange(order)))
    roots = np.roots(np.r_[1.0, -np.linalg.solve(r[lags] + 1e-6 * r[0] * np.eye(order), r[1:])])
    roots = roots[(roots.imag > 0.01) & (np.abs(roots) > np.exp(-np.pi * 500 / RATE))]
    return np.angle(roots) * RATE / (2 * np.pi)


def runs(mask):
    """Lengths of the runs of true values that touch neither end."""
    edges = np.flatnonzero(np.diff(mask.astype(int)))
    inside = edges[1:] if mask[0] else edges
    inside = inside[: 2 * (len(inside) // 2)] if not mask[-1] else inside[: 2 * ((len(inside) - 1) // 2)]
    return np.diff(inside)[::2]


@pytest.mark.parametrize("duration_s", [1.0, 4.321, 12.0])
def test_a_recording_has_the_length_asked_for_and_does_not_clip(duration_s):
    for seed in range(4):
        wave = record(WOMAN, seed=seed, channel=seed, duration_s=duration_s)
        assert wave.dtype == np.float32 and wave.shape == (round(duration_s * RATE),)
        assert np.isfinite(wave).all() and 0.05 < np.abs(wave).max() < 1.0


def test_same_generators_same_recording_and_another_seed_another():
    assert np.array_equal(record(MAN, seed=1, channel=2), record(MAN, seed=1, channel=2))
    assert not np.array_equal(record(MAN, seed=1, channel=2), record(MAN, seed=3, channel=2))
    assert not np.array_equal(record(MAN, seed=1, channel=2), record(MAN, seed=1, channel=3))


def test_one_channel_colours_different_sentences_alike():
    def colour(seed, channel):  # spectrum of the recording beside that of the speech before the channel
        power = [
            np.abs(np.fft.rfft(x.reshape(-1, 512) * np.hanning(512))) ** 2
            for x in (record(MAN, seed=seed, channel=channel), speak(MAN, seed=seed)[0])
        ]
        ratio = np.log(power[0].mean(0) / power[1].mean(0))[4:200]
        return ratio - ratio.mean()

    same = np.corrcoef(colour(0, 0), colour(1, 0))[0, 1]
    other = np.corrcoef(colour(0, 0), colour(0, 1))[0, 1]
    assert same > 0.85 and same > other + 0.1


@pytest.mark.parametrize("person", [MAN, WOMAN], ids=["man", "woman"])
def test_pitch_has_the_mean_and_the_spread_of_the_person(person):
    f0 = np.concatenate([pitch(speak(person, seed=s)[0], f0_hz=person["f0_hz"]) for s in range(6)])
    assert len(f0) > 500
    assert abs(f0.mean()) < 0.5
    assert 0.75 < f0.std() / person["f0_range_semitones"] < 1.25


@pytest.mark.parametrize("person", [MAN, WOMAN], ids=["man", "woman"])
def test_linear_prediction_finds_the_formants(person):
    rng, distance = np.random.default_rng(0), []
    habits = voices._habits(person["identity"])
    tracks = voices._tracks(person, habits, *voices._score(person, habits, 8.0, rng), 8.0, rng)
    wave = voices._speak(person, tracks, 8 * RATE, rng)
    for step in np.flatnonzero(tracks["voice"] > 0.8)[5:-5:6]:
        found = poles(wave[step * 80 - 240 : step * 80 + 240])
        wanted = tracks["formants"][step]
        distance.append(np.abs(found[:, None] - wanted).min(0) / wanted)
    assert (np.median(distance, 0) < [0.06, 0.03, 0.02, 0.02]).all()


def test_formants_scale_with_the_inverse_of_the_vocal_tract():
    factors = []
    for length in (14.0, 17.5):
        person, rng = MAN | {"vocal_tract_cm": length}, np.random.default_rng(0)
        habits = voices._habits(person["identity"])
        tracks = voices._tracks(person, habits, *voices._score(person, habits, 8.0, rng), 8.0, rng)
        factors.append(tracks["formants"])
    np.testing.assert_allclose(factors[0] / factors[1], 17.5 / 14.0, rtol=1e-9)


def test_pauses_are_silent_and_of_the_usual_length():
    pauses = []
    for seed in range(8):
        wave, is_speech = speak(WOMAN, seed=seed)
        assert is_speech.shape == wave.shape and is_speech.dtype == bool
        pauses += list(runs(~is_speech) / RATE)
        edge_s = [np.argmax(is_speech) / RATE, np.argmax(is_speech[::-1]) / RATE]
        assert max(edge_s) < 0.15
        near = np.convolve(is_speech, np.ones(2001), mode="same") > 0.5  # 62 ms of ringing
        assert not wave[~near].any()
        assert 0.05 < wave[is_speech].std() < 0.2
    assert len(pauses) > 15
    assert min(pauses) > 0.23 and max(pauses) < 0.85


def test_rate_is_that_of_the_person():
    for rate in (3.5, 6.0):
        person = MAN | {"syllables_s": rate}
        habits = voices._habits(person["identity"])
        phones, ends_s = voices._score(person, habits, 10.0, np.random.default_rng(0))
        spoken_s = speak(person, duration_s=10.0)[1].sum() / RATE
        n_syllables = (len(phones) - 2) / voices._SLOTS
        assert ends_s[-1] == pytest.approx(10.0)
        assert n_syllables / spoken_s == pytest.approx(rate, rel=0.12)


@pytest.mark.parametrize("snr_db", [20.0, 40.0])
def test_a_voice_detector_finds_speech_and_pauses(snr_db):
    import webrtcvad

    class Channel:
        """A generator that draws everything but the signal-to-noise ratio."""

        def __init__(self, seed):
            self.rng = np.random.default_rng(seed)

        def __getattr__(self, name):
            return getattr(self.rng, name)

        def uniform(self, low, high):
            return snr_db if (low, high) == voices.SNR_DB else self.rng.uniform(low, high)

    hits, rejections = [], []
    for k, person in enumerate(population.sample(24, seed=0).to_dict("records")):
        rng = np.random.default_rng(k)
        clean, is_speech = voices.utterance(person, duration_s=6.0, rng=rng)
        wave = voices._transmit(clean, is_speech, rng=rng, channel_rng=Channel(k))
        detector = webrtcvad.Vad(2)
        frames = (wave * 32767).astype(np.int16).reshape(-1, 320)
        flagged = np.array([detector.is_speech(frame.tobytes(), RATE) for frame in frames])
        loud = np.sqrt((clean.reshape(-1, 320) ** 2).mean(1)) > 0.03
        pause = ~is_speech.reshape(-1, 320).any(1)
        deep = np.array([pause[max(0, i - 7) : i + 3].all() for i in range(len(pause))])  # 140 ms later
        deep[:3] = False  # the detector starts knowing nothing
        hits.append(flagged[loud].mean())
        rejections += list(~flagged[deep])
    assert np.mean(hits) > 0.95 and min(hits) > 0.9
    assert len(rejections) > 200 and np.mean(rejections) > 0.9


def test_the_noise_has_the_level_drawn():
    found = []
    for seed in range(16):
        _, is_speech = speak(MAN, seed=seed)
        time = np.arange(len(is_speech))
        quiet = time - np.maximum.accumulate(np.where(is_speech, time, -RATE)) > 0.4 * RATE  # no echo left
        if quiet.sum() < 800:
            continue
        wave = record(MAN, seed=seed, channel=seed)
        found.append(20 * np.log10(wave[is_speech].std() / wave[quiet].std()))
    assert len(found) >= 10
    assert min(found) > 18 and max(found) < 42 and np.ptp(found) > 8


def test_resonators_in_cascade_are_those_of_the_difference_equation():
    formants, bandwidths = np.array([[500.0, 1500.0, 2500.0]]), np.array([[60.0, 90.0, 150.0]])
    signal = np.eye(1, 4096)[0]
    for f, b in zip(formants[0], bandwidths[0], strict=True):  # Klatt 1980, equations 1 and 2
        c = -np.exp(-2 * np.pi * b / RATE)
        b = 2 * np.exp(-np.pi * b / RATE) * np.cos(2 * np.pi * f / RATE)
        y = np.zeros(len(signal) + 2)
        for n, x in enumerate(signal):
            y[n] = (1 - b - c) * x + b * y[n - 1] + c * y[n - 2]
        signal = y[:-2]
    expected = np.fft.rfft(signal)[:: 4096 // 512]
    np.testing.assert_allclose(voices._resonances(formants, bandwidths)[0], expected, rtol=1e-4, atol=1e-6)


def test_breath_makes_the_voice_less_periodic():
    steady = MAN | {"f0_range_semitones": 0.0, "jitter_percent": 0.1}
    heights = [autocorrelation(speak(steady | {"breathiness": b})[0], f0_hz=110.0)[0] for b in (0.1, 0.5, 0.8)]
    quartile = [np.percentile(h, 75) for h in heights]
    assert quartile[0] > quartile[1] + 0.02 > quartile[2] + 0.12


def test_jitter_makes_periods_differ():
    def unsteadiness(percent):
        wave = speak(MAN | {"jitter_percent": percent, "f0_range_semitones": 0.0, "breathiness": 0.0})[0]
        return 1 - np.median(autocorrelation(wave, f0_hz=110.0, n=2048)[0])

    assert unsteadiness(0.1) < unsteadiness(1.0) < unsteadiness(3.0)


def test_tilt_is_the_slope_of_the_spectrum():
    def slope_db(tilt):
        wave = speak(MAN | {"tilt_db_octave": tilt, "breathiness": 0.0})[0]
        power = np.abs(np.fft.rfft(wave)) ** 2
        f = np.fft.rfftfreq(len(wave), 1 / RATE)
        low, high = (power[(f > a) & (f < b)].sum() for a, b in ((200, 800), (1600, 3200)))
        return 10 * np.log10(high / low)

    # Between the two bands lie about two octaves; fricatives, the same in both, take a little away.
    assert 4.0 < slope_db(0.0) - slope_db(-3.0) < 8.0


def test_habits_follow_from_the_name_alone():
    one, same, other = (voices._habits(name) for name in ("s0001", "s0001", "s0002"))
    assert np.array_equal(one.formants, same.formants) and one.glide_ms == same.glide_ms
    assert 0.02 < np.abs(np.log(one.formants / other.formants)).mean() < 0.1
    common = [np.log(voices._habits(f"s{i:04d}").formants).mean() for i in range(200)]
    assert np.std(common) < 0.004  # a common factor would pass for another length of the vocal tract


def test_sex_can_be_learnt_after_every_recording_is_normalised():
    from s2f.features import front_end

    people = population.sample(60, seed=1)
    x = []
    for k, person in enumerate(people.to_dict("records")):
        mel = front_end.normalise(
            front_end.log_mel(front_end.voiced(record(person, seed=k, channel=k, duration_s=5.0)))
        )
        x.append((mel.T @ mel / len(mel))[np.triu_indices(64)])
    x, y = np.array(x), np.where(people.gender == "m", 1.0, -1.0)
    train, test = x[:40] - x[:40].mean(0), x[40:] - x[:40].mean(0)
    weights = np.linalg.solve(train @ train.T + 5.0 * np.eye(40), y[:40])
    assert np.mean(np.sign(test @ train.T @ weights) == y[40:]) >= 0.95


@pytest.mark.parametrize("n", [1, 2, 7, 1000, 65537, 200000])
def test_transform_lengths_are_long_enough_and_not_much_longer(n):
    assert n <= voices._fast_length(n) < 1.34 * n + 1


@pytest.mark.parametrize("duration_s", [0.0, 0.99, -3.0, float("nan")])
def test_too_short_a_recording_is_an_error(duration_s):
    with pytest.raises(CorpusError, match=r"duration_s.*at least 1 s"):
        record(MAN, duration_s=duration_s)


def test_a_missing_key_is_named_with_the_nearest_one():
    person = {k.replace("f0_hz", "f0_herz"): v for k, v in MAN.items()}
    with pytest.raises(CorpusError, match=r"a man has no 'f0_hz'.*'f0_herz'"):
        record(person)
