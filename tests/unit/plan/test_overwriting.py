"""Plans that overwrite the live database: held and backed up first, and honest about the way back."""

from __future__ import annotations

import pytest
from tests.unit.backed import NEW, OLD, backup
from tests.unit.plan.planned import KINDS, data_only, full, planned, step, terms, told

from backout.backup import BackupFormat, RestoreOrder
from backout.errors import ExitCode, Refused
from backout.message import msg
from backout.observed import Answer, HoldFact
from backout.plan.abort import plan_abort
from backout.plan.assembly import ADDS_ONLY
from backout.plan.model import Phase, Plan, Scenario, Way
from backout.plan.refusal import refusal, words_of
from backout.plan.simulate import simulate
from backout.plan.start import world_now
from backout.testing.steps import check_pure_half

SCRIPT = ("bin/restore-db.sh", "{path}", "--into={database}", "{name}")
HELD = ["hold router", "hold database", "hold workers"]
DATA = [
    "guard", "backup.read", *HELD, "data.rows", "backup.safety", "restore.command", "data.rows",
    "hold.release database", "service.reconnect", "hold.release router", "verify",
]  # fmt: skip
FULL = [
    "guard", "quarantine", "backup.read", *HELD, "data.rows", "backup.safety", "process.stop", "process.link",
    "restore.command", "data.rows", "hold.release database", "process.start", "hold.release router", "verify",
]  # fmt: skip


def by_script(scenario: Scenario = Scenario.DATA, **request: object) -> Plan:
    return planned(data_only(), own_script=SCRIPT, scenario=scenario, **request)


def test_the_script_stands_behind_every_hold_and_the_safety_backup() -> None:
    assert told(by_script()) == DATA
    assert told(planned(full(), own_script=SCRIPT)) == FULL
    modes = [s.spec.params["mode"] for s in by_script().steps if s.spec.kind == "hold"]
    assert modes == ["maintenance", "refuse_writes", "suspend"]


def test_hold_first_moves_only_the_hold() -> None:
    plan = by_script(hold_first=True)
    assert told(plan) == [*HELD, "guard", "backup.read", *DATA[5:]]
    order = list(Phase)
    positions = [order.index(s.phase) for s in plan.steps]
    assert positions == sorted(positions)


def test_the_script_is_told_which_backup_and_what_must_still_hold() -> None:
    params = step(by_script(), "restore.command").spec.params
    assert params["command"] == ["bin/restore-db.sh", "/backups/b1", "--into=shop", "b1"]
    assert params["held"] == ["router", "database", "workers"]


def test_the_point_of_no_return_is_the_script_and_names_the_way_back() -> None:
    plan = by_script()
    script = step(plan, "restore.command")
    assert plan.point_of_no_return == script.key
    assert plan.data is not None and plan.data.safety is not None
    assert (plan.data.way, plan.data.kept, plan.data.beside) == (Way.COMMAND, None, None)
    assert f"backout run --scenario data --backup {plan.data.safety}" in str(script.no_inverse_because)
    assert step(plan, "backup.safety").no_inverse_because == ADDS_ONLY
    assert any(plan.data.safety in str(loss) for loss in plan.losses)


def test_an_abort_before_the_script_lets_go_and_one_after_it_is_refused() -> None:
    plan = by_script()
    keys = [s.key for s in plan.steps]
    before = keys[: keys.index(step(plan, "restore.command").key)]
    undo = plan_abort(plan, before, KINDS, terms(), ())
    assert told(undo) == ["hold.release workers", "hold.release database", "hold.release router"]
    with pytest.raises(Refused, match="comes back by: backout run"):
        plan_abort(plan, keys[: len(before) + 1], KINDS, terms(), ())


def test_without_a_safety_backup_it_was_accepted_by_name() -> None:
    plan = by_script(accept=("no-safety-backup",))
    assert "backup.safety" not in told(plan)
    assert [f.accept for f in plan.findings if f.rule == "restore.no-safety-backup"] == ["no-safety-backup"]
    assert "nothing keeps" in str(step(plan, "restore.command").no_inverse_because)
    assert any("Nothing keeps them" in str(loss) for loss in plan.losses)
    assert not [f for f in by_script().findings if f.rule == "restore.no-safety-backup"]


def test_where_nothing_can_hold_writes_the_plan_is_refused() -> None:
    workers = HoldFact(name="workers", modes=("suspend",), held=Answer.NO)
    seen = data_only().model_copy(update={"holds": (workers,)})
    plan = planned(seen, own_script=SCRIPT, scenario=Scenario.DATA)
    assert "restore.cannot-hold" in {f.rule for f in plan.findings}
    refused = refusal(plan, plan.created_at)
    assert refused is not None and refused.exit_code is ExitCode.REFUSED


