"""Tasks in the local executor: what they may see, what they may use, and how they end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import msgspec
import pytest

import holdfast
from holdfast.jobs.local import LocalExecutor
from holdfast.jobs.records import Limits, Task
from holdfast.kernel.errors import InvalidInput, Unavailable


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "secret").write_text("do not read")
    return folder


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def executor(data: Path) -> LocalExecutor:
    return LocalExecutor(hidden=[data])


def python(code: str, scratch: Path, *arguments: object, **options: object) -> Task:
    command = (sys.executable, "-c", textwrap.dedent(code), *map(str, arguments))
    return Task(command=command, scratch=scratch, **options)  # type: ignore[arg-type]


def test_gives_exit_code_output_and_duration(executor: LocalExecutor, scratch: Path) -> None:
    code = "import sys; print(sys.stdin.read().upper()); print('oops', file=sys.stderr); sys.exit(7)"
    result = executor.run(python(code, scratch, stdin=b"hello"))
    assert (result.exit_code, result.stdout, result.stderr) == (7, "HELLO\n", "oops\n")
    assert result.killed_by is None and not result.ok and 0 < result.duration_s < 30


def test_keeps_only_the_tail_of_a_long_output(executor: LocalExecutor, scratch: Path) -> None:
    result = executor.run(python("print('a' * 1_000_000 + 'the end')", scratch))
    assert result.ok and result.stdout.endswith("athe end\n") and len(result.stdout) == 64 * 1024


def test_writes_to_its_scratch_folder_only(executor: LocalExecutor, scratch: Path, tmp_path: Path) -> None:
    code = """
        import os, sys
        open("mine", "w").write("x")
        for folder in sys.argv[1:]:
            try:
                open(os.path.join(folder, "stray"), "w").write("x")
                print("wrote", folder)
            except OSError as error:
                print(error.errno)
    """
    given = tmp_path / "given"
    given.mkdir()
    result = executor.run(python(code, scratch, "/", "/usr", "/dev", given, tmp_path, inputs=(given,)))
    assert result.stdout == f"30\n30\n30\n30\nwrote {tmp_path}\n", "its /tmp is its own"
    assert not (tmp_path / "stray").exists() and (scratch / "mine").read_text() == "x"


def test_the_data_folder_is_empty_for_it(executor: LocalExecutor, data: Path, scratch: Path) -> None:
    code = "import os, sys; print(os.listdir(sys.argv[1])); open(sys.argv[1] + '/keys/secret')"
    result = executor.run(python(code, scratch, data))
    assert result.stdout == "[]\n" and "FileNotFoundError" in result.stderr


@pytest.mark.parametrize("given_as", ["parent", "itself"])
def test_the_data_folder_stays_hidden_when_named_as_input(
    executor: LocalExecutor, data: Path, scratch: Path, given_as: str
) -> None:
    given = data if given_as == "itself" else data.parent
    result = executor.run(
        python("import os, sys; print(os.listdir(sys.argv[1]))", scratch, data, inputs=(given,))
    )
    assert result.stdout == "[]\n"


def test_a_folder_inside_the_data_folder_can_be_given(
    executor: LocalExecutor, data: Path, scratch: Path
) -> None:
    inside = data / "work" / "model"
    inside.mkdir(parents=True)
    (inside / "model.pkl").write_text("weights")
    code = (
        "import os, sys; print(os.listdir(sys.argv[1]), open(sys.argv[1] + '/work/model/model.pkl').read())"
    )
    result = executor.run(python(code, scratch, data, inputs=(inside,)))
    assert result.stdout == "['work'] weights\n"


def test_sees_no_home_and_no_environment_of_the_server(
    executor: LocalExecutor, scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOLDFAST_TOKEN", "hf_secret")
    (tmp_path / "id_rsa").write_text("private")
    code = """
        import os, sys, pathlib
        print(sorted(os.environ))
        print([str(p) for p in (pathlib.Path(sys.argv[1]), pathlib.Path("/etc/shadow"), pathlib.Path("/run"),
               pathlib.Path(sys.argv[2], ".ssh"), pathlib.Path(sys.argv[2], ".config")) if p.exists()])
    """
    result = executor.run(python(code, scratch, tmp_path / "id_rsa", Path.home()))
    assert result.ok and "HOLDFAST" not in result.stdout and result.stdout.endswith("\n[]\n")


def test_has_no_network_unless_asked(executor: LocalExecutor, scratch: Path) -> None:
    code = """
        import socket, sys
        try:
            socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
            print("reached")
        except OSError as error:
            print(type(error).__name__)
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert executor.run(python(code, scratch, port)).stdout == "ConnectionRefusedError\n"
        assert executor.run(python(code, scratch, port, network=True)).stdout == "reached\n"


