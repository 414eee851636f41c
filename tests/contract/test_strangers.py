"""A service that neither lock nor pid file names is not taken for nothing; what people have open is no service."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backout.errors import StepFailed, TargetUnreachable
from backout.plan.base import Probed
from backout.platforms.process import ProcessPlatform
from backout.platforms.process.steps import specs
from backout.platforms.process.strangers import runs_command
from backout.testing.crash import carry_out_in_child
from backout.testing.platforms import Stage, propose
from backout.testing.steps import wait_until

from .machine import Machine, process_platform, run_step

pytestmark = pytest.mark.slow


def without_url(machine: Machine, **extra: object) -> ProcessPlatform:
    return process_platform(machine, ready_url=None, **extra)


def daemon(machine: Machine, ref: str, *command: str) -> subprocess.Popen[bytes]:
    """Start as a supervisor does: in a session of its own, with no terminal, and no pid file that backout knows."""
    env = {**os.environ, "PORT": str(machine.port)}
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(
        command, cwd=machine.root / "releases" / ref, env=env, start_new_session=True, **quiet
    )


class Terminal:
    """A person's terminal: a program with a terminal of its own, as after ssh."""

    def __init__(self, folder: Path, *command: str, **env: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], list(command), {**os.environ, "TERM": "dumb", **env})
        wait_until(lambda: psutil.Process(self.pid).name() not in ("python", "python3", "pytest"))

    def type(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")

    def close(self) -> None:
        os.close(self._fd)
        for process in (psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)):
            process.kill()
        os.waitpid(self.pid, 0)


@pytest.fixture
def shell(machine: Machine) -> Iterator[Terminal]:
    """A shell in the folder of v2, with an editor's stand-in and a pager beside it."""
    terminal = Terminal(machine.root / "releases/v2", "sh", PORT=str(machine.port))
    yield terminal
    terminal.close()


def refused(machine: Machine, platform: ProcessPlatform, pid: int, why: str) -> None:
    """Neither a look nor a start takes it for nothing; the message names it and the remedy; it runs on."""
    before = sorted(p.pid for p in machine.processes())
    with pytest.raises(TargetUnreachable, match=rf"process {pid} \(.*\) of release v2: {why}") as looked:
        platform.observe(5)
    assert "nothing was changed" in str(looked.value.state)
    with pytest.raises(StepFailed, match=rf"process {pid} ") as started:
        run_step(platform, specs.start("v1", "v1", platform.declared()))
    for error in (looked.value, started.value):
        assert (
            f"-p {pid}" in error.next_command
            and f"echo PID > {platform.layout.pid_file}" in error.next_command
        )
    assert sorted(p.pid for p in machine.processes()) == before
    [line] = [line for line in platform.doctor() if line.subject == "process"]
    assert line.ok is None and f"process {pid}" in str(line.evidence) and line.remedy


def test_a_service_whose_pid_stands_elsewhere_is_not_nothing(machine: Machine) -> None:
    pid = machine.start_by_hand("v2", pid_file="run/elsewhere.pid")
    platform = without_url(machine)
    refused(machine, platform, pid, "it runs the start command")
    # The remedy as it is told.
    platform.layout.pid_file.parent.mkdir(parents=True, exist_ok=True)
    platform.layout.pid_file.write_text(f"{pid}\n")
    assert [a.ref for a in platform.observe(5).running] == ["v2"]
    assert [a.ref for a in without_url(machine, pid_file="run/elsewhere.pid").observe(5).running] == ["v2"]


def test_it_is_found_with_a_ready_url_too_when_it_hangs(machine: Machine) -> None:
    server = daemon(machine, "v2", sys.executable, "server.py")
    wait_until(machine.answers)
    platform = process_platform(machine, ready_url="http://127.0.0.1:9/")
    try:
        refused(machine, platform, server.pid, "it runs the start command")
    finally:
        server.kill()
        server.wait()


def test_a_service_behind_a_start_script_is_told_by_its_port_or_by_having_no_terminal(
    machine: Machine,
) -> None:
    script = machine.root / "releases/v2/run.sh"
    script.write_text(
        "#!/bin/sh\nexec " + sys.executable + " -c 'import runpy; runpy.run_path(\"server.py\")'\n"
    )
    script.chmod(0o755)
    platform = without_url(machine, start="./run.sh")
    server = daemon(machine, "v2", "./run.sh")
    try:
        wait_until(machine.answers)
        refused(machine, platform, server.pid, f"it listens on port {machine.port}")
    finally:
        server.kill()
        server.wait()
    worker = daemon(machine, "v2", "sleep", "300")
    try:
        refused(machine, platform, worker.pid, "it runs without a terminal")
        # With a URL that nobody answers, nothing serves.
        assert process_platform(machine, start="./run.sh").observe(5).running == ()
    finally:
        worker.kill()
        worker.wait()


