"""The report of a run: Markdown, in every state."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from backout.errors import ExitCode
from backout.execute.run import Run
from backout.message import Message, msg
from backout.plan.model import Plan
from backout.report.markdown import report_markdown
from backout.report.next import next_steps
from backout.report.words import ending
from backout.steps import generic_step_kinds

KINDS = generic_step_kinds()
STATES = [
    "created",
    "cut short",
    "stopped",
    "unknown",
    "interrupted",
    "resumed",
    "aborted",
    "emergency",
    "pass",
    "fail",
    "inconclusive",
    "verified later",
]
PARTS = [
    "What to do next",
    "Held and quarantined",
    "Summary",
    "Proof",
    "Steps",
    "Timeline",
    "Findings",
    "Losses and downtime",
]
RUN = "run-20261123-030405-wxyz"


def _later(run: Run) -> datetime:
    return run.timeline[-1].at + timedelta(minutes=7)


def _table(markdown: str, part: str) -> list[list[str]]:
    found = re.search(rf"^## {part}\n(.*?)(?=^## |\Z)", markdown, re.DOTALL | re.MULTILINE)
    assert found is not None
    rows = [line for line in found[1].splitlines() if line.startswith("| ")]
    return [[c.strip() for c in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("kinds", [KINDS, {}], ids=["kinds", "no kinds"])
def test_a_report_has_every_part_in_every_state(
    told: dict[str, Run], name: str, kinds: dict[str, Any]
) -> None:
    run = told[name]
    text = report_markdown(run, _later(run), kinds)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == PARTS
    assert f"**{ending(run).title}.**" in text
    assert "{" not in text
    assert "None" not in text
    assert len(_table(text, "Timeline")) == len(run.timeline) + 2
    assert len(_table(text, "Steps")) == len(run.steps) + 2


def test_every_state_is_told(told: dict[str, Run]) -> None:
    assert set(told) == set(STATES)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("created", f"backout resume {RUN}"),
        ("cut short", "backout"),
        ("stopped", f"backout resume {RUN}"),
        ("unknown", f"backout resume {RUN}"),
        ("interrupted", f"backout resume {RUN}"),
        ("aborted", "backout report run-20261123-031000-back"),
        ("emergency", "backout verify"),
        ("fail", "backout verify"),
        ("inconclusive", "backout verify"),
        ("pass", None),
    ],
)
def test_there_is_always_a_next_step(told: dict[str, Run], name: str, command: str | None) -> None:
    assert next((c for _what, c in next_steps(told[name]) if c), None) == command
    if command is not None:
        assert f"```sh\n{command}\n```" in report_markdown(told[name], _later(told[name]))


@pytest.mark.parametrize(
    ("by", "command"),
    [
        ("canary-20261123-031000-stop", "backout canary status"),
        ("run-20261123-031000-next", "backout report run-20261123-031000-next"),
    ],
)
def test_what_took_a_runs_place_is_named_by_a_command_that_there_is(
    told: dict[str, Run], by: str, command: str
) -> None:
    run = told["aborted"].model_copy(update={"aborted_by": by, "superseded": True})
    assert [c for _what, c in next_steps(run)] == [command]


def test_the_command_that_the_error_named_comes_first(
    story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    trouble = {
        "code": "step-failed",
        "exit_code": 5,
        "what": msg("Writes still arrive.").model_dump(),
        "state": msg("Everything holds.").model_dump(),
        "next_command": "psql -c 'SELECT 1'",
    }
    run = story(plan()).add("run.started").add("run.stopped", trouble=trouble).run
    assert [c for _what, c in next_steps(run)] == [
        "psql -c 'SELECT 1'",
        f"backout resume {RUN}",
        f"backout abort {RUN}",
    ]


def test_what_keeps_users_out_stands_before_everything_else(told: dict[str, Run]) -> None:
    text = report_markdown(told["stopped"], _later(told["stopped"]))
    head = text.partition("## ")[0]
    assert "**router holds (queue): requests do not reach the service.**" in head
    assert "Port 8080 is taken by process 4711." in head
    assert "- **Requests held:** 7 min 00 s, and still" in text


def test_a_hold_that_nobody_saw_end_is_not_called_released(told: dict[str, Run]) -> None:
    text = report_markdown(told["cut short"], _later(told["cut short"]))
    assert "router may hold (queue): the step about it has no end in the journal." in text


def test_the_report_of_an_undone_run_claims_nothing_about_now(told: dict[str, Run]) -> None:
    text = report_markdown(told["aborted"], _later(told["aborted"]))
    assert "Run run-20261123-031000-back undid this run; its report says what is held." in text
    assert "router holds" not in text
    assert "- **Exit code:**" not in text


def test_a_finished_way_back_without_a_verification_is_not_called_proven(
    story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    run = story(plan()).add("run.started").add("run.finished").run
    assert (str(ending(run).title), ending(run).tone) == ("Done, not verified", "warn")
    assert "No verification is in the journal: nothing is proven." in report_markdown(run, _later(run))


def test_a_hold_has_no_proof_and_needs_none(story: Callable[..., Any], plan: Callable[..., Plan]) -> None:
    run = (
        story(plan(purpose="hold", steps=plan().steps[2:3]))
        .add("run.started")
        .do("03-hold")
        .add("run.finished")
        .run
    )
    assert (str(ending(run).title), ending(run).tone) == ("Done", "good")
    assert [c for _what, c in next_steps(run)] == ["backout plan", "backout release-hold"]


def test_a_bug_is_called_a_bug(story: Callable[..., Any], plan: Callable[..., Plan]) -> None:
    run = (
        story(plan())
        .add("run.started")
        .stop("01-guard", msg("A bug in backout: KeyError."), ExitCode.BUG)
        .run
    )
    assert (str(ending(run).title), ending(run).exit_code) == ("Stopped by a bug", ExitCode.BUG)


def test_expected_and_measured_seconds_stand_side_by_side(told: dict[str, Run]) -> None:
    rows = _table(report_markdown(told["resumed"], _later(told["resumed"]), KINDS), "Steps")
    assert rows[0] == ["No.", "Step", "State", "Expected", "Measured", "Attempts", "Evidence"]
    switch = ["4", "acme.switch on platform: 5.4.0 `04-acme-switch`", "done", "1.8 s (median of 3 runs)"]
    assert rows[5] == [*switch, "1 min 35 s", "2", "04-acme-switch seen."]


def test_the_proof_shows_figures_limits_and_what_is_still_needed(told: dict[str, Run]) -> None:
    text = report_markdown(told["inconclusive"], _later(told["inconclusive"]))
    row = ["probes", "error rate", "inconclusive", "0", "0.01", "of requests", "300 requests in 3.1 s"]
    assert [*row, "0 of 300 requests failed.", "About 290 more requests would prove it"] in _table(
        text, "Proof"
    )
    told_first = "It may well be fine. About 290 more requests would prove it. Let the checks look longer:"
    assert told_first in text.partition("## Held")[0]


def test_all_that_a_proof_needs_is_told_once_each_in_whole_sentences(told: dict[str, Run]) -> None:
    def asked(*needs: Message | None) -> str:
        proof = told["inconclusive"].verification
        assert proof is not None
        results = tuple(proof.results[0].model_copy(update={"more": need}) for need in needs)
        verification = proof.model_copy(update={"results": results})
        return str(next_steps(told["inconclusive"].model_copy(update={"verification": verification}))[0][0])

    first, second = msg("50 more seconds are needed"), msg("Declare `limit`")
    assert asked(first, second, first) == (
        "It may well be fine. 50 more seconds are needed. Declare `limit`. Let the checks look longer:"
    )
    assert asked(None) == "It may well be fine. Let the checks look longer:"


def test_a_failed_check_is_named_at_the_top(told: dict[str, Run]) -> None:
    text = report_markdown(told["fail"], _later(told["fail"]))
    assert "Failed: probes: 75 of 300 requests failed." in text.partition("## Held")[0]
    assert "- **Exit code:** `6` (Done, proof failed)" in text


def test_who_took_over_and_why_is_told(told: dict[str, Run]) -> None:
    text = report_markdown(told["resumed"], _later(told["resumed"]))
    assert "- **By:** ana@laptop\n- **Also acted:** ben@jump\n- **Reason:** errors since 02:58\n" in text
    assert "| Taken over: her laptop died. |" in text
    assert "- **Resumed:** once" in text


def test_an_emergency_says_what_was_not_asked(told: dict[str, Run]) -> None:
    assert "- **Emergency:** yes:" in report_markdown(told["emergency"], _later(told["emergency"]))
    assert "- **Emergency:**" not in report_markdown(told["pass"], _later(told["pass"]))


def test_a_step_that_was_done_before_is_not_called_this_runs_work(
    story: Callable[..., Any], plan: Callable[..., Plan]
) -> None:
    run = (
        story(plan())
        .add("run.started")
        .begin("01-guard")
        .confirm("01-guard", msg("so already"), already=True)
        .run
    )
    assert _table(report_markdown(run, _later(run)), "Steps")[2][2] == "done before"
