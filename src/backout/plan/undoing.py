"""The steps that take the migrations of a release back with its code. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backout.assess.model import Assessment
from backout.assess.versions import runs_alone
from backout.document import Json
from backout.facts import Facts
from backout.migration_way import MigrationsBack, Part, Place
from backout.observed import Answer
from backout.plan.model import Scenario, StepSpec

_BACK_S, _FINISH_S = 120.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Undoing:
    """What a plan needs to take migrations back.

    Attributes:
        prepare: The step before anything is stopped, which may take long; None: nothing has to be built.
        bridge: The step before the code is switched; None: none.
        between: The step while nothing is served; None: none.
        contract: The step after the code was switched; None: none.
        finish: The step that does afterwards what may take long.
        bears: By fingerprint of a schema: whether the earlier and the later release work with it.
    """

    prepare: StepSpec | None
    bridge: StepSpec | None
    between: StepSpec | None
    contract: StepSpec | None
    finish: StepSpec
    bears: Mapping[str | None, tuple[Answer, Answer]]


def undoing(assessment: Assessment, facts: Facts) -> Undoing | None:
    """Return the steps of the scenario `schema`; None where no migration is taken back."""
    back = facts.migrations.value if facts.migrations is not None else None
    if assessment.scenario is not Scenario.SCHEMA or back is None or not back.migrations:
        return None
    schema = facts.schema_now.value
    now = schema.fingerprint if schema is not None else None
    after = back.schema_after or f"before migration {back.ids[0]}"
    halfway = f"between {now} and {after}"
    # What runs already needs no other code: nothing stands in the way of its schema.
    alone = runs_alone(facts, assessment.target.version, assessment.target_artefact.ref)
    place = Place.BEFORE if alone else back.place
    steps: dict[Place, tuple[StepSpec | None, StepSpec | None, StepSpec | None]] = {
        Place.BEFORE: (_back(back, Part.ALL, now, after), None, None),
        Place.BETWEEN: (None, _back(back, Part.ALL, now, after), None),
        Place.AFTER: (None, None, _back(back, Part.ALL, now, after, alone=assessment.target_artefact.ref)),
        Place.AROUND: (
            _back(back, Part.NEEDED, now, halfway),
            None,
            _back(back, Part.BORNE, halfway, after, alone=assessment.target_artefact.ref),
        ),
    }
    answer = assessment.compatibility.answer
    borne = Answer.YES if place is Place.AFTER else Answer.UNKNOWN
    return Undoing(
        _prepare(back),
        *steps[place],
        finish=StepSpec(kind="migrations.finish", target="database", timeout_s=_FINISH_S),
        bears={
            now: (borne, Answer.YES),
            halfway: (answer, Answer.YES),
            after: (answer, Answer.YES if place is Place.BEFORE else Answer.UNKNOWN),
        },
    )


def _prepare(back: MigrationsBack) -> StepSpec | None:
    if not back.builds:
        return None
    params: dict[str, Json] = {"migrations": list(back.ids)}
    return StepSpec(kind="migrations.prepare", target="database", params=params, timeout_s=_FINISH_S)


def _back(
    back: MigrationsBack, part: Part, now: str | None, then: str, *, alone: str | None = None
) -> StepSpec:
    params: dict[str, Json] = {
        "migrations": list(back.ids),
        "part": part.value,
        "fingerprint": then,
        "prior_fingerprint": now,
        "alone": alone,
    }
    locks = (f"the tables of migrations {', '.join(map(str, back.ids))}, for one short transaction",)
    return StepSpec(kind="migrations.back", target="database", params=params, timeout_s=_BACK_S, locks=locks)
