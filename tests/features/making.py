"""What several test files of this folder make: recordings, photographs, corpora."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image
from scipy.signal import lfilter

from s2f.corpora import splits
from s2f.errors import StoreError
from s2f.features import align
from s2f.features.store import Store


def picture(height=48, width=64, *, seed=0):
    """Smooth random colours: nothing in them is lost by a moderate JPEG."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


REAL = Path(os.environ.get("S2F_REAL", Path(__file__).parents[3] / "shared" / "real"))


needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real recordings at {REAL} (S2F_REAL)")


def chirp(*, rate=16_000, seconds=1.0, low_hz=200, high_hz=3_000):
    t = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * (low_hz * t + (high_hz - low_hz) * t**2 / (2 * seconds))
    return (0.4 * np.sin(phase)).astype(np.float32)


def write_with_av(path, wave, *, codec, rate, channels=1, picture=False, **options):
    import av

    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(str(path), "w", **options) as target:
        pictures = None
        if picture:
            pictures = target.add_stream("mpeg4", rate=10)
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
        if codec:
            stream = target.add_stream(codec, rate=rate, layout=layout)
            encode(target, stream, np.tile(wave, (channels, 1)), rate=rate, layout=layout)
        if pictures is not None:
            for _ in range(5):
                picture_frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                target.mux(pictures.encode(picture_frame))
            target.mux(pictures.encode(None))


def encode(target, stream, channels, *, rate, layout="mono"):
    import av

    frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
    frame.sample_rate = rate
    convert = av.AudioResampler(
        format=stream.codec_context.format or "fltp",
        layout=layout,
        rate=rate,
        frame_size=stream.codec_context.frame_size or None,
    )
    for part in [*convert.resample(frame), *convert.resample(None)]:
        target.mux(stream.encode(part))
    target.mux(stream.encode(None))


def write_tracks(path, waves, *, codec, rate, default=None, bit_rate=None):
    """One file with several mono tracks, of which one may be marked as the default."""
    import av

    with av.open(str(path), "w") as target:
        streams = [target.add_stream(codec, rate=rate, layout="mono") for _ in waves]
        for i, stream in enumerate(streams):
            if bit_rate is not None:
                stream.bit_rate = bit_rate
            if default is not None:
                stream.disposition = av.stream.Disposition.default if i == default else av.stream.Disposition(0)
        for stream, wave in zip(streams, waves, strict=True):
            encode(target, stream, wave[None], rate=rate)


# Broken files


def whole(tmp_path, name):
    path = tmp_path / name
    match path.suffix:
        case ".m4a" | ".mp4" | ".aac":
            write_with_av(path, chirp(), codec="aac", rate=16_000)
        case ".webm":
            write_with_av(path, chirp(rate=48_000), codec="libopus", rate=48_000)
        case ".opus":
            soundfile.write(path, chirp(), 16_000, format="OGG", subtype="OPUS")
        case _:
            soundfile.write(path, chirp(), 16_000)
    return path


LANDMARKS = (align.TEMPLATE * 1.5 + 4).ravel().tolist()


def vowel(duration_s, *, pitch_hz, rng):
    """A pulse train through three resonances, loud and quiet by turns: speech to the detector."""
    n = int(16_000 * duration_s)
    wave = (np.cumsum(np.full(n, pitch_hz / 16_000)) % 1 < pitch_hz / 16_000).astype(float)
    for hz, width in ((700, 90), (1200, 110), (2600, 160)):
        r = np.exp(-np.pi * width / 16_000)
        wave = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hz / 16_000), r * r], wave)
    wave *= 0.4 / np.abs(wave).max() * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * np.arange(n) / 16_000))
    return wave + 0.001 * rng.normal(size=n)


def make_corpus(root, *, n_people=6, n_voices=4, n_faces=3):
    rng = np.random.default_rng(0)
    rows = []
    for p in range(n_people):
        name, gender = f"p{p}", "fm"[p % 2]
        (root / name).mkdir(parents=True)
        for k in range(n_voices):
            wave = vowel(rng.uniform(1.1, 1.5), pitch_hz=(200, 110)[p % 2] + 5 * p, rng=rng)
            soundfile.write(root / name / f"{k}.wav", wave, 16_000, subtype="PCM_16")
            rows.append((name, gender, "voice", f"{name}/{k}.wav", f"v{k // 2}", None))
        for k in range(n_faces):
            image = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((110, 110))
            image.save(root / name / f"{k}.png")
            rows.append((name, gender, "face", f"{name}/{k}.png", None, LANDMARKS))
    table = pd.DataFrame(rows, columns=["identity", "gender", "modality", "path", "source_id", "landmarks"])
    places = {f"p{p}": ("train", "train", "train", "train", "validation", "test")[p % 6] for p in range(n_people)}
    return splits.set_folds(table.assign(split=table["identity"].map(places), fold=0), fraction=0.5, seed=0)


def contents(folder):
    return {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir())}


def state(folder):
    """A hash of all that a reader is given, or the reason it is refused."""
    try:
        opened = Store.open(folder)
    except StoreError as error:
        return error.reason
    content = hashlib.sha256(json.dumps(opened.index["path"].tolist()).encode())
    for array in (opened.mels, opened.mel_offsets, opened.faces):
        content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()
