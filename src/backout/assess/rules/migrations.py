"""Rules about migrations that are taken back with the code."""

from __future__ import annotations

from collections.abc import Iterator

from backout.assess.model import Case
from backout.assess.versions import runs_alone
from backout.message import Message, msg
from backout.migration_way import MigrationsBack, Place
from backout.plan.model import Finding, Scenario, Severity

_PLACES = {
    Place.BEFORE: msg("They go before the code: the later release works without them."),
    Place.AFTER: msg("They go after the code: the earlier release works with them."),
    Place.AROUND: msg(
        "What the earlier release needs goes before the code, what the later one needed after it: in between, both work."
    ),
    Place.BETWEEN: msg(
        "They go while the later release has stopped and the earlier one has not started: no schema suits both."
    ),
}
_NAMED = 8


def taken_back(case: Case) -> Iterator[Finding]:
    """Migrations are taken back: which, when, and whether that would work now."""
    if case.scenario is not Scenario.SCHEMA:
        return
    found = case.facts.migrations
    back = found.value if found is not None else None
    if back is None or not back.migrations:
        evidence = (
            msg("The journal of migrations cannot be read: {reason}", reason=str(found.unknown))
            if found is not None and found.unknown is not None
            else msg("No migration that backout ran came after {version}.", version=case.target.version)
        )
        yield Finding(
            rule="schema.no-migrations",
            severity=Severity.BLOCKS,
            evidence=evidence,
            remedy=msg(
                "Migrations can be taken back that were run by: backout migrate --release VERSION -- COMMAND"
            ),
            command="backout db history",
        )
        return
    yield Finding(rule="schema.taken-back", severity=Severity.INFO, evidence=_which(back))
    alone = runs_alone(case.facts, case.target.version, case.target_artefact.ref)
    place = Place.BEFORE if alone else back.place
    yield Finding(rule="schema.place", severity=Severity.INFO, evidence=_PLACES[place])
    yield from _possible(back)
    yield from _rows(back)
    yield from _over_budget(back)


def _which(back: MigrationsBack) -> Message:
    changes = [change for one in back.migrations for change in one.changes]
    more = f", and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    return msg(
        "Taken back, without losing a row or a value: {migrations}: {changes}.",
        migrations=", ".join(
            f"{one.id} ({one.release})" if one.release else str(one.id) for one in back.migrations
        ),
        changes=", ".join(changes[:_NAMED]) + more,
    )


def _possible(back: MigrationsBack) -> Iterator[Finding]:
    look = f"backout db status --steps {len(back.migrations)}"
    why = " ".join(back.why)
    if back.possible == "no":
        yield Finding(
            rule="schema.way-closed",
            severity=Severity.BLOCKS,
            evidence=msg("The migrations cannot be taken back now: {why}", why=why),
            command=look,
        )
    elif back.possible != "yes":
        yield Finding(
            rule="schema.way-unsure",
            severity=Severity.WARNS,
            evidence=msg("Whether the migrations can be taken back only trying tells: {why}", why=why),
            remedy=msg(
                "It is all or nothing: where it does not work, the run stops with the schema as it was."
            ),
            command=look,
        )


def _rows(back: MigrationsBack) -> Iterator[Finding]:
    for one in back.rows:
        if one.kind == "filled" and one.rows:
            yield Finding(
                rule="schema.rows-filled",
                severity=Severity.INFO,
                evidence=msg(
                    "{rows} row(s) written since get {value} in {what}.",
                    rows=one.rows,
                    value=one.value or "NULL",
                    what=one.what,
                ),
            )
        elif one.kind == "unfit" and one.rows and not one.stops:
            yield Finding(
                rule="schema.values-unfit",
                severity=Severity.WARNS,
                evidence=msg(
                    "{rows} row(s) have a value in {what} that its earlier type cannot hold: it is hidden, and they get {value}.",
                    rows=one.rows,
                    what=one.what,
                    value=one.value or "NULL",
                ),
                remedy=msg(
                    "Change them first, or go forward again later, where they have it: backout db redo"
                ),
            )
        elif one.kind == "apart":
            yield Finding(
                rule="schema.written-apart",
                severity=Severity.WARNS,
                evidence=msg(
                    "{what} comes back as it was dropped: what was written to {made} since is hidden with that, not lost.",
                    what=one.what,
                    made=one.value or "",
                ),
                remedy=msg("Copy what is missing by hand afterwards, or go forward again: backout db redo"),
            )


def _over_budget(back: MigrationsBack) -> Iterator[Finding]:
    for one in back.over_budget:
        yield Finding(
            rule="schema.over-lock-budget",
            severity=Severity.WARNS,
            evidence=msg("{what}.", what=one),
            remedy=msg(
                "Requests wait meanwhile, or migrations.lock_budget_ms of backout.yaml allows for it."
            ),
        )


RULES = (taken_back,)
