"""One corpus with every odd or broken input that people have, beside good files, from its scan to its store."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from s2f.corpora import pairs_table, rejections, voxceleb
from s2f.corpora.synthetic import camera, population
from s2f.errors import CorpusError
from s2f.features import align, pack
from s2f.features.pack import Settings
from s2f.features.store import Store
from tests.features.making import vowel, write_with_av

PEOPLE = ("id10001", "id10002")  # with good files; all odd ones are the first's
VIDEO = "voxceleb1/wav/id10001/v1"
PHOTOS = "vggface/Ann_Good"
META = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tAnn_Good\tf\tIndia\tdev\nid10002\tBob_Good\tm\tPeru\tdev\n"
    "id10003\tCy_Mute\tm\tPeru\tdev\nid10004\tDi_Hid\tf\tPeru\tdev\nid10005\tEd_Torn\tm\tPeru\tdev\n"
)
WAVE = vowel(1.4, pitch_hz=170, rng=np.random.default_rng(1)).astype(np.float32)
RNG = np.random.default_rng(2)


def slug(kind):
    return kind.replace(" ", "_").replace("-", "_")


@pytest.fixture(scope="module")
def rendered():
    """A photograph each of two synthetic people, and their landmarks."""
    found = population.sample(2, seed=0).to_dict("records")
    return [camera.render(one, n=1, rng=np.random.default_rng(i)) for i, one in enumerate(found)]


# ------------------------------------------------------------------------------------------- recordings


def wav(*, wave=WAVE, rate=16_000, **kind):
    return lambda path: soundfile.write(path, wave, rate, **kind)


def at_rate(rate):
    seconds = np.arange(int(1.4 * rate)) / rate
    return np.interp(seconds, np.arange(len(WAVE)) / 16_000, WAVE)


def other_format(kind, **options):
    """A sound file of another format than its name says."""

    def make(path):
        out = io.BytesIO()
        soundfile.write(out, WAVE, 16_000, format=kind, **options)
        path.write_bytes(out.getvalue())

    return make


def by_av(*, sound=True, picture=False):
    return lambda path: write_with_av(
        path, WAVE, codec="aac" if sound else None, rate=16_000, picture=picture, format="mp4"
    )


def cut(make, *, part):
    def make_cut(path):
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))])

    return make_cut


def patched(make, at, value):
    def make_patched(path):
        make(path)
        content = bytearray(path.read_bytes())
        content[at : at + len(value)] = value
        path.write_bytes(content)

    return make_patched


def content(what):
    return lambda path: path.write_bytes(what)


# Suffix, how it is made, and the reason it is rejected for; None where it is used.
RECORDINGS = {
    "truncated wav": (".wav", cut(wav(), part=0.6), "truncated"),
    "truncated m4a": (".m4a", cut(by_av(), part=0.6), "truncated"),
    "whole m4a": (".m4a", by_av(), None),
    "zero bytes": (".wav", content(b""), "empty"),
    "mp3 called wav": (".wav", other_format("MP3"), None),
    "flac called wav": (".wav", other_format("FLAC"), None),
    "m4a called wav": (".wav", by_av(), None),
    "text called wav": (".wav", content(b"404: not found\n" * 30), "not_audio"),
    "png called wav": (".wav", lambda path: Image.new("RGB", (64, 64)).save(path, "PNG"), "not_audio"),
    "8-bit": (".wav", wav(subtype="PCM_U8"), None),
    "24-bit": (".wav", wav(subtype="PCM_24"), None),
    "float": (".wav", wav(subtype="FLOAT"), None),
    "float beyond one": (".wav", wav(wave=3 * WAVE, subtype="FLOAT"), None),
    "integers as float": (".wav", wav(wave=32_768 * WAVE, subtype="FLOAT"), "range"),
    "8 kHz": (".wav", wav(wave=at_rate(8_000), rate=8_000), None),
    "96 kHz": (".wav", wav(wave=at_rate(96_000), rate=96_000), None),
    "1 Hz": (".wav", patched(wav(), 24, struct.pack("<I", 1)), "rate"),
    "6 channels": (".wav", wav(wave=np.tile(WAVE[:, None], (1, 6))), None),
    "one sample": (".wav", wav(wave=WAVE[:1]), "too_short"),
    "24 ms of noise": (".wav", wav(wave=0.3 * RNG.standard_normal(384)), "too_short"),
    "no samples": (".wav", wav(wave=WAVE[:0]), "empty"),
    "cut header": (".wav", cut(wav(wave=WAVE[:0]), part=0.5), "truncated"),
    "damaged header": (".wav", patched(wav(), 22, bytes(2)), "damaged"),
    "NaN samples": (".wav", wav(wave=np.where(np.arange(len(WAVE)) == 7, np.nan, WAVE), subtype="FLOAT"), "nan"),
    "infinite samples": (".wav", wav(wave=np.where(WAVE > 0.3, np.inf, WAVE), subtype="DOUBLE"), "nan"),
    "digital silence": (".wav", wav(wave=np.zeros(16_000)), "silent"),
    "faint noise": (".wav", wav(wave=1e-4 * RNG.standard_normal(16_000)), "silent"),
    "video with sound": (".m4a", by_av(picture=True), None),
    "video without sound": (".m4a", by_av(sound=False, picture=True), "no_audio_track"),
    "upper-case suffix": (".WAV", wav(), None),
}


# ---------------------------------------------------------------------------------------------- images


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def black_png(side):
    """One bit a pixel, whole and valid, in a few kilobytes."""
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def saved(change=lambda image: image, kind="PNG", **options):
    """The photograph, changed, as the bytes of a file."""

    def make(image):
        out = io.BytesIO()
        change(image).save(out, kind, **options)
        return out.getvalue()

    return make


def moving(kind):
    return lambda image: saved(kind=kind, save_all=True, append_images=[image.rotate(90)])(image)


def with_alpha(image):
    alpha = np.full((image.height, image.width), 255, np.uint8)
    alpha[:12] = 0
    return Image.merge("RGBA", (*image.split(), Image.fromarray(alpha)))


def deep(image):
    return Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16) << 8) + 99)


def lying(image):
    """A photograph as a camera on its side stores it, with the note how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(lambda i: i.rotate(90, expand=True), "JPEG", quality=95, exif=exif)(image)


