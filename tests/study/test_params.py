import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import yaml

from s2f.errors import ParameterError
from s2f.settings import Settings
from s2f.study import params, stages

ROOT = Path(__file__).resolve().parents[2]


def flat(path):
    return params.parse_overrides(yaml.safe_load(path.read_text()))


def test_every_profile_and_variant_composes():
    for profile in params.names("profiles", root=ROOT):
        for variant in params.names("variants", root=ROOT):
            resolved = params.resolve(profile, variant=variant, root=ROOT)
            assert (
                params.resolve(profile, variant=variant, overrides=resolved_as_overrides(resolved), root=ROOT)
                == resolved
            )


def resolved_as_overrides(resolved):
    return {k: v for k, v in params.parse_overrides(params.plain(resolved)).items() if k != "beside"}


def test_later_layers_win():
    base = params.resolve("voxceleb", root=ROOT)
    assert base.gan.norm == "batch"
    assert base.sampler.kind == "none" and params.resolve("demo", root=ROOT).sampler.kind == "flow"
    changed = params.resolve("demo", variant="females", overrides={"gan.steps": 7, "recipe": "wen2019"}, root=ROOT)
    assert (changed.gan.steps, changed.gan.head, changed.variant.gender) == (7, "k1", "f")


def test_only_base_introduces_keys_and_every_key_says_its_source():
    keys = set(flat(ROOT / "params" / "base.yaml"))
    for path in (ROOT / "params").glob("*/*.yaml"):
        if path.parent.name != "runs":
            assert set(flat(path)) <= keys, path
    for line in (ROOT / "params" / "base.yaml").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name.strip() and not line.startswith("#") and rest.split("#")[0].strip():
            assert "#" in rest, f"no comment: {line}"


def test_no_key_is_in_two_of_recipe_profile_variant():
    kinds = {
        kind: {key for path in (ROOT / "params" / kind).glob("*.yaml") for key in flat(path)}
        for kind in ("recipes", "profiles", "variants")
    }
    assert not kinds["recipes"] & kinds["profiles"]
    assert not kinds["recipes"] & kinds["variants"]
    assert not kinds["profiles"] & kinds["variants"]


def test_every_key_is_declared_once_and_every_declared_key_has_a_value():
    declared = {
        f"{section}.{key}" if hasattr(field.annotation, "model_fields") else section
        for section, field in Settings.model_fields.items()
        for key in getattr(field.annotation, "model_fields", [""])
    }
    derived = {key for key in declared if key.endswith("_sha256")}
    assert len(derived) == 7
    assert declared - derived == set(flat(ROOT / "params" / "base.yaml"))


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"gan.stesp": 5}, ["gan.stesp", "gan.steps", "overrides"]),
        ({"gan.steps": "many"}, ["gan.steps", "many", "int"]),
        ({"gan.learning_rate_generator": "2e-4"}, ["2e-4", "2.0e-4"]),
        ({"gan.steps": 0}, ["gan.steps", "0", "1 to"]),
        ({"gan.steps": True}, ["gan.steps", "True"]),
        ({"gan.width": float("nan")}, ["gan.width", "nan"]),
        ({"gan.norm": "batsh"}, ["gan.norm", "batsh", "batch"]),
        ({"variant.gender": "female"}, ["variant.gender", "female"]),
        ({"recipe": "psoter"}, ["psoter", "poster"]),
        ({"gan": {"min_crop_s": 9.0}}, ["gan.min_crop_s", "9.0", "gan.max_crop_s"]),
        ({"split.train": 0.9}, ["split.train", "1.1"]),
        ({"voice.margin": 0.1}, ["voice.margin", "0.1", "voice.scale"]),
        ({"variants": ["general", ["females"]]}, ["variants", "each once"]),
        ({"variants": ["general", "males", "males"]}, ["variants", "each once"]),
        ("{gan.steps: [}", ["overrides", "YAML"]),
        ("[1, 2]", ["overrides", "mapping"]),
    ],
)
def test_wrong_values_name_themselves(overrides, named):
    with pytest.raises(ParameterError) as error:
        params.resolve("demo", overrides=overrides, root=ROOT) if not (
            isinstance(overrides, dict) and "split.train" in overrides
        ) else params.resolve("voxceleb", overrides=overrides, root=ROOT)
    for word in named:
        assert word in str(error.value)


@pytest.mark.parametrize("name", ["dmeo", "../demo", ""])
def test_unknown_profiles_name_the_nearest(name):
    with pytest.raises(ParameterError, match=r"params/profiles"):
        params.resolve(name, root=ROOT)


