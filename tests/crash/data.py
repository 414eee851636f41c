"""Ways back with data: how they begin, and what must be so of the rows when they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple

import psycopg

from backout.demo import stage_databases
from backout.demo.releases import BAD, GOOD
from backout.execute.run import RunState

from .suite import Crash, Ended, Rounds, until

MANY = "1000000"
"""A ceiling that no round reaches: clients go on writing while a run lies killed."""
IN_THE_WORKER = ("restore.lock.", "restore.fill.", "restore.analyse.", "restore.restored.")
"""Fault points of the process that restores: backout itself lives on there."""
OPEN = "collector open"

_WHAT: LiteralString = (
    "SELECT count(*)::text || ' ' || md5(coalesce(string_agg(id || tenant || body, ',' ORDER BY id), ''))"
    " FROM reports WHERE received_at <= %s"
)
_DAMAGE: LiteralString = "UPDATE reports SET tenant = '' WHERE received_at <= %s AND id::text LIKE '%%7'"
_LOSE: LiteralString = "DELETE FROM reports WHERE received_at <= %s AND id::text LIKE '%%3'"
_SINCE: LiteralString = "SELECT id::text FROM reports WHERE received_at > %s"


class Whole(NamedTuple):
    """A way back that nobody disturbed: the points it passed, how it ended, and how long it took."""

    points: list[str]
    picture: dict[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Story:
    """One scenario with data: the snapshot that it begins from, and what is typed."""

    name: str
    words: tuple[str, ...]
    version: str
    taken_at: datetime
    content: str
    damaged: str


def prepare(crash: Crash) -> dict[str, Story]:
    """Make a backup, damage what it holds, and remember that: with the good release running, and with the bad one."""
    stage = crash.stage
    crash.reset("good")
    until(lambda: _count(crash) > 300)
    stage.set_front("queue")  # What is in the backup and what is not is then told by the clock.
    taken_at = datetime.now(UTC)
    crash.must("backup", "create")
    content = content_of(crash, taken_at)
    stage.set_front("pass")
    until(lambda: _count(crash, taken_at) > 100)
    crash.count_rows()  # Before some of them are deleted on purpose.
    at = datetime.now(UTC)
    with psycopg.connect(stage.database_url) as connection:
        connection.execute(_DAMAGE, [taken_at])
        connection.execute(_LOSE, [taken_at])
    damaged = content_of(crash, taken_at)
    assert damaged != content
    stage.snapshot("data")
    stage.deploy(BAD)
    crash.must("record", "--no-checks")
    crash.must("backup", "verify")
    stage.snapshot("full")
    # Its backup is read for the first time inside the run; so how much it needs is not known before.
    data = ("run", "--yes", "--scenario", "data", "--at", at.isoformat(), "--max-loss", MANY, "--accept", "space-unknown")  # fmt: skip
    full = ("run", "--yes", "--scenario", "full", "--to", GOOD, "--max-loss", MANY)
    return {
        "data": Story("data", data, GOOD, taken_at, content, damaged),
        "full": Story("full", full, BAD, taken_at, content, damaged),
    }


def content_of(crash: Crash, taken_at: datetime) -> str:
    """Return count and digest of the rows that the backup has, as the live database has them now."""
    with psycopg.connect(crash.live_url, connect_timeout=5) as connection:
        row = connection.execute(_WHAT, [taken_at]).fetchone()
    assert row is not None
    return str(row[0])


def row_troubles(crash: Crash, story: Story, wanted: str) -> list[str]:
    """Return what is wrong with the rows: those of the backup as wanted, later ones on one side, none lost."""
    try:
        found = content_of(crash, story.taken_at)
        live = rows_since(crash.live_url, story.taken_at)
        kept = [rows_since(url, story.taken_at) for url in crash.stage.kept_urls()]
        lost = crash.lost()
    except psycopg.OperationalError as error:
        return [f"a database does not answer: {error}"]
    troubles = (
        [] if found == wanted else [f"the live database has {found} of before the backup, not {wanted}"]
    )
    both = [len(live & other) for other in kept]
    troubles += [f"rows written since are on both sides: {both}"] if any(both) else []
    return troubles + ([f"{len(lost)} acknowledged rows are nowhere: {sorted(lost)[:3]}"] if lost else [])


def strays(crash: Crash) -> list[str]:
    """Return what is wrong with the databases: one is live and open, others were live and are kept."""
    found = stage_databases.told(crash.stage.postgres.superuser_url)
    others = [line for line in found if line != OPEN]
    troubles = [] if OPEN in found else [f"the live database is not as it was: {found}"]
    return troubles + [f"stands there: {line}" for line in others if " open kept " not in line]


def _count(crash: Crash, since: datetime | None = None) -> int:
    with psycopg.connect(crash.live_url, connect_timeout=5) as connection:
        since = since or datetime.fromtimestamp(0, UTC)
        row = connection.execute("SELECT count(*) FROM reports WHERE received_at > %s", [since]).fetchone()
    return int(row[0]) if row else 0


def rows_since(url: str, taken_at: datetime) -> set[Any]:
    """Return the ids of the rows written after a backup."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        return {row[0] for row in connection.execute(_SINCE, [taken_at])}


def went_back(
    crash: Crash,
    story: Story,
    back: Ended,
    wanted: dict[str, Any],
    rounds: Rounds,
    since: str,
    *,
    may_fail: bool = False,
) -> list[str]:
    """Return what is not as after an undisturbed way back."""
    troubles = [] if back.code == 0 else [f"did not go on: {back}"]
    failed = crash.saw(rounds.claim, since)
    troubles += [f"{failed} requests failed"] if failed and not may_fail else []
    troubles += crash.differences(wanted) + crash.journal_troubles()
    return troubles + row_troubles(crash, story, story.content)


def gone_on(crash: Crash, story: Story) -> Ended:
    """Go on as a person would who looks first: a way back that has come to its end is not begun once more.

    Begun once more it would be another restore, with another database kept.
    """
    with crash.library() as backout:
        newest = backout.history(limit=1).runs
    if newest and newest[0].state is RunState.FINISHED:
        return crash.command("status")
    return crash.go_on(story.words)


def first_of(points: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """Return the first point of each kind."""
    return [next(p for p in points if p.startswith(kind)) for kind in kinds]


def ended_there(point: str, died: Ended) -> list[str]:
    """Return what is wrong with the end of a command that was to die at a point."""
    if died.killed or (point.startswith(IN_THE_WORKER) and died.code in (0, 5)):
        return []
    return [f"was not killed: {died}"]


def aborted(crash: Crash, story: Story, before: dict[str, Any], rounds: Rounds, since: str) -> list[str]:
    """Abort the run that waits; return what is not as before it, the data that was live meanwhile apart."""
    done = crash.command("abort", "--yes")
    troubles = [] if done.code == 0 else [f"abort did not undo: {done}"]
    failed = crash.saw(rounds.claim, since)
    troubles += [f"{failed} requests failed"] if failed else []
    waiting = crash.open_runs()
    troubles += [f"still waits: {waiting}"] if waiting else []
    troubles += crash.journal_troubles() + strays(crash)
    world = before["world"] | {"databases": crash.picture()["world"]["databases"]}
    return troubles + crash.differences(before | {"world": world}) + row_troubles(crash, story, story.damaged)
