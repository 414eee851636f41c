"""What a rollback at nginx needs, tried without touching anything."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from backout.errors import BackoutError
from backout.message import msg
from backout.observed import Answer
from backout.platforms.base import Diagnosis
from backout.routers.nginx import by_hand, included, status
from backout.routers.nginx.included import Division

if TYPE_CHECKING:
    from backout.routers.nginx.router import NginxRouter

_SUBJECT = "router nginx"


def diagnose(router: NginxRouter) -> Iterator[Diagnosis]:
    """Yield whether nginx tells what it runs, whether its configuration has the file in it, and whether that can be changed."""
    kept = Answer.UNKNOWN
    try:
        traffic = router.traffic(2.0)
        kept = traffic.kept
        shares = ", ".join(f"{one.name} {one.share} % ({one.inside} inside)" for one in traffic.sides)
        evidence = msg("nginx says what it runs; requests go to {shares}.", shares=shares)
        yield Diagnosis(subject=_SUBJECT, ok=True, evidence=evidence)
    except BackoutError as error:
        remedy = error.next_command
        if remedy == router.ask_doctor:
            loads = f"{router.program.typed('-t')} && {router.program.typed('-s', 'reload')}"
            remedy = f"{loads}   # once the lines below are ok"
        yield Diagnosis(subject=_SUBJECT, ok=False, evidence=error.what, remedy=remedy)
    yield _file(router, kept)
    yield _configuration(router)


def _configuration(router: NginxRouter) -> Diagnosis:
    subject = f"{_SUBJECT}: configuration"
    tested = router.program.tested()
    if tested.words:
        evidence = msg("nginx refuses its configuration: {words}", words=tested.words)
        return Diagnosis(subject=subject, ok=False, evidence=evidence, remedy=router.program.typed("-t"))
    try:
        content = router.path.read_text(errors="replace")
    except OSError:
        content = ""
    if (lacks := router.lacks(tested, content)) is not None:
        return Diagnosis(subject=subject, ok=False, evidence=lacks[0], remedy=lacks[1])
    servers = (one for own in router.options.sides.values() for one in own)
    past = next((one for one in servers if tested.names(one, content)), None)
    if past is not None:
        evidence = msg(
            "It names {server} outside of {path}, too: what is sent there is neither divided nor held.",
            server=past,
            path=str(router.path),
        )
        remedy = f"{router.program.typed('-T')} | grep -n {past}"
        return Diagnosis(subject=subject, ok=None, evidence=evidence, remedy=remedy)
    evidence = msg(
        "It includes {path}, and sends requests by ${variable}.",
        path=str(router.path),
        variable=router.options.variable,
    )
    return Diagnosis(subject=subject, ok=True, evidence=evidence)


def _file(router: NginxRouter, kept: Answer) -> Diagnosis:
    subject, path = f"{_SUBJECT}: kept over a reload", str(router.path)
    try:
        written = router.written()
        lacks = msg("{path} is not there.", path=path)
    except BackoutError as error:
        written, lacks = None, error.what
    if written is None:
        division = _now(router)
        evidence = msg(
            "{why} This command writes it so that requests go to {sides}.",
            why=str(lacks),
            sides=", ".join(f"{name} {share} %" for name, share in division.shares.items() if share),
        )
        remedy = by_hand.writing(division, router.options, path)
        return Diagnosis(subject=subject, ok=False, evidence=evidence, remedy=remedy)
    folder = router.path.resolve().parent
    if not os.access(folder, os.W_OK):
        evidence = msg("{path} cannot be written.", path=path)
        remedy = f"ls -ld {shlex.quote(str(folder))}"
        return Diagnosis(subject=subject, ok=False, evidence=evidence, remedy=remedy)
    if kept is Answer.YES:
        return Diagnosis(subject=subject, ok=True, evidence=msg("{path} says what nginx runs.", path=path))
    if kept is Answer.NO and (pid := _left_behind(router)) is not None:
        evidence = msg(
            "Worker {pid} of nginx did not end when {path} was loaded: it may take requests, and send them elsewhere.",
            pid=pid,
            path=path,
        )
        remedy = (
            f"{router.program.typed('-s', 'reload')}   # then, if it is still there: sudo kill -KILL {pid}"
        )
        return Diagnosis(subject=subject, ok=False, evidence=evidence, remedy=remedy)
    if kept is Answer.NO:
        evidence = msg("{path} does not say what nginx runs now; the next change writes it.", path=path)
    else:
        evidence = msg("{path} is whole; whether nginx runs it is not known.", path=path)
    return Diagnosis(
        subject=subject, ok=None, evidence=evidence, remedy=f"{router.asking}; head -n 1 {shlex.quote(path)}"
    )


def _left_behind(router: NginxRouter) -> int | None:
    with suppress(BackoutError):
        return next((one.pid for one in router.look(2.0).left_behind), None)
    return None


def _now(router: NginxRouter) -> Division:
    """Return what nginx says that it runs, else what the file says, also for other options; else all to the first side."""
    options = router.options
    with suppress(OSError):
        answer = status.asked(options.status, included.path_of(options), 2.0)
        if found := included.claimed(answer, options):
            return found
    with suppress(OSError):
        first_line = router.path.read_text(errors="replace").partition("\n")[0]
        if found := included.claimed(first_line, options):
            return found
    first = router.sides[0]
    return Division({name: 100 if name == first else 0 for name in router.sides})
