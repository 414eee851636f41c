import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from backout.children import Children, basic_env, end, reap

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(60)",
]
OWNER = """
import sys, time
from pathlib import Path
from backout.children import Children
children = Children(Path(sys.argv[1]))
Path(sys.argv[1], "data").mkdir()
process = children.start("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"],
                         leftover=Path(sys.argv[1], "data"))
print(process.pid, flush=True)
time.sleep(60)
"""


def gone(pid: int, within_s: float = 5) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def children(tmp_path):
    made = Children(tmp_path / "run")
    yield made
    made.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_owner_is_killed(tmp_path, number):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with owner:
        pid = int(owner.stdout.readline())
        owner.send_signal(number)
    assert gone(pid)
    deadline = time.monotonic() + 5
    while (tmp_path / "run" / "data").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_close_ends_all_also_who_does_not_listen(children, monkeypatch):
    pids = [children.start("sleeper", SLEEP).pid, children.start("stubborn", STUBBORN).pid]
    deadline = time.monotonic() + 5
    while "on" not in children.log_tail("stubborn"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert children.stop("stubborn", timeout_s=0.1) == -signal.SIGKILL
    children.close()
    children.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert list(children.directory.glob("*.json")) == []


def test_ctrl_c_reaches_only_the_owner(children):
    process = children.start("sleeper", SLEEP)
    assert os.getsid(process.pid) != os.getsid(0)


def test_a_stranger_with_the_same_pid_is_left_alone(children, tmp_path):
    process = children.start("sleeper", SLEEP)
    end(process.pid, psutil.Process(process.pid).create_time() - 100)
    assert process.poll() is None
    notes = tmp_path / "notes"
    notes.mkdir()
    note = {"pid": process.pid, "created": 1.0, "signal": 15, "leftover": None}
    (notes / "old.json").write_text(json.dumps(note))
    pid_file = tmp_path / "pid"
    pid_file.write_text(str(process.pid))
    os.utime(pid_file, (1, 1))  # Older than the process: it speaks of another one.
    reap(notes, [pid_file])
    assert process.poll() is None


def test_a_child_gets_no_secret_of_ours(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert "hush" not in basic_env().values()
