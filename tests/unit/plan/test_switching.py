"""Plans that switch the service to the restored database: no name changes, and what undoes it is the same switch."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.backed import NEW, NOW, OLD, backup, beside, data_facts, facts
from tests.unit.plan.planned import BAD, GOOD, KINDS, data_only, full, planned, step, terms, told
from tests.unit.plan.test_data_plans import DATA, FULL

from backout.backup import SwapOrder
from backout.message import msg
from backout.observed import Answer, HoldFact
from backout.plan.abort import plan_abort
from backout.plan.model import Plan, Scenario, Way
from backout.plan.restoring import database_name
from backout.plan.start import world_now
from backout.testing.steps import check_inverses, check_pure_half

RUN = ("bin/use-database",)


def switched(kinds: list[str]) -> list[str]:
    return ["data.switch" if kind == "data.swap" else kind for kind in kinds]


def plan(**request: Any) -> Plan:
    return planned(full(), own_switch=RUN, **request)


def order_of(made: Plan) -> SwapOrder:
    return SwapOrder.model_validate(step(made, "data.switch").spec.params["order"])


def test_the_steps_are_those_of_a_swap() -> None:
    assert told(plan()) == switched(FULL)
    assert told(planned(data_only(), own_switch=RUN, scenario=Scenario.DATA)) == switched(DATA)
    assert plan().point_of_no_return is None


def test_the_database_that_is_live_is_kept_under_its_own_name() -> None:
    made = plan()
    assert made.data is not None
    assert (made.data.way, made.data.kept, made.data.safety) == (Way.SWITCH, "shop", None)
    order = order_of(made)
    assert (order.live, order.live_oid, order.kept) == ("shop", 7, "shop")
    assert order.beside == "shop_restored_20261123_120000"
    assert order.keep_until is not None and order.keep_until > NOW
    assert step(made, "data.compare").spec.params["kept"] == "shop"


def test_what_undoes_it_is_the_same_switch_with_the_names_exchanged() -> None:
    one = step(plan(), "data.switch")
    assert one.inverse is not None
    order = SwapOrder.model_validate(one.inverse.params["order"])
    assert (order.live, order.beside, order.beside_oid, order.kept) == (
        "shop_restored_20261123_120000",
        "shop",
        7,
        "shop_restored_20261123_120000",
    )
    assert one.inverse.params["fingerprint"] == NEW.fingerprint
    check_pure_half(KINDS["data.switch"], one.spec, world_now(full()))
    check_inverses(KINDS, [one.spec])


def test_an_abort_switches_back_and_waits_for_the_service() -> None:
    made = planned(data_only(), own_switch=RUN, scenario=Scenario.DATA)
    keys = [s.key for s in made.steps]
    begun = keys[: keys.index(step(made, "service.reconnect").key) + 1]
    assert told(plan_abort(made, begun, KINDS, terms(), ())) == [
        "data.switch", "service.reconnect", "hold.release workers", "hold.release router", "restore.drop",
    ]  # fmt: skip


def test_chosen_tables_go_back_in_place_all_the_same() -> None:
    made = planned(data_only(), own_switch=RUN, scenario=Scenario.DATA, tables=("public.t",))
    assert made.data is not None and made.data.way is Way.TABLES
    assert "data.switch" not in told(made)


def test_the_step_knows_whether_the_run_itself_holds_the_database() -> None:
    assert step(plan(), "data.switch").spec.params["held"] is False
    assert step(plan(hold_first=True), "data.switch").spec.params["held"] is True
    held = HoldFact(name="database", modes=("refuse_writes",), held=Answer.YES, mode="refuse_writes")
    seen = full().model_copy(update={"holds": (held,)})
    assert step(planned(seen, own_switch=RUN), "data.switch").spec.params["held"] is True


def test_what_stands_against_it_blocks_the_plan() -> None:
    seen = full(blockers=(msg("admin owns it"),), slots=("cdc",))
    rules = {f.rule: f for f in planned(seen, own_switch=RUN).findings}
    assert "admin owns it" in str(rules["swap.blocked"].evidence)
    assert rules["swap.slots"].accept == "logical-slots"


def test_by_hand_the_old_one_is_closed_for_writes_before_the_command_runs() -> None:
    lines = KINDS["data.switch"].by_hand(step(plan(), "data.switch").spec)
    assert "SET default_transaction_read_only = on" in lines[0] and '"shop"' in lines[0]
    assert lines[-1] == (
        "cd /srv/shop && BACKOUT_DATABASE_FROM=shop BACKOUT_DATABASE_TO=shop_restored_20261123_120000 "
        "bin/use-database"
    )


@pytest.mark.parametrize("what", ["restored", "prepared", "before"])
def test_names_do_not_grow_with_each_switch(what: str) -> None:
    live = f"shop_{what}_20260101_000000"
    assert database_name(live, "restored", NOW) == "shop_restored_20261123_120000"
    longest = database_name("x" * 63, what, NOW)
    assert len(database_name(longest, what, NOW).encode()) <= 63


def test_a_backup_of_the_database_used_before_or_after_a_switch_is_of_this_service() -> None:
    of = backup("b1", 4, OLD, rows={"public.t": 1000}, rows_exact=True)
    for live in ("shop_restored_20260101_000000", "shop_prepared_20260101_000000"):
        seen = facts(BAD, GOOD, data=data_facts(of, database=live))
        assert planned(seen, own_switch=RUN).data is not None

    ready = beside("shop_prepared_20261123_090000", of)
    made = planned(facts(BAD, GOOD, data=data_facts(of, beside=(ready,))), own_switch=RUN)
    assert order_of(made).beside == ready.name