def broken_tables(image):
    made = bytearray(saved(kind="JPEG")(image))
    at = made.index(b"\xff\xc4")
    made[at + 4 : at + 24] = b"\xff" * 20
    return bytes(made)


def noise(image):
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (128, 128, 3), dtype=np.uint8))


# As RECORDINGS, made from one person's photograph.
IMAGES = {
    "jpeg": (".jpg", saved(kind="JPEG", quality=95), None),
    "CMYK jpeg": (".jpg", saved(lambda i: i.convert("CMYK"), "JPEG", quality=95), None),
    "animated gif called jpg": (".jpg", moving("GIF"), "animated"),
    "animated webp": (".webp", moving("WEBP"), "animated"),
    "animated png": (".png", moving("PNG"), "animated"),
    "20000 px": (".png", lambda image: black_png(20_000), "too_large"),
    "corrupt jpeg": (".jpg", broken_tables, "damaged"),
    "truncated jpeg": (".jpg", lambda image: saved(kind="JPEG")(image)[:2_000], "damaged"),
    "truncated png": (".png", lambda image: saved()(image)[:9_000], "damaged"),
    "no bytes": (".jpg", lambda image: b"", "empty"),
    "text called jpg": (".jpg", lambda image: b"<html>404</html>", "not_image"),
    "sound called jpg": (".jpg", lambda image: b"RIFF\x24\0\0\0WAVEfmt " + bytes(99), "not_image"),
    "png called jpg": (".jpg", saved(), None),
    "webp": (".webp", saved(kind="WEBP", lossless=True), None),
    "greyscale": (".png", saved(lambda i: i.convert("L")), None),
    "palette": (".png", saved(lambda i: i.quantize(256)), None),
    "alpha": (".png", saved(with_alpha), None),
    "16-bit": (".png", saved(deep), None),
    "32-bit tiff called jpg": (".jpg", saved(lambda i: i.convert("L").convert("I"), "TIFF"), "mode"),
    "lying on its side": (".jpg", lying, None),
    "8 px": (".png", saved(lambda i: i.resize((8, 8))), "too_small"),
    "no face": (".png", saved(noise), "no_face"),
    "two people": (".png", None, None),  # made of both photographs
}


