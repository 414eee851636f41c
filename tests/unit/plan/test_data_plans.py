"""Plans that take the data back: their steps, what undoes them, and what they say they cost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.backed import NEW, NOW, OLD, backup, beside, data_facts, facts, hours
from tests.unit.plan.planned import (
    BAD,
    COMMAND,
    GOOD,
    KINDS,
    PROCESS,
    data_only,
    full,
    planned,
    step,
    terms,
    told,
)

from backout.backup import RestoreOrder, SwapOrder
from backout.observed import Answer, HoldFact
from backout.plan.abort import plan_abort
from backout.plan.model import Phase, Plan, Scenario
from backout.plan.restoring import database_name
from backout.testing.steps import check_inverses, check_pure_half

LOOKS = ["backup.read", "restore.beside", "restore.check", "data.count"]
FULL = [
    "guard", "quarantine", *LOOKS, "hold router", "hold workers", "process.stop", "process.link", "data.swap",
    "process.start", "hold.release router", "verify", "data.compare",
]  # fmt: skip
DATA = [
    "guard", *LOOKS, "hold router", "hold workers", "data.swap", "service.reconnect", "hold.release router",
    "verify", "data.compare",
]  # fmt: skip


def test_full_restores_beside_first_and_swaps_while_nothing_runs() -> None:
    assert told(planned(full())) == FULL


def test_data_alone_leaves_the_code_and_waits_until_it_reaches_its_database_again() -> None:
    assert told(planned(data_only(), scenario=Scenario.DATA)) == DATA


def test_with_hold_first_everything_is_held_before_anything_is_read() -> None:
    plan = planned(full(), hold_first=True)
    assert told(plan) == [
        "hold router", "hold database", "hold workers", "guard", "quarantine", *LOOKS,
        "process.stop", "process.link", "data.swap", "hold.release database", "process.start",
        "hold.release router", "verify", "data.compare",
    ]  # fmt: skip
    assert [s.spec.params["mode"] for s in plan.steps[:3]] == ["maintenance", "refuse_writes", "suspend"]
    assert plan.downtime is not None and "01-hold … 15-hold-release" in str(plan.downtime.basis)


def test_data_alone_with_hold_first_lets_writes_through_only_after_the_swap() -> None:
    kinds = told(planned(data_only(), scenario=Scenario.DATA, hold_first=True))
    assert kinds[:4] == ["hold router", "hold database", "hold workers", "guard"]
    after = kinds[kinds.index("data.swap") :]
    assert after == [
        "data.swap", "hold.release database", "service.reconnect", "hold.release router", "verify",
        "data.compare",
    ]  # fmt: skip


def test_a_platform_of_one_script_swaps_before_that_script() -> None:
    kinds = told(planned(full(), COMMAND))
    assert kinds.index("data.swap") + 1 == kinds.index("command.switch")


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("scenario", [Scenario.DATA, Scenario.FULL])
def test_workers_that_were_suspended_stay_so_until_a_person_lets_them_go(
    scenario: Scenario, first: bool
) -> None:
    plan = planned(data_only(), scenario=scenario, hold_first=first)
    assert "hold workers" in told(plan)
    assert "hold.release workers" not in told(plan)


def test_a_means_that_lets_requests_wait_is_not_told_to_suspend_too() -> None:
    both = HoldFact(name="gate", modes=("queue", "suspend"), held=Answer.NO)
    seen = data_only().model_copy(update={"holds": (both,)})
    plan = planned(seen, scenario=Scenario.DATA)
    assert [s.spec.params["mode"] for s in plan.steps if s.spec.kind == "hold"] == ["queue"]


@pytest.mark.parametrize("scenario", [Scenario.DATA, Scenario.FULL])
def test_no_step_has_a_point_of_no_return_and_each_is_undone_or_only_looks(scenario: Scenario) -> None:
    plan = planned(data_only(), scenario=scenario)
    assert plan.point_of_no_return is None
    without = {s.spec.kind for s in plan.steps if s.inverse is None}
    assert without == {
        "guard", "backup.read", "restore.check", "data.count", "verify", "data.compare",
    } | ({"service.reconnect"} if scenario is Scenario.DATA else set())  # fmt: skip
    check_inverses(KINDS, [s.spec for s in plan.steps])


@pytest.mark.parametrize("scenario", [Scenario.DATA, Scenario.FULL])
def test_the_pure_half_of_every_planned_step_keeps_its_promises(scenario: Scenario) -> None:
    from backout.plan.start import world_now

    seen = data_only()
    for one in planned(seen, scenario=scenario).steps:
        check_pure_half(KINDS[one.spec.kind], one.spec, world_now(seen))


def test_the_swap_is_absolute_and_knows_which_database_is_live_now() -> None:
    order = SwapOrder.model_validate(step(planned(full()), "data.swap").spec.params["order"])
    assert (order.live, order.live_oid, order.beside_oid) == ("shop", 7, None)
    assert order.beside == "shop_restored_20261123_120000"
    assert order.kept == "shop_before_20261123_120000"
    assert order.keep_until is not None and order.keep_until > NOW


def test_swapping_back_knows_the_database_that_was_live() -> None:
    undo = step(planned(full()), "data.swap").inverse
    assert undo is not None
    order = SwapOrder.model_validate(undo.params["order"])
    assert (order.beside, order.beside_oid, order.kept) == (
        "shop_before_20261123_120000",
        7,
        "shop_restored_20261123_120000",
    )
    assert undo.params["fingerprint"] == NEW.fingerprint


def test_a_prepared_database_is_swapped_in_under_its_own_name() -> None:
    of = backup("b1", 4, OLD)
    ready = beside("shop_prepared_20261123_090000", of)
    plan = planned(facts(BAD, GOOD, data=data_facts(of, beside=(ready,))))
    assert plan.data is not None and plan.data.prepared
    order = RestoreOrder.model_validate(step(plan, "restore.beside").spec.params["order"])
    swap = SwapOrder.model_validate(step(plan, "data.swap").spec.params["order"])
    assert order.database == swap.beside == ready.name


# --- what undoes it -----------------------------------------------------------------------------


def undone(plan: Plan, until: str, *already: str) -> Plan:
    """Abort after a step; steps `already` so when the run came to them are not its to undo."""
    keys = [s.key for s in plan.steps]
    begun = keys[: keys.index(step(plan, until).key) + 1]
    mine = [k for k in begun if plan.step(k).spec.kind not in already]
    return plan_abort(plan, mine, KINDS, terms(), ())


def test_an_abort_after_the_swap_of_data_swaps_back_waits_for_the_service_and_lets_go() -> None:
    undo = undone(planned(data_only(), scenario=Scenario.DATA), "service.reconnect")
    assert told(undo) == [
        "data.swap", "service.reconnect", "hold.release workers", "hold.release router", "restore.drop",
    ]  # fmt: skip


def test_an_abort_of_full_swaps_back_before_the_code_starts_again() -> None:
    undo = undone(planned(full()), "process.start")
    assert told(undo) == [
        "process.stop", "data.swap", "process.link", "process.start", "hold.release workers",
        "hold.release router", "restore.drop", "quarantine.lift",
    ]  # fmt: skip


def test_an_abort_drops_only_what_this_run_restored_and_never_under_the_kept_name() -> None:
    plan = planned(full())
    for until in ("restore.beside", "data.count", "data.swap"):
        for undo in (s.spec for s in undone(plan, until).steps if s.spec.kind == "restore.drop"):
            order = RestoreOrder.model_validate(undo.params["order"])
            assert order.database == "shop_restored_20261123_120000"


def test_an_abort_leaves_a_database_that_was_prepared_before_the_run() -> None:
    of = backup("b1", 4, OLD)
    ready = beside("shop_prepared_20261123_090000", of)
    plan = planned(facts(BAD, GOOD, data=data_facts(of, beside=(ready,))))
    assert "restore.drop" not in told(undone(plan, "data.count", "restore.beside"))


def test_an_abort_does_not_say_that_rows_are_lost() -> None:
    assert undone(planned(full()), "data.swap").losses == ()


# --- names --------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=70), st.sampled_from(["restored", "before", "prepared"]))
def test_a_name_beside_fits_and_tells_which_database_and_when(live: str, what: str) -> None:
    live = live.encode(errors="ignore").decode()
    name = database_name(live, what, datetime(2026, 11, 23, 2, 0, 0, tzinfo=UTC))
    assert len(name.encode()) <= 63
    assert name.endswith(f"_{what}_20261123_020000")
    if len(live.encode()) <= 30:
        assert name.startswith(live)


@given(st.text(min_size=64, max_size=70), st.text(min_size=1, max_size=3))
def test_long_names_that_begin_alike_do_not_meet(live: str, more: str) -> None:
    live, more = live.encode(errors="ignore").decode(), more.encode(errors="ignore").decode()
    names = {database_name(n, "before", NOW) for n in {live, live + more}}
    assert len(names) == len({live, live + more})


def test_phases_stand_in_their_order_in_every_kind_of_data_plan() -> None:
    order = list(Phase)
    for scenario in (Scenario.DATA, Scenario.FULL):
        for first in (False, True):
            for platform in (PROCESS, COMMAND):
                plan = planned(data_only(), platform, scenario=scenario, hold_first=first)
                positions = [order.index(s.phase) for s in plan.steps]
                assert positions == sorted(positions)
                assert Plan.model_validate_json(plan.model_dump_json()).digest == plan.digest


def test_each_step_that_changes_code_or_schema_stands_in_a_phase_that_a_resume_knows_to_change_it() -> None:
    """Else a resume takes this run's own doing for somebody else's, and refuses to go on."""
    from backout.execute.runner import SWITCHES
    from backout.plan.start import world_now

    for platform in (PROCESS, COMMAND):
        for scenario in (Scenario.DATA, Scenario.FULL):
            seen = data_only()
            world = world_now(seen)
            for one in planned(seen, platform, scenario=scenario).steps:
                after = KINDS[one.spec.kind].effect(one.spec, world)[-1]
                if after.code != world.code:
                    assert "wanted" in SWITCHES[one.phase]
                if after.fingerprint != world.fingerprint:
                    assert "schema" in SWITCHES[one.phase]
                world = after


def test_the_backup_that_was_taken_at_that_hour_is_in_the_plan() -> None:
    plan = planned(full())
    assert plan.data is not None
    assert (plan.data.backup, plan.data.taken_at) == ("b1", hours(4))
