from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from backout.execute.run import Run
from backout.message import msg
from backout.plan.model import Plan
from backout.report.timeline import TimelineRow, timeline_rows
from backout.steps import generic_step_kinds

KINDS = generic_step_kinds()


def _rows(run: Run, kind: str) -> list[tuple[str, str | None]]:
    return [
        (str(r.sentence), None if r.detail is None else str(r.detail))
        for r in timeline_rows(run, KINDS)
        if r.kind == kind
    ]


def test_every_kind_of_event_has_its_sentence(told: dict[str, Run]) -> None:
    assert _rows(told["pass"], "run.created") == [("The plan was confirmed.", "errors since 02:58")]
    assert _rows(told["pass"], "run.started") == [("The run started.", None)]
    begun = "Step 02-quarantine began: Quarantine 5.5.0, so that nobody brings it back by accident."
    assert _rows(told["pass"], "step.begun")[1] == (begun, None)
    assert _rows(told["pass"], "step.applied")[0] == (
        "Step 01-guard acted; looking whether it worked.",
        "01-guard acted.",
    )
    assert _rows(told["pass"], "step.confirmed")[0] == ("Step 01-guard is done.", "01-guard seen.")
    assert _rows(told["pass"], "run.finished") == [("Every step is done.", None)]
    port = "Port 8080 is taken by process 4711."
    assert _rows(told["stopped"], "step.failed") == [("Step 04-acme-switch failed.", port)]
    assert _rows(told["stopped"], "run.stopped") == [("The run stopped.", port)]
    assert _rows(told["resumed"], "run.resumed") == [("The run was resumed.", "Taken over: her laptop died.")]
    undone = ("The run was undone by run-20261123-031000-back.", None)
    assert _rows(told["aborted"], "run.aborted") == [undone]
    checked = ("The checks were run again.", "The checks say: pass.")
    assert _rows(told["verified later"], "run.verified") == [checked]


def test_there_is_one_row_for_each_event_in_order_with_its_actor(told: dict[str, Run]) -> None:
    for name, run in told.items():
        rows = timeline_rows(run)
        assert [(r.at, r.kind, r.actor) for r in rows] == [(e.at, e.kind, e.actor) for e in run.timeline], (
            name
        )
        assert all("{" not in str(r.sentence) for r in rows), name
    assert [r.actor for r in timeline_rows(told["resumed"])][-1] == "ben@jump"


def test_each_failure_is_told_with_its_own_reason(
    story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    run = (
        story(plan()).add("run.started").begin("01-guard").stop("01-guard", msg("First.")).add("run.resumed")
    )
    run = run.begin("01-guard").stop("01-guard", msg("Second.")).run
    assert [detail for _sentence, detail in _rows(run, "step.failed")] == ["First.", "Second."]


def test_what_an_event_says_itself_wins(story: Callable[..., Any], plan: Callable[..., Plan]) -> None:
    run = story(plan()).add("run.started", text=msg("Now.").model_dump(mode="json")).run
    assert _rows(run, "run.started") == [("The run started.", "Now.")]


def test_an_event_that_this_version_does_not_know_is_still_shown(
    story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    assert _rows(story(plan()).add("run.paused").run, "run.paused") == [("Event run.paused.", None)]


def test_times_are_told_in_utc_and_from_the_start() -> None:
    at = datetime(2026, 11, 23, 3, 4, 5, 970_000, tzinfo=UTC)

    def row(since_s: float) -> TimelineRow:
        return TimelineRow(at, since_s, "ana", "run.started", msg("x"), None)

    assert row(0).clock == "03:04:05.9"
    assert [row(s).since for s in (0, 0.84, 95.96, 7260, -2)] == [
        "+0.0 s",
        "+0.8 s",
        "+96.0 s",
        "+2 h 01 min",
        "-2.0 s",
    ]


def test_a_run_of_later_verification_counts_on(told: dict[str, Run]) -> None:
    rows = timeline_rows(told["verified later"])
    assert timedelta(seconds=rows[-1].since_s) == rows[-1].at - rows[0].at
