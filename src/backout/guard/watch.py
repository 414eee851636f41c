"""A release under watch: its evidence, as plain data that survives a restart, and the verdict at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from backout.document import Document
from backout.guard.budget import shared
from backout.guard.findings import finding
from backout.guard.looks import Durations, Errors, Look
from backout.guard.metrics import ErrorRate, Known, Latency, Metric, failures
from backout.guard.needed import Needed
from backout.guard.onset import Counted, Onset, onset
from backout.guard.verdict import Finding, Say, Verdict, decide
from backout.message import Message, msg
from backout.observed import Answer

_GAPS_KEPT = 20


class Gap(Document):
    """A time of which a metric has no data."""

    metric: str
    began: datetime
    ended: datetime


class Watch(Document):
    """What is known of a release so far.

    Attributes:
        release: As it is called.
        released_at: When it got its first request: what is older is not its doing.
        metrics: What is looked at; names are unique.
        alpha: The chance, at most, of a false alarm over all metrics and looks; and that of a wrong "continue".
        quiet_s: Without data for so long, nothing is known of now.
        ids: Whether each request counts once, by its id (`retries`); without that no chance is promised.
        known: By metric.
        requests, watched_s: In so many seconds since the release so many requests were counted.
        gaps: Times since the release of which there are none, the last ones.
    """

    schema_version: Literal[1] = 1
    release: str
    released_at: datetime
    metrics: tuple[Metric, ...] = Field(default=(ErrorRate(),), min_length=1)
    alpha: float = Field(default=0.01, gt=0, lt=1)
    quiet_s: float = Field(default=120.0, gt=0)
    ids: bool = False
    known: dict[str, Known] = {}
    requests: int = 0
    watched_s: float = 0.0
    gaps: tuple[Gap, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if len({one.name for one in self.metrics}) < len(self.metrics):
            raise ValueError("two metrics of one name")
        if self.released_at.tzinfo is None:
            raise ValueError("a time without its zone")
        return self

    def add(self, look: Look) -> Watch:
        """Return the watch with one more look.

        What is older than the release tells when an incident began, and is no evidence against it. A look across the
        release is left out: it cannot be said whose its failures are.

        Idempotent: of a metric whose data reach past the look's beginning it was counted already, and is left out.

        Raises:
            ValueError: The look has a metric that is not watched, or not of that kind.
        """
        watched = {one.name: one for one in self.metrics}
        wrong = [name for name in look.errors if not isinstance(watched.get(name), ErrorRate)]
        wrong += [name for name in look.durations if not isinstance(watched.get(name), Latency)]
        if wrong:
            raise ValueError(f"metrics that are not watched, or not of that kind: {', '.join(sorted(wrong))}")
        if look.began < self.released_at < look.ended:
            return self
        known, gaps, requests = dict(self.known), self.gaps, 0
        given: dict[str, Errors | Durations] = {**look.errors, **look.durations}
        for name, counts in given.items():
            metric, before = watched[name], known.get(name, Known())
            if before.ended is not None and look.began < before.ended:
                continue
            one = Counted(began=look.began, ended=look.ended, arm=failures(metric, counts))
            if look.began < self.released_at:
                known[name] = before.before_release(one)
                continue
            known[name] = before.since_release(metric, counts, look.share, one)
            gaps = (*gaps, *self._gap(name, before, look.began))[-_GAPS_KEPT:]
            requests = max(requests, counts.requests)
        watched_s = (look.ended - look.began).total_seconds() if requests else 0.0
        return self.model_copy(
            update={
                "known": known,
                "gaps": gaps,
                "requests": self.requests + requests,
                "watched_s": self.watched_s + watched_s,
            }
        )

    def verdict(self, now: datetime) -> Verdict:
        """Return what can be said at a moment."""
        parts = shared(self.alpha, {one.name: one.weight for one in self.metrics})
        findings = tuple(self._finding(one, parts[one.name]) for one in self.metrics)
        before = [one.metric for one in findings if not one.compared and self._is_from_before(one.onset)]
        say, reasons = decide(findings, release=self.release, from_before=before, blind=self._blind(now))
        needed = _most(findings) if say is Say.CANNOT_TELL else None
        not_promised = self._not_promised(findings)
        return Verdict(
            say=say,
            reasons=reasons,
            findings=findings,
            notes=(*self._incidents(findings, say), *self._gap_notes()),
            needed=needed,
            within_s=self._within_s(needed),
            promised=None if not_promised else self.alpha,
            not_promised=not_promised,
        )

    def _finding(self, metric: ErrorRate | Latency, alpha: float) -> Finding:
        """Return what a metric says: of the kind of its last look, unless the comparison had shown harm before."""
        known = self.known.get(metric.name, Known())
        began = onset(known.series)
        compared = finding(metric, known.compared, alpha, self.alpha, began)
        if not known.alone_now or compared.harmful is Answer.YES:
            return compared
        return finding(metric, known.alone, alpha, self.alpha, began)

    def _gap(self, metric: str, before: Known, began: datetime) -> tuple[Gap, ...]:
        since = self._data_until(before)
        if began - since < timedelta(seconds=1):
            return ()
        return (Gap(metric=metric, began=since, ended=began),)

    def _data_until(self, known: Known) -> datetime:
        return max(known.ended or self.released_at, self.released_at)

    def _blind(self, now: datetime) -> Message | None:
        """Return why nothing is known of now, of the metric that was silent for longest."""
        name, since = min(
            ((one.name, self._data_until(self.known.get(one.name, Known()))) for one in self.metrics),
            key=lambda pair: pair[1],
        )
        quiet_s = (now - since).total_seconds()
        if quiet_s <= self.quiet_s:
            return None
        return msg(
            "{metric}: no data for {seconds} s: nothing is known of now", metric=name, seconds=round(quiet_s)
        )

    def _is_from_before(self, found: Onset | None) -> bool:
        return found is not None and found.latest <= self.released_at

    def _incidents(self, findings: Sequence[Finding], say: Say) -> list[Message]:
        """Return what is said of failures that rose where the release does not serve."""
        notes = []
        for one in findings:
            if not one.onset or not one.compared or say is Say.BACK_OUT:
                continue
            told = {
                "metric": one.metric,
                "before": f"{one.onset.before:.2%}",
                "after": f"{one.onset.after:.2%}",
                "at": f"{one.onset.latest:%H:%M:%S}",
            }
            if self._is_from_before(one.onset):
                notes.append(
                    msg(
                        "{metric}: failures rose from {before} to {after} in the control arm by {at}, before the release: unlikely the release's",
                        **told,
                    )
                )
            else:
                notes.append(
                    msg(
                        "{metric}: failures rose from {before} to {after} in the control arm by {at}: an incident; what a release does to both arms alike, as with a lock in the database, is not seen here",
                        **told,
                    )
                )
        return notes

    def _gap_notes(self) -> list[Message]:
        seconds: dict[str, float] = {}
        for one in self.gaps:
            length_s = (one.ended - one.began).total_seconds()
            seconds[one.metric] = seconds.get(one.metric, 0.0) + length_s
        return [
            msg("{metric}: {seconds} s since the release without data", metric=name, seconds=round(length_s))
            for name, length_s in seconds.items()
        ]

    def _not_promised(self, findings: Sequence[Finding]) -> tuple[Message, ...]:
        reasons = []
        if not self.ids:
            reasons.append(
                msg("Not all requests have ids: retries of one client count as requests of their own.")
            )
        if alone := [one.metric for one in findings if not one.compared]:
            reasons.append(
                msg(
                    "No control arm for {metrics}: whatever else happens looks like the release.",
                    metrics=", ".join(alone),
                )
            )
        return tuple(reasons)

    def _within_s(self, needed: Needed | None) -> float | None:
        if needed is None or needed.requests is None or not self.requests:
            return None
        return round(needed.requests * self.watched_s / self.requests, 1)


def _most(findings: Sequence[Finding]) -> Needed | None:
    """Return the most that any metric needs: "continue" takes all of them."""
    needs = [one.needed for one in findings if one.needed]
    never = next((one for one in needs if one.requests is None), None)
    return never or max(needs, key=lambda one: one.requests or 0, default=None)
