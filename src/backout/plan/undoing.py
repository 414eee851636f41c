"""The steps that take the migrations of a release back with its code. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from backout.assess.model import Assessment
from backout.document import Json
from backout.facts import Facts
from backout.migration_way import MigrationsBack, Place
from backout.plan.model import Scenario, StepSpec

_BACK_S, _FINISH_S = 120.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Undoing:
    """What a plan needs to take migrations back.

    Attributes:
        place: When, beside the code.
        change: The step that takes them back.
        finish: The step that does afterwards what may take long.
        fingerprint: Of the schema that stands then, or a name that only it has.
    """

    place: Place
    change: StepSpec
    finish: StepSpec
    fingerprint: str


def undoing(assessment: Assessment, facts: Facts) -> Undoing | None:
    """Return the steps of the scenario `schema`; None where no migration is taken back."""
    back = facts.migrations.value if facts.migrations is not None else None
    if assessment.scenario is not Scenario.SCHEMA or back is None or not back.migrations:
        return None
    schema = facts.schema_now.value
    after = back.schema_after or f"before migration {back.ids[0]}"
    # What runs already needs no other code: nothing stands in the way of its schema.
    place = Place.BEFORE if assessment.current_version == assessment.target.version else back.place
    params: dict[str, Json] = {
        "migrations": list(back.ids),
        "fingerprint": after,
        "prior_fingerprint": schema.fingerprint if schema is not None else None,
        "alone": assessment.target_artefact.ref if place is Place.AFTER else None,
    }
    change = StepSpec(
        kind="migrations.back",
        target="database",
        params=params,
        timeout_s=_BACK_S,
        locks=_locked(back),
    )
    finish = StepSpec(kind="migrations.finish", target="database", timeout_s=_FINISH_S)
    return Undoing(place, change, finish, after)


def _locked(back: MigrationsBack) -> tuple[str, ...]:
    return (f"the tables of migrations {', '.join(map(str, back.ids))}, for one short transaction",)
