"""The launcher: at most once, outlives its starter, and tells how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from backout.launch import Job, ask, exit_status, holder, size_of, spawn, tail
from backout.testing.steps import wait_until


def start(folder: Path, *command: str, label: str = "v1", **env: str) -> int | None:
    return spawn(
        command,
        lock=folder / "lock",
        pid_file=folder / "run" / "pid",
        log=folder / "log" / "out.log",
        cwd=folder,
        env={"PATH": os.environ["PATH"], **env},
        label=label,
    )


def ended(pid: int | None) -> int:
    assert pid is not None
    wait_until(lambda: exit_status(pid) is not None)
    status = exit_status(pid)
    assert status is not None
    return status


def test_a_service_keeps_the_pid_the_lock_and_its_own_session(tmp_path: Path) -> None:
    pid = start(tmp_path, "sleep", "60")
    assert pid is not None
    try:
        wait_until(lambda: (tmp_path / "run/pid").exists() and psutil.Process(pid).name() == "sleep")
        assert int((tmp_path / "run/pid").read_text()) == pid == os.getsid(pid)
        assert holder(tmp_path / "lock") == (pid, "v1")
        assert start(tmp_path, "sleep", "60") is None, "a second copy"
    finally:
        os.kill(pid, signal.SIGTERM)
    assert ended(pid) == -signal.SIGTERM
    assert holder(tmp_path / "lock") is None


def test_the_lock_tells_from_the_first_moment(tmp_path: Path) -> None:
    pid = start(tmp_path, "true", label="v7")
    held = holder(tmp_path / "lock")
    assert held is None or held.label == "v7"
    assert ended(pid) == 0


def test_the_lock_stays_with_children(tmp_path: Path) -> None:
    pid = start(tmp_path, "sh", "-c", "sleep 60 & echo $! > child; exit 0")
    assert ended(pid) == 0
    child = int((tmp_path / "child").read_text())
    assert holder(tmp_path / "lock") is not None
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: holder(tmp_path / "lock") is None)


def test_only_what_is_given_reaches_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKOUT_FAULT", "never")
    assert ended(start(tmp_path, "sh", "-c", "env; trap", GREETING="hello {there}")) == 0
    text = tail(tmp_path / "log/out.log", lines=100)
    assert "GREETING=hello {there}" in text and "BACKOUT_FAULT" not in text


def test_ignored_signals_are_put_back(tmp_path: Path) -> None:
    # CPython itself ignores SIGPIPE: a shell that inherited that would survive.
    assert ended(start(tmp_path, "sh", "-c", "kill -PIPE $$; echo survived")) == -signal.SIGPIPE
    assert "survived" not in tail(tmp_path / "log/out.log")


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    assert ended(start(tmp_path, "./no-such-thing")) == 127
    assert tail(tmp_path / "log/out.log") == "./no-such-thing: No such file or directory"


def test_a_folder_that_is_not_there_leaves_no_lock(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        spawn(["true"], lock=tmp_path / "lock", pid_file=tmp_path / "pid", log=tmp_path / "log",
              cwd=tmp_path / "gone", env={})  # fmt: skip
    assert holder(tmp_path / "lock") is None


def test_it_outlives_a_starter_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from backout.launch import Job\n"
        "command = ['sh', '-c', 'sleep 0.5; exit 5']\n"
        "Job(Path(sys.argv[1])).start(command, cwd=Path('/'), env=os.environ, label='v1')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    job = Job(tmp_path)
    assert job.running() and job.label() == "v1" and job.exit() is None
    assert not job.start(["true"], cwd=tmp_path, env={}, label="v2"), "a second copy"
    wait_until(lambda: not job.running())
    assert job.exit() == 5


def test_a_job_is_over_although_it_left_a_service_behind(tmp_path: Path) -> None:
    job = Job(tmp_path / "job")
    assert job.start(["sh", "-c", "sleep 60 & echo $! > left"], cwd=tmp_path, env=os.environ, label="v1")
    wait_until(lambda: not job.running())
    os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
    assert job.exit() == 0


def test_a_job_whose_launcher_was_killed_still_runs(tmp_path: Path) -> None:
    job = Job(tmp_path / "job")
    assert job.start(["sh", "-c", "sleep 60"], cwd=tmp_path, env=os.environ, label="v1")
    wait_until(lambda: (tmp_path / "job/pid").exists())
    held, child = holder(tmp_path / "job/lock"), int((tmp_path / "job/pid").read_text())
    assert held is not None and held.pid is not None
    os.kill(held.pid, signal.SIGKILL)
    wait_until(lambda: holder(tmp_path / "job/lock") is None)
    assert job.running()
    assert not job.start(["true"], cwd=tmp_path, env={}, label="v2"), "a second copy"
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not job.running())
    assert job.exit() is None, "nobody was left to note it"


def test_a_job_can_run_again(tmp_path: Path) -> None:
    job = Job(tmp_path / "job")
    for status in (3, 0):
        assert job.start(
            ["sh", "-c", f"echo {status}; exit {status}"], cwd=tmp_path, env=os.environ, label="v"
        )
        wait_until(lambda: not job.running())
        assert job.exit() == status and tail(job.log) == str(status)


def test_ask_answers_ends_and_explains(tmp_path: Path) -> None:
    env = dict(os.environ)
    assert ask(["echo", "v1"], cwd=tmp_path, env=env, timeout_s=5)[:2] == (0, "v1\n")
    assert ask(["sh", "-c", "echo why >&2; exit 3"], cwd=tmp_path, env=env, timeout_s=5)[:3] == (
        3,
        "",
        "why\n",
    )
    late = ask(["sleep", "60"], cwd=tmp_path, env=env, timeout_s=0.1)
    assert late.timed_out and late.exit is None and "0.1 s" in late.trouble
    assert "no-such" in ask(["./no-such"], cwd=tmp_path, env=env, timeout_s=1).trouble


def test_tail_looks_only_at_this_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert (tail(log), size_of(log)) == ("", 0)
    log.write_text("old\n")
    since = size_of(log)
    with log.open("ab") as file:
        file.write(b"new \xff 1\nnew 2\n")
    assert tail(log, since=since) == "new \ufffd 1\nnew 2"
    assert tail(log, since=10_000) == "old\nnew \ufffd 1\nnew 2", "the log was rotated"
    assert tail(log, lines=1) == "new 2"