def test_a_service_started_in_a_terminal_is_found_there(machine: Machine, shell: Terminal) -> None:
    shell.type(f"nohup {sys.executable} -B server.py >/dev/null 2>&1 &")
    wait_until(machine.answers)
    [server] = [p for p in machine.processes() if "server.py" in p.cmdline()]
    refused(machine, without_url(machine), server.pid, f"it listens on port {machine.port}")


def test_what_a_person_has_open_is_no_service(machine: Machine, shell: Terminal) -> None:
    shell.type("tail -f server.py > /dev/null &")
    shell.type(f"{sys.executable} -q")
    wait_until(lambda: len(machine.processes()) == 3)
    platform = without_url(machine)
    assert platform.observe(5).running == ()
    assert run_step(platform, specs.start("v1", "v1", platform.declared())).answer is Probed.DONE
    assert run_step(platform, specs.stop("v1", "v1", platform.declared())).answer is Probed.DONE
    assert len(machine.processes()) == 3, "they were left alone"


def test_a_multiplexer_and_an_editor_without_a_terminal_are_no_service(
    machine: Machine, tmp_path: Path
) -> None:
    open_ = []
    for name in ("tmux: server", "emacs"):
        program = tmp_path / name
        program.symlink_to("/bin/sleep")
        open_.append(daemon(machine, "v2", str(program), "300"))
    try:
        wait_until(lambda: {"tmux: server", "emacs"} <= {p.name() for p in machine.processes()})
        assert without_url(machine).observe(5).running == ()
    finally:
        for process in open_:
            process.kill()
            process.wait()


@pytest.mark.parametrize("point", [None, "process.stop.noted", "process.stop.after", "process.link.after"])
def test_what_ran_beside_the_service_does_not_stop_the_way_back(machine: Machine, point: str | None) -> None:
    machine.link("v2")
    machine.start_by_hand("v2")
    beside = daemon(machine, "v2", "sleep", "300")
    try:
        platform = without_url(machine)
        steps = propose(Stage(platform, "v1", "v2", machine.served, {}, machine.snapshot))
        options = machine.options(ready_url=None)
        if point:
            assert not carry_out_in_child(ProcessPlatform, options, machine.root, steps, fault=point)
        assert carry_out_in_child(ProcessPlatform, options, machine.root, steps)
        assert [a.ref for a in platform.observe(5).running] == ["v1"]
        assert beside.poll() is None
    finally:
        beside.kill()
        beside.wait()


@pytest.mark.parametrize(
    ("command", "start", "same"),
    [
        (["/usr/bin/python3.11", "server.py"], ["python3", "server.py"], True),
        (["python3", "server.py", "--port", "80"], ["python3", "server.py"], False),
        (["vim", "server.py"], ["python3", "server.py"], False),
        (["/bin/sh", "./run.sh", "-q"], ["./run.sh", "-q"], True),
        (["/bin/sh", "-e", "{root}/current/run.sh", "-q"], ["{release}/run.sh", "-q"], True),
        (["vim", "./run.sh"], ["./run.sh"], False),
        (["tail", "-f", "run.sh"], ["./run.sh"], False),
        (["java", "-jar", "{root}/releases/v2/app.jar"], ["java", "-jar", "{release}/app.jar"], True),
        (["gunicorn", "app"], ["sh", "-c", "exec gunicorn app"], True),
        ([], ["./run.sh"], False),
    ],
)
def test_which_command_lines_are_the_start_command(
    machine: Machine, command: list[str], start: list[str], same: bool
) -> None:
    (machine.root / "releases/v2/run.sh").write_text("#!/bin/sh -e\n")
    words = [word.replace("{root}", str(machine.root)) for word in command]
    assert runs_command(words, start, process_platform(machine).layout, "v2") is same


def test_looking_is_quick(machine: Machine) -> None:
    platform, began = without_url(machine), time.monotonic()
    assert platform.observe(5).running == ()
    assert time.monotonic() - began < 1
