"""The caller's environment: what of it could change results, and the same without that.

Commands start anew without it, the engine starts notebooks without it, and a notebook that somebody else started
says what of it is there, so that the engine runs it again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

# Names, or their beginnings, of variables that change what Python, Jupyter or the engine do, or how numbers round.
PREFIXES = ("PYTHON", "IPYTHON", "JUPYTER", "JPY_", "SNAKEMAKE")
ROUNDING = frozenset(
    {"NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS"}
    | {"OPENBLAS_CORETYPE", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES"}
)
NAMES = ROUNDING | {"MPLBACKEND", "MATPLOTLIBRC"}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "GOTO_NUM_THREADS")
LIMITS = (*THREADS, "OMP_DYNAMIC", "OMP_THREAD_LIMIT")
# How text is printed, and where bytecode is kept: no result depends on it.
HARMLESS = frozenset({"PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"})
OWN = MappingProxyType({"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"})
LIBRARY = Path(__file__).resolve().parents[2]  # folder that s2f is imported from


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what could change results; cleaned once more, it is the same."""
    dropped = {name for name in environment if name.startswith(PREFIXES) or name in NAMES}
    kept = {name: value for name, value in environment.items() if name not in dropped - HARMLESS}
    if str(LIBRARY) in map(_resolved, filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))):
        kept["PYTHONPATH"] = str(LIBRARY)
    return kept | OWN


def of_engine(environment: Mapping[str, str], *, home: Path) -> dict[str, str]:
    """The same for the workflow engine: it counts threads, and Jupyter sees no configuration or kernel of a user's."""
    folders = {"IPYTHONDIR": "ipython", "JUPYTER_DATA_DIR": "data", "JUPYTER_CONFIG_DIR": "config"}
    own = {name: str(home / folder) for name, folder in folders.items()}
    kept = {name: value for name, value in clean(environment).items() if name not in LIMITS}
    return kept | own


def restart() -> None:
    """Start this command anew where its environment is not clean: Python reads most variables at its start only."""
    wanted = clean(os.environ)
    if wanted != dict(os.environ) and sys.executable:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


def suspects(shell: Any) -> list[str]:
    """What of a session's environment could change results, by name.

    Parameters
    ----------
    shell : IPython's, or None elsewhere
    """
    found = [name for name in os.environ if name in ROUNDING]
    others = set(map(_resolved, filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))) - {str(LIBRARY)}
    if others:
        found.append("PYTHONPATH")
    if sys.flags.optimize:
        found.append("PYTHONOPTIMIZE or python -O")
    if shell is not None:
        found += [name for name in ("PYTHONSTARTUP",) if os.environ.get(name)]
        profile = Path(shell.profile_dir.location) if getattr(shell, "profile_dir", None) else None
        patterns = ("startup/*.py", "startup/*.ipy", "ipython_config.*", "ipython_kernel_config.*")
        found += [str(path) for pattern in patterns for path in (sorted(profile.glob(pattern)) if profile else ())]
    return sorted(found)


def limit_threads(n: int) -> None:
    """Let this process compute with `n` threads, whatever its environment says: sums round by their number."""
    os.environ.update(dict.fromkeys(THREADS, str(n)))  # for what is loaded from here on
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)
    from threadpoolctl import threadpool_limits

    threadpool_limits(n)


def _resolved(path: str) -> str:
    return str(Path(path).resolve())
