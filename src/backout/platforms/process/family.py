"""The children of a process that is asked to end: noted before, found again when it is gone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from backout.document import Document
from backout.errors import TargetUnreachable
from backout.message import msg
from backout.platforms.process.options import Layout
from backout.platforms.process.processes import CLOCK_SLACK_S, Found, created_of

if TYPE_CHECKING:
    import psutil


class Child(Document):
    """A process that a release's main process started.

    Attributes:
        created: When it started, in seconds since the epoch: a pid alone proves nothing.
        ref: The release that it works in.
    """

    pid: int
    created: float
    ref: str


def children_of(processes: Iterable[Found], layout: Layout) -> tuple[Child, ...]:
    """Return all that these processes started and that works in the folder of their release.

    Left out are members of a launcher's session: the lock tells of them. A child whose folder may not be
    read counts, as it cannot be told.
    """
    found: dict[int, Child] = {}
    for process in processes:
        for each in _below(process):
            created = created_of(each)
            if (
                created is not None
                and each.pid not in process.others
                and _works_in(each, process.ref, layout)
            ):
                found[each.pid] = Child(pid=each.pid, created=created, ref=process.ref)
    return tuple(found.values())


def left_over(children: Iterable[Child], found: Iterable[Found], layout: Layout) -> tuple[Found, ...]:
    """Return the noted children that live although the process that started them is gone.

    Args:
        children: What was noted when their main process was asked to end.
        found: The processes known by lock and pid file; their own children are not left over.
        layout: Paths of the service.

    Raises:
        TargetUnreachable: A process with a noted pid is there and it cannot be told whether it is the one.
    """
    alive = [f for f in (_alive(child, layout) for child in children) if f is not None]
    if not alive:
        return ()
    known = {pid for f in found for pid in (f.pid, *f.others, *(each.pid for each in _below(f)))}
    return tuple(f for f in alive if f.pid not in known)


def _below(process: Found) -> Iterator[psutil.Process]:
    import psutil

    try:
        yield from psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return


def _works_in(process: psutil.Process, ref: str, layout: Layout) -> bool:
    import psutil

    try:
        return layout.ref_of(Path(process.cwd())) == ref
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _alive(child: Child, layout: Layout) -> Found | None:
    import psutil

    try:
        process = psutil.Process(child.pid)
    except psutil.NoSuchProcess:
        return None
    created = created_of(process)
    if created is None:
        return None
    if abs(created - child.created) <= CLOCK_SLACK_S:
        return Found(child.pid, created, child.ref, "stop note")
    try:
        reused = layout.ref_of(Path(process.cwd())) != child.ref
    except psutil.Error:
        return None
    if reused:
        return None
    raise TargetUnreachable(
        msg(
            "Process {pid} works in release {ref}; it cannot be told whether the stopped service left it",
            pid=child.pid,
            ref=child.ref,
        ),
        state=msg("Process {pid} runs on", pid=child.pid),
        next_command=f"ps -o pid,lstart,args -p {child.pid}; "
        f"ls -l {shlex.quote(str(layout.state / 'stop.json'))}  # if it is the service's: kill {child.pid}",
    )
