"""The command that draws the face of a recording: where pictures go, how large they are, and what it refuses."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from s2f import __main__ as cli
from s2f import files
from s2f.errors import AudioError, OutputError
from s2f.features.listening import Heard
from s2f.networks import inference
from s2f.networks.models import Architecture
from s2f.report import draws, face_figures, prose, reconstruct
from s2f.study import params
from tests.features.making import vowel

ROOT = Path(__file__).resolve().parents[2]
FACE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.fixture
def drawn(monkeypatch):
    """A stand-in for a trained variant; gives the recordings that it was asked for."""
    asked = []

    class Model:
        name, sampler = "demo general", None

        def hear(self, recording):
            if recording.stem == "broken":
                raise AudioError(recording, "is broken", remedy="Get it again.")
            if recording.stem == "odd":
                raise KeyError("odd")
            asked.append(recording.name)
            return "features", Heard(np.zeros((1, 64)), 3.25, 5.5, ("track 2 of 2 is read, its default",))

        def face(self, features):
            assert features == "features"
            return FACE

    monkeypatch.setattr(inference, "load", lambda folder: Model())
    return asked


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A variant with untrained weights, and a recording."""
    folder = tmp_path_factory.mktemp("variant")
    architecture = Architecture(0.1, 0.1, "batch", True, "k4")
    torch.manual_seed(0)
    model = inference.Model(architecture.voice_embedding(), architecture.generator(), architecture, "general")
    inference.save(folder, model)
    soundfile.write(folder / "voice.wav", vowel(2.0, pitch_hz=170, rng=np.random.default_rng(1)), 16_000)
    return folder


class Many:
    """A stand-in for a variant with a sampler: its most typical draw is `FACE`, the others are grey, by the seed."""

    name, sampler = "demo general", object()

    def hear(self, recording):
        if recording.stem == "broken":
            raise AudioError(recording, "is broken", remedy="Get it again.")
        return np.full((3, 64), len(recording.stem), np.float32), Heard(np.zeros((1, 64)), 3.25, 5.5, ())

    def embed(self, features):
        return features[0, :2]

    def typical(self, embeddings):
        return FACE[None]

    def face(self, features):
        return FACE

    def draws(self, embeddings, n, *, seed):
        rng = np.random.default_rng([seed, int(embeddings[0, 0])])
        return np.broadcast_to(rng.integers(0, 256, (1, n, 1, 1, 1), np.uint8), (1, n, 64, 64, 3))


@pytest.fixture
def many(monkeypatch):
    monkeypatch.setattr(inference, "load", lambda folder: Many())


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), int)


def targets(*words, output=None):
    return reconstruct.plan([Path(word) for word in words], output).targets


@pytest.mark.parametrize(("kind", "noted"), [("synthetic", True), ("voxceleb", False), (None, False)])
def test_whoever_gives_a_voice_to_a_network_that_never_heard_a_real_one_is_told(tmp_path, drawn, capsys, kind, noted):
    if kind is not None:
        settings = params.plain(params.resolve("demo", overrides={"corpus.kind": kind}, root=ROOT))
        files.write_yaml(tmp_path / "params.yaml", settings)
    (tmp_path / "a.wav").touch()
    assert cli.main(["reconstruct", str(tmp_path / "a.wav"), "--run", str(tmp_path)]) == 0
    assert (prose.REAL_VOICES in capsys.readouterr().err) == noted


def test_pictures_go_beside_recordings_to_a_file_or_into_a_folder(tmp_path):
    one, two = Path("a/x.wav"), Path("b/y.mp3")
    assert targets("a/x.wav", "b/y.mp3") == {one: Path("a/x.png"), two: Path("b/y.png")}
    assert targets("a/x.wav", output=Path("face.jpg")) == {one: Path("face.jpg")}
    assert targets("a/x.wav", output=tmp_path) == {one: tmp_path / "x.png"}
    assert targets("a/x.wav", output=Path("new")) == {one: Path("new/x.png")}
    assert targets("a/x.wav", "b/y.mp3", output=Path("new")) == {one: Path("new/x.png"), two: Path("new/y.png")}
    assert targets("a/x.wav", "a/x.wav") == {one: Path("a/x.png")}


@pytest.fixture
def corpus(tmp_path):
    """Recordings as VoxCeleb has them, and what is none."""
    for name in ("Ann/v1/00001.wav", "Ann/v2/00001.wav", "Bob/v1/00001.m4a", "Bob/notes.txt", "Bob/v1/.00002.wav"):
        (tmp_path / "voices" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "voices" / name).write_text(name)
    return tmp_path / "voices"


