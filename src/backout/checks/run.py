"""Runs all checks of one verification, each bounded by the deadline, and adds them up."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

from backout.checks.base import Check, CheckResult, Outcome, Subject, Verification
from backout.checks.probes import ProbesCheck
from backout.checks.verdict import conclude
from backout.checks.workload import WorkloadCheck
from backout.message import Message, msg
from backout.release import Baseline

# What a check may take over its deadline to answer by itself, before it is left alone.
_GRACE_S = 2.0


def run_checks(checks: Iterable[Check], subject: Subject, deadline_s: float) -> Verification:
    """Verify a release: the platform first, then all single questions at once, then the probes alone.

    Args:
        checks: What was declared; the question to the platform is always added.
        subject: What is looked at.
        deadline_s: Seconds from now for all of it.

    Returns:
        Every result and what they add up to. The baseline is that of the first check of kind `probes`; it
        alone is told what was seen earlier, and if it measured nothing now, that still stands.
    """
    started_at, ends_s = subject.clock.now(), subject.clock.monotonic_s() + deadline_s
    declared = list(checks)
    probes = [c for c in declared if isinstance(c, ProbesCheck)]
    single = [c for c in declared if not isinstance(c, ProbesCheck)]
    # Probes come last and one by one: what else asks the service would be in their figures.
    stages: list[Sequence[Check]] = [[WorkloadCheck()], single]
    stages += [[check] for check in probes[:1]]
    tasks = [task for stage in stages for task in _run_stage(stage, subject, ends_s)]
    baseline = (tasks[-1].baseline if probes else None) or subject.earlier
    others = replace(subject, earlier=None)
    tasks += [task for check in probes[1:] for task in _run_stage([check], others, ends_s)]
    # The release may have been replaced while the others looked: the platform is asked again, last.
    tasks += _run_stage([WorkloadCheck(name="workload, at the end")], others, ends_s)
    outcome, results = conclude([r for t in tasks for r in t.results], database=subject.database is not None)
    return Verification(
        outcome=outcome,
        results=results,
        started_at=started_at,
        finished_at=subject.clock.now(),
        baseline=baseline,
    )


class _Task(threading.Thread):
    """One check in a thread of its own, so that one that hangs can be left alone."""

    def __init__(self, check: Check, subject: Subject, deadline_s: float) -> None:
        super().__init__(daemon=True, name=f"check-{check.name}")
        self._check, self._subject, self._deadline_s = check, subject, deadline_s
        self._answer: tuple[CheckResult, ...] | None = None
        self._late = False
        self.baseline: Baseline | None = None

    def run(self) -> None:
        try:
            if isinstance(self._check, ProbesCheck):
                answer, baseline = self._check.measure(self._subject, self._deadline_s)
            else:
                answer, baseline = self._check.run(self._subject, self._deadline_s), None
        except Exception as error:
            text = self._subject.redactor.text(str(error))
            answer, baseline = (
                self._cannot_tell(
                    msg("The check itself failed: {kind}: {error}", kind=type(error).__name__, error=text)
                ),
                None,
            )
        if not self._late:
            self._answer, self.baseline = answer, baseline

    @property
    def results(self) -> tuple[CheckResult, ...]:
        """What the check answered by the end of its stage."""
        if self._answer is not None:
            return self._answer
        return self._cannot_tell(msg("Did not end within {seconds:.1f} s", seconds=self._deadline_s))

    def close(self) -> None:
        """Take no answer any more."""
        self._late = True

    def _cannot_tell(self, evidence: Message) -> tuple[CheckResult, ...]:
        return (
            CheckResult(
                name=self._check.name, proves="other", outcome=Outcome.INCONCLUSIVE, evidence=evidence
            ),
        )


def _run_stage(stage: Sequence[Check], subject: Subject, ends_s: float) -> list[_Task]:
    left_s = max(0.0, ends_s - subject.clock.monotonic_s())
    tasks = [_Task(check, subject, left_s) for check in stage]
    if left_s <= 0:
        return tasks  # not started: each says that it did not end in time
    for task in tasks:
        task.start()
    for task in tasks:
        task.join(max(0.0, ends_s + _GRACE_S - subject.clock.monotonic_s()))
        task.close()
    return tasks
