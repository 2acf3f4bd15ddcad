"""Parameters: base + recipe + profile + variant + overrides, composed, checked and fingerprinted.

`params/base.yaml` is the only file that introduces keys. A recipe says how networks are built and trained, a
profile how much, a variant who is in it. Every value is checked against the type and the range that the base
gives it, so that a typing error stops a run at once instead of changing it silently.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from s2f.errors import ParameterError, nearest
from s2f.settings import Reach, Settings
from s2f.study import stages


def project_root(start: Path | None = None) -> Path:
    """Folder of the project, found upwards from `start` (default: the working directory).

    JupyterLab starts a notebook in the notebook's folder, papermill in the caller's.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "params" / "base.yaml").is_file():
            return folder
    installed = Path(__file__).resolve().parents[2]
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
) -> Settings:
    """Compose and check all parameters.

    Parameters
    ----------
    profile, variant : str, names of files in ``params/profiles`` and ``params/variants``
    overrides : mapping or str, optional
        Dotted keys to values, such as ``{"sampler.steps": 500}``; a string is parsed as YAML, since
        ``papermill -p`` passes strings.
    root : Path, the project's folder

    Returns
    -------
    Settings

    Raises
    ------
    ParameterError: a name, key or value that does not exist or is out of range; says where and what is nearest
    """
    folder = root / "params"
    base = _read(folder / "base.yaml")
    overrides = parse_overrides(overrides)
    profile_values = _flatten(_named(folder, "profiles", profile))
    recipe = overrides.get("recipe", profile_values.get("recipe", base["recipe"]))
    resolved = copy.deepcopy(base)
    layers: list[tuple[Path | str, dict[str, Any]]] = [
        (folder / "recipes" / f"{recipe}.yaml", _flatten(_named(folder, "recipes", recipe))),
        (folder / "profiles" / f"{profile}.yaml", profile_values),
        (folder / "variants" / f"{variant}.yaml", _flatten(_named(folder, "variants", variant))),
        ("overrides", overrides),
    ]
    valid = _flatten(base)
    for source, layer in layers:
        shown = source if isinstance(source, str) else source.relative_to(root)
        for key, value in layer.items():
            if key not in valid:
                raise ParameterError(f"{shown}: parameter '{key}'", "does not exist", remedy=nearest(key, valid))
            _set(resolved, key, _checked(key, value, source=str(shown)))
    for section, model in Settings.model_fields.items():
        for name in getattr(model.annotation, "model_fields", {}):
            key = name.removesuffix("_sha256")
            given = resolved[section][key] if key != name else None
            found = [_sha256_now(root / place) for place in ([given] if isinstance(given, str) else given or [])]
            if any(found):
                resolved[section][name] = found[0] if isinstance(given, str) else [sha256 or "" for sha256 in found]
    return _together(resolved)


def _sha256_now(path: Path) -> str | None:
    """SHA-256 of a file as it is; None where there is none, or a folder."""
    if not path.is_file():
        return None
    state = path.stat()
    return _sha256(path, (state.st_size, state.st_mtime_ns))


@functools.lru_cache(maxsize=32)
def _sha256(path: Path, _state: tuple[int, int]) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def plain(settings: Settings) -> dict[str, Any]:
    """All parameters as plain values, sections of keys, for YAML and JSON."""
    return settings.model_dump(exclude_unset=True)


