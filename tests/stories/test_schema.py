"""A release came with a migration that ran through backout: its code goes back, and the schema with it, and no row is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest

from backout.demo.releases import BAD, GOOD

from .conftest import Scene

pytestmark = pytest.mark.slow

RENAME = "ALTER TABLE reports RENAME COLUMN body TO content"
"""No schema suits both releases."""
DROP = "ALTER TABLE reports DROP COLUMN received_at"
"""The earlier release needs it, and the later one (as this story has it) does not."""
ADD = "CREATE TABLE labels (id int PRIMARY KEY, label text)"
"""The later release needs it, and the earlier one does without."""
_RUNS = "import os, sys, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute(sys.argv[1])"


@dataclass(frozen=True)
class Migrated:
    """The bad release runs, and what came with it was run through backout."""

    scene: Scene

    def migrate(self, statement: str, *more: str) -> None:
        release = more or ("--release", BAD)
        self.scene.cli("migrate", *release, "--", sys.executable, "-c", _RUNS, statement).ended(0)

    def written(self, column: str = "body") -> str:
        """Write a row as the later code would, and return its id."""
        made = str(uuid4())
        self.scene.execute(f"INSERT INTO reports (id, tenant, {column}) VALUES ('{made}', 'acme', 'since')")
        return made

    def body_of(self, made: str) -> list[tuple[str, bool]]:
        rows = self.scene.execute(f"SELECT body, received_at IS NOT NULL FROM reports WHERE id = '{made}'")
        return [(row[0], row[1]) for row in rows]

    def states(self) -> list[str]:
        return [one["state"] for one in self.scene.cli("db", "history", "--json").ended(0).json["migrations"]]

    def steps(self, *words: str) -> list[tuple[str, str]]:
        """Return the plan's steps that change something, with their phases."""
        plan = self.scene.cli("plan", *words, "--json").ended(0).json["plan"]
        kinds = ("process.", "migrations.", "hold")
        return [(s["phase"], s["spec"]["kind"]) for s in plan["steps"] if s["spec"]["kind"].startswith(kinds)]


@pytest.fixture
def migrated(scene: Scene) -> Iterator[Migrated]:
    yield Migrated(scene)


def test_what_suits_neither_goes_back_while_requests_wait(migrated: Migrated) -> None:
    migrated.migrate(RENAME)
    row = migrated.written("content")
    plan = migrated.scene.cli("plan").ended(0)
    assert "they are taken back with the code" in plan.out
    assert "column body is now" in plan.out and "no schema suits both" in plan.out
    order = migrated.steps()
    place = order.index(("switch schema", "migrations.back"))
    assert ("hold", "hold") in order[:place] and ("release hold", "hold.release") in order[place:]
    done = migrated.scene.cli("run", "--yes").ended(0)
    assert "nothing that was written is lost" in done.everything
    assert migrated.body_of(row) == [("since", True)]
    assert migrated.states() == ["undone"]
    migrated.scene.finished_well()
    assert "Migration 1 is taken back. Tables were locked for" in migrated.scene.cli("report").ended(0).out


def test_what_the_earlier_code_needs_comes_back_before_it(migrated: Migrated) -> None:
    migrated.migrate(DROP)
    row = migrated.written()
    order = migrated.steps()
    assert order.index(("bridge schema", "migrations.back")) < next(
        place for place, (phase, _) in enumerate(order) if phase == "revert code"
    )
    migrated.scene.cli("run", "--yes").ended(0)
    assert migrated.body_of(row) == [("since", True)]
    migrated.scene.finished_well()


def test_what_the_later_code_needs_goes_after_it_and_only_if_asked(migrated: Migrated) -> None:
    migrated.migrate(ADD)
    assert not [kind for _, kind in migrated.steps() if kind.startswith("migrations")]
    order = migrated.steps("--scenario", "schema")
    assert order.index(("contract schema", "migrations.back")) > max(
        place for place, (phase, _) in enumerate(order) if phase == "revert code"
    )
    migrated.scene.cli("run", "--scenario", "schema", "--yes").ended(0)
    assert migrated.scene.execute("SELECT to_regclass('labels')") == [(None,)]
    migrated.scene.finished_well()


