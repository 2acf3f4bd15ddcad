"""Parameters: base + recipe + profile + variant + overrides, composed, checked and fingerprinted.

`params/base.yaml` is the only file that introduces keys. A recipe says how networks are built and trained, a
profile how much, a variant who is in it. Every value is checked against the type and the range that the base
gives it, so that a typing error stops a run at once instead of changing it silently.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from s2f.errors import ParameterError, nearest

CHOICES = {
    "machine.device": ("auto", "cpu", "cuda"),
    "machine.precision": ("auto", "float32", "bfloat16"),
    "machine.compile": ("auto", "always", "never"),
    "gan.on_trouble": ("warn", "stop"),
    "voice.encoder": ("own", "ge2e"),
    "corpus.kind": ("synthetic", "voxceleb", "wen2019", "table"),
    "corpus.duplicates": ("error", "drop"),
    "split.rule": ("by_fraction", "by_initial", "given", "none"),
    "store.several_faces": ("prominent", "reject"),
    "gan.norm": ("batch", "none"),
    "gan.head": ("k4", "k1"),
    "gan.loss": ("cross_entropy", "hinge"),
    "variant.gender": ("f", "m", None),
}

# Lowest and highest value that makes sense; keys that are not here take any value of their type.
BOUNDS = (
    {
        "machine.n_threads": (1, 1024),
        "machine.n_workers": (1, 1024),
        "machine.n_devices": (1, 1024),
        "machine.n_nodes": (1, 1024),
        "corpus.seed": (0, 2**31),
        "corpus.n_identities": (2, 10**6),
        "corpus.n_recordings": (2, 10**8),
        "corpus.n_faces": (2, 10**8),
        "corpus.min_s": (1.0, 60.0),
        "corpus.max_s": (1.0, 60.0),
        "corpus.size_px": (64, 512),
        "corpus.leak": (0.0, 3.0),
        "answer.offset": (1, 10**9),
        "answer.n_identities": (20, 10**5),
        "answer.n_recordings": (1, 1000),
        "answer.n_photos": (1, 1000),
        "answer.n_permutations": (20, 10**6),
        "split.train": (0.0, 1.0),
        "split.validation": (0.0, 1.0),
        "split.test": (0.0, 1.0),
        "split.fold_fraction": (0.0, 0.9),
        "store.shard_size": (1, 10**6),
        "store.n_jobs": (0, 10**5),
        "store.max_turn": (0.05, 1.0),
        "store.max_rejected": (0.0, 1.0),
        "measure.n_bootstrap": (20, 10**6),
        "measure.max_images": (10, 10**7),
        "measure.kid_subsets": (2, 10**5),
        "readers.steps": (1, 10**6),
        "measure.n_people": (1, 64),
    }
    | {
        f"{section}.{key}": bounds
        for section in ("voice", "gan")
        for key, bounds in {
            "width": (1 / 64, 8.0),
            "steps": (1, 10**8),
            "batch_size": (2, 10**5),
            "min_crop_s": (0.32, 10.0),
            "max_crop_s": (0.32, 10.0),
            "log_every": (1, 10**8),
        }.items()
    }
    | {
        "voice.learning_rate": (0.0, 1.0),
        "voice.weight_decay": (0.0, 1.0),
        "voice.margin": (0.0, 1.0),
        "voice.scale": (0.0, 100.0),
        "gan.learning_rate_generator": (0.0, 1.0),
        "gan.learning_rate_discriminator": (0.0, 1.0),
        "gan.beta_1": (0.0, 0.999),
        "gan.beta_2": (0.0, 0.9999),
        "gan.decay_from": (0.0, 1.0),
        "gan.critics_from": (0.0, 0.99),
        "gan.noise": (0.0, 10.0),
        "gan.spread": (0.0, 10.0),
        "gan.weight_real": (0.0, 1000.0),
        "gan.weight_identity": (0.0, 1000.0),
        "gan.weight_pixel": (0.0, 1000.0),
        "gan.weight_edge": (0.0, 1000.0),
        "gan.n_photographs": (1, 1000),
        "gan.average_decay": (0.0, 0.99999),
        "gan.save_every": (1, 10**8),
        "voice.save_every": (1, 10**8),
        "gan.sample_every": (1, 10**8),
    }
)

# What each notebook's outputs depend on: sections, and the notebook whose outputs it reads.
STAGES: dict[str, tuple[tuple[str, ...], str | None]] = {
    "01_corpus": (("corpus", "split"), None),
    "02_preprocessing": (("store", "readers"), "01_corpus"),
    "04_voice_embedding": (("voice", "machine"), "02_preprocessing"),
    "05_training": (("gan", "variant"), "04_voice_embedding"),
    "06_metrics": (("measure",), "05_training"),
    "09_known_answer": (("answer",), "05_training"),
}
# Machine parameters that cannot change a result, and so make nothing stale.
GAN_ONLY = {"machine.compile", "machine.n_devices", "machine.n_nodes"}  # the stages before do not look at them
BEFORE_GAN = ("01_corpus", "02_preprocessing", "04_voice_embedding")
NEUTRAL = {"machine.n_workers", "machine.rendezvous", "store.n_jobs"}


def project_root(start: Path | None = None) -> Path:
    """Folder of the project, found upwards from `start` (default: the working directory).

    JupyterLab starts a notebook in the notebook's folder, papermill in the caller's.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "params" / "base.yaml").is_file():
            return folder
    installed = Path(__file__).resolve().parents[1]
    if (installed / "params" / "base.yaml").is_file():
        return installed
    raise ParameterError(
        start, "is not inside the project", remedy="Run from the project's folder (it holds params/base.yaml)."
    )


