"""Runs made of real events: built, folded, and told by the code under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backout.checks.base import CheckResult, Outcome, Verification
from backout.document import Json
from backout.errors import ExitCode
from backout.execute.journal import Event
from backout.execute.run import Run, Trouble, fold
from backout.message import Message, msg
from backout.plan.base import Receipt, StepKind
from backout.plan.model import (
    Downtime,
    Estimate,
    Finding,
    Hazard,
    Phase,
    Plan,
    PlannedStep,
    Scenario,
    Severity,
    StepSpec,
    Verdict,
)
from backout.release import Artefact
from backout.steps import generic_step_kinds

BEGAN = datetime(2026, 11, 23, 3, 4, 5, 250_000, tzinfo=UTC)
HOLD = {"name": "router", "mode": "queue", "prior": {"mode": "open"}}
_LOOKS = msg("It only looks.")
_SPECS: tuple[tuple[Phase, StepSpec], ...] = (
    (
        Phase.GUARD,
        StepSpec(kind="guard", target="world", expects={"wanted": "releases/5.5.0"}, timeout_s=15),
    ),
    (
        Phase.SAFEGUARD,
        StepSpec(kind="quarantine", target="records", params={"version": "5.5.0", "reason": "errors"}),
    ),
    (Phase.HOLD, StepSpec(kind="hold", target="hold:router", params=dict(HOLD), timeout_s=30)),
    (
        Phase.REVERT_CODE,
        StepSpec(
            kind="acme.switch",
            target="platform",
            params={"ref": "releases/5.4.0", "version": "5.4.0", "service": {"pid_file": "run/pid"}},
            timeout_s=20,
            locks=("run/lock",),
        ),
    ),
    (
        Phase.RELEASE_HOLD,
        StepSpec(kind="hold.release", target="hold:router", params=dict(HOLD), timeout_s=30),
    ),
    (
        Phase.VERIFY,
        StepSpec(kind="verify", target="checks", params={"version": "5.4.0", "ref": "releases/5.4.0"}),
    ),
)


def _steps(kinds: Mapping[str, StepKind]) -> tuple[PlannedStep, ...]:
    steps = []
    for number, (phase, spec) in enumerate(_SPECS, start=1):
        if spec.kind in kinds:
            inverse = kinds[spec.kind].inverse(spec)
        else:
            params = {"ref": "releases/5.5.0", "version": "5.5.0"}
            inverse = spec.model_copy(update={"params": params})
        steps.append(
            PlannedStep(
                key=f"{number:02d}-{spec.kind.replace('.', '-')}",
                phase=phase,
                spec=spec,
                inverse=inverse,
                no_inverse_because=None if inverse else _LOOKS,
            )
        )
    return tuple(steps)


def make_plan(**changes: Any) -> Plan:
    """Return a plan that takes 5.5.0 back to 5.4.0, with whatever is to differ."""
    steps = _steps(generic_step_kinds())
    seconds = (0.02, 0.011, 0.35, 1.8, 0.3, 3.2)
    values: dict[str, Any] = {
        "id": "plan-20261123-030400-abcd",
        "purpose": "back",
        "service": "collector",
        "environment": "production",
        "scenario": Scenario.CODE,
        "from_version": "5.5.0",
        "to_version": "5.4.0",
        "from_artefact": Artefact(ref="releases/5.5.0"),
        "to_artefact": Artefact(ref="releases/5.4.0", digest="sha256:" + "4" * 64),
        "created_at": BEGAN - timedelta(minutes=2),
        "expires_at": BEGAN + timedelta(minutes=28),
        "why": msg("The code is broken and the schema is the same."),
        "verdict": Verdict.REVERSIBLE,
        "steps": steps,
        "findings": (
            Finding(
                rule="schema.unknown",
                severity=Severity.NEEDS_APPROVAL,
                evidence=msg("Nobody recorded whether {version} can use this schema.", version="5.4.0"),
                remedy=msg("Accept it by name: --accept schema-unknown."),
                accept="schema-unknown",
            ),
            Finding(
                rule="current.no-record", severity=Severity.WARNS, evidence=msg("5.5.0 was never recorded.")
            ),
        ),
        "accepted": ("schema-unknown",),
        "estimates": {s.key: Estimate(seconds=t, runs=3) for s, t in zip(steps, seconds, strict=True)},
        "total": Estimate(seconds=5.681, runs=3),
        "downtime": Downtime(
            held=Estimate(seconds=2.45, runs=3),
            down=Estimate(seconds=0.0, runs=0),
            basis=msg("Requests are held from step {first} to step {last}.", first="04", last="05"),
        ),
        "hazards": {
            "04-acme-switch": (Hazard(what=msg("The port is taken."), then=msg("The run stops; resume.")),)
        },
    }
    return Plan.model_validate(values | changes)


def make_proof(outcome: Outcome = Outcome.PASS) -> Verification:
    """Return a verification whose error rate has the outcome."""
    more = msg("About 290 more requests would prove it") if outcome is Outcome.INCONCLUSIVE else None
    rate = {Outcome.PASS: 0.0, Outcome.FAIL: 0.25, Outcome.INCONCLUSIVE: 0.0}[outcome]
    results = (
        CheckResult(name="processes", proves="workload", outcome=Outcome.PASS, evidence=msg("1 of 1 is up.")),
        CheckResult(name="/health", proves="health", outcome=Outcome.PASS, evidence=msg("200, ok.")),
        CheckResult(name="database", proves="database", outcome=Outcome.PASS, evidence=msg("connected")),
        CheckResult(
            name="probes",
            proves="error_rate",
            outcome=outcome,
            measured=rate,
            threshold=0.01,
            unit="of requests",
            window="300 requests in 3.1 s",
            evidence=msg("{failed} of 300 requests failed.", failed=round(rate * 300)),
            more=more,
        ),
        CheckResult(
            name="probes",
            proves="response_time",
            outcome=Outcome.PASS,
            measured=12.5,
            threshold=40.0,
            unit="ms (p95)",
            window="300 requests in 3.1 s",
            evidence=msg("p95 is 12.5 ms; it was 11.9 ms before the release."),
        ),
    )
    return Verification(outcome=outcome, results=results, started_at=BEGAN, finished_at=BEGAN)


class Story:
    """Tells what happened to one run, event by event; `run` folds it."""

    def __init__(self, plan: Plan, **created: Json) -> None:
        self.plan, self.events, self.at = plan, list[Event](), BEGAN
        self.actor = "ana@laptop"
        body: dict[str, Any] = {"plan": plan.model_dump(mode="json"), "reason": "errors since 02:58"}
        self.add("run.created", **(body | created))

    def add(self, kind: str, after_s: float = 0.01, **body: Json) -> Story:
        """Add an event some seconds after the one before."""
        self.at += timedelta(seconds=after_s if self.events else 0)
        self.events.append(
            Event(
                seq=len(self.events) + 1,
                at=self.at,
                run="run-20261123-030405-wxyz",
                actor=self.actor,
                generation=1,
                kind=kind,
                body=body,
                prev="",
                digest="",
            )
        )
        return self

    def begin(self, key: str) -> Story:
        """Begin a step."""
        return self.add("step.begun", key=key)

    def apply(
        self, key: str, what: Message, after_s: float = 0.2, data: dict[str, Json] | None = None
    ) -> Story:
        """Let a step act."""
        receipt = Receipt(what=what, data=data or {})
        return self.add("step.applied", after_s, key=key, receipt=receipt.model_dump(mode="json"))

    def confirm(self, key: str, evidence: Message, *, already: bool = False) -> Story:
        """See a step done."""
        return self.add("step.confirmed", key=key, already=already, evidence=evidence.model_dump(mode="json"))

    def do(self, *keys: str) -> Story:
        """Carry steps out; the verification is not among them."""
        for key in keys:
            self.begin(key).apply(key, msg("{key} acted.", key=key)).confirm(key, msg("{key} seen.", key=key))
        return self

    def verify(self, outcome: Outcome) -> Story:
        """Carry the verification out."""
        data: dict[str, Json] = {"verification": make_proof(outcome).model_dump(mode="json")}
        said = msg("The checks say: {outcome}.", outcome=outcome.value)
        return self.begin("06-verify").apply("06-verify", said, 3.1, data).confirm("06-verify", said)

    def stop(self, key: str, what: Message, exit_code: ExitCode = ExitCode.STOPPED) -> Story:
        """Stop the run at a step, as the runner does."""
        trouble = Trouble(
            code="interrupted" if exit_code is ExitCode.INTERRUPTED else "step-failed",
            exit_code=int(exit_code),
            what=what,
            state=msg("3 of 6 steps are done; router still holds."),
            next_command=f"backout resume {self.events[0].run}",
        ).model_dump(mode="json")
        if exit_code is not ExitCode.INTERRUPTED:
            self.add("step.failed", key=key, trouble=trouble)
        return self.add("run.stopped", trouble=trouble)

    @property
    def run(self) -> Run:
        """The run that these events tell."""
        return fold(self.events)


BEFORE_SWITCH = ("01-guard", "02-quarantine", "03-hold")


def _finished(outcome: Outcome) -> Story:
    told = Story(make_plan()).add("run.started").do(*BEFORE_SWITCH, "04-acme-switch", "05-hold-release")
    return told.verify(outcome).add("run.finished")


def stories() -> dict[str, Story]:
    """Return one story for each way that a run can stand."""
    port = msg("Port {port} is taken by process {pid}.", port=8080, pid=4711)
    stopped = Story(make_plan()).add("run.started").do(*BEFORE_SWITCH).begin("04-acme-switch")
    stopped.stop("04-acme-switch", port)
    unknown = Story(make_plan()).add("run.started").do(*BEFORE_SWITCH).begin("04-acme-switch")
    unknown.stop("04-acme-switch", msg("The platform does not answer."), ExitCode.OUTCOME_UNKNOWN)
    interrupted = Story(make_plan()).add("run.started").do("01-guard").begin("02-quarantine")
    interrupted.stop("02-quarantine", msg("Interrupted."), ExitCode.INTERRUPTED)
    resumed = Story(make_plan()).add("run.started").do(*BEFORE_SWITCH).begin("04-acme-switch")
    resumed.stop("04-acme-switch", port)
    resumed.actor = "ben@jump"
    resumed.add("run.resumed", 95.0, text=msg("Taken over: her laptop died.").model_dump(mode="json"))
    resumed.do("04-acme-switch", "05-hold-release").verify(Outcome.PASS).add("run.finished")
    aborted = Story(make_plan()).add("run.started").do(*BEFORE_SWITCH).begin("04-acme-switch")
    aborted.stop("04-acme-switch", port).add("run.aborted", 20.0, by="run-20261123-031000-back")
    emergency = Story(make_plan(), emergency=True, reason="pager").add("run.started").do("04-acme-switch")
    emergency.verify(Outcome.INCONCLUSIVE).add("run.finished")
    return {
        "created": Story(make_plan()),
        "cut short": Story(make_plan()).add("run.started").do("01-guard", "02-quarantine").begin("03-hold"),
        "stopped": stopped,
        "unknown": unknown,
        "interrupted": interrupted,
        "resumed": resumed,
        "aborted": aborted,
        "emergency": emergency,
        "pass": _finished(Outcome.PASS),
        "fail": _finished(Outcome.FAIL),
        "inconclusive": _finished(Outcome.INCONCLUSIVE),
        "verified later": _finished(Outcome.INCONCLUSIVE).add(
            "run.verified", 240.0, verification=make_proof().model_dump(mode="json")
        ),
    }


@pytest.fixture(scope="session")
def told() -> dict[str, Run]:
    """One run for each way that a run can stand."""
    return {name: story.run for name, story in stories().items()}


@pytest.fixture(scope="session")
def journals() -> dict[str, list[Event]]:
    """The events of those runs."""
    return {name: story.events for name, story in stories().items()}


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Make a plan."""
    return make_plan


@pytest.fixture
def story() -> Callable[..., Story]:
    """Begin a story."""
    return Story
