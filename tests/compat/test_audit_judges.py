"""Third parties' programs judge our checkpoints and proofs: each is accepted, and no change of a single bit is."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.audit.checkpoints import Checkpoints
from holdfast.audit.keys import Keys
from holdfast.audit.service import append
from holdfast.kernel.principal import Caller
from holdfast.storage import Storage, Tx
from holdfast.storage.keys import open_keyring

HERE = Path(__file__).parent
GO_PATH = Path("/usr/share/gocode")
JUDGES = HERE.parents[1] / ".venv-judges" / "bin" / "python"
NOW = 1_760_000_000_000
Question = dict[str, Any]


def ask(command: list[str], questions: list[Question]) -> list[dict[str, Any]]:
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=1700)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def base(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def make_questions(
    storage: Storage, checkpoints: Checkpoints, caller: Caller, count: int
) -> Iterator[Question]:
    """Random inclusion and consistency proofs of a log that grows in between, and its checkpoints."""
    chooser = random.Random(count)
    roots: dict[int, str] = {}

    def grow(number: int) -> None:
        def fn(tx: Tx) -> None:
            for at in range(number):
                name = f"model:m{len(roots)}-{at}"  # no two leaves are equal
                append(tx, caller, action="model.create", object=name, after={"n": number})

        storage.write(fn)

    for number in range(count):
        if number % 10 == 0:
            grow(chooser.choice([1, 2, 3, 30, 90]))
            view = checkpoints.current(NOW)
            size, root = view.size, base(view.root)
            roots[size] = root
            yield {"kind": "note", "note": view.note, "key": view.key, "second": size, "root2": root}
        if number % 2 and size > 1:
            first = chooser.choice(list(roots))
            proof = checkpoints.prove_consistency(first, size)
            yield {
                "kind": "tree", "first": first, "second": size, "root1": roots[first], "root2": root,
                "proof": [base(part) for part in proof.hashes],
            }  # fmt: skip
        else:
            included = checkpoints.prove_inclusion(caller, chooser.randrange(size))
            yield {
                "kind": "record", "index": included.index, "second": size, "root2": root,
                "leaf": base64.b64encode(included.leaf.encode()).decode(), "proof": [base(part) for part in included.hashes],
            }  # fmt: skip


def questions_of(storage: Storage, tmp_path: Path, caller: Caller, count: int) -> list[Question]:
    checkpoints = Checkpoints(storage, Keys(storage, open_keyring(tmp_path / "keys")))
    return list(make_questions(storage, checkpoints, caller, count))


def assert_all(questions: list[Question], replies: list[dict[str, Any]]) -> None:
    assert len(replies) == len(questions)
    for question, reply in zip(questions, replies, strict=True):
        assert reply["accepted"], (question, reply)
        assert reply["wrongly"] == 0, (question, reply)
        assert reply["tried"] >= 500


@pytest.fixture(scope="session")
def go_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, compiled against Debian's packages, offline."""
    if shutil.which("go") is None or not (GO_PATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip(
            "Go and golang-golang-x-mod-dev are not installed; tools/system_packages.sh installs them as root"
        )
    folder = tmp_path_factory.mktemp("judge")
    environment = os.environ | {
        "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(folder / "cache"), "GOFLAGS": "", "CGO_ENABLED": "0",
    }  # fmt: skip
    command = ["go", "build", "-o", str(folder / "judge"), str(HERE / "judge.go")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "judge"


def test_go_accepts_our_proofs_and_no_change_of_them(
    go_judge: Path, storage: Storage, tmp_path: Path, caller: Caller
) -> None:
    questions = questions_of(storage, tmp_path, caller, 50)
    assert_all(questions, ask([str(go_judge)], questions))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_go_accepts_a_thousand_proofs_and_no_change_of_them(
    go_judge: Path, storage: Storage, tmp_path: Path, caller: Caller
) -> None:
    questions = questions_of(storage, tmp_path, caller, 1_000)
    assert_all(questions, ask([str(go_judge)], questions))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sigstore_accepts_a_thousand_proofs_and_no_change_of_them(
    storage: Storage, tmp_path: Path, caller: Caller
) -> None:
    if not JUDGES.exists():
        pytest.skip("sigstore is not installed: sh tools/judges.sh judges")
    questions = [q for q in questions_of(storage, tmp_path, caller, 2_000) if q["kind"] == "record"]
    assert len(questions) >= 1_000
    assert_all(questions, ask([str(JUDGES), str(HERE / "sigstore_judge.py")], questions))
