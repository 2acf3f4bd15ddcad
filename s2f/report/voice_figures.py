"""Figures of recordings and of what is heard in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from s2f.report.style import BLUE, GREY, INK, ORANGE, SEXES, canvas, in_theme, listed, say, sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from s2f.metrics.verification import ErrorRates


@in_theme
def voice(
    wave: np.ndarray | None,
    voiced: np.ndarray | None,
    log_mel: np.ndarray,
    *,
    sample_rate: int = 16000,
    frame_ms: float = 20,
    hop_ms: float = 10,
) -> Figure:
    """A recording, the parts kept as speech, and the log-mel spectrogram of those parts.

    Parameters
    ----------
    wave : ndarray, float [n_samples], or None
        The recording, in [−1, 1]; without it, or `voiced`, only the spectrogram is drawn.
    voiced : ndarray, bool [n_frames], or None, voice activity of each frame of `frame_ms`
    log_mel : ndarray, float [n_mel_frames, 64]
        Spectrogram of the voiced parts joined together, one frame every `hop_ms`.
    sample_rate : int, Hz
    frame_ms, hop_ms : float, ms
    """
    told = ""
    if wave is None or voiced is None:
        figure, axes = canvas(2.2)
        bottom = axes[0, 0]
    else:
        figure, axes = canvas(3.6, n_rows=2, height_ratios=[1, 1.25])
        top, bottom = axes[:, 0]
        seconds = np.arange(len(wave)) / sample_rate
        for start, stop in _runs(voiced):
            top.axvspan(start * frame_ms / 1000, stop * frame_ms / 1000, color=ORANGE, alpha=0.25, linewidth=0)
        low, high, at = _envelope(wave, seconds, n_points=1400)
        top.fill_between(at, low, high, color=BLUE, linewidth=0.3)
        limit = max(float(np.abs(wave).max()), 1e-3) * 1.05
        top.set(xlim=(0, len(wave) / sample_rate), ylim=(-limit, limit), ylabel="amplitude", xlabel="time (s)")
        kept = f"{voiced.sum() * frame_ms / 1000:.1f} s"
        top.set_title(f"Recording, with the {kept} kept as speech shaded")
        told = f"A sound wave of {seconds[-1]:.1f} s, {kept} of it, in {len(_runs(voiced))} stretches, kept as speech. "
        top.grid(axis="y", visible=False)
    length = len(log_mel) * hop_ms / 1000
    image = bottom.imshow(
        log_mel.T,
        origin="lower",
        aspect="auto",
        extent=(0, length, -0.5, log_mel.shape[1] - 0.5),
        cmap="magma",
        interpolation="nearest",
        vmin=np.quantile(log_mel, 0.01),
        vmax=np.quantile(log_mel, 0.99),
    )
    ticks_hz = np.array([100, 500, 1000, 2000, 4000, 7000])
    bottom.set_yticks(_mel_bin(ticks_hz, n_mels=log_mel.shape[1]), [f"{hz:,}" for hz in ticks_hz])
    bottom.set(xlabel="time within the speech (s)", ylabel="frequency (Hz)")
    bottom.set_title("Log-mel spectrogram of the speech")
    bottom.grid(visible=False)
    figure.colorbar(image, ax=bottom, pad=0.01, aspect=14, label="natural log of power")
    say(figure, f"{told}The log-mel spectrogram of {length:.1f} s of speech, {log_mel.shape[1]} bands up to 7,200 Hz.")
    return figure


def _runs(mask: np.ndarray) -> np.ndarray:
    """Starts and ends of the true stretches of `mask`, int [k, 2]."""
    edges = np.diff(np.concatenate([[0], np.asarray(mask, int), [0]]))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)


def _envelope(wave: np.ndarray, seconds: np.ndarray, *, n_points: int) -> tuple[np.ndarray, ...]:
    """Lowest and highest sample of each of `n_points` stretches: what a screen can show of a recording."""
    starts = np.unique(np.linspace(0, len(wave), n_points, endpoint=False).astype(int))
    return np.minimum.reduceat(wave, starts), np.maximum.reduceat(wave, starts), seconds[starts]


def _mel_bin(hz: np.ndarray, *, n_mels: int, low_hz: float = 20, high_hz: float = 7200) -> np.ndarray:
    """Place of a frequency among the mel filters, whose centres are evenly spaced on the mel scale."""
    low, mel, high = (2595 * np.log10(1 + np.asarray(f) / 700) for f in (low_hz, hz, high_hz))
    return (mel - low) / (high - low) * (n_mels + 1) - 1


@in_theme
def embedding_scatter(
    vectors: np.ndarray, identities: Sequence[str], genders: Sequence[str | None], *, title: str | None = None
) -> Figure:
    """Embeddings on their first two principal components: colour is sex, lines lead to the person's mean.

    Parameters
    ----------
    vectors : ndarray, float [n, d], Embeddings
    identities : sequence of str [n], whose each is
    genders : sequence of "f", "m" or None [n], sex of each
    title : str, optional, line above
    """
    if len(vectors) < 2:
        return sentence("Not shown: there is one recording, and nothing to compare it with.")
    centred = vectors - vectors.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:2].T  # [n, 2]
    share = sizes[:2] ** 2 / (sizes**2).sum() * 100
    whose, sexes = np.asarray(identities, str), np.asarray(genders, object)
    figure, axes = canvas(4.2)
    ax = axes[0, 0]
    known, told = [key for key, _, _ in SEXES], []
    for (key, name, colour), marker in zip((*SEXES, (None, "sex unknown", GREY)), "os^", strict=True):
        rows = np.isin(sexes.astype(str), [key] if key else known, invert=key is None)
        if not rows.any():
            continue
        for person in np.unique(whose[rows]):
            own = places[rows & (whose == person)]
            ends = np.stack([own, np.broadcast_to(own.mean(0), own.shape)], axis=1)  # [k, 2, 2]
            ax.plot(*ends.T, color=colour, alpha=0.6, linewidth=0.7)
        label = f"{name}: {len(np.unique(whose[rows]))} people, {rows.sum()} points"
        told.append(f"{label} around {places[rows, 0].mean():z.2f} on the first axis")
        ax.scatter(*places[rows].T, s=14, color=colour, marker=marker, alpha=0.8, linewidth=0, label=label)
    ax.set(xlabel=f"first component ({share[0]:.0f} % of the variance)", ylabel=f"second ({share[1]:.0f} %)")
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2)
    if title:
        ax.set_title(title)
    say(figure, f"Points in a plane that holds {share.sum():.0f} % of the variance. {listed(told)}.")
    return figure


@in_theme
def error_rates(rates: ErrorRates | Mapping[str, ErrorRates]) -> Figure:
    """Errors of "same person?" against the threshold on the similarity, and where both are equal.

    Parameters
    ----------
    rates : ErrorRates, or a mapping of a title to one, from `s2f.metrics.verification.error_rates`
    """
    shown = rates if isinstance(rates, Mapping) else {"": rates}
    figure, axes = canvas(2.7, n_columns=len(shown), sharey=True)
    told = []
    for ax, (title, curve) in zip(axes[0], shown.items(), strict=True):
        equal = curve.equal_error_rate
        ax.plot(curve.thresholds, curve.false_accept * 100, color=BLUE, label="different people taken as one")
        ax.plot(
            curve.thresholds,
            curve.false_reject * 100,
            color=ORANGE,
            linestyle=(0, (5, 1.5)),
            label="one person taken as two",
        )
        ax.axhline(equal.value * 100, color=GREY, linewidth=0.8, linestyle=":")
        at = int(np.argmin(np.abs(curve.false_accept - curve.false_reject)))
        ax.plot(curve.thresholds[at], equal.value * 100, "o", color=INK, markersize=4)
        text = f"equal error {equal.value * 100:.1f} % [{equal.low * 100:.1f}, {equal.high * 100:.1f}]"
        ax.set_title(f"{title}: {text}" if title else text, fontsize=9)
        told.append(f"{title}: {text}" if title else text)
        ax.set(xlabel="threshold on the cosine", ylim=(-2, 102))
    axes[0, 0].set_ylabel("errors (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    say(figure, f"False accepts fall and false rejects rise with the threshold; where they cross: {listed(told)}.")
    return figure
