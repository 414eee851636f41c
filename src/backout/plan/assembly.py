"""What every plan is assembled with: its terms, numbered steps, and estimates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from backout.facts import Facts
from backout.message import Message, msg
from backout.plan.base import OneWay, StepKind
from backout.plan.model import Estimate, Phase, PlannedStep, StepSpec

LOOKS_ONLY = msg("It only looks.")
ADDS_ONLY = msg("It only adds a backup; nothing has to be undone.")
PROVES_ONLY = msg("It only proves what holds and builds indexes; nothing has to be undone.")
MADE_ANEW = msg("What it takes away is made anew by itself; nothing has to be undone.")
HARMLESS = (LOOKS_ONLY, ADDS_ONLY, PROVES_ONLY, MADE_ANEW)
"""Why a step has no inverse and is still no point of no return."""


@dataclass(frozen=True, slots=True)
class RestoreTerms:
    """How data is taken back; the keys of `restore:` in the configuration say what each means.

    Attributes:
        command: Words of a person's own script that restores, without secrets; None: there is none.
        switch: Words of a person's own command that makes the service use another database, without secrets.
        cwd: Folder that they start in.
    """

    jobs: int = 2
    timeout_s: float = 14400.0
    free_space_path: str | None = None
    min_free_bytes: int = 0
    max_bytes_per_s: int | None = None
    max_replica_lag_bytes: int | None = None
    max_wal_bytes: int | None = None
    unpacked_bytes: int | None = None
    keep_h: float = 72.0
    verified_for_h: float = 12.0
    reconnect_s: float = 10.0
    queues: tuple[str, ...] = ()
    command: tuple[str, ...] | None = None
    command_timeout_s: float = 14400.0
    switch: tuple[str, ...] | None = None
    switch_timeout_s: float = 120.0
    cwd: str = "."


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan is made under.

    Attributes:
        hold_modes: By means: the mode that stops the harm (`hold`), strongest first known to the adapter.
        verify_timeout_s: Seconds that all checks together may take.
        has_database: Whether writes can be counted.
        where: Which cluster is acted on, for people; None: this machine.
        evidence: Commands that show what the way back deletes; empty: it deletes nothing that is missed.
    """

    plan_id: str
    now: datetime
    expires_s: float
    verify_timeout_s: float
    has_database: bool
    evidence: tuple[str, ...] = ()
    where: Message | None = None
    restore: RestoreTerms = RestoreTerms()


def numbered(
    specs: Sequence[tuple[Phase, StepSpec]], kinds: Mapping[str, StepKind]
) -> tuple[PlannedStep, ...]:
    """Return the steps with their keys and inverses, in the order given."""
    steps = []
    for number, (phase, spec) in enumerate(specs, start=1):
        kind = kinds[spec.kind]
        inverse = kind.inverse(spec)
        because = kind.no_inverse_because(spec) if isinstance(kind, OneWay) else LOOKS_ONLY
        slug = spec.kind.replace(".", "-")
        steps.append(
            PlannedStep(
                key=f"{number:02d}-{slug}",
                phase=phase,
                spec=spec,
                inverse=inverse,
                no_inverse_because=None if inverse else because,
            )
        )
    return tuple(steps)


def estimate(facts: Facts, kind: str, known: Estimate | None = None) -> Estimate:
    """Return the median of the measured seconds of a kind of step, or "not measured".

    Args:
        facts: The facts.
        kind: The kind of step.
        known: What is known of this very step: nothing is left to do, or a lower bound where nothing was measured.
    """
    if known is not None and known.seconds is not None:
        return known
    seconds = facts.step_seconds.get(kind, ())
    if seconds:
        return Estimate(seconds=round(median(seconds), 3), runs=len(seconds))
    return known or Estimate()


def total(estimates: Iterable[Estimate]) -> Estimate:
    """Return the sum; "not measured" as soon as one of them is not, with a lower bound where one has one."""
    parts = list(estimates)
    seconds = [e.seconds for e in parts if e.seconds is not None]
    if parts and len(seconds) == len(parts):
        return Estimate(
            seconds=round(sum(seconds), 3), runs=min((e.runs for e in parts if e.basis is None), default=0)
        )
    bounded = [e for e in parts if e.least_s]
    if not bounded:
        return Estimate()
    largest = max(bounded, key=lambda e: e.least_s or 0.0)
    least_s = sum(seconds) + sum(e.least_s for e in bounded if e.least_s is not None)
    return Estimate(least_s=round(least_s, 3), basis=largest.basis)