# --------------------------------------------------------------------------------------------- folders


def make_folder(path):
    path.mkdir()
    wav()(path / "inside.wav")


def link(target):
    return lambda path: path.symlink_to(target)


def locked(path):
    wav()(path)
    path.chmod(0)


# Path, how it is made, reason. Of a folder that is left out whole, everything below it counts as left out.
FOLDERS = {
    "folder called wav": (f"{VIDEO}/folder.wav", make_folder, "misplaced"),
    "broken link": (f"{VIDEO}/broken_link.wav", link("nowhere.wav"), "misplaced"),
    "loop of links": (f"{VIDEO}/loop.wav", link("loop.wav"), "unreadable"),
    "link to a file": (f"{VIDEO}/link.wav", link("good.wav"), None),
    "pipe": (f"{VIDEO}/pipe.wav", os.mkfifo, "misplaced"),
    "may not be read": (f"{VIDEO}/locked.wav", locked, "permission"),
    "hidden file": (f"{VIDEO}/._good.wav", content(b"\0\5\x16\7"), "hidden"),
    "no UTF-8": (os.fsdecode(VIDEO.encode() + b"/caf\xe9.wav"), other_format("WAV"), "file_name"),
    "other suffix": (f"{VIDEO}/notes.txt", content(b"x"), "extension"),
    "file among videos": ("voxceleb1/wav/id10001/stray.wav", wav(), "misplaced"),
    "file among people": ("voxceleb1/wav/readme.txt", content(b"x"), "misplaced"),
    "unknown id": ("voxceleb1/wav/id99999", lambda path: filled(path / "v", ".wav"), "unknown_identity"),
    "unknown name": ("vggface/Nobody_Known", lambda path: filled(path, ".png"), "unknown_identity"),
    "voice without face": ("voxceleb1/wav/id10004", lambda path: filled(path / "v", ".wav"), "without_face"),
    "face without voice": ("vggface/Cy_Mute", lambda path: filled(path, ".png"), "without_voice"),
    "voice of lost photos": ("voxceleb1/wav/id10005", lambda path: filled(path / "v", ".wav"), "identity_incomplete"),
    "lost photos": ("vggface/Ed_Torn", lambda path: filled(path, ".jpg"), "empty"),
    "photo that is a folder": (f"{PHOTOS}/folder.png", Path.mkdir, "misplaced"),
    "photo by a broken link": (f"{PHOTOS}/broken_link.png", link("nowhere.png"), "misplaced"),
}


def filled(folder, suffix):
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        wav()(folder / f"{name}.wav") if suffix == ".wav" else (folder / f"{name}{suffix}").touch()


def scan_and_build(root, folder, **settings):
    there = voxceleb.places(root, kind="voxceleb")
    scan = voxceleb.scan(**there)
    pack.build(scan.manifest, folder, settings=Settings(**settings), max_rejected=1.0, shard_size=16, progress=False)
    return scan.manifest, pd.concat([scan.rejected, Store.open(folder).rejected()], ignore_index=True)


def arrays(opened):
    """What a store holds of each file."""
    voices = {row.path: opened.mel(row.row) for row in opened.voices().itertuples()}
    return voices | {row.path: np.array(opened.faces[row.row]) for row in opened.photos().itertuples()}


def expectations():
    """Kind, path below the root and reason of everything that is odd."""
    found = {kind: (f"{VIDEO}/{slug(kind)}{suffix}", reason) for kind, (suffix, _, reason) in RECORDINGS.items()}
    found |= {kind: (f"{PHOTOS}/{slug(kind)}{suffix}", reason) for kind, (suffix, _, reason) in IMAGES.items()}
    return found | {kind: (path, reason) for kind, (path, _, reason) in FOLDERS.items()}


