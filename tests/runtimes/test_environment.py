"""A model whose packages differ from the server's: its environment is built by uv, in the sandbox, and used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from holdfast.jobs.local import LocalExecutor
from holdfast.jobs.records import Task
from holdfast.kernel.errors import InvalidInput
from holdfast.runtimes.environment import python_for

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.slow
def test_an_environment_is_built_once_and_loads_the_model(
    flights: pd.DataFrame, write_model: Callable[..., Path], executor: LocalExecutor, tmp_path: Path
) -> None:
    lock = f"# python=={THIS}.1\nscikit-learn=={version('scikit-learn')}\nthreadpoolctl==3.5.0\n"
    model = LogisticRegression().fit(flights[["wind"]].to_numpy(), flights["late"])
    folder = write_model(model, flights[["wind"]], flights["late"], lock=lock)
    environments = tmp_path / "data" / "environments"
    python = python_for(folder, f"{THIS}.1", executor, environments)
    assert python.is_relative_to(environments) and python_for(folder, "", executor, environments) == python

    code = "import importlib.metadata as m, skl2onnx; print(m.version('threadpoolctl'), m.version('scikit-learn'))"
    result = executor.run(Task(command=(str(python), "-I", "-c", code), scratch=tmp_path))
    assert result.stdout == f"3.5.0 {version('scikit-learn')}\n", result.stderr


def test_a_package_that_is_on_no_index_is_named(
    flights: pd.DataFrame,
    write_model: Callable[..., Path],
    executor: LocalExecutor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    folder = write_model(None, flights[["wind"]], flights["late"], lock="no-such-package-of-ours==1.2.3\n")
    with pytest.raises(
        InvalidInput, match=r"no-such-package-of-ours==1\.2\.3 is needed, it is not installed"
    ):
        python_for(folder, f"{THIS}.1", executor, tmp_path / "environments")
