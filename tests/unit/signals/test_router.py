"""What the router counted, from one reading to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from backout.document import Json
from backout.errors import TargetUnreachable
from backout.guard import Arm
from backout.message import msg
from backout.platforms.abilities import Arms
from backout.routers.base import Counted, RequestsCounted
from backout.signals.base import Reading, Span
from backout.signals.options import RouterErrors
from backout.signals.router import RouterSignal

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ARMS = Arms("green", ("blue",), 0.1)


@dataclass
class Counts:
    """A router that counted so much; None: it does not answer."""

    now: dict[str, tuple[int, int]] | None = field(default_factory=dict)
    since: str = "1"

    def counted(self, deadline_s: float) -> Counted:
        if self.now is None:
            raise TargetUnreachable(msg("no answer"), state=msg("as before"), next_command="look")
        sides = {name: RequestsCounted(requests=all_, failed=bad) for name, (all_, bad) in self.now.items()}
        return Counted(since=self.since, sides=sides)


def read(counts: Counts, at_s: float, memory: Json, arms: Arms | None = ARMS) -> Reading:
    now = START + timedelta(seconds=at_s)
    span = Span(since=START, now=now, released_at=START, arms=arms, deadline_s=1)
    return RouterSignal(RouterErrors(kind="router"), counts).read(span, memory)


def test_the_first_reading_is_what_the_next_one_starts_from() -> None:
    counts = Counts({"blue": (1000, 3), "green": (100, 9)})
    first = read(counts, 1, None)
    assert (first.looks, first.why) == ((), None)
    counts.now = {"blue": (1900, 4), "green": (200, 29)}
    (look,) = read(counts, 11, first.memory).looks
    assert (look.ended - look.began, look.share) == (timedelta(seconds=10), 0.1)
    found = look.errors["errors"]
    assert (found.canary, found.control) == (Arm(requests=100, errors=20), Arm(requests=900, errors=1))


def test_where_the_release_serves_everybody_nothing_is_beside_it() -> None:
    counts = Counts({"blue": (0, 0), "green": (0, 0)})
    first = read(counts, 1, None, Arms("green", (), 1.0))
    counts.now = {"blue": (7, 7), "green": (50, 1)}
    (look,) = read(counts, 2, first.memory, Arms("green", (), 1.0)).looks
    assert (look.errors["errors"].canary, look.errors["errors"].control) == (Arm(requests=50, errors=1), None)
    (whole,) = read(counts, 2, first.memory, None).looks
    assert whole.errors["errors"].canary == Arm(requests=57, errors=8)


def test_counters_that_began_anew_are_a_gap_and_not_a_number() -> None:
    first = read(Counts({"blue": (1000, 3), "green": (100, 9)}), 1, None)
    after = read(Counts({"blue": (5, 0), "green": (1, 0)}), 2, first.memory)
    assert after.looks == () and "began anew" in str(after.why)
    assert read(Counts({"blue": (6, 0), "green": (2, 1)}), 3, after.memory).looks != ()


def test_a_router_that_does_not_answer_is_told_and_what_was_counted_is_not_forgotten() -> None:
    first = read(Counts({"blue": (0, 0), "green": (0, 0)}), 1, None)
    silent = read(Counts(None), 2, first.memory)
    assert (silent.looks, silent.memory, str(silent.why)) == ((), first.memory, "no answer")


def test_after_a_reload_counters_that_are_past_the_last_ones_are_no_difference() -> None:
    """5 of 1005 since the reload would be 5 of 5."""
    first = read(Counts({"blue": (9000, 1), "green": (1000, 0)}), 1, None)
    after = read(Counts({"blue": (9100, 45), "green": (1005, 5)}, since="2"), 2, first.memory)
    assert after.looks == () and "began anew" in str(after.why)


def test_a_clock_that_was_set_back_is_told_and_it_goes_on_from_there() -> None:
    counts = Counts({"blue": (0, 0), "green": (0, 0)})
    first = read(counts, 3600, None)
    back = read(counts, 1, first.memory)
    assert back.looks == () and "set back" in str(back.why)
    counts.now = {"blue": (9, 0), "green": (9, 0)}
    (look,) = read(counts, 11, back.memory).looks
    assert look.ended - look.began == timedelta(seconds=10)
