"""Runs a user's command on our own terminal, as if it had been typed without backout."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from backout.errors import UsageError
from backout.message import msg

Run = Callable[[Sequence[str], Mapping[str, str]], int]
"""How a command is run with an environment; returns its exit status."""


def run(
    argv: Sequence[str], environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> int:
    """Run a command, and return its exit status; of one that a signal ended 128 and its number, as a shell says it.

    Args:
        argv: Program and arguments.
        environment: Its whole environment; None: the process's own.
        directory: Where it runs; None: here.

    Raises:
        OSError: It cannot be started.
    """
    env = None if environment is None else dict(environment)
    with subprocess.Popen(list(argv), env=env, cwd=directory) as child, _signals_to(child):
        status = child.wait()
    return status if status >= 0 else 128 - status


def heard(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command that nobody watches, and return its exit status, as `run` does, and what it printed.

    Args:
        argv: Program and arguments.
        environment: Its whole environment.

    Raises:
        OSError: It cannot be started.
    """
    with (
        subprocess.Popen(
            list(argv),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as child,
        _signals_to(child),
    ):
        printed, _ = child.communicate()
    status = child.returncode
    return status if status >= 0 else 128 - status, printed.decode(errors="replace")


def not_started(argv: Sequence[str], error: OSError) -> UsageError:
    """Return our error for a command that cannot be started."""
    return UsageError(
        msg(
            "The command {command} cannot be started: {error}",
            command=argv[0],
            error=error.strerror or "",
        ),
        state=msg("Nothing was changed in the database."),
        next_command=f"command -v {argv[0]}",
    )


@contextmanager
def _signals_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave Ctrl-C to the child, which the terminal tells as well; hand on a request to end."""

    def hand_on(number: int, _frame: object) -> None:
        child.send_signal(number)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda _number, _frame: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, hand_on),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
