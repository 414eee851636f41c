"""Kill -9 everywhere in a switch to the restored database, where none can be renamed; then resume, or abort."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backout.demo.clients import Clients
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage

from .data import Story, Whole, aborted, ended_there, first_of, gone_on, row_troubles, went_back
from .suite import Rounds
from .switching import Switching

pytestmark = [pytest.mark.slow, pytest.mark.crash]

Say = Callable[[str], None]
SWITCH = ("switch.before", "switch.begin.", "switch.sequences.", "switch.run.", "switch.end.", "switch.after")
INSIDE = {
    "full": (*SWITCH, "hold.router.", "process.start.", "release.router.", "verify."),
    "data": (*SWITCH, "hold.router.", "reconnect.restart.", "release.router.", "verify."),
}
"""Kinds of points that each must have."""
SHORT = ("switch.begin.after", "switch.end.after")
SHORT_ABORTED = ("switch.run.after",)
"""What `make test` tries: the stories kill it at every other point of the switch itself."""


@pytest.fixture(scope="module")
def shared_stage(
    tmp_path_factory: pytest.TempPathFactory, require_service: Callable[[str], None]
) -> Iterator[Switching]:
    """A stage as the others have, with a command that switches the service."""
    require_service("postgres")
    with Stage(tmp_path_factory.mktemp("crash-switch") / "stage", fsync=True) as stage:
        record = stage.directory / "requests.jsonl"
        with Clients(
            stage.children, stage.front_url, record, bad_version=BAD, per_second=60, workers=8
        ) as clients:
            crash = Switching(stage, clients)
            crash.prepare()
            yield crash
            stage.set_front("pass")
        assert crash.count_rows() == 0, "acknowledged rows are lost"


@pytest.fixture(scope="module")
def whole(shared_stage: Switching, stories: dict[str, Story]) -> Callable[[str], Whole]:
    """How a scenario goes when nobody disturbs it."""

    @functools.cache
    def found(name: str) -> Whole:
        story = stories[name]
        shared_stage.reset(name)
        points = shared_stage.points(*story.words)
        picture = shared_stage.picture()
        assert picture["used"] == "collector_restored_*" and picture["switched"] == 1
        assert picture["writable"] == ["collector_restored_*"]
        assert picture["world"]["version"] == GOOD and picture["world"]["databases"] == [
            "collector open kept default_transaction_read_only=on",
            "collector_restored_* open",
        ]
        assert not row_troubles(shared_stage, story, story.content)
        return Whole(points, picture, 0.0)

    return found


def test_every_point(
    crash: Switching, stories: dict[str, Story], whole: Callable[[str], Whole], everything: bool, say: Say
) -> None:
    # With `data` the service is restarted at once, else it passes the same points.
    for name in ("full", "data") if everything else ("full",):
        story, (points, wanted, _) = stories[name], whole(name)
        for inside in INSIDE[name]:
            assert any(p.startswith(inside) for p in points), f"no fault point inside {inside}"
        rounds = Rounds(crash, f"run --scenario {name} with a switch killed at every point, resumed", say)
        for point in points if everything else first_of(points, SHORT):
            crash.reset(name)
            since = crash.mark()
            died = crash.command(*story.words, fault=point)
            troubles = ended_there(point, died) + _both_written(crash)
            back = died if died.code == 0 else gone_on(crash, story)
            rounds.tell(point, troubles + went_back(crash, story, back, wanted, rounds, since))
        rounds.close()


def test_killed_then_aborted(
    crash: Switching, stories: dict[str, Story], whole: Callable[[str], Whole], everything: bool, say: Say
) -> None:
    story, points = stories["full"], whole("full").points
    crash.reset("full")
    before: dict[str, Any] = crash.picture()
    assert (before["used"], before["writable"]) == ("collector", ["collector"])
    del before["drafts"], before["switched"]
    rounds = Rounds(crash, "run --scenario full with a switch killed, then aborted", say)
    inside = [p for p in points if p.startswith("switch.")]
    for point in inside if everything else first_of(points, SHORT_ABORTED):
        crash.reset("full")
        since = crash.mark()
        died = crash.command(*story.words, fault=point)
        troubles = ended_there(point, died) + _both_written(crash)
        rounds.tell(point, troubles + aborted(crash, story, before, rounds, since))
    rounds.close()


def _both_written(crash: Switching) -> list[str]:
    """Two databases that clients may write into are no trouble as long as nobody is told to use the restored one."""
    written = crash.writable()
    both = crash.used in written and len(written) > 1 and crash.used != "collector"
    return [f"{crash.used} is used, and {written} can be written"] if both else []