def test_pictures_of_a_folder_lie_as_its_recordings_do(corpus, tmp_path):
    names = ["Ann/v1/00001", "Ann/v2/00001", "Bob/v1/00001"]
    found = targets(corpus, output=tmp_path / "out")
    assert list(found.values()) == [tmp_path / "out" / f"{name}.png" for name in names]
    assert list(targets(corpus).values()) == [corpus / f"{name}.png" for name in names]
    (tmp_path / "linked").symlink_to(corpus)
    (corpus / "ring").symlink_to(tmp_path)
    assert list(targets(tmp_path / "linked", output=tmp_path / "out").values()) == list(found.values())
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="empty holds no recordings"):
        targets(corpus, tmp_path / "empty")


@pytest.mark.parametrize("other", ["v2/00001.wav", "v2/00001.mp3"])
def test_two_recordings_never_share_a_picture(tmp_path, drawn, capsys, other):
    assert cli.main(["reconstruct", "v1/00001.wav", other, "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'out' / '00001.png'} would be the picture of two recordings, v1/00001")
    assert not drawn and not list(tmp_path.iterdir())


def test_names_that_a_disk_may_not_tell_apart_never_share_a_picture(tmp_path):
    for one, other in (("v1/Ann.wav", "v2/ann.wav"), ("v1/Zo\u00eb.wav", "v2/Zoe\u0308.wav")):
        with pytest.raises(OutputError, match="would be the picture of two recordings"):
            targets(one, other, output=tmp_path / "out")


@pytest.mark.parametrize("output", [None, "out"])
def test_a_clip_in_two_formats_is_drawn_once(tmp_path, drawn, capsys, output):
    one, other = tmp_path / "v1" / "00001.wav", tmp_path / "v1" / "00001.m4a"
    words = ["-o", str(tmp_path / output)] if output else []
    assert cli.main(["reconstruct", str(one), str(other), *words]) == 0
    assert f"warning: {other} is left out: it is 00001.wav in another format\n" in capsys.readouterr().err
    assert drawn == ["00001.wav"] and len(list(tmp_path.rglob("*.png"))) == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_of_somebody_else_stays_and_an_own_one_is_replaced(tmp_path, drawn, capsys, suffix):
    place = tmp_path / f"ann{suffix}"
    words = ["reconstruct", str(tmp_path / "ann.wav"), "-o", str(place)]
    Image.fromarray(FACE).save(place)
    before = place.read_bytes()
    assert cli.main(words) == 2 and not drawn
    assert f"{place} is there, and is no picture that this command drew. Move it" in capsys.readouterr().err
    assert place.read_bytes() == before
    place.unlink()
    assert cli.main(words) == cli.main([*words, "--size", "32"]) == 0
    with Image.open(place) as picture:
        assert picture.size == (32, 32)


@pytest.mark.parametrize("kind", ["text", "folder", "broken link"])
def test_what_is_in_a_pictures_place_stays(tmp_path, drawn, kind):
    place = tmp_path / "ann.png"
    make = {
        "text": lambda: place.write_text("mine"),
        "folder": place.mkdir,
        "broken link": lambda: place.symlink_to("x"),
    }
    make[kind]()
    assert cli.main(["reconstruct", str(tmp_path / "ann.wav"), str(tmp_path / "bob.wav")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["ann.png"] and not drawn


def test_a_batch_draws_what_it_can_and_lists_what_failed(tmp_path, drawn, capsys):
    words = [str(tmp_path / name) for name in ("one.wav", "broken.wav", "two.wav", "odd.wav")]
    assert cli.main(["reconstruct", *words]) == 1
    said = capsys.readouterr()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
    assert f"error: {words[1]} is broken. Get it again.\n" in said.err
    assert f"error: {words[3]} cannot be decoded (KeyError: 'odd'). Convert it to wav or flac.\n" in said.err
    assert said.err.endswith(f"2 of 4 recordings are not drawn:\n  {words[1]}\n  {words[3]}\n")
    assert cli.main(["reconstruct", words[1], "--run", str(tmp_path)]) == 2  # alone, it is the command that fails
    assert capsys.readouterr().err == f"error: {words[1]} is broken. Get it again.\n"


@pytest.mark.parametrize("name", [b"caf\xe9.wav", b"\xff\xfe.wav"])
def test_a_name_that_is_not_valid_is_drawn_where_output_is_strict(tmp_path, name, trained):
    for stem in (name, b"other.wav"):
        shutil.copy(trained / "voice.wav", os.path.join(os.fsencode(tmp_path), stem))
    words = [
        sys.executable,
        "-m",
        "s2f",
        "reconstruct",
        "--run",
        str(trained),
        str(tmp_path),
        "-o",
        str(tmp_path / "out"),
    ]
    environment = os.environ | {
        "PYTHONIOENCODING": "utf-8:strict",
        "PYTHONPATH": str(Path(reconstruct.__file__).parents[2]),
    }
    done = subprocess.run(words, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    drawn = sorted(os.listdir(os.fsencode(tmp_path / "out")))
    assert drawn == sorted([name.replace(b"wav", b"png"), b"other.png"])
    assert len(done.stdout.decode("utf-8").splitlines()) == 2


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_full_disk_keeps_the_picture_that_was_there(tmp_path, drawn, capsys, suffix):
    place = tmp_path / f"ann{suffix}"
    words = ["reconstruct", str(tmp_path / "ann.wav"), "-o", str(place)]
    assert cli.main(words) == 0
    before, limits = place.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        status = cli.main([*words, "--size", "128"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 2 and place.read_bytes() == before and os.listdir(tmp_path) == [place.name]
    assert f"error: {place} cannot be written: " in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0", "-3", "100000000"])
def test_a_size_that_no_picture_has_is_refused_before_anything_is_read(tmp_path, drawn, capsys, size):
    assert cli.main(["reconstruct", str(tmp_path / "ann.wav"), "--size", size]) == 2
    assert capsys.readouterr().err == f"error: --size is {size}. Give 1 to 8192.\n"
    assert not drawn and not list(tmp_path.iterdir())


def test_a_picture_is_the_drawn_face(tmp_path, drawn, capsys):
    recording = tmp_path / "voice.wav"
    assert cli.main(["reconstruct", str(recording), "--run", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{recording} -> {tmp_path / 'voice.png'}: 3.2 s of voice in 5.5 s\n"
    assert said.err == f"warning: {recording}: track 2 of 2 is read, its default\n"
    with Image.open(tmp_path / "voice.png") as picture:
        assert np.array_equal(np.asarray(picture), FACE)
    assert drawn == ["voice.wav"]


def test_several_pictures_of_another_size(tmp_path, drawn):
    words = ["one.wav", "two.wav", "-o", str(tmp_path / "faces"), "--size", "128"]
    assert cli.main(["reconstruct", *words]) == 0
    assert sorted(path.name for path in (tmp_path / "faces").iterdir()) == ["one.png", "two.png"]
    with Image.open(tmp_path / "faces" / "one.png") as picture:
        assert picture.size == (128, 128)
    assert drawn == ["one.wav", "two.wav"]


def test_what_is_no_picture_is_refused(tmp_path, drawn, capsys):
    assert cli.main(["reconstruct", "x.wav", "-o", str(tmp_path / "face.mov")]) == 2
    assert "is no picture's name. End --output in .png" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_sheet_holds_the_most_typical_draw_others_of_the_seed_and_a_map(tmp_path, many, capsys):
    words = ["reconstruct", str(tmp_path / "voice.wav"), "--n", "4"]
    assert cli.main([*words, "--seed", "3"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'voice.wav'} -> {tmp_path / 'voice.png'}: 3.2 s of voice in 5.5 s\n"
    assert os.listdir(tmp_path) == ["voice.png"]  # the map is in the picture
    found = pixels(tmp_path / "voice.png")
    assert found.shape[1] == reconstruct.SHEET_PX
    expected = face_figures.draws(
        draws.of_voice(Many(), np.full((3, 64), 5, np.float32), n=4, seed=3), name="demo general"
    )
    expected.savefig(tmp_path / "expected.png")
    np.testing.assert_array_equal(found, pixels(tmp_path / "expected.png"))
    assert cli.main([*words, "--seed", "4"]) == 0
    assert not np.array_equal(pixels(tmp_path / "voice.png"), found)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_sheet_has_the_width_and_the_format_that_were_asked_for(tmp_path, many, suffix):
    place = tmp_path / f"x{suffix}"
    for width in (280, 701, 1999):  # each in the place of the one before, which is ours
        assert cli.main(["reconstruct", "voice.wav", "--n", "3", "--size", str(width), "-o", str(place)]) == 0
        with Image.open(place) as picture:
            assert picture.width == width and picture.height > 0.7 * width
            assert picture.format == Image.registered_extensions()[suffix]
            made_by, seen = (picture.getexif()[tag] for tag in (0x0131, 0x010E))
        assert made_by.endswith(", a sheet of 3 draws") and seen.startswith(
            "3 faces drawn from one voice by demo general"
        )


def test_a_sheet_takes_nobodys_place(tmp_path, many, capsys):
    place = tmp_path / "ann.png"
    Image.fromarray(FACE).save(place)
    before = place.read_bytes()
    assert cli.main(["reconstruct", str(tmp_path / "ann.wav"), "--n", "4"]) == 2
    assert f"{place} is there, and is no picture that this command drew. Move it" in capsys.readouterr().err
    assert place.read_bytes() == before


def test_sheets_of_several_recordings_go_on_after_one_that_failed(tmp_path, many, capsys):
    words = [str(tmp_path / name) for name in ("one.wav", "broken.wav", "three.wav")]
    assert cli.main(["reconstruct", *words, "--n", "4"]) == 1
    assert f"1 of 3 recordings are not drawn:\n  {words[1]}\n" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "three.png"]
    assert not np.array_equal(pixels(tmp_path / "one.png"), pixels(tmp_path / "three.png"))


def test_one_of_many_is_the_most_typical_face_for_any_seed(tmp_path, many):
    for seed in ("0", "5"):
        assert cli.main(["reconstruct", str(tmp_path / "ann.wav"), "--n", "1", "--seed", seed]) == 0
        assert np.array_equal(pixels(tmp_path / "ann.png"), FACE)


def test_a_model_that_draws_one_face_a_voice_says_so_once_and_draws_it(tmp_path, drawn, capsys):
    words = [str(tmp_path / name) for name in ("one.wav", "two.wav")]
    assert cli.main(["reconstruct", *words, "--n", "16", "--run", "runs/x"]) == 0
    said = capsys.readouterr().err
    assert said.count("warning: runs/x has no sampler and draws one face a voice: --n and --seed change nothing\n") == 1
    assert np.array_equal(pixels(tmp_path / "one.png"), FACE) and drawn == ["one.wav", "two.wav"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--n", "0"], "error: --n is 0. Give 1 to 1024.\n"),
        (["--n", "-2"], "error: --n is -2. Give 1 to 1024.\n"),
        (["--n", "1025"], "error: --n is 1025. Give 1 to 1024.\n"),
        (["--n", "4", "--seed", "-1"], "error: --seed is -1. Give 0 to 2147483648.\n"),
        (
            ["--n", "4", "--size", "64"],
            "error: --size is 64, too little for a sheet of 4 draws. Give 280 or more, or draw one face with --n 1.\n",
        ),
    ],
)
def test_a_sheet_that_cannot_be_drawn_is_refused_before_anything_is_read(
    tmp_path, many, monkeypatch, capsys, words, said
):
    monkeypatch.setattr(Many, "hear", lambda self, recording: pytest.fail("was read"))
    assert cli.main(["reconstruct", str(tmp_path / "ann.wav"), *words]) == 2
    assert capsys.readouterr().err == said and not list(tmp_path.iterdir())


def test_help_says_what_real_voices_get(capsys):
    with pytest.raises(SystemExit):
        cli.main(["reconstruct", "--help"])
    assert " ".join(prose.REAL_VOICES.split()) in " ".join(capsys.readouterr().out.split())


def test_a_release_or_a_run_as_a_whole_is_refused_with_its_variants(trained, tmp_path, capsys):
    variant, recording = trained, trained / "voice.wav"
    for place in ("general", "females"):
        shutil.copytree(variant, tmp_path / "runs" / "x" / "s0" / place)
    checkpoint = tmp_path / "runs" / "x" / "s0" / "general" / inference.CHECKPOINT
    for given, said in (
        (checkpoint.parents[1], f"Give one with --run: {checkpoint.parents[1] / 'females'}, {checkpoint.parent}"),
        (checkpoint.parents[2], f"Give one with --run: {checkpoint.parents[1] / 'females'}, {checkpoint.parent}"),
        (checkpoint, f"Give the folder it lies in: --run {checkpoint.parent}"),
        (tmp_path / "nothing", "holds no checkpoint"),
    ):
        words = ["reconstruct", str(recording), "--run", str(given), "-o", str(tmp_path / "face.png")]
        assert cli.main(words) == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "face.png").exists()
