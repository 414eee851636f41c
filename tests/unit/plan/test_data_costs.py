"""What a plan that takes the data back says it costs, and whether it may run."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backed import NEW, NOW, OLD, backup, data_facts, facts
from tests.unit.plan.planned import (
    BAD,
    COMMAND,
    GOOD,
    HOLDS,
    data_only,
    full,
    planned,
    step,
    told,
)

from backout.backup import TableCount
from backout.message import msg
from backout.observed import Observed
from backout.plan.model import Plan, Scenario
from backout.plan.refusal import refusal
from backout.plan.restoring import rows_behind
from backout.schema import Schema


def test_what_stays_behind_is_told_with_its_ceiling() -> None:
    plan = planned(full())
    assert plan.data is not None
    # A tenth more, a thousand more, and what is written within an hour: 500 rows came in the four since the backup.
    assert (plan.data.rows_behind, plan.data.ceiling_rows) == (500, 500 + 50 + 1000 + 125)
    assert step(plan, "data.count").spec.params["ceiling_rows"] == 1675
    text = " ".join(map(str, plan.losses))
    for word in ("public.t about 500", "shop_before_20261123_120000", "backout data bring", "public.outbox"):
        assert word in text


def test_a_ceiling_that_was_named_is_kept_also_where_it_is_zero() -> None:
    plan = planned(full(), max_loss_rows=0)
    assert step(plan, "data.count").spec.params["ceiling_rows"] == 0


def test_rows_of_a_table_that_the_backup_has_not_are_told_too() -> None:
    plan = planned(full(rows={"public.t": 1000, "public.later": 70}))
    assert plan.data is not None and plan.data.rows_behind == 70
    assert "public.later about 70" in str(plan.losses[0])


def test_without_a_count_in_the_backup_nothing_is_made_up() -> None:
    plan = planned(facts(BAD, GOOD, data=data_facts(backup("dump", 4), rows={"public.t": 5})))
    assert plan.data is not None
    assert (plan.data.rows_behind, plan.data.ceiling_rows) == (None, None)
    assert "counted once the backup stands restored" in str(plan.losses[0])


@pytest.mark.parametrize(
    ("counts", "behind"),
    [
        ((), None),
        ([("a", 5, None)], None),
        ([("a", 5, 3), ("b", 1, 4)], 2),
        ([("a", 5, 3), ("b", 4, None)], 6),
        ([("a", None, 3)], 0),
    ],
)
def test_rows_behind_never_cover_for_each_other(counts: list[Any], behind: int | None) -> None:
    made = tuple(TableCount(table=t, live=live, restored=restored) for t, live, restored in counts)
    assert rows_behind(made) == behind


def test_tenants_affected_are_a_number_or_a_reason_or_nobody_asked() -> None:
    number = Observed[int](value=3, source="public.t.tenant", observed_at=NOW)
    reason = number.model_copy(update={"value": None, "unknown": msg("permission denied for table t")})
    told = [str(m) for tenants in (number, reason, None) for m in planned(full(tenants=tenants)).losses]
    assert [line for line in told if "enants" in line] == [
        "Tenants affected: 3.",
        "How many tenants are affected is not known (permission denied for table t).",
    ]


def test_without_a_means_of_holding_the_plan_says_that_requests_fail_during_the_swap() -> None:
    seen = data_only().model_copy(update={"holds": ()})
    plan = planned(seen, scenario=Scenario.DATA)
    assert plan.downtime is not None
    swap, reconnect = step(plan, "data.swap").key, step(plan, "service.reconnect").key
    assert f"they fail during {swap} … {reconnect}" in str(plan.downtime.basis)


# --- whether it may run -------------------------------------------------------------------------


def test_a_plan_that_has_to_be_accepted_names_the_whole_command() -> None:
    plan = planned(full(free_bytes=None), max_loss_rows=7)
    refused = refusal(plan, NOW)
    assert refused is not None
    assert refused.next_command == (
        "backout plan --to 5.4.0 --scenario full --backup b1 --max-loss 7 --accept space-unknown"
    )


def test_without_any_hold_a_script_that_switches_at_once_needs_a_word_for_the_old_code() -> None:
    """The bad release would act on the restored schema until the script has run."""
    seen = full().model_copy(update={"holds": ()})
    plan = planned(seen, COMMAND)
    (found,) = [f for f in plan.findings if f.rule == "plan.invariant"]
    assert "5.5.0" in str(found.evidence) and found.accept == "schema-unknown"


def held_to(plan: Plan) -> object:
    return step(plan, "restore.check").spec.params["usable"]


def test_what_is_restored_is_held_to_what_the_target_uses_and_to_the_rows_counted_in_the_snapshot() -> None:
    check = step(planned(full()), "restore.check").spec
    assert check.params["usable"] == [OLD.fingerprint]
    assert check.params["rows"] == {"public.t": 1000}


def test_rows_that_were_only_estimated_hold_nothing() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b1", 4, OLD, rows={"public.t": 9})))
    assert step(planned(seen), "restore.check").spec.params["rows"] == {}


def test_a_schema_that_was_judged_by_rule_is_one_that_the_check_lets_through() -> None:
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, NEW)))
    assert held_to(planned(seen, backup="b2")) == [OLD.fingerprint, NEW.fingerprint]


def test_a_schema_that_was_accepted_by_name_is_one_that_the_check_lets_through() -> None:
    strange = Schema()
    seen = facts(BAD, GOOD, data=data_facts(backup("b2", 4, strange)))
    plan = planned(seen, backup="b2", accept=("schema-unknown", "loss-unknown"))
    assert refusal(plan, NOW) is None
    assert strange.fingerprint in held_to(plan)  # type: ignore[operator]


def test_where_nothing_is_known_of_the_target_any_schema_that_was_accepted_may_stand() -> None:
    unproven = GOOD.model_copy(update={"served_well": (), "schema_fingerprint": None})
    seen = facts(BAD, unproven, data=data_facts(backup("dump", 4)))
    assert held_to(planned(seen, accept=("schema-unknown",))) == []


def test_full_to_what_runs_already_waits_for_it_after_the_swap() -> None:
    """The code was taken back before; its connections end with the swap, and nothing else would notice."""
    seen = facts(BAD, GOOD, current="5.4.0", bad="5.5.0", data=data_facts(backup("b1", 4, OLD)), holds=HOLDS)
    kinds = told(planned(seen))
    after = kinds[kinds.index("data.swap") :]
    assert after[:2] == ["data.swap", "service.reconnect"]
    assert step(planned(seen), "service.reconnect").spec.params["restart"]
