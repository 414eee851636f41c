from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt

from backout.message import msg
from backout.plan.model import Estimate, Finding, Plan, PlannedStep, Severity, StepSpec
from backout.report.plan import plan_lines, plan_markdown
from backout.steps import generic_step_kinds

KINDS = generic_step_kinds()
SWITCH = {
    "04-acme-switch": ("ln -sfn releases/5.4.0 current", "systemctl restart collector"),
    "04-acme-switch/undo": ("ln -sfn releases/5.5.0 current",),
}


def _section(markdown: str, heading: str) -> str:
    found = re.search(rf"^### {heading}.*?(?=^##|\Z)", markdown, re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[0]


def test_a_runbook_names_who_what_and_why(plan: Callable[..., Plan]) -> None:
    text = plan_markdown(plan(), KINDS, {})
    assert text.startswith("# Take collector in production back: 5.5.0 → 5.4.0\n")
    for line in (
        "- **Scenario:** Code only. The code is broken and the schema is the same.",
        "- **Verdict:** Reversible: going back loses nothing that is known.",
        "- **Expected time:** 5.7 s (median of 3 runs)",
        "- **Downtime:** requests are held: 2.5 s (median of 3 runs). Requests are held from step 04 to",
        "- **What would be lost:** nothing",
        "- **Point of no return:** none: every step can be undone",
        "- **Accepted by name:** `schema-unknown`",
    ):
        assert line in text


def test_every_step_has_its_commands_its_proof_and_its_way_back(plan: Callable[..., Plan]) -> None:
    text = plan_markdown(plan(), KINDS, SWITCH)
    for number, step in enumerate(plan().steps, start=1):
        section = _section(text, f"Step {number}:")
        assert "It is done when:\n\n- " in section, step.key
        assert "To undo it:" in section or "**No undo:** It only looks." in section, step.key
        assert section.count("```") >= 2, step.key


def test_commands_that_are_given_win_over_those_of_the_kind(plan: Callable[..., Plan]) -> None:
    given = SWITCH | {"03-hold": ("nginx -s stop",), "03-hold/undo": ("nginx",)}
    text = plan_markdown(plan(), KINDS, given)
    assert "```sh\nln -sfn releases/5.4.0 current\nsystemctl restart collector\n```" in _section(
        text, "Step 4:"
    )
    assert "```sh\nln -sfn releases/5.5.0 current\n```" in _section(text, "Step 4:")
    hold = _section(text, "Step 3:")
    assert "```sh\nnginx -s stop\n```" in hold
    assert "```sh\nnginx\n```" in hold
    assert "backout" not in hold


def test_a_command_that_needs_backout_says_so_in_a_runbook_for_when_there_is_none(
    plan: Callable[..., Plan],
) -> None:
    assert "Without backout, bring about by the target's own means" in _section(
        plan_markdown(plan(), KINDS, {}), "Step 3:"
    )


def test_a_step_of_an_unknown_kind_is_told_by_its_values(plan: Callable[..., Plan]) -> None:
    section = _section(plan_markdown(plan(), KINDS, {}), "Step 4:")
    assert "acme.switch on platform: 5.4.0" in section
    assert '`ref="releases/5.4.0"`' in section
    assert "No command is known for this" in section
    assert "pid_file" not in section, "what is nested belongs to the adapter"


def test_hazards_stand_at_their_step(plan: Callable[..., Plan]) -> None:
    assert "| The port is taken. | The run stops; resume. |" in _section(
        plan_markdown(plan(), KINDS, {}), "Step 4:"
    )


def test_what_was_never_measured_is_not_guessed(plan: Callable[..., Plan]) -> None:
    new = plan(estimates={}, total=Estimate())
    assert "- **Expected time:** not measured" in plan_markdown(new, KINDS, {})
    assert {line.seconds for line in plan_lines(new, KINDS)} == {"not measured"}


def test_one_measured_run_is_not_called_a_median(plan: Callable[..., Plan]) -> None:
    assert "5.7 s (measured in 1 run)" in plan_markdown(plan(total=Estimate(seconds=5.7, runs=1)), KINDS, {})


def test_the_point_of_no_return_is_told_at_the_top_and_at_its_step(plan: Callable[..., Plan]) -> None:
    drop = PlannedStep(
        key="07-drop",
        phase=plan().steps[-1].phase,
        spec=StepSpec(kind="acme.drop", target="database", params={"name": "old"}),
        no_inverse_because=msg("The old table is gone."),
    )
    final = plan(
        steps=(*plan().steps, drop),
        point_of_no_return="07-drop",
        losses=(msg("{rows} rows of old.", rows=12),),
    )
    text = plan_markdown(final, KINDS, {})
    assert "- **Point of no return:** step 07-drop. The old table is gone." in text
    assert "- **What would be lost:** 12 rows of old." in text
    assert "**Point of no return: from here on" in _section(text, "Step 7:")
    assert "- **No undo:** The old table is gone." in _section(text, "Step 7:")
    assert [line.number for line in plan_lines(final, KINDS) if line.no_way_back] == [7]


@pytest.mark.parametrize(
    ("severity", "accept", "said"),
    [
        (Severity.NEEDS_APPROVAL, "known-bad", "no: this plan is refused without --accept known-bad"),
        (Severity.BLOCKS, None, "cannot be accepted: this plan is refused"),
        (Severity.LOSES_DATA, None, "cannot be accepted: this plan is refused"),
        (Severity.WARNS, None, "| warning | Seen. (`a.rule`) | Do this. |  |"),
    ],
)
def test_a_finding_says_whether_it_stops_the_plan(
    plan: Callable[..., Plan], severity: Severity, accept: str | None, said: str
) -> None:
    found = Finding(
        rule="a.rule", severity=severity, evidence=msg("Seen."), remedy=msg("Do this."), accept=accept
    )
    assert said in plan_markdown(plan(findings=(found,), accepted=()), KINDS, {})


def test_success_has_six_parts_and_names_the_version(plan: Callable[..., Plan]) -> None:
    boxes = [line for line in plan_markdown(plan(), KINDS, {}).splitlines() if line.startswith("- [ ] ")]
    starts = ["Processes", "Health", "Database", "Smoke", "Error rate", "Response time"]
    assert [b.removeprefix("- [ ] ").partition(":")[0] for b in boxes] == starts
    assert "they are of 5.4.0" in boxes[0]


def test_a_plan_of_one_hold_has_no_checklist(plan: Callable[..., Plan]) -> None:
    hold = plan(purpose="hold", steps=plan().steps[2:3], findings=(), from_version=None, to_version=None)
    text = plan_markdown(hold, KINDS, {})
    assert text.startswith("# Hold collector in production\n")
    assert "- [ ]" not in text
    assert "Nothing was found that speaks against it." in text


def test_rows_for_a_terminal_follow_the_plan(plan: Callable[..., Plan]) -> None:
    rows = plan_lines(plan(), KINDS)
    assert [(r.number, r.key) for r in rows] == [(n, s.key) for n, s in enumerate(plan().steps, start=1)]
    assert str(rows[1].sentence) == "Quarantine 5.5.0, so that nobody brings it back by accident."
    assert (rows[3].phase.value, rows[3].seconds) == ("revert code", "1.8 s (median of 3 runs)")


def test_hostile_names_stay_text_in_the_runbook(plan: Callable[..., Plan]) -> None:
    bad = "x`|\n# <script>alert(1)</script>"
    text = plan_markdown(plan(service=bad, from_version=bad), KINDS, {"03-hold": ("echo\n```\n# out",)})
    assert "\n# <script>" not in text
    assert "````sh\necho\n```\n# out\n````" in text
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert page.count("<h1>") == 1
    assert "<script" not in page
