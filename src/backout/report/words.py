"""The sentences that several texts share: how a run ended, what a step does, how long it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from backout.canary import STOP_ID
from backout.checks.base import Outcome
from backout.errors import ExitCode
from backout.execute.run import Run, RunState
from backout.message import Message, msg
from backout.plan.base import StepKind
from backout.plan.model import Estimate, Plan, Scenario, Severity, StepSpec, Verdict
from backout.report.duration import duration
from backout.report.markup import plain

Tone = Literal["good", "warn", "bad", "calm"]
Kinds = Mapping[str, StepKind]
NO_KINDS: Kinds = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run stands.

    Attributes:
        tone: For a colour.
        title: Two to five words.
        meaning: One sentence that says what is true now.
        exit_code: What the shell was or would be told; null while nothing ended.
    """

    tone: Tone
    title: Message
    meaning: Message
    exit_code: ExitCode | None


VERDICTS: dict[Verdict, Message] = {
    Verdict.REVERSIBLE: msg("Reversible: going back loses nothing that is known."),
    Verdict.REVERSIBLE_WITH_LOSS: msg("Reversible with loss: something is lost, as named below."),
    Verdict.FORWARD_FIX_ONLY: msg("Not reversible: only a fix forward helps."),
    Verdict.UNKNOWN: msg("Unknown: evidence is missing, as named below."),
}
SCENARIOS: dict[Scenario, Message] = {
    Scenario.CODE: msg("Code only"),
    Scenario.SCHEMA: msg("Code and schema"),
    Scenario.DATA: msg("Data only"),
    Scenario.FULL: msg("Code and data"),
}
SEVERITIES: dict[Severity, Message] = {
    Severity.BLOCKS: msg("blocks"),
    Severity.LOSES_DATA: msg("loses data"),
    Severity.NEEDS_APPROVAL: msg("needs approval"),
    Severity.WARNS: msg("warning"),
    Severity.INFO: msg("note"),
}
PURPOSES: dict[str, Message] = {
    "back": msg("take back"),
    "abort": msg("undo a run"),
    "hold": msg("hold"),
    "release_hold": msg("release hold"),
    "canary": msg("canary"),
    "retire": msg("stop a side"),
}
_PROVEN: dict[Outcome, tuple[Tone, Message, Message]] = {
    Outcome.PASS: ("good", msg("Done and proven"), msg("Every step is done, and every check passed.")),
    Outcome.FAIL: (
        "bad",
        msg("Done, proof failed"),
        msg("Every step is done, but a check says that the service does not work."),
    ),
    Outcome.INCONCLUSIVE: (
        "warn",
        msg("Done, not proven yet"),
        msg("Every step is done and nothing speaks against it, but the proof needs more evidence."),
    ),
}
_STOPPED: dict[ExitCode, tuple[Tone, Message, Message]] = {
    ExitCode.OUTCOME_UNKNOWN: (
        "bad",
        msg("Outcome unknown"),
        msg("What a step did cannot be told: a person must look."),
    ),
    ExitCode.INTERRUPTED: (
        "warn",
        msg("Interrupted"),
        msg("A person stopped it between two changes; it can be resumed."),
    ),
    ExitCode.BUG: ("bad", msg("Stopped by a bug"), msg("backout itself failed; the run can be resumed.")),
}


def title(plan: Plan) -> Message:
    """Return one line that says what a plan is for."""
    names = {"service": plan.service, "environment": plan.environment}
    if plan.purpose == "hold":
        return msg("Hold {service} in {environment}", **names)
    if plan.purpose == "release_hold":
        return msg("Let {service} in {environment} go again", **names)
    if plan.purpose == "canary":
        return msg("Canary of {service} in {environment}: {after}", **names, after=version(plan.to_version))
    if plan.purpose == "retire":
        return msg(
            "Stop a side of {service} in {environment}: {before}", **names, before=version(plan.from_version)
        )
    if proves_only(plan):
        return msg(
            "Prove {after}, which {service} in {environment} runs already",
            **names,
            after=version(plan.to_version),
        )
    versions = {"before": version(plan.from_version), "after": version(plan.to_version)}
    if plan.purpose == "abort":
        return msg("Undo a run on {service} in {environment}: {before} → {after}", **names, **versions)
    if plan.scenario is Scenario.DATA and plan.data is not None:
        return msg(
            "Take the data of {service} in {environment} back to {backup}", **names, backup=plan.data.backup
        )
    return msg("Take {service} in {environment} back: {before} → {after}", **names, **versions)


