"""One service on one machine, as the steps and the platform both see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from backout.document import Document, Json
from backout.env_file import read_env
from backout.errors import LostRace
from backout.launch import tail
from backout.message import msg
from backout.platforms.process.family import Child, left_over
from backout.platforms.process.files import write_atomically
from backout.platforms.process.options import (
    Layout,
    ProcessOptions,
    declared,
    service_env,
)
from backout.platforms.process.processes import CLOCK_SLACK_S, Found, find, starting
from backout.platforms.process.strangers import Stranger, look
from backout.redact import secrets_of
from backout.trust import authorities

if TYPE_CHECKING:
    from backout.plan.base import Acting
    from backout.plan.model import StepSpec
    from backout.platforms.base import Site

T = TypeVar("T", bound=Document)
READY_TIMEOUT_S = 2.0


class StopNote(Document):
    """That a process was asked to end: on disk, so that patience survives a kill -9 of backout.

    Attributes:
        pids: The processes that were asked; none yet if the note stands before the signal.
        children: What they had started: it has to end too, also when they are gone.
        beside: What else ran from releases while the service was known: so it is not the service.
        at: When it was asked, in seconds since the epoch.
        killed_at: When it was ended by KILL.
    """

    ref: str
    pids: tuple[int, ...]
    at: float
    children: tuple[Child, ...] = ()
    beside: tuple[Child, ...] = ()
    killed_at: float | None = None

    def is_about(self, process: Found) -> bool:
        """Return whether that very process was asked to end."""
        return process.pid in self.pids and process.created <= self.at + 1


class StartNote(Document):
    """That a step started a release, and where its part of the log begins."""

    ref: str
    step: str
    pid: int | None
    at: float
    log_from: int


class Service:
    """Options, paths and site of one service; what the steps of this platform act on."""

    def __init__(self, options: ProcessOptions, site: Site) -> None:
        self.options = options
        self.site = site
        self.layout = Layout.of(options, service=site.service, directory=site.directory)
        self._stop_note = self.layout.state / "stop.json"
        self._start_note = self.layout.state / "start.json"

    def declared(self) -> dict[str, Json]:
        """Return what plans say about this service, without secrets."""
        return cast("dict[str, Json]", self.site.redactor.json(declared(self.layout, self.options)))

    def running(self, ref: str | None = None) -> tuple[Found, ...]:
        """Return the service's processes, of one release or of all; also what a stopped one left over."""
        found, note = find(self.layout), self.stop_note()
        left = left_over(note.children, found, self.layout) if note else ()
        return tuple(f for f in (*found, *left) if ref is None or f.ref == ref)

    def strangers(self) -> tuple[Stranger, ...]:
        """Return what may be the service although nothing known runs.

        With a ready URL only what runs the start command counts: whether anything serves is told by the URL.
        """
        if starting(self.layout) is not None:
            return ()  # the lock tells what runs, in a moment if not now
        note = self.stop_note()
        beside = note.beside if note else ()
        return tuple(
            s
            for s in look(self.layout, self.options.start, ())
            if s.sure or (self.options.ready_url is None and not any(same(s, child) for child in beside))
        )

    def beside(self) -> tuple[Child, ...]:
        """Return what runs from releases beside the known processes, and is not the start command."""
        known = {pid for f in self.running() for pid in (f.pid, *f.others)}
        found = look(self.layout, self.options.start, known)
        return tuple(Child(pid=s.pid, created=s.created, ref=s.ref) for s in found if not s.sure)

    def env(self) -> dict[str, str]:
        """Return the service's environment; its env file's values become known as secrets."""
        extra = read_env(self.layout.env_file) if self.layout.env_file else {}
        self.site.redactor.add(*secrets_of(extra))
        return service_env(self.site.environ, extra)

    def command(self, ref: str) -> list[str]:
        """Return the start command of a release."""
        return [word.replace("{release}", str(self.layout.release(ref))) for word in self.options.start]

    def last_lines(self, since: int = 0) -> str:
        """Return the end of the service's log, without secrets."""
        if self.layout.env_file and self.layout.env_file.exists():
            self.env()  # so that its values are cut out, also by a process that did not start the service
        return self.site.redactor.text(tail(self.layout.log_file, since=since))

    def answers(self) -> bool:
        """Return whether a ready URL is declared and something answers 2xx there, whoever it is."""
        return self.options.ready_url is not None and self.trouble_of_ready_url() is None

    def trouble_of_ready_url(self) -> str | None:
        """Return why the ready URL does not answer 2xx; None if it does (or none is declared)."""
        if self.options.ready_url is None:
            return None
        import httpx2

        try:
            status = httpx2.get(
                self.options.ready_url,
                timeout=READY_TIMEOUT_S,
                trust_env=False,
                verify=authorities(environment=False),
            ).status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return type(error).__name__
        return None if 200 <= status < 300 else f"HTTP {status}"

    def stop_note(self) -> StopNote | None:
        """Return the last request to end, if it can be read."""
        return _read(self._stop_note, StopNote)

    def start_note(self) -> StartNote | None:
        """Return the last start, if it can be read."""
        return _read(self._start_note, StartNote)

    def write(self, note: StopNote | StartNote) -> None:
        """Keep a note durably; raises OSError."""
        path = self._stop_note if isinstance(note, StopNote) else self._start_note
        write_atomically(path, note.model_dump_json())


def same(stranger: Stranger, child: Child) -> bool:
    """Return whether a noted process is that one, and not another with its pid."""
    return stranger.pid == child.pid and abs(stranger.created - child.created) <= CLOCK_SLACK_S


def text_of(spec: StepSpec, name: str) -> str:
    """Return a text parameter of a step; empty if it is null."""
    value = spec.params.get(name)
    return "" if value is None else str(value)


def told(spec: StepSpec) -> dict[str, Any]:
    """Return what the plan says about the service."""
    value = spec.params["service"]
    return value if isinstance(value, dict) else {}


def guard_declared(spec: StepSpec, service: Service) -> None:
    """Refuse a plan that was made under another configuration.

    Raises:
        LostRace: Root, start command or another option changed since the plan was made.
    """
    if service.layout.env_file is not None:
        service.env()
    # Both sides with what is known as secret now: the plan may be older than that knowledge.
    now, then = service.declared(), cast("dict[str, Json]", service.site.redactor.json(told(spec)))
    # Through JSON, because a plan may have been read from a file (10 and 10.0 are one number there).
    changed = sorted(k for k in now.keys() | then.keys() if _plain(now.get(k)) != _plain(then.get(k)))
    if changed:
        raise LostRace(
            msg("The configuration changed since the plan was made: {keys}", keys=", ".join(changed)),
            state=msg("This step did nothing"),
            next_command="backout plan",
        )


def service_of(spec: StepSpec, acting: Acting) -> Service:
    """Return the live service that a step acts on."""
    return acting.target(spec.target, Service)


def _plain(value: object) -> object:
    return json.loads(json.dumps(value))


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