def names(kind: str, *, root: Path) -> list[str]:
    """Names of the profiles, recipes or variants (`kind`) that exist."""
    return sorted(path.stem for path in (root / "params" / kind).glob("*.yaml"))


def resolve(
    profile: str, *, variant: str = "general", overrides: Mapping[str, Any] | str | None = None, root: Path
) -> dict:
    """Compose and check all parameters.

    Parameters
    ----------
    profile, variant : str
        Names of files in ``params/profiles`` and ``params/variants``.
    overrides : mapping or str, optional
        Dotted keys to values, such as ``{"gan.steps": 500}``; a string is parsed as YAML, since
        ``papermill -p`` passes strings.
    root : Path
        The project's folder.

    Returns
    -------
    dict
        Sections of plain values, in the order of base.yaml.

    Raises
    ------
    ParameterError
        A name, key or value that does not exist or is out of range; says where and what is nearest.
    """
    folder = root / "params"
    base = _read(folder / "base.yaml")
    overrides = parse_overrides(overrides)
    profile_values = _flatten(_named(folder, "profiles", profile))
    recipe = overrides.get("recipe", profile_values.get("recipe", base["recipe"]))
    resolved = copy.deepcopy(base)
    layers = [
        (folder / "recipes" / f"{recipe}.yaml", _flatten(_named(folder, "recipes", recipe))),
        (folder / "profiles" / f"{profile}.yaml", profile_values),
        (folder / "variants" / f"{variant}.yaml", _flatten(_named(folder, "variants", variant))),
        ("overrides", overrides),
    ]
    valid = _flatten(base)
    for source, layer in layers:
        shown = source if isinstance(source, str) else source.relative_to(root)
        for key, value in layer.items():
            _set(resolved, key, _checked(key, value, valid=valid, source=str(shown)))
    _check_together(resolved)
    checkpoint = resolved["voice"]["checkpoint"]
    if checkpoint is not None and (root / checkpoint).is_file():  # what is in it decides, not its name
        with open(root / checkpoint, "rb") as stream:
            resolved["voice"]["checkpoint_sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return resolved


def parse_overrides(overrides: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Overrides as a flat dict; a string is read as YAML or JSON."""
    if overrides is None or overrides == "":
        return {}
    if isinstance(overrides, str):
        try:
            overrides = yaml.safe_load(overrides)
        except yaml.YAMLError as error:
            raise ParameterError(
                "overrides", f"is not YAML ({error})", remedy="Write it as {gan.steps: 500}."
            ) from error
    if not isinstance(overrides, Mapping):
        raise ParameterError(
            "overrides",
            f"is {overrides!r}, not a mapping",
            remedy="Write dotted keys and values, as in {gan.steps: 500}.",
        )
    return _flatten(dict(overrides))


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``["gan.steps=500"]`` as ``{"gan.steps": 500}``."""
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ParameterError(f"--set {setting}", "has no '='", remedy="Write it as --set gan.steps=500.")
        overrides[key] = yaml.safe_load(value)
    return overrides


def fingerprint(resolved: Mapping, stage: str, *, seed: int) -> str:
    """Short hash of everything a stage's outputs depend on: its own sections and those before it."""
    return hashlib.sha256(section_json(resolved, stage, seed=seed).encode()).hexdigest()[:16]


def section_json(resolved: Mapping, stage: str, *, seed: int) -> str:
    """What `stage` depends on, as sorted JSON: equal strings mean equal outputs."""
    parts: dict[str, Any] = {"seed": seed}
    at: str | None = stage
    while at is not None:
        sections, before = STAGES[at]
        for section in sections:
            parts[section] = {
                key: value
                for key, value in resolved[section].items()
                if f"{section}.{key}" not in NEUTRAL and not (stage in BEFORE_GAN and f"{section}.{key}" in GAN_ONLY)
            }
        at = before
    return json.dumps(parts, sort_keys=True)


def namespace(resolved: Mapping) -> SimpleNamespace:
    """Sections as attributes: ``p.gan.steps``."""
    return SimpleNamespace(
        **{k: SimpleNamespace(**v) if isinstance(v, Mapping) and k != "beside" else v for k, v in resolved.items()}
    )


def _read(path: Path) -> dict:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ParameterError(path, f"is not valid YAML ({error})", remedy="Mend the line it names.") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ParameterError(path, f"holds a {type(values).__name__}", remedy="It must hold sections of keys.")
    return values


def _named(folder: Path, kind: str, name: str) -> dict:
    path = folder / kind / f"{name}.yaml"
    if not isinstance(name, str) or not re.fullmatch(r"\w+", name) or not path.is_file():
        valid = sorted(p.stem for p in (folder / kind).glob("*.yaml"))
        raise ParameterError(f"{kind[:-1]} '{name}'", f"does not exist in params/{kind}", remedy=nearest(name, valid))
    return _read(path)


def _flatten(values: Mapping, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and name != "beside":
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _set(resolved: dict, key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        resolved = resolved[section]
    resolved[last] = value


def _checked(key: str, value: Any, *, valid: Mapping[str, Any], source: str) -> Any:
    if key not in valid:
        raise ParameterError(f"{source}: parameter '{key}'", "does not exist", remedy=nearest(key, valid))
    like = valid[key]
    shown = f"{source}: parameter '{key}'"
    if key in CHOICES:
        if value not in CHOICES[key]:
            raise ParameterError(shown, f"is {value!r}", remedy=nearest(str(value), [str(c) for c in CHOICES[key]]))
        return value
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if key == "variants" and (not isinstance(value, list) or value[:1] != ["general"] or set(value) - set(like)):
        raise ParameterError(shown, f"is {value!r}", remedy=f"List general first, then any others of {like[1:]}.")
    if isinstance(like, list):
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise ParameterError(shown, f"is {value!r}", remedy="It must be a list of texts, as in [a, b].")
        return value
    expected = (str, type(None)) if like is None else (type(like),)
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        kind = "text or null" if like is None else type(like).__name__
        hint = " In YAML write 2.0e-4, not 2e-4, for a number." if isinstance(value, str) else ""
        raise ParameterError(shown, f"is {value!r}", remedy=f"It must be of type {kind}.{hint}")
    if key in BOUNDS:
        low, high = BOUNDS[key]
        if not low <= value <= high:  # also refuses NaN
            raise ParameterError(shown, f"is {value!r}", remedy=f"It must lie in {low} to {high}.")
    return value


def _check_together(resolved: Mapping) -> None:
    for section, low, high in (
        ("corpus", "min_s", "max_s"),
        ("voice", "min_crop_s", "max_crop_s"),
        ("gan", "min_crop_s", "max_crop_s"),
    ):
        if resolved[section][low] > resolved[section][high]:
            raise ParameterError(
                f"parameter '{section}.{low}'",
                f"is {resolved[section][low]}, above '{section}.{high}' ({resolved[section][high]})",
                remedy="Lower it or raise the other.",
            )
    voice = resolved["voice"]
    if voice["encoder"] == "ge2e" and voice["checkpoint"] is not None:
        raise ParameterError(
            "parameter 'voice.checkpoint'",
            f"is {voice['checkpoint']!r}, and 'voice.encoder' is ge2e, which brings its own weights",
            remedy="Set 'voice.encoder' to own, or 'voice.checkpoint' to null.",
        )
    gan = resolved["gan"]
    if gan["critics_from"] and not (gan["weight_pixel"] or gan["weight_edge"]):
        raise ParameterError(
            "parameter 'gan.critics_from'",
            f"is {gan['critics_from']}, and 'gan.weight_pixel' and 'gan.weight_edge' are 0",
            remedy="Before the critics take part there would be nothing to learn from: raise one of the two.",
        )
    total = sum(resolved["split"][k] for k in ("train", "validation", "test"))
    if resolved["split"]["rule"] == "by_fraction" and abs(total - 1.0) > 1e-6:
        raise ParameterError(
            "parameters 'split.train', 'split.validation', 'split.test'",
            f"add up to {total:g}",
            remedy="They are shares of all identities and must add up to 1.",
        )
