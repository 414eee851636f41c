"""Changes what nginx runs: file, test, reload, proof. What is not taken over is taken back out of the file."""

from __future__ import annotations

import fcntl
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from backout.errors import LostRace, StepFailed, TargetUnreachable
from backout.faults import fault_point
from backout.message import Message, msg
from backout.routers import durable
from backout.routers.nginx import included, processes
from backout.routers.nginx.included import Division
from backout.routers.nginx.processes import Unreadable

if TYPE_CHECKING:
    from backout.routers.nginx.router import NginxRouter

_POLL_S = 0.01


def become(router: NginxRouter, change: Callable[[Division], Division]) -> None:
    """Have nginx run what `change` makes of what it runs now; returns when no worker takes connections for anything else.

    Killed before the reload, the file says what is wanted and nginx runs what it ran; the next call goes on from there, whatever it
    wants. Idempotent.

    Raises:
        TargetUnreachable: What nginx runs is not known, or the file was edited.
        LostRace: Somebody edited the file meanwhile.
        StepFailed: The file cannot be written, nginx refuses it, or it does not run it; the state is told.
    """
    with _locked(router.path.parent, router.options.timeout_s, router.asking):
        look = router.look(router.options.timeout_s)
        runs = look.runs
        before = router.written()
        wanted = change(runs)
        if wanted == runs == before and not look.left_behind:
            return
        fault_point("nginx.change.before")
        if wanted != before:
            _write(router, before, wanted)
        fault_point("nginx.change.written")
        _test(router, runs, wanted)
        fault_point("nginx.change.tested")
        _load(router, runs, wanted)


def _test(router: NginxRouter, runs: Division, wanted: Division) -> None:
    """Have nginx test its configuration, and see whether the file matters in it."""
    text, tested = included.text(wanted, router.options), router.program.tested()
    if tested.words:
        why, next_command = (
            msg("nginx refuses its configuration: {words}", words=tested.words),
            router.program.typed("-t"),
        )
    elif (lacks := router.lacks(tested, text)) is not None:
        why, next_command = lacks
    else:
        return
    raise StepFailed(why, state=_put_back(router, runs, wanted), next_command=next_command)


def _load(router: NginxRouter, runs: Division, wanted: Division) -> None:
    """Reload, and wait until only workers take connections that were started by it, and run what is wanted."""
    try:
        master = processes.master(router.pid_file)
        old = [one for one in processes.workers(master) if not one.ends]
        words = router.program.reload()
        fault_point("nginx.change.reloaded")
        until = time.monotonic() + router.options.timeout_s
        while time.monotonic() < until:
            if not any(map(processes.takes, old)):
                processes.workers(master)  # It lives.
                with suppress(TargetUnreachable):
                    if router.running(max(0.05, until - time.monotonic())) == wanted:
                        return
            time.sleep(_POLL_S)
    except Unreadable as error:
        raise TargetUnreachable(
            msg("nginx ended while it was told to reload: {why}.", why=str(error)),
            state=_put_back(router, runs, wanted),
            next_command=router.program.typed("-t"),
        ) from error
    raise StepFailed(
        msg(
            "nginx was told to reload, and not all that takes connections runs the new file after {s} s: {words}",
            s=router.options.timeout_s,
            words=words or "its error log says why",
        ),
        state=msg(
            "{state} A reload that comes late may load what was wanted all the same; `backout doctor` tells.",
            state=str(_put_back(router, runs, wanted)),
        ),
        next_command=router.program.typed("-T") + " | grep error_log",
    )


def _write(router: NginxRouter, before: Division | None, wanted: Division) -> None:
    """Write the file, if it is as it was a moment ago."""
    try:
        if router.written() != before:
            raise LostRace(
                msg("Somebody else changed {path} at the same time.", path=str(router.path)),
                state=msg("It was not written over; nginx was not reloaded."),
                next_command=router.asking,
            )
        durable.clear(router.path)
        durable.replace(router.path, included.text(wanted, router.options))
    except OSError as error:
        raise StepFailed(
            msg(
                "{path} could not be written: {why}.", path=str(router.path), why=error.strerror or str(error)
            ),
            state=msg("Nothing was changed; nginx goes on as it did."),
            next_command=f"ls -ld {shlex.quote(str(router.path.parent))} {shlex.quote(str(router.path))}",
        ) from error


def _put_back(router: NginxRouter, runs: Division, wanted: Division) -> Message:
    """Have the file say what runs, unless it is somebody else's by now; returns how things are then."""
    path, now = str(router.path), None
    with suppress(TargetUnreachable):
        now = router.running(1.0)
    if now == wanted != runs:
        return msg("A worker of nginx runs what was wanted, and {path} says so.", path=path)
    try:
        if router.written() == wanted:
            if wanted != runs:  # Else it stays as old as it is: workers that are older did not end.
                durable.replace(router.path, included.text(runs, router.options))
            if now == runs:
                return msg("nginx goes on as it did, and {path} says so again.", path=path)
            return msg("{path} says again what nginx ran before; what it runs now is not known.", path=path)
    except (OSError, TargetUnreachable):
        pass
    if now == runs:
        return msg(
            "nginx goes on as it did. {path} was not set back: it says what was wanted, or what somebody else wrote.",
            path=path,
        )
    return msg(
        "What nginx runs now is not known. {path} was not set back: it says what was wanted, or what somebody else wrote.",
        path=path,
    )


@contextmanager
def _locked(folder: Path, timeout_s: float, next_command: str) -> Iterator[None]:
    """Keep other processes of backout from the files of a folder; the kernel lets go when this one ends, however it does."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StepFailed(
            msg("{path} cannot be opened: {why}.", path=str(folder), why=error.strerror or str(error)),
            state=msg("Nothing was changed."),
            next_command=f"ls -ld {shlex.quote(str(folder))}",
        ) from error
    try:
        until = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise LostRace(
                        msg("Another backout changes what nginx does, for more than {s} s.", s=timeout_s),
                        state=msg("Nothing was changed by this one."),
                        next_command=next_command,
                    ) from None
                time.sleep(_POLL_S)
            except OSError as error:
                raise StepFailed(
                    msg(
                        "{path} cannot be locked: {why}.", path=str(folder), why=error.strerror or str(error)
                    ),
                    state=msg("Nothing was changed."),
                    next_command=f"df -T {shlex.quote(str(folder))}   # file systems of a network may have no locks",
                ) from error
        yield
    finally:
        os.close(fd)