EXPECTED = expectations()


def make_odd(root, photos):
    """Everything odd; returns the kinds that this system or user cannot make."""
    for kind, (suffix, make, _) in RECORDINGS.items():
        make(root / VIDEO / f"{slug(kind)}{suffix}")
    for kind, (suffix, make, _) in IMAGES.items():
        made = saved()(Image.fromarray(np.hstack(photos))) if make is None else make(Image.fromarray(photos[0]))
        (root / PHOTOS / f"{slug(kind)}{suffix}").write_bytes(made)
    impossible = set()
    for kind, (path, make, _) in FOLDERS.items():
        try:
            make(root / path)
        except OSError:
            if kind != "no UTF-8":  # some file systems have none but UTF-8 names
                raise
            impossible.add(kind)
    never = root / FOLDERS["may not be read"][0]
    if os.access(never, os.R_OK):  # the superuser reads anything
        never.unlink()
        impossible.add("may not be read")
    return impossible


@pytest.fixture(scope="module")
def corpus(rendered, tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    stores = tmp_path_factory.mktemp("stores")
    photos = [pictures[0] for pictures, _ in rendered]
    (root / "vox1_meta.csv").write_text(META)
    for i, name in enumerate(("Ann_Good", "Bob_Good")):
        video, folder = root / "voxceleb1/wav" / PEOPLE[i] / "v1", root / "vggface" / name
        video.mkdir(parents=True)
        folder.mkdir(parents=True)
        wave = WAVE if i == 0 else vowel(1.3, pitch_hz=110, rng=np.random.default_rng(0))
        soundfile.write(video / "good.wav", wave, 16_000)
        Image.fromarray(photos[i]).save(folder / "good.png")
    scan_and_build(root, stores / "good")
    impossible = make_odd(root, photos)
    table, rejected = scan_and_build(root, stores / "all")
    return SimpleNamespace(
        root=root,
        table=table,
        rejected=rejected,
        impossible=impossible,
        stores=stores,
        good=arrays(Store.open(stores / "good")),
        used=arrays(Store.open(stores / "all")),
    )


def rows_of(rejected, path):
    """Rows that name a file or a folder around it."""
    name = rejections.printable(str(path))
    return rejected[[name == place or name.startswith(place + os.sep) for place in rejected["path"]]]


def test_the_kinds_are_many_and_of_both_outcomes():
    reasons = {reason for _, reason in EXPECTED.values()}
    assert len(EXPECTED) + len(TABLE_ROWS) >= 45
    assert len(reasons) >= 20 and reasons - {None} <= set(rejections.REASONS)
    assert len({path for path, _ in EXPECTED.values()}) == len(EXPECTED)


@pytest.mark.parametrize("kind", EXPECTED)
def test_what_becomes_of_odd_files(corpus, kind):
    if kind in corpus.impossible:
        pytest.skip("this user or file system cannot make such a file")
    path, reason = EXPECTED[kind]
    path = corpus.root / path
    below = [p for p in path.rglob("*") if not p.is_dir()] if path.is_dir() else []
    files = below or [path]
    for file in files:
        rows = rows_of(corpus.rejected, file)
        assert (str(file) in corpus.used) == (reason is None)
        assert rows["reason"].tolist() == ([] if reason is None else [reason])
        assert (rows["detail"] != "").all()


def test_nothing_is_lost(corpus):
    n_files = 0
    for folder, _, names in os.walk(corpus.root):
        for name in names:
            path = os.path.join(folder, name)
            if path == str(corpus.root / "vox1_meta.csv"):
                continue
            n_files += 1
            assert (path in corpus.used) + len(rows_of(corpus.rejected, path)) == 1, path
    assert n_files >= len(EXPECTED)
    assert len(corpus.used) == len(Store.open(corpus.stores / "all").index)
    assert set(corpus.rejected["reason"]) <= set(rejections.REASONS)


def test_good_files_are_as_without_the_odd_ones(corpus):
    assert len(corpus.good) == 4
    for path, values in corpus.good.items():
        assert np.array_equal(corpus.used[path], values), path


def likeness(one, other):
    """Largest correlation of two recordings' mel bins, those that 8 kHz hold, a few frames apart at most."""
    found = []
    for shift in range(-8, 9):
        a, b = one[max(0, shift) :, 5:40], other[max(0, -shift) :, 5:40]
        n = min(len(a), len(b))
        found.append(np.corrcoef(a[:n].ravel(), b[:n].ravel())[0, 1])
    return max(found)


@pytest.mark.parametrize("kind", [kind for kind, (*_, reason) in RECORDINGS.items() if reason is None])
def test_odd_recordings_sound_like_the_plain_one(corpus, kind):
    mel = corpus.used[str(corpus.root / EXPECTED[kind][0])]
    plain, other = (corpus.good[str(corpus.root / VIDEO / "good.wav").replace("id10001", i)] for i in PEOPLE)
    assert np.isfinite(mel).all() and abs(len(mel) / len(plain) - 1) < 0.12
    assert likeness(mel, plain) > 0.85 > likeness(mel, other)


@pytest.mark.parametrize("kind", [kind for kind, (_, make, reason) in IMAGES.items() if make and reason is None])
def test_odd_photos_look_like_the_plain_one(corpus, kind):
    face = corpus.used[str(corpus.root / EXPECTED[kind][0])].astype(float)
    plain = corpus.good[str(corpus.root / PHOTOS / "good.png")].astype(float)
    if kind in ("greyscale", "16-bit"):
        assert np.ptp(face, axis=-1).max() == 0
        plain = plain @ [[0.299], [0.587], [0.114]]
    inner = slice(16, -8)
    assert np.abs(face - plain)[inner, inner].mean() < 8
    assert np.abs(face[:, ::-1] - plain)[inner, inner].mean() > 8  # so that another picture would be noticed


def test_two_people_may_be_refused(corpus, tmp_path):
    few = corpus.table[corpus.table["path"].str.endswith(("good.wav", "good.png", "two_people.png"))]
    pack.build(few, tmp_path, settings=Settings(several_faces="reject"), max_rejected=1.0, progress=False)
    rejected = Store.open(tmp_path).rejected()
    assert rejected[["path", "reason"]].values.tolist() == [
        [str(corpus.root / EXPECTED["two people"][0]), "several_faces"]
    ]
    assert rejected["detail"].tolist() == ["shows 2 faces"]
    kept = arrays(Store.open(tmp_path))
    assert kept.keys() == corpus.good.keys()
    assert all(np.array_equal(kept[path], corpus.good[path]) for path in kept)


@pytest.mark.slow
def test_an_hour_long_recording_is_used_in_bounded_memory(corpus, tmp_path):
    second = (WAVE[: 16_000 * 8 // 10] * 32_767).astype(np.int16)
    path = tmp_path / "hour.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1, "PCM_16") as sound:
        for _ in range(125):
            sound.write(np.tile(second, 36))
    few = corpus.table[corpus.table["path"].isin(corpus.good)]
    row = few[few["modality"] == "voice"].iloc[:1].assign(path=str(path))
    pd.concat([few, row], ignore_index=True).to_parquet(tmp_path / "manifest.parquet")
    script = (
        "import sys, pandas as pd\nfrom s2f.features import pack\n"
        "pack.build(pd.read_parquet(sys.argv[1]), sys.argv[2], progress=False)\n"
        "status = open('/proc/self/status').read()\n"
        "print(status.split('VmHWM:')[1].split()[0])"
    )
    if not Path("/proc/self/status").exists():
        pytest.skip("reads the peak of memory from /proc")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "manifest.parquet"), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=True,
    )
    used = arrays(Store.open(tmp_path / "store"))
    assert len(used[str(path)]) > 0.9 * 360_000
    assert all(np.array_equal(used[name], values) for name, values in corpus.good.items())
    assert int(done.stdout) < 1.5 * 2**20  # KiB


# --------------------------------------------------------------------------------------------- tables


def one(**changes):
    return [changes]


# Rows that differ from a plain one in what is named, and what of them is left out: identity, file, reason.
# "self" stands for the kind's own name.
TABLE_ROWS = {
    "plain": (one(), []),
    "other plain": (one(gender="female"), []),
    "the same row twice": ([{}, {}], [("self", "recording", "duplicate_row")]),
    "one photo, two recordings": ([{}, {"recording": "second.wav"}], []),
    "unknown gender code": (one(gender="x"), [("self", "recording", "gender"), ("self", "face", "gender")]),
    "two genders": (
        [{"gender": "f"}, {"gender": "m", "recording": "", "face": "second.png"}],
        [
            ("self", "recording", "contradiction"),
            ("self", "face", "contradiction"),
            ("self", "second.png", "contradiction"),
        ],
    ),
    "one file of two people": (
        [{"identity": "first"}, {"identity": "second"}],
        [(who, what, "contradiction") for who in ("first", "second") for what in ("recording", "face")],
    ),
    "no identity": (one(identity=" "), [("", "recording", "no_identity"), ("", "face", "no_identity")]),
    "unknown split": (one(split="holdout"), [("self", "recording", "split"), ("self", "face", "split")]),
    "no split": (one(split=""), [("self", "recording", "split"), ("self", "face", "split")]),
    "outside the root": (
        one(recording="../elsewhere.wav"),
        [("self", "../elsewhere.wav", "outside_root"), ("self", "face", "without_voice")],
    ),
    "zero byte in the name": (
        one(recording="a\0b.wav"),
        [("self", "a\0b.wav", "file_name"), ("self", "face", "without_voice")],
    ),
    "recording alone": (one(face=""), [("self", "recording", "without_face")]),
    "no such file": (
        one(recording="no_such.wav"),
        [("self", "no_such.wav", "missing"), ("self", "face", "identity_incomplete")],
    ),
    "a folder": (one(face="folder"), [("self", "folder", "folder"), ("self", "recording", "identity_incomplete")]),
    "a pipe": (
        [{"recording": "pipe", "face": "pipe"}],
        [("self", "pipe", "unreadable"), ("self", "pipe", "unreadable")],
    ),
    "landmarks in words": (
        one(landmarks="left eye at 3"),
        [("self", "face", "landmarks"), ("self", "recording", "without_face")],
    ),
    "nine numbers": (
        one(landmarks="1 2 3 4 5 6 7 8 9"),
        [("self", "face", "landmarks"), ("self", "recording", "without_face")],
    ),
    "landmarks NaN": (
        one(landmarks=["nan"] * 10),
        [("self", "face", "landmarks"), ("self", "recording", "without_face")],
    ),
    **{
        kind: (one(landmarks=change), [("self", "face", reason), ("self", "recording", "identity_incomplete")])
        for kind, reason, change in (
            ("landmarks outside", "landmarks", lambda marks: marks + 900),
            ("landmarks coincide", "landmarks", lambda marks: marks * 0 + 50),
            ("landmarks mirrored", "landmarks", lambda marks: marks[[1, 0, 2, 4, 3]]),
            ("small face", "too_small", lambda marks: (marks - marks.mean(0)) / 20 + marks.mean(0)),
            ("huge face", "landmarks", lambda marks: (marks - marks.mean(0)) * 90 + marks.mean(0)),
            ("profile", "profile", lambda marks: marks + np.outer([0, 0, 1, 0, 0], [50, 0])),
        )
    },
}


def named(kind, row, column):
    return row.get(column, f"{slug(kind)}{'.wav' if column == 'recording' else '.png'}")


def table_rows(kinds, marks):
    rows = []
    for kind in kinds:
        for row in TABLE_ROWS[kind][0]:
            given = row.get("landmarks", marks)
            given = given(marks) if callable(given) else given
            rows.append(
                {
                    "identity": row.get("identity", kind),
                    "recording": named(kind, row, "recording"),
                    "face": named(kind, row, "face"),
                    "gender": row.get("gender", "m"),
                    "split": row.get("split", "train"),
                    "landmarks": given if isinstance(given, str) else " ".join(map(str, np.ravel(given))),
                }
            )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def tables(rendered, tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    (photo,), (marks,) = rendered[0]
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    results = {}
    for name, kinds in (("good", ["plain", "other plain"]), ("all", list(TABLE_ROWS))):
        rows = table_rows(kinds, marks)
        for file in {*rows["recording"], *rows["face"]} - {""}:
            place = root / file
            if "\0" in file or file in ("no_such.wav", "../elsewhere.wav") or place.exists():
                continue
            wav()(place) if file.endswith(".wav") else Image.fromarray(photo).save(place)
        rows.to_parquet(root / f"{name}.parquet")  # CSV holds no zero bytes
        found, left_out, _ = pairs_table.scan(root / f"{name}.parquet")
        pack.build(found, root / f"{name}-store", max_rejected=1.0, progress=False)
        opened = Store.open(root / f"{name}-store")
        rejected = pd.concat([left_out, opened.rejected()], ignore_index=True)
        rejected["identity"] = rejected["identity"].fillna("")
        results[name] = SimpleNamespace(rows=rows, rejected=rejected, opened=opened)
    return SimpleNamespace(root=root, **results)


def place_of(root, name):
    return os.path.normpath(os.path.join(root, name))


@pytest.mark.parametrize("kind", TABLE_ROWS)
def test_what_becomes_of_odd_rows(tables, kind):
    rows, expected = TABLE_ROWS[kind]
    wanted = []
    for identity, what, reason in expected:
        name = named(kind, rows[0], what) if what in ("recording", "face") else what
        wanted.append(((kind if identity == "self" else identity).strip(), place_of(tables.root, name), reason))
    places = {place_of(tables.root, named(kind, row, c)) for row in rows for c in ("recording", "face")}
    found = tables.all.rejected
    found = found[found["path"].isin(places) & found["identity"].isin([who for who, *_ in wanted] or [kind])]
    assert sorted(found[["identity", "path", "reason"]].itertuples(index=False, name=None)) == sorted(wanted)
    assert (found["detail"] != "").all()


def test_no_row_is_lost(tables):
    index, rejected = tables.all.opened.index, tables.all.rejected
    rejected = rejected[rejected["reason"] != "duplicate_row"]  # names a row, not a file
    listed = {
        (row.identity.strip(), modality, place_of(tables.root, name))
        for row in tables.all.rows.itertuples()
        for modality, name in (("voice", row.recording), ("face", row.face))
        if name
    }
    found = [
        *zip(index["identity"], index["modality"], index["path"], strict=True),
        *zip(rejected["identity"], rejected["modality"], rejected["path"], strict=True),
    ]
    assert sorted(found) == sorted(listed)


def test_good_rows_are_as_without_the_odd_ones(tables):
    good, used = arrays(tables.good.opened), arrays(tables.all.opened)
    assert len(good) == 4 and len(used) > 4
    assert all(np.array_equal(used[path], values) for path, values in good.items())


@pytest.mark.parametrize("column", ["identity", "recording", "face"])
def test_a_missing_column_is_named(tables, tmp_path, column):
    tables.good.rows.drop(columns=column).to_csv(tmp_path / "pairs.csv", index=False)
    with pytest.raises(CorpusError, match=f"has no column '{column}'") as caught:
        pairs_table.scan(tmp_path / "pairs.csv")
    assert caught.value.reason == "column"


def test_a_profile_is_a_question_of_the_limit(rendered):
    (photo,), (marks,) = rendered[0]
    turned = marks + np.outer([0, 0, 1, 0, 0], [8, 0])
    limit = align.turn(turned)
    assert align.align(photo, turned, max_turn=limit + 1e-6).shape == (64, 64, 3)
    with pytest.raises(ValueError, match="turned by"):
        align.align(photo, turned, max_turn=limit - 1e-6)