def test_sees_no_other_process_and_cannot_trace_one(executor: LocalExecutor, scratch: Path) -> None:
    code = """
        import os, sys
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
        print(max(numbers) < 20, int(sys.argv[1]) in numbers)
        status = open("/proc/self/status").read()
        print(all("0000000000000000" in line for line in status.splitlines() if line.startswith("Cap")))
    """
    result = executor.run(python(code, scratch, os.getpid()))
    assert result.stdout == "True False\nTrue\n"


def test_a_hanging_task_is_killed_with_its_children(executor: LocalExecutor, scratch: Path) -> None:
    marker = f"holdfast-test-{os.getpid()}-{time.monotonic_ns()}"
    code = """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]],
                         start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print("started", flush=True)
        time.sleep(600)
    """
    result = executor.run(python(code, scratch, marker, limits=Limits(wall_s=2.0)))
    assert result.killed_by == "time" and result.stdout == "started\n" and result.duration_s < 10
    assert _gone(marker)


def test_one_process_over_the_memory_limit_gets_a_memory_error(
    executor: LocalExecutor, scratch: Path
) -> None:
    result = executor.run(python("x = b'x' * 600_000_000", scratch, limits=Limits(memory_bytes=300_000_000)))
    assert result.exit_code == 1 and "MemoryError" in result.stderr


def test_many_processes_over_the_memory_limit_are_killed(executor: LocalExecutor, scratch: Path) -> None:
    code = """
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                x = bytearray(os.urandom(1) * 100_000_000)
                time.sleep(600)
        time.sleep(600)
    """
    result = executor.run(python(code, scratch, limits=Limits(memory_bytes=300_000_000, wall_s=60)))
    assert result.killed_by == "memory" and result.duration_s < 30


def test_a_fork_bomb_is_killed(executor: LocalExecutor, scratch: Path) -> None:
    code = "import os, time\nfor _ in range(400):\n    os.fork() or time.sleep(600)\ntime.sleep(600)"
    result = executor.run(python(code, scratch, limits=Limits(processes=40, wall_s=60)))
    assert result.killed_by == "processes" and result.duration_s < 30


def test_a_file_cannot_grow_over_its_limit(executor: LocalExecutor, scratch: Path) -> None:
    code = "open('big', 'wb').write(bytes(5_000_000))"
    result = executor.run(python(code, scratch, limits=Limits(file_bytes=1_000_000)))
    assert not result.ok and (scratch / "big").stat().st_size <= 1_000_000


def test_spawn_gives_pipes_and_close_ends_it(executor: LocalExecutor, scratch: Path) -> None:
    code = """
        import sys
        for line in sys.stdin:
            print("heard", file=sys.stderr, flush=True)
            print("got", line.strip(), flush=True)
    """
    process = executor.spawn(python(code, scratch, limits=Limits(wall_s=None)))
    process.stdin.write(b"one\n")
    assert process.stdout.readline() == b"got one\n"
    assert process.poll() is None
    assert process.close() == 128 + 9 == process.close()
    assert process.stderr_tail() == "heard\n" and process.killed_by is None