def test_part_of_it_goes_before_the_code_and_part_after_it(migrated: Migrated) -> None:
    migrated.migrate(f"{DROP}; {ADD}")
    row = migrated.written()
    order = [(phase, kind) for phase, kind in migrated.steps() if kind == "migrations.back"]
    assert order == [("bridge schema", "migrations.back"), ("contract schema", "migrations.back")]
    migrated.scene.cli("run", "--yes").ended(0)
    assert migrated.body_of(row) == [("since", True)]
    assert migrated.scene.execute("SELECT to_regclass('labels')") == [(None,)]
    assert migrated.states() == ["undone"]
    migrated.scene.finished_well()


KEYED = "CREATE UNIQUE INDEX reports_once ON reports (body) WHERE body = 'since'"
UNKEYED = "DROP INDEX reports_once"
SCHEMA = ("--scenario", "schema", "--accept", "schema-unknown")
STANDING = "SELECT indexname FROM pg_indexes WHERE indexname LIKE '\\_bo\\_%' OR indexname = 'reports_once'"


def test_a_key_is_built_before_requests_wait(migrated: Migrated) -> None:
    migrated.scene.execute(KEYED)
    migrated.migrate(UNKEYED)
    plan = migrated.scene.cli("plan", *SCHEMA, "--json").ended(0).json["plan"]
    order = [step["spec"]["kind"] for step in plan["steps"]]
    assert order.index("migrations.prepare") < order.index("hold") < order.index("migrations.back")
    fault = {"BACKOUT_FAULT": "migrations.prepare.after"}
    assert migrated.scene.cli("run", *SCHEMA, "--yes", env=fault).code == -9
    assert migrated.scene.execute(STANDING) == [("_bo_1",)]
    migrated.scene.cli("abort", "--yes").ended(0)
    assert migrated.scene.execute(STANDING) == []
    migrated.scene.cli("run", *SCHEMA, "--yes").ended(0)
    assert migrated.scene.execute(STANDING) == [("reports_once",)]
    migrated.scene.finished_well()


def test_what_is_there_twice_stops_the_run_before_anything_is_changed(migrated: Migrated) -> None:
    migrated.scene.execute(KEYED)
    migrated.migrate(UNKEYED)
    rows = [migrated.written(), migrated.written()]
    refused = migrated.scene.cli("run", *SCHEMA, "--yes")
    assert refused.code != 0
    assert "1 value(s) are there more than once" in refused.everything
    assert (migrated.states(), migrated.scene.stage.running_version()) == (["applied"], BAD)
    migrated.scene.execute(f"DELETE FROM reports WHERE id = '{rows[0]}'")
    migrated.scene.cli("run", *SCHEMA, "--yes").ended(0)
    migrated.scene.finished_well()


@pytest.mark.parametrize("number", [1, 2])
def test_a_kill_halfway_is_resumed_or_aborted(migrated: Migrated, number: int) -> None:
    migrated.migrate(f"{DROP}; {ADD}")
    fault = {"BACKOUT_FAULT": f"db.commit.after:{number}"}
    assert migrated.scene.cli("run", "--yes", env=fault).code == -9
    assert migrated.states() == ["applied" if number == 1 else "undone"]
    if number == 1:
        migrated.scene.cli("resume").ended(0)
        migrated.scene.finished_well()
    else:
        migrated.scene.cli("abort", "--yes").ended(0)
        assert migrated.states() == ["applied"]
        assert migrated.scene.stage.running_version() == BAD
        assert migrated.scene.execute("SELECT to_regclass('labels') IS NOT NULL") == [(True,)]


def test_forward_again_has_what_was_written_under_either(migrated: Migrated) -> None:
    migrated.migrate(RENAME)
    under_new = migrated.written("content")
    migrated.scene.cli("run", "--yes").ended(0)
    under_old = migrated.written()
    migrated.scene.cli("db", "redo", "--yes").ended(0)
    rows = migrated.scene.execute("SELECT id::text, content FROM reports")
    assert {(under_new, "since"), (under_old, "since")} <= set(rows)
    assert migrated.states() == ["applied"]
    migrated.scene.stage.deploy(BAD)
    assert ("switch schema", "migrations.back") in migrated.steps("--to", GOOD)