def test_a_wrong_key_in_a_file_names_the_file(tmp_path):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "params" / "profiles" / "mine.yaml").write_text("gan: {setps: 3}\n")
    with pytest.raises(ParameterError, match=r"params/profiles/mine.yaml.*gan.setps.*gan.steps"):
        params.resolve("mine", root=tmp_path)
    (tmp_path / "params" / "profiles" / "mine.yaml").write_text("gan: {steps: 3\n")
    with pytest.raises(ParameterError, match=r"mine.yaml is not valid YAML"):
        params.resolve("mine", root=tmp_path)
    (tmp_path / "params" / "profiles" / "mine.yaml").write_text("- 1\n")
    with pytest.raises(ParameterError, match=r"mine.yaml holds a list"):
        params.resolve("mine", root=tmp_path)


def test_overrides_as_text_equal_overrides_as_mapping():
    text = params.resolve("demo", overrides='{"gan.steps": 5}', root=ROOT)
    assert text == params.resolve("demo", overrides={"gan": {"steps": 5}}, root=ROOT)
    assert params.resolve("demo", overrides="", root=ROOT) == params.resolve("demo", root=ROOT)


@pytest.mark.parametrize("key", ["corpus.metas", "code.more_photos", "corpus.table", "measure.inception"])
def test_a_fingerprint_moves_with_the_content_of_a_file_that_is_named(tmp_path, key):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    (tmp_path / "photographs").mkdir()
    (tmp_path / "one.csv").write_text("face\n1.png\n")
    (tmp_path / "two.csv").write_text("face\n2.png\n")
    is_one = key in ("corpus.table", "measure.inception")
    given = {key: "two.csv" if is_one else ["photographs", "one.csv", "two.csv"]}

    def prints():
        resolved = params.resolve("demo", overrides=given, root=tmp_path)
        return {stage: params.fingerprint(resolved, stage, seed=0) for stage in stages.STAGES}

    before = prints()
    assert prints() == before
    (tmp_path / "two.csv").write_text("face\n3.png\n")
    assert prints()["06_metrics"] != before["06_metrics"]


def test_a_fingerprint_moves_with_what_its_stage_depends_on_and_nothing_else():
    def prints(seed=0, **overrides):
        resolved = params.resolve("demo", overrides={k.replace("__", "."): v for k, v in overrides.items()}, root=ROOT)
        return {stage: params.fingerprint(resolved, stage, seed=seed) for stage in stages.STAGES}

    plain = prints()
    changed = {k for k in plain if prints(gan__steps=5)[k] != plain[k]}
    late = {"07_results", "08_your_voice", "10_poster"}
    assert changed == {"03_models", "05_training", "06_metrics", "09_known_answer", *late}
    assert {k for k in plain if prints(sampler__steps=5)[k] != plain[k]} == changed
    # A sampler that is not there has no parameters.
    assert prints(recipe="poster") == prints(recipe="poster", sampler__smoothing=0.1, sampler__steps=5)
    assert {k for k in plain if prints(measure__n_bootstrap=50)[k] != plain[k]} == {
        "06_metrics",
        "07_results",
        "09_known_answer",  # as many draws, and intervals of as many resamples
        "10_poster",
    }
    assert {k for k in plain if prints(answer__n_photos=5)[k] != plain[k]} == {"09_known_answer"}

    assert {k for k in plain if prints(voice__steps=5)[k] != plain[k]} == {"04_voice_embedding", *changed}
    assert prints(machine__n_workers=1) == plain
    assert all(prints(seed=1)[k] != plain[k] for k in plain)
    assert json.loads(params.section_json(params.resolve("demo", root=ROOT), "01_corpus", seed=3))["seed"] == 3


@pytest.mark.parametrize(
    ("key", "value", "touched"),
    [
        ("machine.precision", "bfloat16", {"own": True, "loaded": False, "ge2e": False}),
        ("machine.n_threads", 7, {"own": True, "loaded": True, "ge2e": False}),
        ("machine.device", "cpu", {"own": True, "loaded": True, "ge2e": False}),
        ("voice.steps", 77, {"own": True, "loaded": False, "ge2e": False}),
        ("voice.learning_rate", 0.5, {"own": True, "loaded": False, "ge2e": False}),
        ("voice.width", 0.5, {"own": True, "loaded": True, "ge2e": True}),
        ("machine.n_workers", 7, {"own": False, "loaded": False, "ge2e": False}),
    ],
)
def test_voice_tracks_are_stale_for_what_their_encoder_looks_at(key, value, touched):
    encoders = {"own": {}, "loaded": {"voice.checkpoint": "weights.pth"}, "ge2e": {"voice.encoder": "ge2e"}}
    for name, given in encoders.items():
        one, other = (params.resolve("demo", overrides=given | more, root=ROOT) for more in ({}, {key: value}))
        changed = {
            stage
            for stage in ("02_preprocessing", "04_voice_embedding", "05_training")
            if params.fingerprint(one, stage, seed=0) != params.fingerprint(other, stage, seed=0)
        }
        trains = touched[name] or (key.startswith("machine.") and key != "machine.n_workers")
        stages = [("04_voice_embedding", touched[name]), ("05_training", trains)]
        assert changed == {stage for stage, stale in stages if stale}, name
    one, other = (params.resolve("demo", overrides={"gan.steps": n, "gan.batch_size": n}, root=ROOT) for n in (50, 60))
    assert params.fingerprint(one, "05_training", seed=0) != params.fingerprint(other, "05_training", seed=0)