def proves_only(plan: Plan) -> bool:
    """Whether the plan changes nothing: its target is what runs."""
    return plan.purpose == "back" and [s.spec.kind for s in plan.steps] == ["verify"]


def version(name: str | None) -> str:
    """Return the version, or ``unknown``."""
    return "unknown" if name is None else name


def stopped_with_canary(run: Run) -> bool:
    """Whether `backout canary stop` ended it: that is no run, and has no report."""
    return run.superseded and (run.aborted_by or "").startswith(f"{STOP_ID}-")


def ending(run: Run) -> Ending:
    """Return how a run stands; never better than its events prove."""
    if run.state is RunState.FINISHED:
        return _finished(run)
    if stopped_with_canary(run):
        meaning = msg("backout canary stop took the canary's requests: this run does not go on.")
        return Ending("calm", msg("Superseded"), meaning, None)
    if run.state is RunState.ABORTED and run.superseded:
        meaning = msg(
            "Run {other} went on from what stood then; nothing of this one was undone.", other=run.aborted_by
        )
        return Ending("calm", msg("Superseded"), meaning, None)
    if run.state is RunState.ABORTED:
        meaning = msg(
            "Run {other} undid what this one began; its report says how things stand now.",
            other=run.aborted_by,
        )
        return Ending("calm", msg("Undone"), meaning, None)
    if run.state is RunState.STOPPED:
        default: tuple[Tone, Message, Message] = (
            "warn",
            msg("Stopped safely"),
            msg("It stopped between two changes; it can be resumed."),
        )
        return Ending(*_STOPPED.get(run.exit_code, default), run.exit_code)
    if run.state is RunState.CREATED:
        return Ending("calm", msg("Not started"), msg("The plan was confirmed; no step was begun."), None)
    meaning = msg("It acts now, or its process died: the journal has no end of it. It can be resumed.")
    return Ending("warn", msg("Running or cut short"), meaning, None)


def step_sentence(spec: StepSpec, kinds: Kinds) -> Message:
    """Return what a step does; where its kind is not installed (or was another then), its name and target."""
    kind = kinds.get(spec.kind)
    if kind is not None:
        try:
            return kind.describe(spec)
        except (LookupError, TypeError, ValueError, AttributeError, AssertionError):
            pass  # Params of another version of this kind: the journal outlives the code that wrote it.
    about = spec.params.get("version", spec.params.get("name"))
    if about is None:
        return msg("{kind} on {target}", kind=spec.kind, target=spec.target)
    return msg("{kind} on {target}: {about}", kind=spec.kind, target=spec.target, about=str(about))


def expected(estimate: Estimate | None) -> Message:
    """Return the expected time with what it rests on."""
    if estimate is None or (estimate.seconds is None and estimate.least_s is None):
        return msg("not measured")
    if estimate.seconds is None or estimate.basis is not None:
        return _reckoned(estimate)
    if estimate.runs == 0:
        return msg("{time}", time=duration(estimate.seconds))
    if estimate.runs == 1:
        return msg("{time} (measured in 1 run)", time=duration(estimate.seconds))
    return msg("{time} (median of {runs} runs)", time=duration(estimate.seconds), runs=estimate.runs)


def _reckoned(estimate: Estimate) -> Message:
    """Return a time that no run measured with what it rests on."""
    basis = plain(estimate.basis) if estimate.basis is not None else plain(msg("not measured"))
    if estimate.seconds is not None:
        return msg("{time} ({basis})", time=duration(estimate.seconds), basis=basis)
    return msg("at least {time} ({basis})", time=duration(estimate.least_s or 0.0), basis=basis)


def figure(value: float | None) -> str:
    """Return a measured figure with at most 3 decimals; empty for None."""
    if value is None:
        return ""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:.2g}" if text in ("0", "-0") and value else text


def _finished(run: Run) -> Ending:
    if run.verification is not None:
        return Ending(*_PROVEN[run.verification.outcome], run.exit_code)
    if run.plan.purpose == "back":
        meaning = msg("Every step is done, but no verification is in the journal: nothing is proven.")
        return Ending("warn", msg("Done, not verified"), meaning, run.exit_code)
    if not run.plan.steps:
        return Ending(
            "calm",
            msg("Nothing to do"),
            msg("Nothing was held, or all of it was held already."),
            run.exit_code,
        )
    return Ending("good", msg("Done"), msg("Every step is done and was seen to be done."), run.exit_code)
