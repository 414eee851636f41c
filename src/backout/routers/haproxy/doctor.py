"""What a rollback at HAProxy needs, tried without touching anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from backout.errors import BackoutError
from backout.message import msg
from backout.observed import Answer
from backout.platforms.base import Diagnosis
from backout.routers.haproxy.configured import read_by, text_of
from backout.routers.haproxy.kept import obstacle, owner_lost

if TYPE_CHECKING:
    from backout.routers.haproxy.router import HaproxyRouter
    from backout.routers.haproxy.servers import Server

_SUBJECT = "router haproxy"


def diagnose(router: HaproxyRouter) -> Iterator[Diagnosis]:
    """Yield whether the runtime API answers, may change something, and whether that would be kept."""
    try:
        traffic = router.traffic(2.0)
        level = router.runtime.ask("show cli level", 2.0)
        servers = router.servers(2.0)
        out = router.taken_out(servers)
        pid, earlier = router.process(2.0), router.earlier(2.0)
    except BackoutError as error:
        yield Diagnosis(subject=_SUBJECT, ok=False, evidence=error.what, remedy=error.next_command)
        return
    shares = ", ".join(f"{one.name} {one.share} % ({one.inside} inside)" for one in traffic.sides)
    yield Diagnosis(
        subject=_SUBJECT,
        ok=True,
        evidence=msg("The runtime API answers; requests go to {shares}.", shares=shares),
    )
    admin = level.strip() == "admin"
    yield Diagnosis(
        subject=f"{_SUBJECT}: rights",
        ok=admin,
        evidence=msg("The runtime API has level {level}.", level=level.strip() or "unknown"),
        remedy=None if admin else f"stats socket {router.address} level admin   # in haproxy.cfg, global",
    )
    yield _kept(router, traffic.kept)
    if router.state_file is not None:
        yield _loaded(router.state_file, router.options.backend, pid)
    yield from _earlier(earlier)
    for server in servers.values():
        yield from _by_others(router, server, out=server.name in out)


def _by_others(router: HaproxyRouter, server: Server, *, out: bool) -> Iterator[Diagnosis]:
    """Tell what somebody else has done to a server, or may do."""
    subject, name = f"{_SUBJECT}: server {server.name}", f"{router.options.backend}/{server.name}"
    if server.follows:
        yield Diagnosis(
            subject=subject,
            ok=None,
            evidence=msg(
                "It is shut because what it follows is: {tracks}; no share of its side lets it in.",
                tracks=server.tracks or "a name without an address",
            ),
            remedy=router.look,
        )
    elif out:
        yield Diagnosis(
            subject=subject,
            ok=None,
            evidence=msg(
                "It gets no requests, and not by backout: it stays so whatever share its side gets."
            ),
            remedy=router.typed(f"set server {name} state ready")
            + "   # and its weight; if it may take requests again",
        )
    if server.agent:
        yield Diagnosis(
            subject=subject,
            ok=None,
            evidence=msg(
                "Its agent may change its weight and shut it at any time: shares of several sides are refused."
            ),
            remedy=router.typed(f"disable agent {name}"),
        )
    if server.tracks and not server.follows:
        yield Diagnosis(
            subject=subject,
            ok=True,
            evidence=msg("It follows {tracks}: who shuts that one shuts it, too.", tracks=server.tracks),
        )


def _loaded(path: Path, backend: str, pid: int | None) -> Diagnosis:
    """Say whether HAProxy would read the file: only its configuration tells."""
    subject = f"{_SUBJECT}: read at a reload"
    found = None
    try:
        why = "its process is not to be seen from here"
        if pid is not None:
            found = _read_by(pid, backend)
    except (OSError, ValueError) as error:
        pid, why = None, getattr(error, "strerror", None) or str(error)
    if pid is None:
        return Diagnosis(
            subject=subject,
            ok=None,
            evidence=msg(
                "Whether HAProxy reads {path} cannot be told from its configuration: {why}.",
                path=str(path),
                why=why,
            ),
            remedy="grep -n server-state /etc/haproxy/haproxy.cfg   # server-state-file in global, "
            f"load-server-state-from-file global in backend {backend}",
        )
    if found is None:
        return Diagnosis(
            subject=subject,
            ok=False,
            evidence=msg(
                "HAProxy's configuration has backend {backend} read from no state file: a reload undoes a change.",
                backend=backend,
            ),
            remedy=f"server-state-file {path}   # in haproxy.cfg, global; and load-server-state-from-file global in backend {backend}",
        )
    return Diagnosis(
        subject=subject,
        ok=found.resolve() == path.resolve(),
        evidence=msg(
            "HAProxy's configuration has backend {backend} read from {path}.",
            backend=backend,
            path=str(found),
        ),
        remedy=None
        if found.resolve() == path.resolve()
        else f"router.state_file: {found}   # in backout.yaml",
    )


def _read_by(pid: int, backend: str) -> Path | None:
    text, folder = text_of(pid)
    return read_by(text, backend, folder)


def _earlier(pids: tuple[int, ...] | None) -> Iterator[Diagnosis]:
    subject = f"{_SUBJECT}: before a reload"
    if pids is None:
        yield Diagnosis(
            subject=subject,
            ok=None,
            evidence=msg(
                "Whether processes from before a reload still have requests cannot be seen from here."
            ),
            remedy="pgrep -a haproxy   # where HAProxy runs",
        )
    elif pids:
        numbers = " ".join(map(str, pids))
        yield Diagnosis(
            subject=subject,
            ok=None,
            evidence=msg(
                "Processes from before a reload still have requests or connections: {pids}.", pids=numbers
            ),
            remedy=f"kill -TERM {numbers}   # ends all that they have, of every backend; or hard-stop-after in haproxy.cfg",
        )


def _kept(router: HaproxyRouter, kept: Answer) -> Diagnosis:
    path = router.state_file
    subject = f"{_SUBJECT}: kept over a reload"
    if path is None:
        return Diagnosis(
            subject=subject,
            ok=False,
            evidence=msg("No state file is declared: a reload may bring the weights of haproxy.cfg back."),
            remedy="router.state_file in backout.yaml; in haproxy.cfg: server-state-file PATH, and "
            "load-server-state-from-file global in the backend",
        )
    why = obstacle(path)
    if why is not None:
        return Diagnosis(
            subject=subject,
            ok=False,
            evidence=msg(
                "{path} cannot be written: {why}. Nothing is changed at HAProxy.", path=str(path), why=why
            ),
            remedy=f"ls -ld {shlex.quote(str(path.parent))} {shlex.quote(str(path))}",
        )
    if owner_lost(path):
        return Diagnosis(
            subject=subject,
            ok=None,
            evidence=msg(
                "{path} belongs to somebody else; the next change makes it this user's.", path=str(path)
            ),
            remedy=f"ls -l {shlex.quote(str(path))}   # whoever else writes it, as before a reload, has to be able to afterwards",
        )
    if kept is Answer.YES:
        return Diagnosis(
            subject=subject, ok=True, evidence=msg("{path} says what is in force.", path=str(path))
        )
    return Diagnosis(
        subject=subject,
        ok=None,
        evidence=msg("{path} does not say what is in force now; the next change writes it.", path=str(path)),
        remedy=f"ls -l {shlex.quote(str(path))}",
    )
