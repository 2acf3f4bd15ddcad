"""What made a result: keys of code that follow what is computed, and the facts that lie beside it."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s2f import provenance
from s2f.errors import RunError
from s2f.networks import ge2e

ROOT = Path(__file__).resolve().parents[1]
# A program of two modules, whose first imports the second where it is called.
FIRST = '''"""First."""

import math

LIMIT = 3  # of something


def area(radius):
    """Of a circle."""
    from s2f.second import square

    return math.pi * square(radius)
'''
SECOND = "def square(x):\n    return x * x\n\n\ndef cube(x):\n    return x**3\n"


@pytest.fixture
def key(tmp_path):
    """Write files of a small `s2f` and give the key of its module `first`."""
    package = tmp_path / "s2f"
    package.mkdir()
    for name in ("provenance.py", "files.py", "errors.py"):
        shutil.copy(ROOT / "s2f" / name, package)
    (package / "__init__.py").touch()

    def of(**modules):
        for name, text in ({"first": FIRST, "second": SECOND} | modules).items():
            (package / f"{name}.py").write_text(text)
        code = "from s2f import provenance; print(provenance.code_key('s2f.first'))"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return of


def test_what_computes_nothing_changes_no_key(key):
    plain = key()
    assert key(first=FIRST.replace('"""Of a circle."""', '"""Area of a circle."""')) == plain
    assert (
        key(first=FIRST.replace("# of something", "# of another thing").replace("(radius):", "(\n    radius\n):"))
        == plain
    )
    assert key(unused="NOTHING = 1\n") == plain


def test_what_computes_changes_the_key_whichever_file_it_lies_in(key):
    plain = key()
    assert key(first=FIRST.replace("LIMIT = 3", "LIMIT = 4")) != plain
    assert key(second=SECOND.replace("x * x", "x * x * 1")) != plain
    assert len({plain, key(first=FIRST + "print(LIMIT)\n")}) == 2


def test_what_is_imported_from_other_packages_counts_name_by_name(key):
    plain = key()
    assert key(first=FIRST.replace("import math", "import cmath as math")) != plain
    late = FIRST.replace("import square\n", "import square\n    from numpy import pi\n")
    assert len({plain, key(first=late), key(first=late.replace("numpy", "scipy.constants"))}) == 3
    together, apart = "from os import path, sep\n", "from os import sep\nfrom os import path\n"
    assert key(first=FIRST + together) == key(first=FIRST + apart, second=apart + SECOND) != plain


def test_moving_a_definition_changes_no_key_and_the_new_file_is_watched(key):
    plain = key()
    square, cube = SECOND.split("\n\n\n")
    moved = FIRST.replace("s2f.second", "s2f.third")
    second = "from s2f.third import square\n\n\n" + cube
    first = FIRST + "\nfrom s2f import second\n"
    assert key(first=first, second=second, third=square + "\n") == plain
    assert key(first=first, second=second, third=square.replace("x * x", "x * x + 0") + "\n") != plain
    assert key(first=moved, second="", third=SECOND) == plain


def test_what_another_name_stands_for_counts(key):
    plain = FIRST.replace("import square", "import square as power").replace("square(radius)", "power(radius)")
    assert key(first=plain) != key(first=plain.replace("import square", "import cube"))
    moved = plain.replace("s2f.second", "s2f.third")
    assert key(first=moved, third=SECOND, second="") == key(first=plain)


def test_values_beside_a_module_change_the_key_and_their_comments_do_not(key, tmp_path):
    values = tmp_path / "s2f" / "causes.yaml"
    values.write_text("pitch: 1\nheight: 2\n")
    plain = key()
    values.write_text("pitch: 1  # a source\nheight: 2\n")
    assert key() == plain
    values.write_text("pitch: 1\nheight: 3\n")
    assert key() != plain


def test_the_causes_of_the_embedded_corpus_are_in_the_key_of_what_makes_it(monkeypatch):
    read, plain = provenance.Path.read_text, provenance.code_key.__wrapped__("s2f.corpora.corpus")
    other = provenance.code_key.__wrapped__("s2f.metrics.frechet")

    def edited(path, **options):
        return read(path, **options) + "more: 1\n" * (path.name == "causes.yaml")

    monkeypatch.setattr(provenance.Path, "read_text", edited)
    assert provenance.code_key.__wrapped__("s2f.corpora.corpus") != plain
    assert provenance.code_key.__wrapped__("s2f.metrics.frechet") == other


def test_modules_are_found_through_imports():
    found = provenance.modules_of("s2f.training.gan")
    assert {"s2f.training.gan", "s2f.networks.models", "s2f.features.store", "s2f.files"} <= set(found)
    assert not {"s2f.report.results", "s2f.metrics.frechet", "s2f.study.runs"} & set(found)
    assert "s2f.features.align" in provenance.modules_of(source="from s2f.features import pack")
    with pytest.raises(ModuleNotFoundError, match=r"s2f\.nothing"):
        provenance.code_key("s2f.nothing")


def test_what_is_kept_of_the_speaker_encoder_is_of_its_code(monkeypatch):
    parts = [["0.wav", "1.wav"], ["2.wav"]]
    before = ge2e._keys(parts, "a")
    monkeypatch.setattr(provenance, "code_key", lambda module: "edited")
    assert len({*before, *ge2e._keys(parts, "a")}) == 4


def test_an_archive_that_lies_in_another_repository_has_no_commit(tmp_path):
    def git(*words):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        subprocess.run(["git", *who, "-C", tmp_path, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "own.txt").touch()
    git("add", ".")
    git("commit", "-m", "theirs")
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "pyproject.toml").touch()
    assert provenance._commit(tmp_path / "unpacked") == "unknown"
    git("add", ".")
    assert provenance._commit(tmp_path / "unpacked").endswith("+changes")  # their project as well


def facts():
    return provenance.collect(root=ROOT, device="cpu", seed=3, n_threads=2, started=0.0)


def test_facts_are_read_as_they_were_written(tmp_path):
    provenance.write_stages(tmp_path, {"01_corpus": facts().model_copy(update={"fingerprint": "abc"})})
    found = provenance.read_stages(tmp_path)["01_corpus"]
    assert (found.seed, found.fingerprint, found.threads) == (3, "abc", 2)
    assert found.wall_time_s > 0 and found.peak_memory_mb > 1 and "python" in found.packages
    assert provenance.read_stages(tmp_path / "nothing") == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d | {"version": 0}, "has version 0, this program reads 1"),
        (lambda d: {k: v for k, v in d.items() if k != "version"}, "has version None"),
        (lambda d: d | {"01_corpus": {"seed": 3}}, "of another form: packages: Field required"),
        (lambda d: [d], "holds a list"),
    ],
)
def test_facts_of_another_version_or_form_say_what_to_do(tmp_path, change, said):
    provenance.write_stages(tmp_path, {"01_corpus": facts()})
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(RunError, match=said) as error:
        provenance.read_stages(tmp_path)
    assert str(path) in str(error.value) and "run the study again" in str(error.value)


def test_a_run_says_what_makes_it_again(tmp_path, monkeypatch):
    run = tmp_path / "a b" / "runs" / "smoke-x" / "s1"
    (run / "notebooks").mkdir(parents=True)
    said = "run the study of smoke-x with the options it was made with and --seeds 2"
    assert provenance.again(run / "general") == said
    (run / "notebooks" / "01_corpus.json").write_text("damaged")
    assert provenance.again(run / "general") == said
    command = 'python -m s2f study --profile smoke --label x --set corpus.root="it\'s"'
    for name, finished, given in (("01_corpus", 3, "newest"), ("general", 1, "own"), ("answer", 2, "middle")):
        place = run / "notebooks" / f"{name}.json" if name == "01_corpus" else run / name / "provenance.json"
        place.parent.mkdir(exist_ok=True)
        facts = {"command": f"python -m s2f study {given}", "finished": f"2026-01-0{finished}T00:00:00+00:00"}
        place.write_text(json.dumps(facts if name == "01_corpus" else {"version": 1, "05_training": facts}))
    assert provenance.again(run / "general" / "metrics.json").endswith(" study own`")
    assert provenance.again(run / "males").endswith(" study newest`")
    shutil.rmtree(run / "general")
    shutil.rmtree(run / "answer")
    (run / "notebooks" / "01_corpus.json").unlink()
    (run / "notebooks" / "05_training_general.json").write_text(json.dumps({"command": command}))
    here = shlex.quote(sys.executable) + command.removeprefix("python")
    place = shlex.quote(str(tmp_path / "a b"))
    assert provenance.again(run / "general" / "metrics.json") == f"run `cd {place} && {here}`"
    monkeypatch.chdir(tmp_path / "a b")
    assert provenance.again(run / "general") == f"run `{here}`"
    for elsewhere in (tmp_path / "general", Path("/models/s0/general"), Path("/demo/s0")):
        assert provenance.again(elsewhere) == "run the study that makes it"
    plain = provenance.again(tmp_path / "a b" / "runs" / "voxceleb" / "s0")
    assert plain == f"run `{shlex.quote(sys.executable)} -m s2f study --profile voxceleb`"
    other = provenance.again(tmp_path / "a b" / "runs" / "voxceleb" / "s2" / "general")
    assert other == f"{plain[:-1]} --seeds 3`", "without it only the first seed would be made"
