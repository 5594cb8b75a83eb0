"""Capturing the packages of a process, reading the lock, comparing it with this interpreter."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from holdfast.environments.capture import capture
from holdfast.environments.lock import parse_lock, satisfies
from holdfast.kernel.errors import InvalidInput

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_captures_the_distributions_of_the_named_modules() -> None:
    lines = capture(["sklearn.ensemble", "numpy", "json"]).splitlines()
    assert lines[0].startswith(f"# python=={THIS}.")
    assert lines[1:] == [f"numpy=={version('numpy')}", f"scikit-learn=={version('scikit-learn')}"]


def test_captures_what_is_imported_and_satisfies_it_here() -> None:
    lock = parse_lock(capture())
    assert lock.python == THIS and "pytest" not in lock.packages, "a tool of no matter to a model"
    assert satisfies(lock) == []


def test_capture_needs_the_standard_library_alone() -> None:
    code = """
import sys
from holdfast.environments.capture import capture
capture()
loaded = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
assert not loaded & {"numpy", "msgspec", "packaging", "sklearn", "pandas"}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_names_are_compared_as_the_index_does() -> None:
    assert parse_lock("Scikit_Learn==1.5.2  # fitted with this\n\n# note\n").packages == {
        "scikit-learn": "1.5.2"
    }


def test_the_python_of_the_lock_wins_over_the_description() -> None:
    assert parse_lock("# python==3.10.4\nnumpy==1.26.0", python="3.11.7").python == "3.10"
    assert parse_lock("numpy==1.26.0", python="3.12.1").python == "3.12"
    assert parse_lock("").python == THIS


@pytest.mark.parametrize(
    "line",
    ["numpy>=1", "numpy", "-e .", "--index-url=http://x", "pkg @ file:///x", "a==1; os", "a==1 --hash=x"],
)
def test_a_line_that_pins_nothing_is_named(line: str) -> None:
    with pytest.raises(InvalidInput, match="Line 2"):
        parse_lock(f"numpy==1.26.0\n{line}")


def test_each_difference_is_told() -> None:
    lock = parse_lock("# python==3.10.1\nnumpy==1.0\nno-such-distribution==2.0\n")
    assert satisfies(lock) == [
        f"Python 3.10 is needed, this is {THIS}",
        "no-such-distribution==2.0 is needed, it is not installed",
        f"numpy==1.0 is needed, {version('numpy')} is installed",
    ]
