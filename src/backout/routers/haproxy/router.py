"""The router: reads servers, divides requests between sides, holds by maintenance."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from backout.errors import BackoutError, NotPossible, StepFailed, TargetUnreachable
from backout.faults import fault_point
from backout.message import Message, msg
from backout.observed import Answer, HoldFact, SideTraffic, Traffic
from backout.platforms.base import Detection, Diagnosis, Site
from backout.routers.base import Counted
from backout.routers.haproxy import kept
from backout.routers.haproxy.checks import wait_until_in
from backout.routers.haproxy.counters import counted, process
from backout.routers.haproxy.doctor import diagnose
from backout.routers.haproxy.earlier import connections, earlier, is_haproxy
from backout.routers.haproxy.note import Before, Note
from backout.routers.haproxy.options import HaproxyOptions
from backout.routers.haproxy.repair import others_of, taken_out
from backout.routers.haproxy.runtime import Runtime
from backout.routers.haproxy.servers import Server, healthy, is_held, parsed, shares_of, weights_for

if TYPE_CHECKING:
    from backout.document import Json

_MAINTENANCE = "maintenance"
_POLL_S = 0.05
_CUTTING_S = 5.0
"""The longest that is waited for sessions to be gone that HAProxy was told to end."""


class HaproxyRouter:
    """One backend of a HAProxy; see `backout.routers.base.Router` and `ShiftsTraffic`.

    A side that has a share has weights and is ready; one without has weight 0 and is in maintenance, so that clients
    that stick to it (cookies, stick tables) go elsewhere. Holding puts all servers into maintenance and leaves the weights.
    """

    kind: ClassVar[str] = "haproxy"
    Options: ClassVar[type[BaseModel]] = HaproxyOptions

    def __init__(self, options: HaproxyOptions, site: Site) -> None:
        self.options = options
        # A path starts at the configuration's folder; HOST:PORT is none.
        path = "/" in options.socket or not options.socket.rpartition(":")[2].isdigit()
        self.address = str(site.directory / options.socket) if path else options.socket
        self.runtime = Runtime(self.address, options.timeout_s, self.look)
        self._note = Note(site.directory / ".backout" / f"haproxy-{options.backend}.json")
        self.state_file = (site.directory / options.state_file) if options.state_file else None

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> HaproxyRouter:
        """Bind the router; touches nothing."""
        return cls(HaproxyOptions.model_validate(options.model_dump()), site)

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

    def servers(self, deadline_s: float | None = None, *, others: bool = False) -> dict[str, Server]:
        """Return the sides' servers by name.

        Args:
            deadline_s: Seconds from now; None: the time that is configured for each answer.
            others: Do so also where the backend has a server of no side that may get requests.

        Raises:
            TargetUnreachable: The runtime API did not answer, does not know one of them, or there is such a server: what
                reaches the service can then neither be divided nor held.
        """
        backend, sides = self.options.backend, self.options.sides
        until = None if deadline_s is None else time.monotonic() + deadline_s
        state = self.runtime.ask(f"show servers state {backend}", deadline_s)
        stat = self.runtime.ask("show stat", until and until - time.monotonic())
        try:
            found = parsed(state, stat, backend)
        except (ValueError, KeyError, IndexError) as error:
            raise self._strange(state.strip() or str(error)) from error
        own = [one for side in sides.values() for one in side]
        lacking = [one for one in own if one not in found]
        if lacking:
            raise self._strange(f"no server {backend}/{lacking[0]}")
        stray = next((name for name, one in found.items() if name not in own and not one.shut), None)
        if stray is not None and not others:
            raise TargetUnreachable(
                msg(
                    "Server {server} of HAProxy's backend may get requests, and belongs to no side.",
                    server=f"{backend}/{stray}",
                ),
                state=msg("This look changed nothing."),
                next_command=f"${{EDITOR:-vi}} backout.yaml   # router.sides; or: {self.typed(self._to(stray, 'state maint'))}",
            )
        return self._with_earlier({one: found[one] for one in own}, until)

    def process(self, deadline_s: float | None = None) -> int | None:
        """Return the number of the process that answers; None: it may be another one's on this machine.

        Raises:
            TargetUnreachable: The runtime API did not answer.
        """
        if "/" not in self.address:
            return None
        told = self.runtime.ask("show info", deadline_s)
        pid = next((line.split()[1] for line in told.splitlines() if line.startswith("Pid: ")), "")
        return int(pid) if pid.isdigit() and is_haproxy(int(pid)) else None

    def earlier(self, deadline_s: float | None = None) -> tuple[int, ...] | None:
        """Return processes from before a reload that are not at their end; None: that cannot be told from here.

        Raises:
            TargetUnreachable: The runtime API did not answer.
        """
        pid = self.process(deadline_s)
        return None if pid is None else earlier(pid)

    def _with_earlier(self, servers: dict[str, Server], until: float | None) -> dict[str, Server]:
        """Add what earlier processes still have; where that cannot be told it counts as one for each server."""
        pids = self.earlier(until and until - time.monotonic())
        if not pids:
            return servers
        counted = connections(pids, [one.address for one in servers.values()])
        return {
            name: replace(one, inside=one.inside + (1 if counted is None else counted[one.address]))
            for name, one in servers.items()
        }

    def traffic(self, deadline_s: float) -> Traffic:
        """Return where requests go now, and whether the server state file says the same."""
        until = time.monotonic() + deadline_s
        servers = self.servers(deadline_s)
        shares = shares_of(self.options.sides, servers)
        ours = others_of(self.options.sides, self.taken_out(servers))
        sides = tuple(
            SideTraffic(
                name=name,
                share=shares[name],
                admits=not all(servers[one].shut for one in own),
                healthy=healthy([servers[one] for one in ours[name]]),
                inside=sum(servers[one].inside for one in own),
            )
            for name, own in self.options.sides.items()
        )
        return Traffic(sides=sides, kept=self._is_kept(until))

    def counted(self, deadline_s: float) -> Counted:
        """Return what each side's servers answered, and how much of it failed, since HAProxy was started or reloaded."""
        # In one question, so that both are of one process.
        info, mark, stat = self.runtime.ask("show info; show stat", deadline_s).partition("# pxname")
        try:
            sides = counted(mark + stat, self.options.backend, self.options.sides)
            return Counted(since=process(info), sides=sides)
        except (KeyError, ValueError) as error:
            raise self._strange(f"no counters of requests ({error})") from error

    def taken_out(self, servers: Mapping[str, Server]) -> frozenset[str]:
        """Return who stays as it is whatever share its side gets: see `repair`."""
        noted = {name for name, one in self._note.read().items() if one.out}
        return taken_out(self.options.sides, servers, noted)

    def shift(self, shares: Mapping[str, int]) -> None:
        """Divide requests so: weights and maintenance by the runtime API, then the state file. Idempotent.

        Servers that somebody else has taken out, as for repair, get nothing.
        """
        self._keepable()
        servers = self.servers()
        held, out = is_held(servers), self.taken_out(servers)
        sides = others_of(self.options.sides, out)
        weights = self._weights(shares, sides)
        self._weights_stay(weights, servers)
        gain = [one for one in weights if weights[one]]
        lose = [one for one in weights if not weights[one]]
        let_in = [] if held else [one for one in gain if servers[one].shut or servers[one].drains]
        fault_point("haproxy.shift.before")
        # One order each, so that `begun` can tell what a kill in between leaves.
        self.runtime.order(
            *(self._to(one, f"weight {weights[one]}") for one in gain),
            *(self._to(one, "state ready") for one in let_in),
        )
        fault_point("haproxy.shift.between")
        shut_out = [one for one in lose if not servers[one].shut]
        # Also when they were let in before: a run that is taken up again is no reason to trust them.
        if shut_out and not held:
            wait_until_in({name: own for name, own in sides.items() if shares[name]}, self)
        stay_out = [
            one for name, own in self.options.sides.items() if not shares[name] for one in own if one in out
        ]
        self.runtime.order(
            *(self._to(one, "state maint") for one in shut_out),
            *(self._to(one, "weight 0") for one in lose),
            # Its weight says afterwards that it was not backout that took it out.
            *(self._to(one, "state maint") for one in stay_out if not servers[one].shut),
            *(self._to(one, "weight 1") for one in stay_out if not servers[one].weight and not held),
        )
        fault_point("haproxy.shift.after")
        self.keep()
        found = shares_of(self.options.sides, self.servers())
        if found != {name: shares[name] for name in self.options.sides}:
            raise StepFailed(
                msg("HAProxy was reloaded, or somebody else divided requests, while they were divided anew."),
                state=msg(
                    "Requests are divided so: {shares}.",
                    shares=" ".join(f"{name}={share}" for name, share in sorted(found.items())),
                ),
                next_command=self.look,
            )

    def begun(self, shares: Mapping[str, int]) -> bool:
        """Tell whether those that gain are let in as `shift` does it, whoever else is."""
        servers = self.servers()
        weights = self._weights(shares, others_of(self.options.sides, self.taken_out(servers)))
        held = is_held(servers)
        return all(
            servers[one].weight == weight and (held or not (servers[one].shut or servers[one].drains))
            for one, weight in weights.items()
            if weight
        )

    def _weights_stay(self, weights: Mapping[str, int], servers: Mapping[str, Server]) -> None:
        """Raise NotPossible where programs besides would change weights that make shares of several sides."""
        taking = [name for name, own in self.options.sides.items() if any(weights.get(one) for one in own)]
        agent = next((one for one, weight in weights.items() if weight and servers[one].agent), None)
        if agent is not None and len(taking) > 1:
            raise NotPossible(
                msg(
                    "The agent of server {server} changes its weight: shares of several sides would not stay.",
                    server=f"{self.options.backend}/{agent}",
                ),
                state=msg("Nothing was changed."),
                next_command=self.typed(f"disable agent {self.options.backend}/{agent}"),
            )

    def cut(self, side: str) -> int:
        """End what is still inside a side; raises StepFailed if requests are still sent to it."""
        servers = self.servers()
        own = [servers[one] for one in self.options.sides[side]]
        if not all(one.shut for one in own):
            raise StepFailed(
                msg("{side} still gets requests: what is inside is not ended.", side=side),
                state=msg("Nothing was ended."),
                next_command=self.look,
            )
        self._end(own)
        # What the runtime API does not reach is of a process from before a reload.
        if any(one.inside for one in own) and (pids := self.earlier()):
            left = sum(self.servers()[one.name].inside for one in own)
            if left:
                raise StepFailed(
                    self._beyond(left, pids),
                    state=msg("Side {side} gets no new requests.", side=side),
                    next_command=self.look,
                )
        return sum(one.inside for one in own)

    @staticmethod
    def _beyond(inside: int, pids: Iterable[int]) -> Message:
        numbers = " ".join(map(str, pids))
        return msg(
            "{n} connections are with HAProxy's processes from before a reload, which its runtime API does not reach; "
            "to end all that they have, of every backend: kill -TERM {pids}",
            n=inside,
            pids=numbers,
        )

    def shift_by_hand(self, shares: Mapping[str, int]) -> tuple[str, ...]:
        """Return the commands over the runtime API, and the one that keeps it; who is taken out is named."""
        self._keepable()
        try:
            servers = self.servers()
        except TargetUnreachable:
            servers = {}
        out = self.taken_out(servers) if servers else frozenset[str]()
        weights = self._weights(shares, others_of(self.options.sides, out))
        if servers:
            self._weights_stay(weights, servers)
        orders = [
            f"set server {self.options.backend}/{one} {what}"
            for one, weight in sorted(weights.items(), key=lambda item: not item[1])
            for what in ([f"weight {weight}", "state ready"] if weight else ["state maint", "weight 0"])
        ]
        told = f"   # taken out by somebody else, and left so: {', '.join(sorted(out))}" if out else ""
        commands = [self.typed("; ".join(orders)) + told]
        if self.state_file is not None:
            commands.append(self._keeping)
        return tuple(commands)

    def observe(self, deadline_s: float) -> HoldFact:
        """Return whether it holds now; while requests are still inside it is looked again until half the deadline."""
        # Who asks waits no longer than the deadline, and is to hear that it holds, and that something is inside.
        deadline = time.monotonic() + deadline_s / 2
        fact = HoldFact(
            name=self.name,
            modes=(_MAINTENANCE,),
            held=Answer.UNKNOWN,
            within_s=self.options.drain_timeout_s,
            ends_after_s=self.options.drain_timeout_s,
        )
        while True:
            try:
                servers = self.servers(max(deadline_s / 2, deadline - time.monotonic()))
            except BackoutError:
                return fact
            if not is_held(servers):
                return fact.model_copy(update={"held": Answer.NO, "prior": {"held": False}})
            drained = not any(one.inside for one in servers.values())
            if drained or time.monotonic() >= deadline:
                held = Answer.YES if drained else Answer.UNKNOWN
                return fact.model_copy(update={"held": held, "mode": _MAINTENANCE, "prior": {"held": True}})
            time.sleep(_POLL_S)

    def hold(self, mode: str) -> None:
        """Have HAProxy answer 503 by itself; returns when no request is inside any more: after `drain_timeout_s` they are ended. Idempotent.

        Raises:
            NotPossible: The mode is not `maintenance`, or no side has a share, so that nothing would be there to put back.
            TargetUnreachable: The runtime API did not answer.
            StepFailed: Something is inside although it was ended, and it holds; or it does not hold any more.
        """
        if mode != _MAINTENANCE:
            raise self._not_possible(msg("The router haproxy cannot hold by {mode}.", mode=mode))
        fault_point("router.hold.before")
        servers = self.servers()
        if not is_held(servers):
            open_ = [one for one in servers.values() if one.weight and not (one.shut or one.drains)]
            if not open_:
                raise self._not_possible(msg("No side of HAProxy's backend gets requests now."))
            out = self.taken_out(servers)
            closed = [one for one in servers.values() if one not in open_]
            self._note.write(
                {
                    one.name: Before(weight=one.weight, state=one.state, out=one.name in out)
                    for one in closed
                    if one.weight or one.name in out
                }
            )
            # Who is shut without being held has no share, whatever its weight says; nobody can tell it from the others of a
            # hold that was cut short, so all of it is one order.
            self.runtime.order(
                *(self._to(one.name, "weight 0") for one in closed if one.weight),
                *(self._to(one.name, "state maint") for one in servers.values() if not one.shut),
            )
            self.keep()
        fault_point("router.hold.after")
        self._drained()

    def release(self, prior: dict[str, Json]) -> None:
        """Let requests through to the sides that have a share, unless it held before. Idempotent."""
        fault_point("router.release.before")
        if not (prior and prior.get("held") is True):
            servers = self.servers(others=True)
            # Who is shut while others take requests was shut by somebody, and not by a hold.
            if is_held(servers):
                shut = [one.name for one in servers.values() if one.weight and one.shut]
                self.runtime.order(*(self._to(one, "state ready") for one in shut), *self._as_before(servers))
            self._note.forget()
            self.keep()
        fault_point("router.release.after")

    def _as_before(self, servers: Mapping[str, Server]) -> list[str]:
        """Return the orders that give those back their weights who were closed before the hold, and stay so."""
        found = []
        for name, before in self._note.read().items():
            if name not in servers or servers[name].weight:
                continue
            side = next(own for own in self.options.sides.values() if name in own)
            found += [self._to(name, f"weight {before.weight}")] if before.weight else []
            # Where its side has lost its share meanwhile, clients that stick to it are to go elsewhere.
            if before.state != "maint" and any(servers[one].weight for one in side):
                found.append(self._to(name, f"state {before.state}"))
        return found

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return the commands that hold, or (None) let through to the sides that have a share."""
        backend = self.options.backend
        look = self.typed(f"show servers state {backend}")
        if mode is None and prior.get("held") is True:
            return (look,)
        # Columns of `show servers state`: 2 backend, 4 server, 7 administrative state (1: maintenance, 8: drains), 8 weight.
        order = f'print "set server {backend}/"'
        if mode:
            # Who is shut already has no share; where all are shut, it holds.
            pick = (
                f'$2 == "{backend}" {{shut[$4] = $7 % 2; drains[$4] = int($7 / 8) % 2; open += !($7 % 2)}} '
                f'END {{if (open) for (one in shut) {{if (shut[one] || drains[one]) {order} one " weight 0"; '
                f'if (!shut[one]) {order} one " state maint"}}}}'
            )
        else:
            pick = f'$2 == "{backend}" && $8 > 0 {{{order} $4 " state ready"}}'
        picked = f"{look} | awk '{pick}'"
        commands = [f'{picked} | while read -r order; do echo "$order" | {self._socat}; done']
        if self.state_file is not None:
            commands.append(self._keeping)
        return (*commands, look)

    def doctor(self) -> Iterable[Diagnosis]:
        """Try what a rollback would need, touching nothing."""
        return diagnose(self)

    def keep(self) -> None:
        """Write the state of the backend's servers to the state file, if one is configured."""
        if self.state_file is not None:
            state = self.runtime.ask(f"show servers state {self.options.backend}")
            kept.write(self.state_file, state, self.options.backend)

    def _keepable(self) -> None:
        """Raise NotPossible where it is known before a change that it could not be kept."""
        why = None if self.state_file is None else kept.obstacle(self.state_file)
        if why is not None:
            path = str(self.state_file)
            raise NotPossible(
                msg("{path} cannot be written: {why}. A reload would undo a change.", path=path, why=why),
                state=msg("Nothing was changed."),
                next_command=f"ls -ld {shlex.quote(str(Path(path).parent))} {shlex.quote(path)}"
                "   # or, for now, without router.state_file",
            )

    def _is_kept(self, until: float) -> Answer:
        if self.state_file is None:
            # Somebody else may see to it, as a unit that writes one before each reload.
            return Answer.UNKNOWN
        try:
            command = f"show servers state {self.options.backend}"
            state = self.runtime.ask(command, until - time.monotonic())
            return Answer.YES if kept.same(self.state_file, state, self.options.backend) else Answer.NO
        except FileNotFoundError:
            return Answer.NO
        except (OSError, BackoutError):
            return Answer.UNKNOWN

    def _weights(self, shares: Mapping[str, int], sides: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
        none = next((name for name, own in sides.items() if shares[name] and not own), None)
        if none is not None:
            raise self._not_possible(
                msg(
                    "No server of side {side} can be let in: each follows another one that is shut.",
                    side=none,
                )
            )
        try:
            return weights_for({name: own for name, own in sides.items() if own}, shares)
        except ValueError as error:
            raise self._not_possible(
                msg("HAProxy cannot divide requests so: {why}.", why=str(error))
            ) from error

    def _to(self, server: str, what: str) -> str:
        return f"set server {self.options.backend}/{server} {what}"

    def _drained(self) -> None:
        ends_s = time.monotonic() + self.options.drain_timeout_s
        gives_up_s = ends_s + _CUTTING_S
        while True:
            servers, now_s = self.servers(), time.monotonic()
            if not is_held(servers):
                raise StepFailed(
                    msg("HAProxy does not hold any more: it was reloaded, or somebody else let requests in."),
                    state=msg("Requests reach the service."),
                    next_command=self.look,
                )
            inside = sum(one.inside for one in servers.values())
            if not inside:
                return
            if now_s >= gives_up_s:
                pids = self.earlier()
                raise StepFailed(
                    self._beyond(inside, pids)
                    if pids
                    else msg(
                        "{n} requests or connections are still inside the service {s} s after they were ended.",
                        n=inside,
                        s=_CUTTING_S,
                    ),
                    state=msg("HAProxy answers new requests 503."),
                    next_command=self.typed("show sess"),
                )
            if now_s >= ends_s:
                self._end(servers.values())
            time.sleep(_POLL_S)

    def _end(self, servers: Iterable[Server]) -> None:
        backend = self.options.backend
        self.runtime.order(
            *(f"shutdown sessions server {backend}/{one.name}" for one in servers if one.inside)
        )

    @property
    def look(self) -> str:
        """What a person types to see the state of all servers."""
        return self.typed("show servers state")

    @property
    def _socat(self) -> str:
        where = self.address
        return f"socat -t 10 stdio {shlex.quote(where if '/' in where else f'TCP:{where}')}"

    @property
    def _keeping(self) -> str:
        assert self.state_file is not None
        backend = self.options.backend
        return kept.by_hand(self.state_file, self.typed(f"show servers state {backend}"), backend)

    def typed(self, command: str) -> str:
        """Return what a person types to have a command carried out."""
        return f"echo {shlex.quote(command)} | {self._socat}"

    def _strange(self, words: str) -> TargetUnreachable:
        return TargetUnreachable(
            msg(
                "HAProxy's runtime API at {address} does not tell of backend {backend}: {words}.",
                address=self.address,
                backend=self.options.backend,
                words=words,
            ),
            state=msg("This look changed nothing."),
            next_command=self.look,
        )

    def _not_possible(self, what: Message) -> NotPossible:
        return NotPossible(what, state=msg("Nothing was changed."), next_command=self.look)
