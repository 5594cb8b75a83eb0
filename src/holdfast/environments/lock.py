"""Reading an environment lock and comparing it with this interpreter. Standard library alone."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from holdfast.kernel.errors import InvalidInput

__all__ = ["Lock", "normal_name", "parse_lock", "satisfies"]

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_PYTHON = re.compile(r"#\s*python==(\d+\.\d+)(?:\.\S+)?\s*")
_MOST_BYTES = 1_000_000

# Tools that a training process imports and no model is scored with. Their versions do not matter.
_TOOLS = frozenset(
    re.findall(
        r"\S+",
        """
    asttokens bleach certifi charset-normalizer click comm coverage debugpy decorator executing graphviz holdfast
    idna iniconfig ipykernel ipython ipywidgets jedi jupyter-client jupyter-core jupyterlab markdown-it-py
    matplotlib matplotlib-inline mdurl mlflow mlflow-skinny mlflow-tracing msgspec mypy nest-asyncio notebook
    parso pexpect pillow pip plotly pluggy prompt-toolkit psutil ptyprocess pure-eval pycharm pydevd pygments
    pytest pyzmq requests rich ruff seaborn setuptools stack-data tornado tqdm traitlets urllib3 uv wcwidth wheel
    """,
    )
)


@dataclass(frozen=True)
class Lock:
    """The Python (`3.11`) and the packages (normal name to version) that a model was fitted with."""

    python: str
    packages: dict[str, str]


def normal_name(name: str) -> str:
    """The name of a distribution as PyPI compares it: lower case, runs of `-`, `_` and `.` as one `-`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str, python: str = "") -> Lock:
    """The lock of a lock text, without tools such as notebooks and test runners.

    python: the version that fitted the model, when the text has no `# python==` comment; else this one's.
    Raises InvalidInput naming the line that is not `name==version`: a lock holds no options, URLs or ranges.
    """
    if len(text) > _MOST_BYTES:
        raise InvalidInput(f"The environment lock has {len(text)} characters; the limit is {_MOST_BYTES}.")
    found = ".".join(python.split(".")[:2])
    packages: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        comment = _PYTHON.fullmatch(line.strip())
        found = comment.group(1) if comment else found
        pinned = line.partition("#")[0].strip()
        match = _LINE.fullmatch(pinned)
        if pinned and match is None:
            raise InvalidInput(
                f"Line {number} of the environment lock is {pinned[:80]!r}, not name==version.",
                hint="Pin every package to one version, without options, URLs or markers.",
            )
        if match is not None:
            packages[normal_name(match.group(1))] = match.group(2)
    kept = {name: packages[name] for name in sorted(packages) if name not in _TOOLS}
    return Lock(found or _this_python(), kept)


def satisfies(lock: Lock) -> list[str]:
    """What differs between the lock and this interpreter, a sentence each; empty when the model can run here."""
    differences = []
    if lock.python != _this_python():
        differences.append(f"Python {lock.python} is needed, this is {_this_python()}")
    for name, needed in lock.packages.items():
        try:
            here = version(name)
        except PackageNotFoundError:
            differences.append(f"{name}=={needed} is needed, it is not installed")
            continue
        if here != needed:
            differences.append(f"{name}=={needed} is needed, {here} is installed")
    return differences


def _this_python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
