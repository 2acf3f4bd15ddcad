"""``metrics.json`` has one form; another one is an error that says what to run."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from s2f.errors import RunError
from s2f.evaluation import measured

ENTRY = {"value": 0.5, "low": 0.25, "high": 1, "n_recordings": 4, "n_identities": 2, "reference": "x", "reason": None}
DIFFERENCE = {"value": None, "low": None, "high": None, "n_identities": None, "reason": "too few"}
CONTENT = {
    "protocol": "held_out",
    "rows": {"model": {"kid": ENTRY}},
    "differences": {"probe": {"kid": DIFFERENCE}},
    "differences_of_mean": {"probe": {"kid": DIFFERENCE}},
    "variant": "general",
    "recipe": "codes",
    "reader": "networks",
    "seed": 0,
}


def test_what_is_written_is_read_and_the_version_stands_first(tmp_path):
    measured.write(CONTENT, tmp_path)
    kept = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert list(kept) == ["version", *CONTENT] and kept["version"] == measured.VERSION
    assert measured.read(tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": None}, "has version None, this program reads 2"),
        ({"version": 3}, "has version 3, this program reads 2"),
        ({"same_speaker": []}, "is of another form: same_speaker: Extra"),
        ({"rows": {"model": {"kid": DIFFERENCE}}}, "is of another form: rows.model.kid.n_recordings: Field required"),
        ({"rows": {"model": {"kid": ENTRY | {"low": "0"}}}}, "is of another form: rows.model.kid.low: Input"),
    ],
)
def test_another_version_or_form_names_the_file_and_what_to_run(tmp_path, change, said):
    path = tmp_path / "runs" / "smoke" / "s0" / "general" / "metrics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"version": measured.VERSION, **CONTENT, **change}), encoding="utf-8")
    with pytest.raises(RunError) as caught:
        measured.read(path.parent)
    assert (
        str(caught.value).startswith(f"{path} {said}") and "python -m s2f study --profile smoke" in caught.value.remedy
    )


def test_a_file_that_is_not_there_or_no_json_is_named(tmp_path):
    with pytest.raises(RunError, match=r"metrics\.json is not there"):
        measured.read(tmp_path)
    (tmp_path / "metrics.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics\.json is no JSON"):
        measured.read(tmp_path)


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(ValidationError, match="recipe"):
        measured.write({key: value for key, value in CONTENT.items() if key != "recipe"}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("content", "said"), [(None, "is not there"), (b"no arrays", "is damaged")])
def test_arrays_that_cannot_be_opened_are_named_with_what_to_delete(tmp_path, content, said):
    path = tmp_path / "runs" / "demo" / "s0" / "general" / measured.READINGS
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError, match=rf"readings\.npz {said}.*delete .*general/provenance\.json, then run `"):
        measured.opened(path)
