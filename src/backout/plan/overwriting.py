"""The steps of the ways back that overwrite the live database: a person's own script, and chosen tables. Pure.

Nothing is kept beside, so a safety backup is made first, and nothing may write from that backup on until all is done.
"""

from __future__ import annotations

from typing import cast

from backout.assess.model import Assessment, Choice, Request
from backout.document import Json
from backout.facts import DataFacts, Facts
from backout.plan.assembly import Terms
from backout.plan.holding import held_specs, hold_specs
from backout.plan.model import DataPlan, StepSpec, Way
from backout.plan.restoring import (
    Restoring,
    chosen,
    data_plan,
    held_to,
    read_step,
    restore_step,
    restored_fingerprint,
)
from backout.words import filled

_LOOK_S = 600.0


def by_script(
    assessment: Assessment, facts: Facts, data: DataFacts, request: Request, terms: Terms
) -> Restoring:
    """Return the steps around a person's own script that restores over the live database."""
    choice, answer = chosen(assessment), assessment.compatibility.answer
    planned = data_plan(choice, data, request, terms).model_copy(
        update={
            "way": Way.COMMAND,
            "beside": None,
            "kept": None,
            "prepared": False,
            "safety": _safety_name(facts, request, terms),
        }
    )
    held = _held(facts)
    return Restoring(
        data=planned,
        safeguard=(read_step(choice),),
        held=(_rows(planned, "before", ()), *_safety(planned, held, terms)),
        change=(
            _script(choice, facts, planned, held, terms),
            _rows(planned, "after", held_to(choice, answer)),
        ),
    )


def chosen_tables(
    assessment: Assessment, facts: Facts, data: DataFacts, request: Request, terms: Terms
) -> Restoring:
    """Return the steps that make chosen tables of the live database equal to those of the backup."""
    choice = chosen(assessment)
    planned = data_plan(choice, data, request, terms).model_copy(
        update={
            "way": Way.TABLES,
            "kept": None,
            "tables": request.tables,
            "safety": _safety_name(facts, request, terms),
        }
    )
    held = _held(facts)
    restore = restore_step(choice, data, planned, terms)
    return Restoring(
        data=planned,
        safeguard=(read_step(choice), restore, _tables("tables.check", planned, held, terms)),
        held=_safety(planned, held, terms),
        change=(_tables("tables.restore", planned, held, terms),),
        # One that was prepared is somebody's, and stays.
        afterwards=() if planned.prepared else (restore.model_copy(update={"kind": "restore.drop"}),),
    )


def _safety_name(facts: Facts, request: Request, terms: Terms) -> str | None:
    if "no-safety-backup" in request.accept:
        return None
    return f"{facts.service}_{terms.now:%Y%m%d_%H%M%S}_safety"


def _held(facts: Facts) -> list[Json]:
    """Return the names of what holds while the live database is overwritten."""
    specs = [*held_specs(facts), *hold_specs(facts, strongest=True)]
    return list(dict.fromkeys(str(s.params["name"]) for s in specs))


def _safety(planned: DataPlan, held: list[Json], terms: Terms) -> tuple[StepSpec, ...]:
    if planned.safety is None:
        return ()
    step = StepSpec(
        kind="backup.safety",
        target="safety",
        params={
            "name": planned.safety,
            "database": planned.database,
            "tables": list(planned.tables),
            "held": held,
        },
        timeout_s=terms.restore.timeout_s,
    )
    return (step,)


def _script(choice: Choice, facts: Facts, planned: DataPlan, held: list[Json], terms: Terms) -> StepSpec:
    backup, restore, schema = choice.backup, terms.restore, facts.schema_now.value
    stands_for = {"path": backup.path, "name": backup.name, "database": planned.database}
    return StepSpec(
        kind="restore.command",
        target="restore",
        params={
            **stands_for,
            "command": cast("list[Json]", filled(restore.command or (), stands_for)),
            "cwd": restore.cwd,
            "held": held,
            "safety": planned.safety,
            "fingerprint": restored_fingerprint(choice),
            "prior_fingerprint": schema.fingerprint if schema else None,
        },
        timeout_s=restore.command_timeout_s,
        locks=("whatever the script locks",),
    )


def _rows(planned: DataPlan, when: str, usable: tuple[str, ...]) -> StepSpec:
    then = {c.table: c.restored for c in planned.counts if c.restored is not None}
    return StepSpec(
        kind="data.rows",
        target="database",
        params={
            "database": planned.database,
            "when": when,
            "then": cast("Json", then),
            "ceiling_rows": planned.ceiling_rows if when == "before" else None,
            "usable": list(usable),
        },
        timeout_s=_LOOK_S,
    )


def _tables(kind: str, planned: DataPlan, held: list[Json], terms: Terms) -> StepSpec:
    return StepSpec(
        kind=kind,
        target="database",
        params={
            "beside": planned.beside,
            "database": planned.database,
            "tables": list(planned.tables),
            "ceiling_rows": planned.ceiling_rows,
            "held": held,
            "safety": planned.safety,
        },
        timeout_s=terms.restore.timeout_s,
        locks=tuple(f"{table} against other writers" for table in planned.tables)
        if kind == "tables.restore"
        else (),
    )