def test_a_spawned_task_ends_with_the_process_that_started_it(scratch: Path) -> None:
    marker = f"holdfast-test-{os.getpid()}-{time.monotonic_ns()}"
    code = f"""
        import os, signal, sys
        from pathlib import Path
        from holdfast.jobs.local import LocalExecutor
        from holdfast.jobs.records import Limits, Task
        command = (sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)", {marker!r})
        task = Task(command=command, scratch=Path({str(scratch)!r}), limits=Limits(wall_s=None))
        process = LocalExecutor().spawn(task)
        assert process.stdout.readline() == b"up\\n"
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60, check=False)
    assert done.returncode == -9
    assert _gone(marker)


@pytest.mark.skipif(
    os.getuid() != 0 or not Path("/usr/bin/python3").exists(), reason="is unprivileged already"
)
def test_works_for_an_unprivileged_user() -> None:
    code = """
        import os, sys, tempfile
        from pathlib import Path
        from holdfast.jobs.local import LocalExecutor
        from holdfast.jobs.records import Task
        data, scratch = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
        (data / "secret").write_text("x")
        command = (sys.executable, "-c", f"import os; print(os.getuid(), os.listdir({str(data)!r}))")
        print(LocalExecutor(hidden=[data]).run(Task(command=command, scratch=scratch)))
    """
    paths = [str(Path(module.__file__ or "").parents[1]) for module in (holdfast, msgspec)]
    done = subprocess.run(
        ["/usr/bin/python3", "-B", "-c", textwrap.dedent(code)],
        env={"PYTHONPATH": os.pathsep.join(paths)},
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert "stdout='65534 []\\n'" in done.stdout.decode(), done.stderr.decode()


def test_closing_the_executor_cuts_a_task_short_and_refuses_more(
    executor: LocalExecutor, scratch: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(executor.run, python("open('up', 'w'); import time; time.sleep(600)", scratch))
        while not (scratch / "up").exists() and not running.done():
            wait([running], timeout=0.02)
        executor.close()
        with pytest.raises(Unavailable, match="is stopping"):
            running.result(timeout=30)
    with pytest.raises(Unavailable, match="is stopping"):
        executor.run(python("pass", scratch))


def test_a_missing_command_input_or_scratch_folder_is_named(
    executor: LocalExecutor, scratch: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "absent"
    with pytest.raises(InvalidInput, match="absent"):
        executor.run(python("pass", scratch, inputs=(missing,)))
    with pytest.raises(InvalidInput, match="absent"):
        executor.run(python("pass", missing))
    result = executor.run(Task(command=("no-such-command",), scratch=scratch))
    assert result.exit_code != 0 and "no-such-command" in result.stderr


class TestWithoutBubblewrap:
    """A machine where bubblewrap is not installed."""

    @pytest.fixture(autouse=True)
    def no_bubblewrap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("holdfast.jobs.local.find_bubblewrap", lambda: (None, "it is not installed"))

    def test_required_refuses_and_says_what_to_install(self, scratch: Path) -> None:
        with pytest.raises(Unavailable, match="apt install bubblewrap"):
            LocalExecutor(sandbox="required").run(python("print(1)", scratch))

    def test_preferred_runs_it_with_limits(self, scratch: Path) -> None:
        executor = LocalExecutor(sandbox="preferred")
        assert not executor.isolated
        assert executor.run(python("print(1)", scratch)).stdout == "1\n"
        hang = (
            "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"
        )
        assert executor.run(python(hang, scratch, limits=Limits(wall_s=1.0))).killed_by == "time"


def _gone(marker: str) -> bool:
    """No process carries the marker in its command line; the kernel gets up to 10 s to finish killing."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if not any(marker.encode() in _command_line(entry) for entry in Path("/proc").glob("[0-9]*/cmdline")):
            return True
    return False


def _command_line(entry: Path) -> bytes:
    try:
        return b"" if entry.parent.name == str(os.getpid()) else entry.read_bytes()
    except OSError:
        return b""