def parse_overrides(overrides: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Overrides as a flat dict; a string is read as YAML or JSON."""
    if overrides is None or overrides == "":
        return {}
    if isinstance(overrides, str):
        try:
            overrides = yaml.safe_load(overrides)
        except yaml.YAMLError as error:
            raise ParameterError(
                "overrides", f"is not YAML ({error})", remedy="Write it as {sampler.steps: 500}."
            ) from error
    if not isinstance(overrides, Mapping):
        remedy = "Write dotted keys and values, as in {sampler.steps: 500}."
        raise ParameterError("overrides", f"is {overrides!r}, not a mapping", remedy=remedy)
    return _flatten(dict(overrides))


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """``["sampler.steps=500"]`` as ``{"sampler.steps": 500}``."""
    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ParameterError(f"--set {setting}", "has no '='", remedy="Write it as --set sampler.steps=500.")
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            problem = f"is not YAML ({' '.join(str(error).split())})"
            raise ParameterError(
                f"--set {setting}", problem, remedy=f"Quote a text, as in {key}='\"{value}\"'."
            ) from None
    return overrides


def as_yaml(value: Any) -> str:
    """A value as YAML on one line, which is read as the same value: JSON's 1e-05 would be a text."""
    text = yaml.safe_dump(value, default_flow_style=True, width=2**31, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").strip()


def study_options(profile: str, *, label: str, overrides: Mapping[str, Any]) -> list[str]:
    """Options of ``python -m s2f`` that name a run."""
    words = ["--profile", profile, *(["--label", label] if label else [])]
    return words + [word for key, value in overrides.items() for word in ("--set", f"{key}={as_yaml(value)}")]


def check_label(label: Any) -> None:
    """Refuse a label that cannot be a part of a folder's name and of a command line.

    Raises
    ------
    ParameterError: no text, or other characters than letters, digits, dots and underscores
    """
    if not isinstance(label, str):
        remedy = f'Give it as text: "{label}" in a notebook, -r label {label} to papermill, whose -p makes numbers.'
        raise ParameterError("parameter 'label'", f"is {label!r}, not text", remedy=remedy)
    if not re.fullmatch(r"[A-Za-z0-9_.]{0,100}", label):
        remedy = "Use letters, digits, dots and underscores, 100 at most."
        raise ParameterError("parameter 'label'", f"is {label!r}", remedy=remedy)


def check_own(label: str, *, profile: str, plain: Settings, overrides: Mapping[str, Any], root: Path) -> None:
    """Refuse a label under which a study of the profile keeps a run of its own, which has other parameters.

    Parameters
    ----------
    plain : Settings, of the profile without overrides
    overrides : mapping, of the run that is to have the label

    Raises
    ------
    ParameterError: one run would be made in the other's folder, over it
    """
    given = {**stages.THOROUGH, **plain.beside}.get(label)
    if given is None:
        return
    own, other = (_counting(resolve(profile, overrides=each, root=root)) for each in (overrides, given))
    if own != other:
        shown = ", ".join(f"{key}={value}" for key, value in given.items())
        problem = f"is '{label}', under which a study of '{profile}' keeps a run with {shown}"
        raise ParameterError("parameter 'label'", problem, remedy="Give another name.")


def _counting(settings: Settings) -> dict[str, Any]:
    """Parameters that results depend on, by section."""
    found = settings.model_dump()
    for name, section in settings:
        for key, field in getattr(type(section), "model_fields", {}).items():
            if Reach.NOTHING in reach(field):
                del found[name][key]
    return found


def fingerprint(settings: Settings, stage: str, *, seed: int) -> str:
    """Short hash of everything a stage's outputs depend on: its own sections and those before it."""
    return hashlib.sha256(section_json(settings, stage, seed=seed).encode()).hexdigest()[:16]


def section_json(settings: Settings, stage: str, *, seed: int) -> str:
    """What `stage` depends on, as sorted JSON: equal strings mean equal outputs."""
    chain = [each for each in stages.before(stage) if each.notebook == stage or stages.in_run(each.notebook, settings)]
    looked_at = {name for each in chain for name in each.sections}
    without = {Reach.NOTHING}
    if "gan" not in looked_at:
        without |= {Reach.SHARED} if "code" in looked_at else {Reach.SHARED, Reach.GAN, *settings.voice.without}
    parts: dict[str, Any] = {"seed": seed, "versions": {each.notebook: each.version for each in chain}}
    for name in (name for each in chain for name in each.sections):
        section = getattr(settings, name)
        unseen = without | settings.voice.without if name == "voice" else without
        kept = {key for key, field in type(section).model_fields.items() if not unseen & reach(field)}
        if name == "sampler" and settings.sampler.kind == "none":
            kept = {"kind"}  # nothing else is read
        parts[name] = section.model_dump(include=kept, exclude_unset=True)
    return json.dumps(parts, sort_keys=True)


def _looked_at(key: str, seen: Mapping[str, Any]) -> bool:
    section, _, name = key.partition(".")
    return name.partition(".")[0] in seen.get(section, {})


def differences(folder: Path, settings: Settings, notebook: str) -> str:
    """Parameters that a notebook's outputs depend on, as they are there and here."""
    path = folder / "params.yaml"
    if not path.is_file():
        return "its params.yaml is missing"
    old = parse_overrides(yaml.safe_load(path.read_text(encoding="utf-8")))
    seen = json.loads(section_json(settings, notebook, seed=0))
    new = {k: v for k, v in parse_overrides(plain(settings)).items() if _looked_at(k, seen)}
    changed = [k for k in new if old.get(k) != new[k]]
    shown = ", ".join(f"{k}: {old.get(k)!r} there, {new[k]!r} here" for k in changed[:3])
    return shown + (f" and {len(changed) - 3} more" if len(changed) > 3 else "") or "another seed or version"


def reach(field: FieldInfo) -> set[Reach]:
    """How far a parameter reaches, where that is declared."""
    return {mark for mark in field.metadata if isinstance(mark, Reach)}


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
    if isinstance(name, str) and re.fullmatch(r"[\w-]+", name) and "-" in name and path.is_file():
        problem = "has a hyphen in its name, which joins profile and label in runs/"
        remedy = f"Rename it to {name.replace('-', '_')}.yaml."
        raise ParameterError(path.relative_to(folder.parent), problem, remedy=remedy)
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


def _field(key: str) -> FieldInfo:
    """Declaration of a dotted key."""
    model: type[BaseModel] = Settings
    *sections, last = key.split(".")
    for section in sections:
        annotation = model.model_fields[section].annotation
        assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
        model = annotation
    return model.model_fields[last]


def _checked(key: str, value: Any, *, source: str) -> Any:
    field = _field(key)
    kind: Any = field.annotation
    for mark in field.metadata:
        kind = Annotated[kind, mark]
    try:
        return TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        remedy = _remedy(field, value, error.errors()[0])
        raise ParameterError(f"{source}: parameter '{key}'", f"is {value!r}", remedy=remedy) from None


def _remedy(field: FieldInfo, value: Any, problem: ErrorDetails) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    if choices:
        return nearest(str(value), map(str, choices))
    if get_origin(field.annotation) is list:
        return "It must be a list of texts, as in [a, b]."
    bounds = {type(mark).__name__: mark for mark in field.metadata}
    if problem["type"] in ("greater_than_equal", "less_than_equal", "finite_number"):
        return f"It must lie in {bounds['Ge'].ge} to {bounds['Le'].le}."
    is_union = get_origin(field.annotation) in (Union, UnionType)
    kinds: tuple[Any, ...] = get_args(field.annotation) if is_union else (field.annotation,)
    kind = " or ".join({str: "text", NoneType: "null"}.get(each, each.__name__) for each in kinds)
    if isinstance(value, str):
        hint = " In YAML write 2.0e-4, not 2e-4, for a number."
    else:
        hint = f" In YAML quote a text that looks like something else: '\"{value}\"'." if str in kinds else ""
    return f"It must be of type {kind}.{hint}"


def _together(resolved: Mapping) -> Settings:
    """All parameters, with what must hold between them."""
    try:
        return Settings.model_validate(resolved)
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, ParameterError):
            raise cause from None
        where = f"params/base.yaml: parameter '{'.'.join(map(str, first['loc']))}'"
        raise ParameterError(where, f"is {first['input']!r}", remedy=f"{first['msg']}.") from None
