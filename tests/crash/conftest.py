"""One stage for all of the crash suite, and its summary at the end."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage

from .suite import RUN, Crash, Sample, Totals

WHOLE = 50
"""With so many random instants or more, everything else is tried at every point too."""

_TOTALS = pytest.StashKey[Totals]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TOTALS] = Totals()


@pytest.fixture(scope="session")
def totals(pytestconfig: pytest.Config) -> Totals:
    return pytestconfig.stash.setdefault(_TOTALS, Totals())


@pytest.fixture(scope="session")
def session_stage(
    tmp_path_factory: pytest.TempPathFactory, totals: Totals, require_service: Callable[[str], None]
) -> Iterator[Crash]:
    """A stage with durable writes, both releases recorded, clients writing from now on."""
    require_service("postgres")
    with Stage(tmp_path_factory.mktemp("crash") / "stage", fsync=True) as stage:
        record = stage.directory / "requests.jsonl"
        with Clients(
            stage.children, stage.front_url, record, bad_version=BAD, per_second=60, workers=8
        ) as clients:
            crash = Crash(stage, clients, totals)
            crash.prepare()
            yield crash
            stage.set_front("pass")
        totals.acknowledged = len(clients.acknowledged())
        totals.lost = clients.rows_lost(stage.database_url)
        assert totals.lost == 0, f"{totals.lost} acknowledged rows are lost"


@pytest.fixture
def crash(session_stage: Crash) -> Crash:
    """The stage at the beginning of a round: 5.4.0 runs and is bad."""
    session_stage.reset()
    return session_stage


@pytest.fixture(scope="session")
def uninterrupted(session_stage: Crash) -> tuple[list[str], dict[str, Any]]:
    """Every point that a way back passes, and how it ends when nobody disturbs it."""
    session_stage.reset()
    points = session_stage.points(*RUN)
    picture = session_stage.picture()
    assert picture["world"]["version"] == GOOD
    assert (picture["quarantined"], picture["acting"], picture["records agree"]) == ([BAD], None, True)
    assert picture["records here"][BAD][0] == "bad"
    return points, picture


@pytest.fixture(scope="session")
def count() -> int:
    """How many random instants: BACKOUT_CRASH_RANDOM, which `make crash` sets to 50."""
    return int(os.environ.get("BACKOUT_CRASH_RANDOM", "5"))


@pytest.fixture(scope="session")
def sample(count: int) -> Sample:
    """Return all points in the whole suite (`make crash`), else every `every`-th: `make test` has minutes, not half an hour."""

    def chosen(points: Sequence[str], every: int) -> list[str]:
        return list(points if count >= WHOLE else points[every // 2 :: every])

    return chosen


@pytest.fixture(scope="session")
def randomly(totals: Totals) -> random.Random:
    """Seeded by the clock, or by BACKOUT_CRASH_SEED to have the same instants again."""
    totals.seed = int(os.environ.get("BACKOUT_CRASH_SEED", random.SystemRandom().getrandbits(32)))
    return random.Random(totals.seed)


@pytest.fixture
def say() -> Callable[[str], None]:
    """Tell a person who waits how far it is; shown at once with -s, and with the trouble of a test else."""

    def tell(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    totals = config.stash.get(_TOTALS, None)
    if totals is None or not totals.claims:
        return
    terminalreporter.section("crash suite")
    for claim, (held, of) in totals.claims.items():
        failed = totals.failed.get(claim)
        word = "answered 503 while held, as asked for" if "--hold-first" in claim else "requests failed"
        told = "" if failed is None else f"; {word}: {failed.total()} {dict(failed) or ''}"
        terminalreporter.line(f"crash: {claim}: {held} of {of}{told}")
    if totals.seed is not None:
        terminalreporter.line(f"crash: random instants from seed {totals.seed}")
    lost = "not counted" if totals.lost is None else totals.lost
    terminalreporter.line(
        f"crash: {totals.sent} requests sent meanwhile, the longest took {totals.longest_s:.1f} s; "
        f"{totals.acknowledged} rows acknowledged, {lost} lost"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let this suite come last: it is the longest, and its clients never stop while its stage stands."""
    items.sort(key=lambda item: item.get_closest_marker("crash") is not None)