def test_what_somebody_changed_by_hand_since_has_to_be_accepted(migrated: Migrated) -> None:
    """What will stand is not what stood before: nobody knows whether the earlier code can use it."""
    migrated.migrate(RENAME)
    migrated.scene.execute("ALTER TABLE reports ADD COLUMN by_hand int")
    migrated.scene.cli("run", "--yes").refused(
        4,
        what="Which schema stands once the migrations are taken back is not known",
        now="Nothing was changed",
        next="--scenario schema --accept schema-unknown",
    )
    migrated.scene.cli("run", "--accept", "schema-unknown", "--yes").ended(0)
    assert migrated.states() == ["undone"]
    migrated.scene.finished_well()


def test_an_abort_makes_nothing_again_below_a_later_migration(migrated: Migrated) -> None:
    migrated.migrate(RENAME)
    migrated.scene.cli("run", "--yes", env={"BACKOUT_FAULT": "migrations.after"})
    migrated.migrate("COMMENT ON TABLE reports IS 'later'")
    migrated.scene.cli("abort", "--yes").refused(
        5,
        what="Migration 1 was taken back, and 2 came after it",
        now="Nothing was changed|steps",
        next="backout",
    )
    assert migrated.states() == ["undone", "applied"]
    migrated.scene.cli("db", "rollback", "--yes").ended(0)
    migrated.scene.cli("abort", "--yes").ended(0)
    assert migrated.states() == ["applied", "undone"]
    assert migrated.scene.stage.running_version() == BAD


def test_a_migration_whose_end_was_never_noted_is_named_with_what_notes_it(migrated: Migrated) -> None:
    scene = migrated.scene
    killed = {"BACKOUT_FAULT": "migrate.ran"}
    assert (
        scene.cli("migrate", "--release", BAD, "--", sys.executable, "-c", _RUNS, RENAME, env=killed).code
        == -9
    )
    scene.cli("run", "--accept", "schema-unknown", "--yes").refused(
        8,
        what="Migration 1 was cut short.*backout db finish",
        now="Nothing was changed",
        next="backout db status",
    )
    scene.cli("db", "finish").ended(0)
    scene.cli("run", "--accept", "schema-unknown", "--yes").ended(0)
    assert migrated.states() == ["undone"]
    scene.finished_well()


@pytest.mark.parametrize(
    "fault", ["migrations.before", "db.locked", "db.commit.before", "db.commit.after", "migrations.after"]
)
def test_a_kill_anywhere_is_resumed_to_the_same_end(migrated: Migrated, fault: str) -> None:
    migrated.migrate(RENAME)
    row = migrated.written("content")
    assert migrated.scene.cli("run", "--yes", env={"BACKOUT_FAULT": fault}).code == -9
    committed = fault in ("db.commit.after", "migrations.after")
    assert migrated.states() == ["undone" if committed else "applied"]
    migrated.scene.cli("resume").ended(0)
    assert migrated.body_of(row) == [("since", True)]
    migrated.scene.finished_well()


def test_an_abort_makes_the_migration_again(migrated: Migrated) -> None:
    migrated.migrate(RENAME)
    row = migrated.written("content")
    migrated.scene.cli("run", "--yes", env={"BACKOUT_FAULT": "migrations.after"})
    migrated.scene.cli("abort", "--yes").ended(0)
    assert migrated.states() == ["applied"]
    assert migrated.scene.execute(f"SELECT content FROM reports WHERE id = '{row}'") == [("since",)]
    assert migrated.scene.stage.running_version() == BAD


def test_a_table_in_use_stops_the_run_with_the_schema_as_it_was(migrated: Migrated) -> None:
    migrated.migrate(DROP)
    with psycopg.connect(migrated.scene.stage.database_url) as busy:
        busy.execute("SELECT count(*) FROM reports")
        stopped = migrated.scene.cli("run", "--yes")
        stopped.refused(
            5, what="tables are in use.*reports", now="Nothing was changed|steps are done", next="resume"
        )
    assert migrated.states() == ["applied"]
    migrated.scene.cli("resume").ended(0)
    migrated.scene.finished_well()


def test_a_migration_that_failed_midway_goes_back_without_any_code(migrated: Migrated) -> None:
    """The release that it belongs to was never deployed."""
    scene = migrated.scene
    scene.stage.deploy(GOOD)
    halves = f"import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True); c.execute({RENAME!r}); c.execute('SELECT 1/0')"
    assert scene.cli("migrate", "--release", "5.5.0", "--", sys.executable, "-c", halves).code == 1
    assert migrated.states() == ["failed"]
    assert migrated.steps("--to", GOOD, "--scenario", "schema") == [
        ("hold", "hold"),
        ("bridge schema", "migrations.back"),
        ("release hold", "hold.release"),
        ("clean up", "migrations.finish"),
    ]
    scene.cli("run", "--to", GOOD, "--scenario", "schema", "--yes").ended(0)
    assert migrated.states() == ["undone"]
    scene.finished_well()


