"""Can the drawn face pick the speaker out? Two-way matching, exact, recall in galleries, and identification.

A probe is the face drawn from one recording; the gallery holds real photos. Two-way matching asks how
often a true photo is more similar to the probe than a distractor's photo, over all true photos, all
distractors and all their photos: nothing is sampled. A tie counts half. People weigh equally, however
many recordings or photos they have.

All functions take `probes`, float [n, d], the embeddings of the drawn faces at unit length, and `codes`, int [n], the
speaker of each; `photos`, float [m, d], and `photo_codes`, int [m], are those of the real photos and who is on them.
`n_identities` is how many people there are.
"""

from __future__ import annotations

import numpy as np

from s2f.errors import MetricError
from s2f.metrics import pairs


def win_matrix(
    probes: np.ndarray,
    codes: np.ndarray,
    photos: np.ndarray,
    photo_codes: np.ndarray,
    *,
    n_identities: int,
    true: np.ndarray | None = None,
) -> np.ndarray:
    """Probability that a photo of speaker i beats a photo of person j, for a probe of i.

    Parameters
    ----------
    true : ndarray, bool [n, m], optional
        Which of the speaker's photos count as true for a probe; all if not given. Distractors keep all their photos.

    Returns
    -------
    ndarray, float [n_identities, n_identities]
        NaN on the diagonal and where i has no probe with a true photo, or j no photo.
    """
    n_photos = np.bincount(photo_codes, minlength=n_identities)
    totals = np.zeros((n_identities, n_identities))
    n_probes = np.zeros(n_identities)
    for row, (probe, code) in enumerate(zip(probes, codes, strict=True)):
        own = np.flatnonzero(photo_codes == code if true is None else (photo_codes == code) & true[row])
        if not len(own):
            continue
        similarity = photos @ probe  # [m]
        to_beat = np.sort(similarity[own])
        below, upto = np.searchsorted(to_beat, similarity, "left"), np.searchsorted(to_beat, similarity, "right")
        wins = 1 - (below + upto) / (2 * len(own))  # share of true photos above, ties half
        totals[code] += np.bincount(photo_codes, weights=wins, minlength=n_identities) / np.maximum(n_photos, 1)
        n_probes[code] += 1
    defined = (n_probes[:, None] > 0) & (n_photos[None] > 0) & ~np.eye(n_identities, dtype=bool)
    return np.divide(totals, n_probes[:, None], out=np.full_like(totals, np.nan), where=defined)


def in_and_out_of_video(
    codes: np.ndarray, videos: np.ndarray, photo_codes: np.ndarray, photo_videos: np.ndarray
) -> np.ndarray:
    """Probes whose person has photos from the video of the probe's voice and from another one: bool [n].

    `videos` [n] are those of the probes' voices, `photo_videos` [m] those of the photos.
    """
    both = np.zeros(len(codes), bool)
    for row, (code, video) in enumerate(zip(codes, videos, strict=True)):
        inside = photo_videos[photo_codes == code] == video
        both[row] = inside.any() and not inside.all()
    return both


def same(labels: np.ndarray) -> np.ndarray:
    """Pairs with equal, known labels: bool [n, n] from `labels` [n] of str or None."""
    known = np.array([isinstance(label, str) for label in labels], bool)
    values = np.asarray(labels, object)
    return (values[:, None] == values[None]) & known[:, None] & known[None]


def gallery_size(n_identities: int, *, n_way: int = 100) -> int:
    """People in a gallery: `n_way`, or everyone where there are fewer."""
    return min(n_way, n_identities)


def recall(
    probes: np.ndarray,
    codes: np.ndarray,
    photos: np.ndarray,
    photo_codes: np.ndarray,
    *,
    ks: tuple[int, ...] = (1, 5, 10),
    n_way: int = 100,
    n_galleries: int = 50,
    rng: np.random.Generator,
) -> np.ndarray:
    """Share of galleries in which the speaker is among the k most similar people.

    A gallery holds one photo of each of `n_way` people, the speaker among them (of everyone where there
    are fewer); which people and which photos is drawn anew for each of `n_galleries` galleries a probe.
    Among equally similar photos the place is left to chance, in expectation.

    Parameters
    ----------
    ks : tuple of int, Ranks
    n_way : int, people in a gallery; chance is k / n_way
    n_galleries : int, galleries a probe, from the stream `rng`

    Returns
    -------
    ndarray, float [n, len(ks)], NaN for a speaker without photos

    Raises
    ------
    MetricError: fewer than two people have photos
    """
    people, n_photos = np.unique(photo_codes, return_counts=True)
    if len(people) < 2:
        raise MetricError("gallery", f"holds {len(people)} people", remedy="Give at least 2.", reason="too_few")
    order = np.argsort(photo_codes, kind="stable")
    starts = np.concatenate([[0], np.cumsum(n_photos)[:-1]])
    n_way = gallery_size(len(people), n_way=n_way)
    hits = np.full((len(probes), len(ks)), np.nan)
    for row, (probe, code) in enumerate(zip(probes, codes, strict=True)):
        own = np.searchsorted(people, code)
        if own == len(people) or people[own] != code:
            continue
        similarity = (photos @ probe)[order]
        picks = starts + np.floor(rng.random((n_galleries, len(people))) * n_photos).astype(int)  # [G, people]
        scores = similarity[picks]
        true = scores[:, own, None]  # [G, 1]
        others = np.delete(scores, own, axis=1)  # [G, people - 1]
        if n_way < len(people):
            chosen = np.argsort(rng.random(others.shape), axis=1)[:, : n_way - 1]
            others = np.take_along_axis(others, chosen, axis=1)  # [G, n_way - 1]
        above, ties = (others > true).sum(1), (others == true).sum(1)  # [G]
        hits[row] = _among(ks, above, ties).mean(0)
    return hits


def identification(
    probes: np.ndarray, codes: np.ndarray, photos: np.ndarray, photo_codes: np.ndarray, *, ks: tuple[int, ...] = (1, 5)
) -> np.ndarray:
    """Whether the speaker is among the k people whose mean photo is most similar, everyone in the gallery.

    A person stands in the gallery with the mean of the photos' embeddings, at unit length. Among equally similar
    people the place is left to chance, in expectation. An interval over speakers keeps the gallery as it is: with
    copies in it, it would be smaller than its name says.

    Parameters
    ----------
    ks : tuple of int, ranks; chance is k divided by the number of people with photos

    Returns
    -------
    ndarray, float [n, len(ks)], NaN for a speaker without photos
    """
    people, index = np.unique(photo_codes, return_inverse=True)
    means = pairs.by_identity(photos, index, n_identities=len(people))
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    hits = np.full((len(probes), len(ks)), np.nan)
    for row, (probe, code) in enumerate(zip(probes, codes, strict=True)):
        own = people == code
        if own.any():
            similarity = means @ probe  # [people]
            true = similarity[own]
            hits[row] = _among(ks, (similarity > true).sum(), (similarity == true).sum() - 1)
    return hits


def _among(ks: tuple[int, ...], above: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Chance of a place among the first k, given how many are above and how many others are tied: [..., len(ks)]."""
    return np.clip((np.array(ks) - np.asarray(above)[..., None]) / (np.asarray(ties)[..., None] + 1), 0, 1)
