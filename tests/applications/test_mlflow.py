"""MLflow itself: its own upgrade over 42 migrations, back and forward again, with everything that both releases wrote.

The server of the earlier release is asked from before the upgrade to the end, that of the later one from the upgrade on: each
looks at the schema's version only when it is first asked.
"""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from tests.applications.rest import Api
from tests.applications.seen import Rows, Told, as_row, columns, lacking, rows, seen
from tests.applications.servers import NEW, OLD, VERSIONS, Servers, environment
from tests.applications.writes import Made, change, write, write_new
from tests.command_line import Cli

pytestmark = pytest.mark.slow

UPGRADE = ("sh", "-c", 'mlflow db upgrade "$DATABASE_URL"')
# The later release keeps these in columns. Its upgrade computes them in Python, and deletes the rows.
MOVED = (
    "tags/mlflow.traceName",
    "request_metadata/mlflow.trace.session",
    "request_metadata/mlflow.trace.tokenUsage",
)
# So `db redo` cannot do it for traces written meanwhile, and says so. What an operator types then:
FILL = """
UPDATE trace_info t SET
  trace_name = coalesce(trace_name, (SELECT value FROM trace_tags g
    WHERE g.request_id = t.request_id AND key = 'mlflow.traceName')),
  session_id = coalesce(session_id, (SELECT value FROM trace_request_metadata m
    WHERE m.request_id = t.request_id AND key = 'mlflow.trace.session'));
UPDATE trace_info t SET input_tokens = (u ->> 'input_tokens')::bigint,
  output_tokens = (u ->> 'output_tokens')::bigint, total_tokens = (u ->> 'total_tokens')::bigint
  FROM (SELECT request_id, value::json AS u FROM trace_request_metadata WHERE key = 'mlflow.trace.tokenUsage') m
  WHERE m.request_id = t.request_id AND total_tokens IS NULL"""
_PACE_S = 0.2
ORPHANS = "DELETE FROM assessments a WHERE NOT EXISTS (SELECT FROM trace_info WHERE request_id = a.trace_id)"


@dataclass
class Story:
    """One database, who types there, and the tables and columns of the earlier release."""

    url: str
    cli: Cli
    narrow: dict[str, list[str]]

    def rows(self) -> Rows:
        return rows(self.url, self.narrow)

    def all_rows(self) -> Rows:
        """Return rows with the columns of whichever schema stands."""
        return rows(self.url, columns(self.url))

    def run(self, script: str) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(script)


def test_an_upgrade_goes_back_and_forward_with_what_both_releases_wrote(
    url: str, mlflow: Servers, tmp_path: Path
) -> None:
    old = mlflow.ready("old", mlflow.start("old", OLD))
    story = Story(url, Cli(tmp_path, environment(NEW) | {"DATABASE_URL": url}, timeout_s=300), columns(url))
    first = write(old, "before")
    change(old, first, "old")
    told, before = seen(old), story.rows()

    done = story.cli("migrate", "--release", VERSIONS[NEW], "--", *UPGRADE).ended(0)
    assert "can be taken back" in done.err
    upgraded = story.rows()
    new = mlflow.ready("new", mlflow.start("new", NEW))
    assert lacking(told, seen(new)) == []
    between, later = write(old, "between"), write(new, "later")
    for api, made, who in ((new, first, "new"), (new, between, "new"), (old, later, "old")):
        change(api, made, who)
    trace = write_new(new, later)
    here, full = story.rows(), story.all_rows()
    told_by_old, told_by_new = seen(old), seen(new)

    killed = story.cli("db", "rollback", "--yes", env={"BACKOUT_FAULT": "db.commit.before"})
    assert killed.code == -signal.SIGKILL
    assert story.all_rows() == full
    with busy(old, between.runs[2]) as logged:
        story.cli("db", "rollback", "--yes").ended(0)
    back = story.rows()
    assert unlike(expected(before, upgraded, here), back) == []
    fresh = mlflow.ready("fresh", mlflow.start("fresh", OLD))
    told = seen(fresh)
    assert told == seen(old)
    assert sorted(json.loads(one)["value"] for one in told["histories"]["busy"][between.runs[2]]) == logged
    assert unexplained(lacking(told_by_old, told), "/too long/") == []
    assert unexplained(lacking(told, told_by_new), "/busy", *moved(between)) == []

    since = write(fresh, "since")
    for made in (first, between, later):
        change(old, made, "since")
    old.post("traces/delete-traces", experiment_id=later.experiment, request_ids=[trace])
    told, meanwhile = seen(fresh), story.rows()
    redone = story.cli("db", "redo", "--yes").ended(6)
    assert "public.trace_info.trace_name was not filled in" in redone.everything
    assert "fk_assessments_trace_id" in redone.everything
    story.run(ORPHANS)
    story.cli("db", "finish").ended(0)
    assert overwritten(full, meanwhile, story.all_rows(), trace) == []
    assert unexplained(lacking(told, seen(new)), *moved(between), *moved(since)) == []
    story.run(FILL)
    told_again = seen(new)
    assert lacking(told, told_again) == []
    for what, which in (("experiments", later.experiment), ("runs", later.runs[0])):
        assert str(len(tags(told_again[what][which])["too long"]["value"])) == "7000"
    write(new, "again")
    change(new, since, "again")


