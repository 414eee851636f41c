"""A machine with releases as folders, and what really runs on it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from backout.clock import SystemClock
from backout.plan.base import Probe
from backout.plan.model import StepSpec
from backout.platforms.base import Platform, Site
from backout.platforms.process import ProcessOptions, ProcessPlatform
from backout.redact import Redactor
from backout.testing.platforms import Stage, carry_out, propose
from backout.testing.steps import acting_on, drive, wait_until

SERVER = """
import os, signal, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
sys.tracebacklimit = 1  # 12 lines are told, and a whole traceback of Python 3.13 has more
if os.environ.get("STUBBORN"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("secret is", os.environ.get("API_TOKEN"), flush=True)
if os.environ.get("HANG"):
    time.sleep(300)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.path.basename(os.getcwd()).encode())
    def log_message(self, *_): pass
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
WORKER = """
import signal, sys, time
def end(*_):
    open("../../shared/ended", "a").write("politely")
    sys.exit()
signal.signal(signal.SIGTERM, end)
open("../../shared/worker", "w").close()
while True:
    time.sleep(300)
"""
STUBBORN_WORKER = WORKER.replace("signal.signal(signal.SIGTERM, end)",
                                 "signal.signal(signal.SIGTERM, signal.SIG_IGN)")  # fmt: skip
SECRET = "tok-5c1e-very-secret"


@dataclass
class Machine:
    """A root with two releases, and what really runs below it."""

    root: Path
    port: int

    def __post_init__(self) -> None:
        for ref in ("v1", "v2"):
            folder = self.root / "releases" / ref
            folder.mkdir(parents=True)
            (folder / "server.py").write_text(f"# {ref}\n{SERVER}")
        (self.root / "shared").mkdir()
        self.env()

    def env(self, **extra: str) -> None:
        lines = {"PORT": str(self.port), "API_TOKEN": SECRET, **extra}
        (self.root / "shared/env").write_text("# secrets\n" + "".join(f"{k}={v}\n" for k, v in lines.items()))

    def options(self, **extra: object) -> dict[str, object]:
        return {
            "root": str(self.root),
            "start": [sys.executable, "server.py"],
            "env_file": "shared/env",
            "ready_url": f"http://127.0.0.1:{self.port}/",
            "stop_timeout_s": 5,
            "start_timeout_s": 10,
            **extra,
        }

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and str(self.root) in process.cwd():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def served(self) -> list[str]:
        refs = [Path(p.cwd()).name for p in self.processes()]
        if refs:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                assert answer.read().decode() in refs
        return refs

    def snapshot(self) -> object:
        files = {
            str(p): str(p.readlink()) if p.is_symlink() else p.read_bytes() if p.is_file() else b""
            for p in sorted(self.root.rglob("*"))
        }
        return files, sorted(p.pid for p in self.processes())

    def end_all(self) -> None:
        for process in self.processes():
            process.kill()
        wait_until(lambda: not self.processes())

    def start_by_hand(self, ref: str, pid_file: str = "shared/pids/web.pid", command: str = "") -> int:
        """Start as a user's own deploy script does: no lock, a pid file, nothing of backout."""
        command = command or f"{shlex.quote(sys.executable)} server.py"
        line = f"{command} >/dev/null 2>&1 & echo $! > {self.root / pid_file}"
        (self.root / pid_file).parent.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "PORT": str(self.port)}
        subprocess.run(["sh", "-c", line], cwd=self.root / "releases" / ref, env=env, check=True)
        wait_until(self.answers)
        return int((self.root / pid_file).read_text())

    def start_by_script(self, ref: str, worker: str = WORKER) -> None:
        """Start by hand a release whose script leaves a worker beside the server."""
        release = self.root / "releases" / ref
        (release / "worker.py").write_text(worker)
        run = f"#!/bin/sh\n{shlex.quote(sys.executable)} worker.py &\nexec {shlex.quote(sys.executable)} server.py\n"
        (release / "run.sh").write_text(run)
        self.start_by_hand(ref, command="sh run.sh")
        wait_until(lambda: (self.root / "shared/worker").exists())
        assert len(self.processes()) == 2

    def answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
        except OSError:
            return False
        return True

    def link(self, ref: str | None) -> None:
        (self.root / "current").unlink(missing_ok=True)
        if ref:
            (self.root / "current").symlink_to(f"releases/{ref}")


def site(directory: Path) -> Site:
    return Site("web", "production", directory, dict(os.environ), SystemClock(), Redactor())


def process_platform(machine: Machine, **extra: object) -> ProcessPlatform:
    return ProcessPlatform.create(ProcessOptions.model_validate(machine.options(**extra)), site(machine.root))


def run_step(platform: Platform, spec: StepSpec, name: str = "run/step") -> Probe:
    acting = acting_on({"platform": platform}, step_name=name)
    return drive(platform.step_kinds()[spec.kind], spec, acting)


def start_new(machine: Machine, **extra: object) -> tuple[ProcessPlatform, tuple[StepSpec, ...]]:
    platform = process_platform(machine, **extra)
    stage = Stage(platform, "v1", "v2", machine.served, {}, machine.snapshot)
    carry_out(stage, propose(stage, to="v2"))
    return platform, propose(stage)
