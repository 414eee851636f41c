"""What is said of a backup that is restored, and of what restoring it needs and ends."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backed import NEW, NOW, OLD, backup, beside, data_facts, facts, release

from backout.assess.allowed import Allowed
from backout.assess.assess import assess
from backout.assess.model import Assessment, Request
from backout.assess.versions import choose_target
from backout.facts import Facts
from backout.message import msg
from backout.observed import Answer
from backout.plan.model import Finding, Scenario, Severity, Verdict
from backout.release import Artefact

BAD = release("5.5.0", 3, NEW)
GOOD = release("5.4.0", 48, OLD)


def assessed(seen: Facts, **request: Any) -> Assessment:
    asked = Request.model_validate({"scenario": Scenario.FULL} | request)
    target = choose_target(seen, asked.to)
    return assess(seen, asked, Allowed(), target, Artefact(ref=target.version), NOW)


def found(assessment: Assessment, rule: str) -> list[Finding]:
    return [f for f in assessment.findings if f.rule == rule]


def test_what_only_a_files_own_time_says_is_warned_of() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("dump.sql", 4, taken_at_by="file")))
    assert found(assessed(seen), "backup.time-unsure")


def test_one_named_of_which_nothing_says_the_time_is_warned_of() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("dump.sql", None)))
    (finding,) = found(assessed(seen, backup="dump.sql"), "backup.time-unsure")
    assert "may hold the damage" in str(finding.evidence)


def test_too_little_space_blocks_before_the_first_byte() -> None:
    of = backup("b1", 4, OLD)
    short = data_facts(of, free_bytes=2_499_999)
    (finding,) = found(assessed(facts(BAD, GOOD, data=short)), "restore.no-space")
    assert finding.severity is Severity.BLOCKS and finding.accept is None
    enough = data_facts(of, free_bytes=2_500_000)
    assert not found(assessed(facts(BAD, GOOD, data=enough)), "restore.no-space")


@pytest.mark.parametrize("changes", [{"free_bytes": None}, {"readings": {}}])
def test_space_that_nobody_can_tell_has_to_be_accepted_by_name(changes: dict[str, Any]) -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD), **changes))
    (finding,) = found(assessed(seen), "restore.space-unknown")
    assert (finding.severity, finding.accept) == (Severity.NEEDS_APPROVAL, "space-unknown")


def test_a_prepared_database_needs_neither_space_nor_the_right_to_create() -> None:
    of = backup("b1", 4, OLD)
    ready = beside("shop_prepared_20261123_090000", of)
    short = data_facts(of, free_bytes=0, may_create=False, beside=(ready,))
    rules = {f.rule for f in assessed(facts(BAD, GOOD, data=short)).findings}
    assert not rules & {"restore.no-space", "restore.space-unknown", "restore.may-not-create"}


def test_a_role_without_createdb_blocks() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD), may_create=False))
    assert found(assessed(seen), "restore.may-not-create")[0].severity is Severity.BLOCKS


def test_logical_slots_can_be_accepted_and_what_the_swap_would_refuse_cannot() -> None:
    data = data_facts(
        backup("b1", 4, OLD),
        blockers=(msg("Prepared transaction 7 is open"),),
        slots=("s",),
    )
    result = assessed(facts(BAD, GOOD, data=data))
    (slot,), (blocker,) = found(result, "swap.slots"), found(result, "swap.blocked")
    assert (slot.severity, slot.accept) == (Severity.NEEDS_APPROVAL, "logical-slots")
    assert (blocker.severity, blocker.accept) == (Severity.BLOCKS, None)


def test_an_old_backup_is_said_to_be_old() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 40, OLD)))
    assert "40 hours" in str(found(assessed(seen), "backup.old")[0].evidence)
    fresh = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD)))
    assert not found(assessed(fresh), "backup.old")


def test_full_is_reversible_with_loss_though_the_schema_as_it_stands_would_not_do() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD)), schema_now=NEW)
    result = assessed(seen)
    assert result.verdict is Verdict.REVERSIBLE_WITH_LOSS
    assert result.compatibility.answer is Answer.YES
    assert not found(result, "schema.unknown")


def test_a_backup_that_says_nothing_of_its_schema_is_compared_before_the_swap() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("dump", 4)))
    result = assessed(seen)
    assert result.compatibility.answer is Answer.YES
    assert "before any request reaches it" in str(result.compatibility.evidence)


def test_where_nobody_knows_what_the_target_can_use_the_risk_has_to_be_named() -> None:
    unproven = GOOD.model_copy(update={"served_well": (), "schema_fingerprint": None})
    result = assessed(facts(BAD, unproven, data=data_facts(backup("dump", 4))))
    assert found(result, "schema.unknown")[0].accept == "schema-unknown"
    assert result.verdict is not Verdict.REVERSIBLE


def test_a_named_backup_of_a_wider_schema_is_judged_by_rule() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, NEW), backup("b1", 28, OLD)))
    assert assessed(seen, backup="b2").compatibility.answer is Answer.YES  # a nullable column more


def test_a_scenario_that_the_table_only_names_chooses_no_backup() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD)))
    result = assessed(seen, scenario=None, cause="data")
    assert result.named is not None and result.choice is None