@contextmanager
def busy(api: Api, run: str) -> Iterator[list[float]]:
    """Log one number after the other meanwhile; give those that the server took."""
    logged: list[float] = []
    ended, raised = threading.Event(), []

    def log() -> None:
        try:
            while not ended.is_set():
                number = float(len(logged))
                api.post(
                    "runs/log-metric",
                    run_id=run,
                    key="busy",
                    value=number,
                    timestamp=len(logged),
                    step=len(logged),
                )
                logged.append(number)
                ended.wait(_PACE_S)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=log)
    thread.start()
    try:
        yield logged
    finally:
        ended.set()
        thread.join()
    assert raised == []
    assert logged


def expected(before: Rows, upgraded: Rows, here: Rows) -> Rows:
    """Return what the way back should leave: all that is there, and what the upgrade itself deleted of traces still there."""
    traces = {json.loads(one)["request_id"] for one in here["trace_info"]}
    return {
        table: Counter(map(shortened, (now - (upgraded[table] - before[table])).elements()))
        + Counter(
            one
            for one in (before[table] - upgraded[table]).elements()
            if json.loads(one).get("request_id", "") in {"", *traces}
        )
        for table, now in here.items()
    }


def shortened(row: str) -> str:
    """Return a row without the values that the earlier type has no place for."""
    values = json.loads(row)
    return as_row({**values, "value": None}) if values.get("key") == "too long" else row


def unlike(wanted: Rows, found: Rows) -> list[str]:
    """Return rows that are missing, or too many, but for those of who was busy meanwhile."""
    return [
        f"{table} {what} {row[:300]}"
        for table in wanted
        for what, rows in (("lacks", wanted[table] - found[table]), ("has", found[table] - wanted[table]))
        for row in rows
        if '"key": "busy"' not in row
    ]


def overwritten(full: Rows, meanwhile: Rows, now: Rows, trace: str) -> list[str]:
    """Return rows of the later release that are not as they were, though nobody has changed them while they were hidden."""
    lost = []
    for table, earlier in full.items():
        names = json.loads(next(iter(meanwhile[table]))).keys() if meanwhile.get(table) else ()
        for row in earlier - now[table]:
            values = json.loads(row)
            touched = table in meanwhile and as_row({n: values[n] for n in names}) not in meanwhile[table]
            if not touched and values.get("trace_id") != trace:
                lost.append(f"{table} {row[:300]}")
    return lost


def moved(made: Made) -> list[str]:
    """Return where the later release does not look for what the earlier one wrote of these traces."""
    return [f"/traces/{trace}/{key}" for trace in made.traces for key in MOVED]


def unexplained(lacks: list[str], *places: str) -> list[str]:
    return [one for one in lacks if not any(place in one for place in places)]


def tags(told: Told) -> Told:
    return dict(told["tags"] if "tags" in told else told["data"]["tags"])