def test_several_devices_concern_the_gan_alone():
    one = params.resolve("demo", root=ROOT)
    two = params.resolve("demo", overrides={"machine.n_devices": 2}, root=ROOT)
    same = {s for s in stages.STAGES if params.fingerprint(one, s, seed=0) == params.fingerprint(two, s, seed=0)}
    assert same == {"01_corpus", "02_preprocessing", "04_voice_embedding", "04_face_code"}


@pytest.mark.parametrize("wrong", ["general", [], ["females"], ["general", "women"]])
def test_variants_begin_with_general_and_are_known(wrong):
    with pytest.raises(ParameterError, match="List general first"):
        params.resolve("smoke", overrides={"variants": wrong}, root=ROOT)


@pytest.mark.parametrize("wrong", ["a", [1], None])
def test_lists_of_folders_are_lists_of_texts(wrong):
    with pytest.raises(ParameterError, match="must be a list of texts"):
        params.resolve("smoke", overrides={"corpus.metas": wrong}, root=ROOT)


def test_settings_are_read_as_yaml():
    assert params.parse_settings(["gan.steps=5", "corpus.root=../x", "gan.tanh=false"]) == {
        "gan.steps": 5,
        "corpus.root": "../x",
        "gan.tanh": False,
    }


def test_the_project_is_found_upwards(tmp_path):
    assert params.project_root(ROOT / "notebooks") == ROOT
    assert params.project_root(tmp_path) == ROOT  # the installed package's own project


def test_files_for_papermill_name_parameters_of_the_notebooks():
    paths = sorted((ROOT / "params" / "runs").glob("*.yaml"))
    assert paths
    for path in paths:
        values = yaml.safe_load(path.read_text())
        assert set(values) <= {"profile", "variant", "seed", "label", "overrides"}, path
        overrides = values.get("overrides", {})
        params.resolve(values["profile"], variant=values.get("variant", "general"), overrides=overrides, root=ROOT)
        assert values.get("label") or not overrides, f"{path}: overrides need a label"


def test_no_profile_shares_the_folder_of_another_ones_label(tmp_path):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(tmp_path / "params" / "profiles" / "smoke.yaml", tmp_path / "params" / "profiles" / "smoke-big.yaml")
    with pytest.raises(ParameterError, match=r"smoke-big.yaml has a hyphen in its name.*to smoke_big.yaml"):
        params.resolve("smoke-big", root=tmp_path)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"split.seed": -1}, "It must lie in 0 to 2147483648."),
        ({"split.seed": "two"}, "It must be of type int or null."),
        ({"sampler.dropped": 1.0}, "It must lie in 0.0 to 0.99."),
        (
            {"sampler.dropped": 0.0, "sampler.guidance": 1.5},
            "Set 'sampler.guidance' to 1, or 'sampler.dropped' above 0.",
        ),
    ],
)
def test_what_cannot_be_says_what_can(overrides, said):
    with pytest.raises(ParameterError) as error:
        params.resolve("demo", overrides=overrides, root=ROOT)
    assert str(error.value).startswith(("overrides: parameter '", "parameter 'sampler.guidance'"))
    assert said in str(error.value)


def test_what_is_in_a_file_that_a_parameter_names_decides(tmp_path):
    shutil.copytree(ROOT / "params", tmp_path / "params")
    for key in ("corpus.table", "voice.checkpoint", "measure.inception"):
        found = []
        for content in ("a", "b", "a"):
            (tmp_path / "file.csv").write_text(content)
            resolved = params.resolve("demo", overrides={key: "file.csv"}, root=tmp_path)
            found.append(params.fingerprint(resolved, "06_metrics", seed=0))
        assert found[0] == found[2] != found[1], key


def test_a_stage_that_a_run_does_not_have_makes_nothing_stale():
    for recipe, stale in (("codes", True), ("poster", False)):
        one, other = (
            params.resolve("demo", overrides={"recipe": recipe, "code.steps": n}, root=ROOT) for n in (50, 60)
        )
        prints = (params.fingerprint(each, "05_training", seed=0) for each in (one, other))
        assert (len(set(prints)) == 2) == stale


def test_a_raised_version_makes_what_depends_on_it_anew(monkeypatch):
    resolved = params.resolve("demo", root=ROOT)
    before = {name: params.fingerprint(resolved, name, seed=0) for name in stages.STAGES}
    for name in ("07_results", "05_training"):
        raised = stages.STAGES | {name: dataclasses.replace(stages.STAGES[name], version=2)}
        monkeypatch.setattr(stages, "STAGES", raised)
        after = {each: params.fingerprint(resolved, each, seed=0) for each in raised}
        changed = {each for each in before if before[each] != after[each]}
        assert changed == {each for each in raised if raised[name] in stages.before(each)}
        monkeypatch.undo()
