"""Figures of recordings shade what is kept, label the filters' places, and name the errors."""

from types import SimpleNamespace

import numpy as np

from s2f.metrics import verification
from s2f.report import voice_figures
from tests.report.figures import fits, texts


def vectors_of_people():
    """Unit vectors, float [40, 8], and whose each is."""
    vectors = np.random.default_rng(0).normal(size=(40, 8))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.repeat(list("abcdefgh"), 5)


def test_they_fit_the_page():
    rng = np.random.default_rng(0)
    vectors, names = vectors_of_people()
    rates = verification.error_rates(vectors, names, rng=rng, n_resamples=20)
    wave, voiced = np.sin(np.arange(32000) / 20).astype(np.float32), np.arange(100) % 50 < 30
    fits(lambda: voice_figures.voice(wave, voiced, rng.normal(size=(120, 64))))
    fits(lambda: voice_figures.voice(None, None, rng.normal(size=(120, 64))))
    fits(lambda: voice_figures.embedding_scatter(vectors, names, ["f", "m", None, "m"] * 10))
    fits(lambda: voice_figures.error_rates(rates))


def test_voice_shades_what_is_kept():
    voiced = np.zeros(100, bool)
    voiced[10:20] = voiced[50:75] = True
    figure = voice_figures.voice(np.zeros(32000, np.float32), voiced, np.zeros((70, 64)))
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in figure.axes[0].patches]
    np.testing.assert_allclose(spans, [(0.2, 0.4), (1.0, 1.5)])
    assert any("0.7 s" in text for text in texts(figure))


def test_mel_ticks_lie_on_their_filters():
    # Centre of filter k: 64 filters evenly spaced between 20 and 7200 Hz on the mel scale.
    def mel(hz):
        return 2595 * np.log10(1 + hz / 700)

    centres = np.linspace(mel(20), mel(7200), 66)[1:-1]
    hz = 700 * (10 ** (centres / 2595) - 1)
    np.testing.assert_allclose(voice_figures._mel_bin(hz, n_mels=64), np.arange(64), atol=1e-9)


def test_people_of_each_sex_are_counted():
    vectors, names = vectors_of_people()
    found = texts(voice_figures.embedding_scatter(vectors, names, np.repeat(["f", "m"], 20)))
    assert {"female: 4 people, 20 points", "male: 4 people, 20 points"} <= found


def test_one_recording_has_no_plane():
    found = texts(voice_figures.embedding_scatter(np.ones((1, 64)), ["a"], ["f"]))
    assert any("there is one recording" in text for text in found)


def test_error_rates_name_the_equal_error():
    rates = SimpleNamespace(
        thresholds=np.array([0.0, 0.5, 1.0]),
        false_accept=np.array([1, 0.1, 0]),
        false_reject=np.array([0, 0.1, 1]),
        equal_error_rate=SimpleNamespace(value=0.1, low=0.05, high=0.2),
    )
    assert any("10.0 % [5.0, 20.0]" in text for text in texts(voice_figures.error_rates({"Faces": rates})))