def test_another_migration_since_the_plan_is_a_lost_race(migrated: Migrated) -> None:
    migrated.migrate(RENAME)
    scene = migrated.scene
    scene.cli("plan", "-o", "plan.json").ended(0)
    migrated.migrate("COMMENT ON TABLE reports IS 'again'")
    scene.cli("run", "plan.json", "--yes").refused(
        5,
        what="Another migration was made since the plan: 2",
        now="No migration was taken back",
        next="backout",
    )
    assert migrated.states() == ["applied", "applied"]
    scene.cli("abort", "--yes").ended(0)
    scene.cli("run", "--yes").ended(0)
    assert migrated.states() == ["undone", "undone"]


def test_what_was_finalized_is_refused_before_anything(migrated: Migrated) -> None:
    migrated.migrate(DROP)
    scene = migrated.scene
    scene.cli("db", "finalize", "--now", "--yes").ended(0)
    scene.cli("plan", "--scenario", "schema", "--accept", "schema-unknown")
    scene.cli("run", "--scenario", "schema", "--yes").refused(
        8, what="cannot be taken back now", now="Nothing was changed", next="backout db status --steps 1"
    )


def test_without_a_journal_the_scenario_is_refused_with_how_to_get_one(migrated: Migrated) -> None:
    migrated.scene.cli("run", "--scenario", "schema", "--yes").refused(
        8,
        what="No migration that backout ran came after.*backout migrate",
        now="Nothing was changed",
        next="db history",
    )


def test_who_keeps_everybody_waiting_stands_first_in_the_plan(scene: Scene) -> None:
    url = scene.stage.database_url
    with psycopg.connect(url) as behind, ThreadPoolExecutor(1) as beside:
        with psycopg.connect(url, application_name="the-migration") as hung:
            hung.execute("LOCK TABLE reports")
            waits = beside.submit(behind.execute, "SELECT count(*) FROM reports")
            scene.until(lambda: scene.execute("SELECT 1 FROM pg_locks WHERE NOT granted"))
            plan = scene.cli(
                "plan"
            ).out  # whether the schema can be read meanwhile depends on the server's version
        waits.result()
    shown = ("warning", "note", "needs", "blocks")
    first = next(line for line in plan.splitlines() if line.strip().startswith(shown))
    assert "wait for locks, the first behind process" in first and "the-migration" in first
    assert "backout db blockers" in plan


def test_values_that_the_earlier_type_cannot_hold_are_told_in_the_plan(migrated: Migrated) -> None:
    migrated.scene.execute("ALTER TABLE reports ADD COLUMN note varchar(5)")
    migrated.migrate("ALTER TABLE reports ALTER note TYPE text")
    migrated.migrate(DROP)
    for row in (migrated.written(), migrated.written()):
        migrated.scene.execute(f"UPDATE reports SET note = 'too long' WHERE id = '{row}'")
    plan = migrated.scene.cli("plan", "--json").json["plan"]
    told = [one["evidence"]["fields"] for one in plan["findings"] if one["rule"] == "schema.values-unfit"]
    assert told == [{"rows": 2, "what": "public.reports.note", "value": "NULL"}], plan["findings"]


def test_what_was_written_apart_from_a_column_that_comes_back_is_told_in_the_plan(migrated: Migrated) -> None:
    migrated.migrate("ALTER TABLE reports ADD COLUMN came timestamptz; UPDATE reports SET came = received_at")
    migrated.migrate(DROP)
    migrated.written()
    with migrated.scene.configured(lambda config: f"{config}\nmigrations: {{lock_budget_ms: 0.001}}\n"):
        plan = migrated.scene.cli("plan", "--json").json["plan"]
    told = [one["evidence"]["fields"] for one in plan["findings"] if one["rule"] == "schema.written-apart"]
    assert told == [{"what": "public.reports.received_at", "made": "public.reports.came"}], plan["findings"]
    (told,) = [
        one["evidence"]["fields"] for one in plan["findings"] if one["rule"] == "schema.over-lock-budget"
    ]
    assert "written for public.reports.received_at while tables are locked" in told["what"]
