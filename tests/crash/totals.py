"""What the crash suite counts: each test for itself, added up for the summary at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Totals:
    """Per claim how many of how many rounds held, and what the clients saw."""

    claims: dict[str, list[int]] = field(default_factory=dict)
    failed: dict[str, dict[str, int]] = field(default_factory=dict)
    sent: int = 0
    longest_s: float = 0.0
    acknowledged: int = 0
    lost: int = 0
    uncounted: int = 0
    """Tests after which nobody could count the rows."""
    seed: int | None = None

    def count(self, claim: str, held: bool) -> None:
        """Count one round of a claim."""
        done = self.claims.setdefault(claim, [0, 0])
        done[0] += held
        done[1] += 1

    def saw(self, claim: str, sent: int, longest_s: float, failures: dict[str, int]) -> None:
        """Count what came of the clients' requests during a round."""
        self.sent += sent
        self.longest_s = max(self.longest_s, longest_s)
        self.failed[claim] = dict(Counter(self.failed.get(claim, {})) + Counter(failures))

    def add(self, other: Totals) -> None:
        """Add what another test counted."""
        for claim, (held, of) in other.claims.items():
            done = self.claims.setdefault(claim, [0, 0])
            done[0] += held
            done[1] += of
        for claim, failures in other.failed.items():
            self.saw(claim, 0, 0.0, failures)
        self.sent += other.sent
        self.longest_s = max(self.longest_s, other.longest_s)
        self.acknowledged += other.acknowledged
        self.lost += other.lost
        self.uncounted += other.uncounted
        self.seed = self.seed if other.seed is None else other.seed

    def as_property(self) -> dict[str, Any]:
        """Return it as what a test's report can carry from one process to another."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Return the summary for a person."""
        for claim, (held, of) in self.claims.items():
            failed = self.failed.get(claim)
            word = "answered 503 while held, as asked for" if "--hold-first" in claim else "requests failed"
            told = "" if failed is None else f"; {word}: {sum(failed.values())} {failed or ''}"
            yield f"crash: {claim}: {held} of {of}{told}"
        held, of = (sum(done[n] for done in self.claims.values()) for n in (0, 1))
        yield f"crash: all claims: {held} of {of}"
        if self.seed is not None:
            yield f"crash: random instants from seed {self.seed}"
        lost = f"{self.lost} lost" + (
            f" (not counted after {self.uncounted} tests)" if self.uncounted else ""
        )
        yield (
            f"crash: {self.sent} requests sent meanwhile, the longest took {self.longest_s:.1f} s; "
            f"{self.acknowledged} rows acknowledged, {lost}"
        )


def added_up(counted: list[dict[str, Any]]) -> Totals:
    """Return the sum of what the tests' reports carry."""
    totals = Totals()
    for one in counted:
        totals.add(Totals(**one))
    return totals