def test_what_keeps_a_swap_from_being_made_does_not_matter_to_a_script() -> None:
    seen = data_only(slots=("logical slot x",), may_create=False, free_bytes=1)
    rules = {f.rule for f in planned(seen, own_script=SCRIPT, scenario=Scenario.DATA).findings}
    assert not {r for r in rules if r.startswith("swap.")} | rules & {
        "restore.may-not-create",
        "restore.no-space",
    }


# --- chosen tables ------------------------------------------------------------------------------

TABLES = [
    "guard", "backup.read", "restore.beside", "tables.check", *HELD, "backup.safety", "tables.restore",
    "hold.release database", "service.reconnect", "hold.release router", "verify", "restore.drop",
]  # fmt: skip


def of_tables(tables: tuple[str, ...] = ("public.t",), **changes: object) -> Plan:
    return planned(data_only(**changes), scenario=Scenario.DATA, tables=tables)


def test_tables_are_compared_before_anything_is_held_and_written_behind_the_safety_backup() -> None:
    plan = of_tables()
    assert told(plan) == TABLES
    assert plan.point_of_no_return == step(plan, "tables.restore").key
    assert "--tables public.t" in str(step(plan, "tables.restore").no_inverse_because)
    assert step(plan, "backup.safety").spec.params["tables"] == ["public.t"]
    assert step(by_script(), "backup.safety").spec.params["tables"] == []
    # They are named although there is a script: it cannot restore some tables.
    assert (
        told(planned(data_only(), own_script=SCRIPT, scenario=Scenario.DATA, tables=("public.t",))) == TABLES
    )


def test_only_the_rows_of_these_tables_count() -> None:
    plan = of_tables(rows={"public.t": 1200, "public.u": 90_000})
    assert plan.data is not None
    assert ([c.table for c in plan.data.counts], plan.data.rows_behind) == (["public.t"], 200)


def test_of_sql_text_everything_is_restored_beside() -> None:
    def asked(plan: Plan) -> tuple[str, ...]:
        return RestoreOrder.model_validate(step(plan, "restore.beside").spec.params["order"]).tables

    assert asked(of_tables()) == ("public.t",)
    text = backup("b1", 4, OLD).model_copy(update={"format": BackupFormat.PLAIN_GZIP})
    assert asked(of_tables(backups=(text,))) == ()


def test_of_a_backup_with_some_tables_alone_all_its_rows_are_restored_beside() -> None:
    # Of a table in partitions the rows are in the partitions: these are what the backup lists.
    some = backup("b1", 4, OLD, tables=("public.t",), rows={"public.t_1": 1, "public.t_2": 1})
    plan = planned(data_only(backups=(some,)), scenario=Scenario.DATA, tables=("public.t",), backup="b1")
    order = RestoreOrder.model_validate(step(plan, "restore.beside").spec.params["order"])
    assert order.tables == ("public.t_1", "public.t_2")


def test_the_schema_that_stands_is_the_one_that_counts() -> None:
    # The backup has the earlier schema; only rows of it come back.
    plan = of_tables()
    assert not [f for f in plan.findings if f.rule == "plan.invariant"]
    end = list(simulate(plan.steps, KINDS, world_now(data_only())))[-1].world
    assert end.fingerprint == NEW.fingerprint


def test_what_the_database_says_of_a_table_refuses_the_plan() -> None:
    plan = of_tables(unfit=(msg("public.t has no key"),))
    refused = refusal(plan, plan.created_at)
    assert refused is not None and "public.t has no key" in str(refused.what)


def test_an_abort_before_the_tables_drops_what_was_restored() -> None:
    plan = of_tables()
    keys = [s.key for s in plan.steps]
    before = keys[: keys.index(step(plan, "tables.restore").key)]
    undo = plan_abort(plan, before, KINDS, terms(), ())
    assert told(undo)[-1] == "restore.drop"


def test_the_command_that_asks_again_names_the_tables() -> None:
    assert "--tables public.t" in words_of(of_tables())


@pytest.mark.parametrize("scenario", [Scenario.DATA, Scenario.FULL])
def test_the_pure_half_of_every_step_keeps_its_promises(scenario: Scenario) -> None:
    for one in (*by_script(scenario).steps, *of_tables().steps):
        check_pure_half(KINDS[one.spec.kind], one.spec, world_now(data_only()))
