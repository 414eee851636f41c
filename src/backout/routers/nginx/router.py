"""The router: reads what nginx runs and what its file says, divides requests between sides, holds by maintenance."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from backout.errors import BackoutError, NotPossible, StepFailed, TargetUnreachable
from backout.faults import fault_point
from backout.message import Message, msg
from backout.observed import Answer, HoldFact, SideTraffic, Traffic
from backout.platforms.base import Detection, Diagnosis, Site
from backout.routers.nginx import by_hand as hands
from backout.routers.nginx import included, processes, status
from backout.routers.nginx.change import become
from backout.routers.nginx.doctor import diagnose
from backout.routers.nginx.included import Division
from backout.routers.nginx.options import NginxOptions
from backout.routers.nginx.processes import Unreadable, Worker
from backout.routers.nginx.program import Configuration, Program

if TYPE_CHECKING:
    from backout.document import Json

_MAINTENANCE = "maintenance"
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Look:
    """nginx at one moment.

    Attributes:
        runs: What new requests meet, by the word of a worker.
        counts: What is inside each worker.
        left_behind: Workers that take connections and are older than the file that runs: a reload did not reach them.
    """

    runs: Division
    counts: Mapping[Worker, processes.Inside]
    left_behind: tuple[Worker, ...]

    def inside(self, servers: Iterable[str]) -> int:
        """Return how many connections there are to some servers."""
        own = tuple(servers)
        return sum(count.servers[one] for count in self.counts.values() for one in own)

    @property
    def undecided(self) -> int:
        """Requests in old workers that may still go to any side."""
        return sum(count.undecided for worker, count in self.counts.items() if self.is_old(worker))

    def is_old(self, worker: Worker) -> bool:
        """Tell whether a worker knows something else than what runs."""
        return worker.ends or worker in self.left_behind


def _is_whole(shares: Mapping[str, int]) -> bool:
    # 5.0 would be written so, and not be read again.
    return all(type(one) is int and one >= 0 for one in shares.values()) and sum(shares.values()) == 100


class NginxRouter:
    """One service behind an nginx; see `backout.routers.base.Router` and `ShiftsTraffic`.

    A side without a share has no server in nginx's configuration; while it holds, none is asked. Old workers, which a reload
    leaves behind, know more: what is with them is inside.
    """

    kind: ClassVar[str] = "nginx"
    ask_doctor: ClassVar[str] = "backout doctor   # says what to set right"
    Options: ClassVar[type[BaseModel]] = NginxOptions

    def __init__(self, options: NginxOptions, site: Site) -> None:
        self.options = options
        self.path = site.directory / options.file
        self.pid_file = site.directory / options.pid_file
        self.program = Program(options.command, options.timeout_s)

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> NginxRouter:
        """Bind the router; touches nothing."""
        return cls(NginxOptions.model_validate(options.model_dump()), site)

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Return None: which servers are which side cannot be seen."""
        return None

    @property
    def name(self) -> str:
        """`router`."""
        return "router"

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of the sides."""
        return tuple(self.options.sides)

    def running(self, deadline_s: float) -> Division:
        """Return what nginx runs, asked over HTTP.

        Raises:
            TargetUnreachable: It does not answer within the deadline (seconds from now), or runs another text than backout's.
        """
        where = self.options.status
        try:
            answer = status.asked(where, included.path_of(self.options), deadline_s)
        except OSError as error:
            why = error.strerror or str(error) or type(error).__name__
            raise self._unreachable(
                msg("nginx does not tell at {address} what it runs: {why}.", address=where, why=why)
            ) from error
        found = included.running(answer, self.options)
        if found is None:
            raise self._unreachable(
                msg(
                    "nginx runs another text than backout writes to {path} for this backout.yaml: {answer}",
                    path=str(self.path),
                    answer=" ".join(answer.split())[:200],
                )
            )
        return found

    def written(self) -> Division | None:
        """Return what the file says; None: there is none.

        Raises:
            TargetUnreachable: It cannot be read, or is not, to the letter, what backout writes: an edited file may run already.
        """
        try:
            content = self.path.read_text(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreachable(
                msg("{path} cannot be read: {why}.", path=str(self.path), why=error.strerror or str(error))
            ) from error
        found = included.written(content, self.options)
        if found is None:
            raise self._unreachable(
                msg(
                    "{path} is not what backout writes for this backout.yaml: somebody edited one of them.",
                    path=str(self.path),
                )
            )
        return found

    def look(self, deadline_s: float) -> Look:
        """Return what runs, and what is inside; raises TargetUnreachable where one of them is not known."""
        until = time.monotonic() + deadline_s
        try:
            master, workers = self.settled(until)
            runs = self.running(max(0.05, until - time.monotonic()))
            servers = [one for own in self.options.sides.values() for one in own]
            counts = processes.insides(master, workers, servers, self.options.status)
            return Look(runs, counts, self._left_behind(runs, workers))
        except Unreadable as error:
            raise self._hidden(error) from error

    def settled(self, until: float) -> tuple[int, list[Worker]]:
        """Return master and workers, also what an earlier master left, at a moment when no reload is half done.

        Raises:
            Unreadable: There are none, a reload does not end, or a worker takes connections that no reload reaches.
        """
        while True:
            master = processes.master(self.pid_file)
            workers = processes.workers(master)
            if all(one.ends for one in workers):
                raise Unreadable(f"no worker of nginx's master {master} takes connections")
            if not processes.is_being_reloaded(workers):
                return master, workers + processes.strays(master)
            if time.monotonic() >= until:
                raise Unreadable("nginx is being reloaded")
            time.sleep(_POLL_S)

    def traffic(self, deadline_s: float) -> Traffic:
        """Return where requests go now, and whether the file says the same. nginx checks no server: health is not known.

        While a worker is left behind by the file's reload, that is not kept: the next shift loads it again, and has it proved.
        """
        look = self.look(deadline_s)
        written = self.written()
        sides = tuple(
            SideTraffic(
                name=name,
                share=look.runs.shares[name],
                admits=look.runs.admits(name),
                healthy=Answer.UNKNOWN,
                inside=look.inside(own) + (0 if look.runs.admits(name) else look.undecided),
            )
            for name, own in self.options.sides.items()
        )
        return Traffic(
            sides=sides, kept=Answer.YES if written == look.runs and not look.left_behind else Answer.NO
        )

    def shift(self, shares: Mapping[str, int]) -> None:
        """Divide requests so: the file, a test, a reload, and the proof that it runs. Idempotent."""
        wanted = self._division(shares).shares
        become(self, lambda runs: replace(runs, shares=wanted))

    def begun(self, shares: Mapping[str, int]) -> bool:
        """Tell whether nginx runs these shares, or its file says them and they were not loaded."""
        wanted, written = self._division(shares).shares, self.written()
        return self.running(self.options.timeout_s).shares == wanted or (
            written is not None and written.shares == wanted
        )

    def cut(self, side: str) -> int:
        """End the old workers in which something is still inside a side; raises StepFailed if requests are still sent to it.

        What else is in such a worker, for another side or another service, ends with it.
        """
        look = self.look(self.options.timeout_s)
        if look.runs.admits(side):
            raise StepFailed(
                msg("{side} still gets requests: what is inside is not ended.", side=side),
                state=msg("Nothing was ended."),
                next_command=self.asking,
            )
        own = {
            worker: sum(count.servers[one] for one in self.options.sides[side]) + count.undecided
            for worker, count in look.counts.items()
            if look.is_old(worker)
        }
        ending = [worker for worker, inside in own.items() if inside]
        for worker in ending:
            self._end(worker)
        until = time.monotonic() + self.options.timeout_s
        while left := [worker for worker in ending if processes.is_alive(worker)]:
            if time.monotonic() >= until:
                raise self._not_ended(left[0], msg("It was told to end, and did not."))
            time.sleep(_POLL_S)
        return sum(own[worker] for worker in ending)

    def shift_by_hand(self, shares: Mapping[str, int]) -> tuple[str, ...]:
        """Return the commands that write the file, load it, and wait until it runs."""
        return hands.shifting(self._division(shares), self.options, str(self.path))

    def observe(self, deadline_s: float) -> HoldFact:
        """Return whether it holds now; while requests are still inside it is looked again until the deadline.

        Not known, on the way there, where the file says otherwise than what runs: any reload would load it.
        """
        until = time.monotonic() + deadline_s
        fact = HoldFact(
            name=self.name,
            modes=(_MAINTENANCE,),
            held=Answer.UNKNOWN,
            within_s=self.options.drain_timeout_s + self.options.timeout_s,
        )
        while True:
            try:
                look = self.look(max(0.05, until - time.monotonic()))
            except BackoutError:
                return fact
            prior: dict[str, Json] = {"held": look.runs.held}
            if not look.runs.held and not self._file_holds():
                return fact.model_copy(update={"held": Answer.NO, "prior": prior})
            if not (look.runs.held and self._file_holds()):
                return fact.model_copy(update={"mode": _MAINTENANCE, "prior": prior})
            drained = not self._left(look) and not look.left_behind
            if drained or time.monotonic() >= until:
                held = Answer.YES if drained else Answer.UNKNOWN
                return fact.model_copy(update={"held": held, "mode": _MAINTENANCE, "prior": prior})
            time.sleep(_POLL_S)

    def hold(self, mode: str) -> None:
        """Have nginx answer 503 by itself; returns when no request is inside any more. Idempotent.

        Raises:
            NotPossible: The mode is not `maintenance`.
            TargetUnreachable: What nginx runs, or what is inside, is not known.
            StepFailed: It was not loaded, or requests are still inside after `drain_timeout_s`: then it holds.
        """
        if mode != _MAINTENANCE:
            raise self._not_possible(msg("The router nginx cannot hold by {mode}.", mode=mode))
        fault_point("router.hold.before")
        become(self, lambda runs: replace(runs, held=True))
        fault_point("router.hold.after")
        self._drained()

    def release(self, prior: dict[str, Json]) -> None:
        """Let requests through to the sides that have a share, unless it held before. Idempotent."""
        fault_point("router.release.before")
        if not (prior and prior.get("held") is True):
            become(self, lambda runs: replace(runs, held=False))
        fault_point("router.release.after")

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return the commands that hold, or (None) let through to the sides that have a share."""
        held = mode is not None
        if not held and prior.get("held") is True:
            return (self.asking,)
        words = included.HOLDS if held else included.LETS
        commands = (hands.holding(str(self.path), held=held), *hands.loading(self.options, words))
        return (*commands, hands.emptying(self.options, str(self.pid_file))) if held else commands

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        return diagnose(self)

    def lacks(self, tested: Configuration, text: str) -> tuple[Message, str] | None:
        """Return why a file of this text does not matter to nginx, and the line that its configuration lacks; None: it does."""
        if not text or not tested.includes(text):
            what = msg("nginx's configuration does not include {path}.", path=str(self.path))
            return what, f"include {self.path};   # in http {{ }} of nginx.conf, before the servers"
        variable = self.options.variable
        if not tested.sends_by(variable, text):
            what = msg("nginx's configuration sends no request by ${variable}.", variable=variable)
            return what, f"proxy_pass http://${variable};   # where the service is, without a path behind it"
        if tested.gives(variable, text):
            what = msg(
                "nginx's configuration gives ${variable} a value outside of {path}, too: requests there are neither divided nor held.",
                variable=variable,
                path=str(self.path),
            )
            return what, f"{self.program.typed('-T')} | grep -niE '[$<]{variable}(_side|_key)?[ >]'"
        return None

    @property
    def asking(self) -> str:
        """What a person types to see what nginx runs."""
        return f"curl -isS http://{self.options.status}{included.path_of(self.options)}"

    def _division(self, shares: Mapping[str, int]) -> Division:
        if set(shares) != set(self.options.sides) or not _is_whole(shares):
            told = " ".join(f"{name}={share}" for name, share in shares.items())
            raise self._not_possible(
                msg(
                    "nginx cannot divide requests so: {shares} is not 100 in whole per cent for all its sides.",
                    shares=told,
                )
            )
        return Division({name: shares[name] for name in self.options.sides})

    def _file_holds(self) -> bool:
        """Tell whether the file is known to hold when it is loaded."""
        try:
            written = self.written()
        except TargetUnreachable:
            return False
        return written is not None and written.held

    def _left_behind(self, runs: Division, workers: Iterable[Worker]) -> tuple[Worker, ...]:
        try:
            if self.written() == runs:
                return tuple(processes.left_behind(workers, self.path.stat().st_mtime))
        except (OSError, TargetUnreachable):
            pass  # When what runs was written is not known.
        return ()

    def _left(self, look: Look) -> int:
        return look.inside(one for own in self.options.sides.values() for one in own) + look.undecided

    def _drained(self) -> None:
        until = time.monotonic() + self.options.drain_timeout_s
        while left := self._left(self.look(self.options.timeout_s)):
            if time.monotonic() >= until:
                raise StepFailed(
                    msg(
                        "{n} requests are still inside the service after {s} s.",
                        n=left,
                        s=self.options.drain_timeout_s,
                    ),
                    state=msg("nginx answers new requests 503."),
                    next_command=f'ps --ppid "$(cat {shlex.quote(str(self.pid_file))})" -o pid,lstart,args',
                )
            time.sleep(_POLL_S)

    def _end(self, worker: Worker) -> None:
        try:
            if processes.is_alive(worker):
                os.kill(worker.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise self._not_ended(worker, msg("This user may not do so.")) from error

    def _not_ended(self, worker: Worker, why: Message) -> StepFailed:
        return StepFailed(
            msg("Old worker {pid} of nginx was not ended. {why}", pid=worker.pid, why=str(why)),
            state=msg("It takes no new connections, and goes on with those that it has."),
            next_command=f"sudo kill -KILL {worker.pid}",
        )

    def _unreachable(self, what: Message) -> TargetUnreachable:
        return TargetUnreachable(
            what,
            state=msg("This look changed nothing."),
            next_command=self.ask_doctor,
        )

    def _hidden(self, error: Unreadable) -> TargetUnreachable:
        return TargetUnreachable(
            msg("What nginx does cannot be seen: {why}.", why=str(error)),
            state=msg("This look changed nothing."),
            next_command=f"ls -l {shlex.quote(str(self.pid_file))}; ps -C nginx -o pid,ppid,user,args   # backout has to be root, or nginx's own user",
        )

    def _not_possible(self, what: Message) -> NotPossible:
        return NotPossible(what, state=msg("Nothing was changed."), next_command=self.asking)
