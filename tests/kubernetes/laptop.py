"""Another machine: a host name and processes of its own, and a folder with nothing but the configuration."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass

import psutil
from tests.command_line import Cli
from tests.waiting import until


@dataclass
class Laptop(Cli):
    """`backout` in UTS and pid namespaces of its own: it sees none of the processes that run outside.

    Attributes:
        host: What it is called.
    """

    host: str = "laptop"

    def argv(self, *words: object) -> list[str]:
        own = ["unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        # The shell stays: the first process of a namespace cannot stop or kill itself.
        return [*own, "sh", "-c", 'hostname "$0" && "$@"; exit $?', self.host, *super().argv(*words)]

    def frozen(self, *words: str, at: str) -> subprocess.Popen[str]:
        """Start a command that freezes itself at a fault point, and return it once it has."""
        env = {"BACKOUT_FAULT": at, "BACKOUT_FAULT_SIGNAL": "STOP"}
        process = self.start(*words, env=env)
        until(lambda: process.poll() is not None or _stopped(process))
        assert process.poll() is None, Cli.finish(process).everything
        return process

    @staticmethod
    def wake(process: subprocess.Popen[str]) -> None:
        """Let a frozen command go on."""
        for child in psutil.Process(process.pid).children(recursive=True):
            child.send_signal(signal.SIGCONT)


def _stopped(process: subprocess.Popen[str]) -> bool:
    children = psutil.Process(process.pid).children(recursive=True)
    return any(child.status() == psutil.STATUS_STOPPED for child in children)
