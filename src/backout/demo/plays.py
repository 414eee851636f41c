"""The stories of the demo, one for each scenario: what goes wrong, and what is typed then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

from backout.demo.books import Books
from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD, MIGRATED
from backout.demo.stage import Stage
from backout.demo.typist import Narrator, Typist
from backout.plan.model import Scenario

Play = Callable[[Stage, Typist, Narrator], dict[str, Any]]
_DAMAGE: LiteralString = "UPDATE reports SET tenant = '' WHERE received_at < %s"
_DAMAGED: LiteralString = "SELECT count(*) FROM reports WHERE tenant = ''"


def play_code(stage: Stage, backout: Typist, narrator: Narrator) -> dict[str, Any]:
    """A broken release; the code goes back."""
    with _good_release(stage, backout, narrator) as clients:
        _deploy_bad(stage, backout, narrator, clients)
        backout.type("plan", "-o", "plan.json")
        measured = _way_back(backout, narrator, clients, stage, "requests fail since the release")
    return measured | _written_down(backout, narrator)


def play_full(stage: Stage, backout: Typist, narrator: Narrator) -> dict[str, Any]:
    """A broken release that damages data too; code and database go back together."""
    with _good_release(stage, backout, narrator) as clients:
        since = _back_up(backout, narrator)
        _deploy_bad(stage, backout, narrator, clients)
        damaged = _damage(stage, narrator, since)
        backout.type("plan", "--scenario", "full", "-o", "plan.json")
        measured = _way_back(backout, narrator, clients, stage, "errors, and tenants lost their reports")
        measured |= _bring(stage, backout, narrator, clients, damaged)
    return measured | _written_down(backout, narrator)


def play_data(stage: Stage, backout: Typist, narrator: Narrator) -> dict[str, Any]:
    """A good release, and a script that damages data; the database goes back alone."""
    with _good_release(stage, backout, narrator) as clients:
        since = _back_up(backout, narrator)
        time.sleep(1.0)
        clients.mark("bad")
        at = datetime.now(UTC)
        damaged = _damage(stage, narrator, since)
        narrator.say("\n── It is 3 a.m. What now? ──")
        backout.type("verify")
        time.sleep(0.5)
        backout.type("plan", "--scenario", "data", "--at", f"{at:%Y-%m-%dT%H:%M:%S+00:00}", "-o", "plan.json")
        measured = _way_back(backout, narrator, clients, stage, "tenants lost their reports")
        measured |= _bring(stage, backout, narrator, clients, damaged)
    return measured | _written_down(backout, narrator)


def play_schema(stage: Stage, backout: Typist, narrator: Narrator) -> dict[str, Any]:
    """A broken release that came with a migration; the code goes back, and the schema with it."""
    books = Books(stage.database_url)
    with _good_release(stage, backout, narrator, bad=MIGRATED, before=books.begin) as clients:
        narrator.say("\n── Somebody migrates the database for", MIGRATED, "──")
        backout.type("migrate", "--release", MIGRATED, "--", "bin/migrate", MIGRATED)
        _deploy_bad(stage, backout, narrator, clients, MIGRATED)
        books.write()
        written = len(clients.acknowledged("bad"))
        backout.type("plan", "-o", "plan.json")
        measured = _way_back(
            backout, narrator, clients, stage, "requests fail since the release", bad=MIGRATED
        )
        lost = books.lost()
        narrator.say("\n── The mistake is found; forward again, with all that was written under either ──")
        backout.type("db", "redo", "--yes")
        stage.deploy(MIGRATED)
        measured["schema"] = {
            "rows_written_under_the_migrated_release": written,
            "other_rows_lost": lost["rows"],
            "values_lost": lost["values"],
            "rows_lost_forward_again": len(clients.missing(stage.database_url)) + books.lost_ahead(),
        }
    return measured | _written_down(backout, narrator)


PLAYS: Mapping[Scenario, Play] = {
    Scenario.CODE: play_code,
    Scenario.SCHEMA: play_schema,
    Scenario.DATA: play_data,
    Scenario.FULL: play_full,
}


@contextmanager
def _good_release(
    stage: Stage,
    backout: Typist,
    narrator: Narrator,
    *,
    bad: str = BAD,
    before: Callable[[], None] = lambda: None,
) -> Iterator[Clients]:
    """Deploy the good release and record it while clients send; they go on until the end."""
    narrator.say(f"── {GOOD} is deployed, clients send requests and write rows without a pause ──")
    stage.deploy(GOOD)
    before()
    record = stage.directory / "requests.jsonl"
    with Clients(stage.children, stage.front_url, record, bad_version=bad) as clients:
        clients.mark("begin")
        time.sleep(1.0)
        clients.mark("normal")
        stage.limit_p95(clients.summary("begin", "normal").p95_seconds * 1000)
        backout.type("record")
        yield clients


def _deploy_bad(
    stage: Stage, backout: Typist, narrator: Narrator, clients: Clients, version: str = BAD
) -> None:
    narrator.say("\n── Somebody deploys", version, "──")
    stage.deploy(version)
    clients.mark("bad")
    backout.type("record")
    narrator.say("\n── It is 3 a.m. What now? ──")
    backout.type()


def _back_up(backout: Typist, narrator: Narrator) -> datetime:
    """Make a backup while clients write, and return a moment before it."""
    time.sleep(1.0)
    since = datetime.now(UTC)
    narrator.say("\n── The nightly backup, while clients go on ──")
    backout.type("backup", "create")
    backout.type("backup", "verify")
    return since


def _damage(stage: Stage, narrator: Narrator, since: datetime) -> int:
    """Run what somebody believed to be a clean-up, and return how many rows it damaged."""
    import psycopg

    with psycopg.connect(stage.database_url, autocommit=True, connect_timeout=5) as connection:
        damaged = connection.execute(_DAMAGE, [since]).rowcount
    narrator.say(f"\n── A script empties the tenant of {damaged} reports ──")
    return damaged


def _way_back(
    backout: Typist, narrator: Narrator, clients: Clients, stage: Stage, reason: str, *, bad: str = BAD
) -> dict[str, Any]:
    narrator.say("\n── The way back, while clients go on ──")
    clients.mark("way back")
    code = backout.type("run", "plan.json", "--yes", "--reason", reason)
    clients.mark("back")
    time.sleep(1.0)
    clients.mark("end")
    broken, back = clients.summary("bad", "way back"), clients.summary("way back", "back")
    after = clients.summary("back", "end")
    clients.stop()
    return {
        "exit_code_of_run": code,
        "bad_release": {
            "version": bad,
            "seconds": round(broken.seconds, 2),
            "requests_sent": broken.requests_sent,
            "errors": broken.errors_of_bad_release,
        },
        "way_back": {
            "seconds": round(back.seconds, 2),
            "requests_sent": back.requests_sent,
            "requests_failed": back.requests_failed,
            "failures": back.failures,
            "errors_of_the_bad_release": back.errors_of_bad_release,
            "longest_request_seconds": round(back.longest_request_seconds, 3),
            "rows_acknowledged": len(clients.acknowledged()),
            "rows_lost": len(clients.missing(stage.database_url, *stage.kept_urls())),
        },
        "afterwards": {
            "requests_sent": after.requests_sent,
            "requests_failed": after.requests_failed + after.errors_of_bad_release,
            "answered_by": after.answered_by,
        },
    }


def _bring(
    stage: Stage, backout: Typist, narrator: Narrator, clients: Clients, damaged: int
) -> dict[str, Any]:
    """Bring over what was written since the backup, and return the figures about the data."""
    import psycopg

    behind = len(clients.missing(stage.database_url))
    narrator.say("\n── What was written since the backup is kept, and comes over by choice ──")
    backout.type("data", "diff")
    backout.type("data", "bring", "public.reports", "--yes")
    with psycopg.connect(stage.database_url, connect_timeout=5) as connection:
        row = connection.execute(_DAMAGED).fetchone()
    run = json.loads(backout.answer("status", "--json"))
    return {
        "data": {
            "damaged_rows_before": damaged,
            "damaged_rows_after": row[0] if row else None,
            "rows_behind": behind,
            "rows_still_behind": len(clients.missing(stage.database_url)),
            "closed_seconds": _closed_s(run),
            "held_seconds": _held_s(run),
        }
    }


def _closed_s(run: dict[str, Any]) -> float | None:
    found = [s["receipt"]["data"].get("closed_s") for s in run["steps"] if s["key"].endswith("-data-swap")]
    return found[0] if found else None


def _held_s(run: dict[str, Any]) -> float | None:
    ends = {
        what: [s["confirmed_at"] for s in run["steps"] if s["key"].endswith(what)]
        for what in ("-hold", "-hold-release")
    }
    if not all(ends.values()):
        return None
    begun, ended = (datetime.fromisoformat(ends[what][0]) for what in ("-hold", "-hold-release"))
    return round((ended - begun).total_seconds(), 2)


def _written_down(backout: Typist, narrator: Narrator) -> dict[str, Any]:
    narrator.say("\n── What is written down ──")
    backout.type("status", "--follow")
    reports = Path.cwd() / "backout-demo"
    reports.mkdir(exist_ok=True)
    for name in ("md", "html"):
        backout.type("report", "--format", name, "-o", str(reports / f"report.{name}"))
    backout.type("history", "--verify")
    return {"reports": [str(p) for p in sorted(reports.iterdir())]}
