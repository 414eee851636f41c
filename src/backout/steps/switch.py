"""`data.switch`: the service uses the restored database under its own name; the one that it used is kept, read-only."""

from __future__ import annotations

import shlex

from backout.backup import SwapOrder
from backout.databases.restores import Switchable
from backout.errors import LostRace, StepFailed
from backout.faults import fault_point
from backout.message import Message, msg
from backout.plan.base import Acting, Probe, Probed, Receipt, World
from backout.plan.model import Hazard, StepSpec
from backout.restores.switch import FROM, HOST_TO, PORT_TO, TO, OwnSwitch
from backout.steps.exchange import exchanged, order_of, worlds
from backout.steps.servers import options


class SwitchData:
    """Closes the old database for writes, runs the declared command, and lets the declared probe tell what it did."""

    kind = "data.switch"

    def describe(self, spec: StepSpec) -> Message:
        """Say what the service uses instead of what."""
        order = order_of(spec)
        return msg(
            "Switch: the service uses {beside} instead of {live}, by your own command: {command}. {live} is kept, "
            "read-only.",
            beside=order.beside,
            live=order.live,
            command=_line(spec),
        )

    def by_hand(self, spec: StepSpec) -> tuple[str, ...]:
        """Return the statements, and the command."""
        order = order_of(spec)
        old, text = _quoted(order.live), order.live.replace("'", "''")
        read_only = f"ALTER DATABASE {old} SET default_transaction_read_only = on"
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{text}'"
        told = f"{FROM}={shlex.quote(order.live)} {TO}={shlex.quote(order.beside)}"
        servers = spec.params.get("servers", {})
        assert isinstance(servers, dict)
        there, here = options(servers.get(order.beside)), options(servers.get(order.live))
        if servers:
            host, port = str(servers.get(order.beside, "HOST:PORT")).rpartition(":")[::2]
            told += f" {HOST_TO}={shlex.quote(host)} {PORT_TO}={port}"
        return (
            f"psql {here}-d postgres -c {shlex.quote(read_only)}",
            f"psql {here}-d postgres -c {shlex.quote(end)}",
            "# sequences now: no number that was given out may be given out again (setval to the larger of both)",
            f"psql {there}-d postgres -c {shlex.quote(f'ALTER DATABASE {_quoted(order.beside)} RESET default_transaction_read_only')}",
            f"cd {shlex.quote(str(spec.params['cwd']))} && {told} {_line(spec)}",
        )

    def hazards(self, spec: StepSpec) -> tuple[Hazard, ...]:
        """Return what could go wrong."""
        return (
            Hazard(
                what=msg("The command fails, or takes longer than its time."),
                then=msg(
                    "The probe tells which database is used. The old one: it takes writes again, and the run stops. "
                    "Neither can be told: the run stops with the old one read-only. Resume goes on, abort switches back."
                ),
            ),
            Hazard(
                what=msg("A client of the old database was not told."),
                then=msg("It can write nothing there, and is named; the service is restarted."),
            ),
        )

    def effect(self, spec: StepSpec, world: World) -> tuple[World, ...]:
        """The schema is the restored one; in between nobody can write, so that nothing is served."""
        return worlds(spec, world)

    def inverse(self, spec: StepSpec) -> StepSpec | None:
        """Switching back: names exchanged."""
        order = order_of(spec)
        return exchanged(spec, live=order.beside, beside=order.live, kept=order.beside)

    def probe(self, spec: StepSpec, acting: Acting) -> Probe:
        """Ask the declared probe which database is used, and the server whether all that belongs to it is done.

        Raises:
            LostRace: A third one is used.
        """
        order, switch = order_of(spec), _switch(acting)
        if switch.job.running():
            evidence = msg(
                "The command that switches still runs, to {name}.", name=switch.job.label() or "another one"
            )
            return Probe(answer=Probed.PARTIAL, evidence=evidence)
        found = switch.ask()
        if found.name is None:
            evidence = msg("Which database the service uses is not known: {why}", why=found.why)
            return Probe(answer=Probed.UNKNOWN, evidence=evidence)
        if found.name == order.live:
            ended = f"; {switch.how_it_ended()}" if switch.job.exit() is not None else ""
            evidence = msg("The service uses {live}{ended}", live=order.live, ended=ended)
            return Probe(answer=Probed.NOT_DONE, evidence=evidence)
        if found.name != order.beside:
            raise _a_third(order, found.name)
        if _database(acting).switch_ended(order):
            evidence = msg("The service uses {beside}; {live} is kept.", beside=order.beside, live=order.live)
            return Probe(answer=Probed.DONE, evidence=evidence)
        evidence = msg(
            "The service uses {beside}; {live} is not marked as kept yet.",
            beside=order.beside,
            live=order.live,
        )
        return Probe(answer=Probed.PARTIAL, evidence=evidence)

    def guard(self, spec: StepSpec, acting: Acting) -> None:
        """Look once more at what would keep the switch from being made.

        Raises:
            LostRace: The configured command is another one than when the plan was made.
            StepFailed: Something would, or nobody can tell which database is used.
        """
        order, switch = order_of(spec), _switch(acting)
        if spec.params["command"] != switch.shown() or spec.params["cwd"] != str(switch.cwd):
            raise LostRace(
                msg("The configured command that switches changed since the plan was made"),
                state=msg("Nothing was switched by this attempt."),
                next_command="backout plan",
            )
        if switch.job.running():
            return  # it is waited for, and what it did decides
        found = switch.ask()
        if found.name == order.beside:
            return
        if found.name is None:
            raise StepFailed(
                msg("Which database the service uses is not known: {why}", why=found.why),
                state=msg("Nothing was switched by this attempt."),
                next_command="backout doctor",
            )
        blockers = _database(acting).switch_blockers(order)
        if blockers:
            raise StepFailed(
                msg("The switch cannot be made: {blockers}", blockers="; ".join(str(b) for b in blockers)),
                state=msg("Nothing was switched; {live} is as it was.", live=order.live),
                next_command="backout resume   # once that is gone",
            )

    def apply(self, spec: StepSpec, acting: Acting) -> Receipt:
        """Switch, and wait until the command ended.

        Idempotent: where the service uses the new one already, only what is left is done.

        Raises:
            StepFailed: The service still uses the old one, which takes writes again; or the command still runs.
            LostRace: It uses a third one.
        """
        order, switch, database = order_of(spec), _switch(acting), _database(acting)
        held = bool(spec.params["held"])
        acting.fence.check()
        began_s = acting.clock.monotonic_s()
        if not switch.ended():
            raise _still_runs(order, switch)
        used = switch.ask().name
        if used != order.beside:
            if used != order.live:
                raise _a_third(order, used or "nothing that can be told")
            fault_point("switch.before")
            database.begin_switch(order, held=held, note=acting.note)
            if not switch.carry_out(order.live, order.beside, database.place(order.beside)):
                raise _still_runs(order, switch)
            used = switch.ask().name
        if used == order.live:
            database.undo_switch(order, held=held)
            raise StepFailed(
                msg("The service still uses {live}: {ended}", live=order.live, ended=switch.how_it_ended()),
                state=msg(
                    "{live} takes writes as before; {beside} stands beside it.",
                    live=order.live,
                    beside=order.beside,
                ),
                next_command="backout resume   # once the command can do it",
            )
        if used is None:  # the probe says so, again, and the run stops with the outcome unknown
            return Receipt(what=msg("The command ended; which database the service uses is not known."))
        if used != order.beside:
            raise _a_third(order, used)
        database.end_switch(order, held=held)
        fault_point("switch.after")
        seconds = acting.clock.monotonic_s() - began_s
        return Receipt(
            what=msg("Switched; nobody could write for {seconds:.2f} s.", seconds=seconds),
            data={"closed_s": round(seconds, 3)},
        )

    def vouched(self, spec: StepSpec, acting: Acting) -> None:
        """Mark the old database as kept: a person says that the service uses the new one."""
        acting.fence.check()
        _database(acting).end_switch(order_of(spec), held=bool(spec.params["held"]))


def _a_third(order: SwapOrder, used: str) -> LostRace:
    return LostRace(
        msg(
            "The service uses {used}, neither {live} nor {beside}",
            used=used,
            live=order.live,
            beside=order.beside,
        ),
        state=msg("Nothing was switched by this attempt."),
        next_command="backout doctor",
    )


def _still_runs(order: SwapOrder, switch: OwnSwitch) -> StepFailed:
    return StepFailed(
        msg("The command that switches still runs after {s:g} s.", s=switch.options.timeout_s),
        state=msg("{live} refuses writes; the command is not ended.", live=order.live),
        next_command=f"tail -f {shlex.quote(str(switch.job.log))}   # then: backout resume",
    )


def _switch(acting: Acting) -> OwnSwitch:
    return acting.target("switch", OwnSwitch)


def _database(acting: Acting) -> Switchable:
    return acting.target("database", Switchable)


def _line(spec: StepSpec) -> str:
    words = spec.params["command"]
    return shlex.join(map(str, words)) if isinstance(words, list) else ""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
