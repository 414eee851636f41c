"""A stage for each file of the crash suite; what its tests count goes into their reports, for the summary at the end."""

from __future__ import annotations

import functools
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage

from .data import OPEN, Story, Whole, prepare, row_troubles
from .suite import RUN, Crash, Sample
from .totals import Totals

WHOLE = 50
"""With so many random instants or more, everything else is tried at every point too."""

_SEED = pytest.StashKey[int]()


@pytest.fixture(scope="module")
def shared_stage(
    tmp_path_factory: pytest.TempPathFactory, require_service: Callable[[str], None]
) -> Iterator[Crash]:
    """A stage with durable writes, both releases recorded, clients writing from now on."""
    require_service("postgres")
    with Stage(tmp_path_factory.mktemp("crash") / "stage", fsync=True) as stage:
        record = stage.directory / "requests.jsonl"
        with Clients(
            stage.children, stage.front_url, record, bad_version=BAD, per_second=60, workers=8
        ) as clients:
            crash = Crash(stage, clients)
            crash.prepare()
            yield crash
            stage.set_front("pass")
        assert crash.count_rows() == 0, "acknowledged rows are lost"


@pytest.fixture
def crash(shared_stage: Crash, record_property: Callable[[str, object], None]) -> Iterator[Crash]:
    """The stage at the beginning of a round: 5.4.0 runs and is bad. Afterwards no acknowledged row may be lost."""
    shared_stage.totals = totals = Totals(uncounted=1)
    shared_stage.reset()
    yield shared_stage
    try:
        shared_stage.count_rows()
        totals.uncounted = 0
    finally:
        record_property("crash", totals.as_property())
    assert totals.lost == 0, f"{totals.lost} acknowledged rows are lost"


@pytest.fixture(scope="module")
def uninterrupted(shared_stage: Crash) -> tuple[list[str], dict[str, Any]]:
    """Every point that a way back passes, and how it ends when nobody disturbs it."""
    shared_stage.reset()
    points = shared_stage.points(*RUN)
    picture = shared_stage.picture()
    assert picture["world"]["version"] == GOOD
    assert (picture["quarantined"], picture["acting"], picture["records agree"]) == ([BAD], None, True)
    assert picture["records here"][BAD][0] == "bad"
    return points, picture


@pytest.fixture(scope="module")
def stories(shared_stage: Crash) -> dict[str, Story]:
    """The scenarios with data, each with a snapshot of its name."""
    return prepare(shared_stage)


@pytest.fixture(scope="module")
def whole(shared_stage: Crash, stories: dict[str, Story]) -> Callable[[str], Whole]:
    """How a scenario with data goes when nobody disturbs it."""

    @functools.cache
    def found(name: str) -> Whole:
        story = stories[name]
        shared_stage.reset(name)
        began_s = time.monotonic()
        points = shared_stage.points(*story.words)
        seconds = time.monotonic() - began_s
        picture = shared_stage.picture()
        assert picture["world"]["version"] == GOOD and picture["world"]["takes_writes"]
        assert picture["world"]["databases"] == [
            OPEN,
            "collector_before_* open kept default_transaction_read_only=on",
        ]
        assert not row_troubles(shared_stage, story, story.content)
        return Whole(points, picture, seconds)

    return found


@pytest.fixture(scope="session")
def everything(count: int) -> bool:
    """Whether this is the whole suite."""
    return count >= WHOLE


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


@pytest.fixture
def randomly(crash: Crash, pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> random.Random:
    """Seeded anew each time, or by BACKOUT_CRASH_SEED: then each test has the same instants again."""
    crash.totals.seed = seed = int(os.environ.get("BACKOUT_CRASH_SEED", _drawn(pytestconfig)))
    return random.Random(f"{seed} {request.node.name}")


@pytest.fixture
def say() -> Callable[[str], None]:
    """Tell a person who waits how far it is; shown at once with -s, and with the trouble of a test else."""

    def tell(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    return tell


def _drawn(config: pytest.Config) -> int:
    """Return a seed that is the same in all processes of this run of the tests, and new in the next."""
    if hasattr(config, "workerinput"):
        return int(config.workerinput["testrunuid"], 16) & 0xFFFFFFFF
    return config.stash.setdefault(_SEED, random.SystemRandom().getrandbits(32))
