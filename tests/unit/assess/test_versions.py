"""Which of two versions is older, and which release to go back to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import backout.assess.rules
from backout.assess.model import ACCEPTABLE
from backout.assess.versions import choose_target, current_version, order_key
from backout.errors import NothingToGoBackTo, UnknownVersion
from backout.facts import Facts
from backout.message import msg
from backout.observed import Observed, Workload
from backout.release import Artefact, Quarantine, Release, ReleaseState
from backout.schema import Schema

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("5.9.1", "v5.10.0"),
        ("5.4.0-rc1", "5.4.0"),
        ("5.4", "5.4.1"),
        ("1", "2"),
        ("2026.9", "2026.10"),
        ("5.4.0-rc1", "5.4.0-rc2"),
    ],
)
def test_versions_sort_as_people_read_them(older: str, newer: str) -> None:
    assert order_key(older) < order_key(newer)


def test_a_leading_v_and_trailing_zeros_do_not_count() -> None:
    assert order_key("v5.4.0") == order_key("5.4")


def release(version: str, days_ago: int, state: ReleaseState = ReleaseState.GOOD) -> Release:
    return Release(
        id=f"rel-{version}",
        service="shop",
        environment="production",
        version=version,
        deployed_at=NOW - timedelta(days=days_ago),
        artefact=Artefact(ref=version),
        state=state,
    )


def facts(
    *releases: Release, current: str, available: tuple[str, ...] | None = None, bad: str | None = None
) -> Facts:
    refs = available if available is not None else tuple(r.version for r in releases)
    return Facts(
        observed_at=NOW,
        service="shop",
        environment="production",
        platform="process",
        workload=Observed[Workload](
            value=Workload(wanted=Artefact(ref=current)), source="t", observed_at=NOW
        ),
        available=Observed[tuple[Artefact, ...]](
            value=tuple(Artefact(ref=r) for r in refs), source="t", observed_at=NOW
        ),
        schema_now=Observed[Schema](source="t", observed_at=NOW),
        releases=releases,
        quarantined=(Quarantine(version=bad, reason="t", since=NOW),) if bad else (),
    )


def test_the_last_good_release_before_the_current_one_is_the_target() -> None:
    seen = facts(
        release("4", 0),
        release("3", 1, ReleaseState.UNKNOWN),
        release("2", 2),
        release("1", 3),
        current="4",
    )
    assert choose_target(seen, None).version == "2"


def test_the_same_command_typed_twice_does_not_take_the_good_release_back_too() -> None:
    seen = facts(release("3", 0, ReleaseState.BAD), release("2", 1), release("1", 2), current="2", bad="3")
    assert choose_target(seen, None).version == "2"
    assert choose_target(seen, "1").version == "1"


def test_a_release_brought_back_that_turns_out_bad_is_left_for_the_one_before() -> None:
    worse = (release("3", 0, ReleaseState.BAD), release("2", 1, ReleaseState.BAD), release("1", 2))
    assert choose_target(facts(*worse, current="2", bad="3"), None).version == "1"


def test_every_risk_that_can_be_accepted_has_its_name_in_the_list() -> None:
    rules = Path(backout.assess.rules.__file__).parent
    named = {
        name for file in rules.glob("*.py") for name in re.findall(r'accept="([a-z-]+)"', file.read_text())
    }
    assert named == set(ACCEPTABLE)


def test_quarantined_bad_and_gone_releases_are_passed_over() -> None:
    seen = facts(
        release("5", 0),
        release("4", 1, ReleaseState.BAD),
        release("3", 2),
        release("2", 3),
        release("1", 4),
        current="5",
        available=("5", "4", "3", "1"),
        bad="3",
    )
    assert choose_target(seen, None).version == "1"


def test_an_unproven_release_is_better_than_none() -> None:
    seen = facts(release("2", 0), release("1", 1, ReleaseState.UNKNOWN), current="2")
    assert choose_target(seen, None).version == "1"


def test_with_nothing_left_the_error_says_so() -> None:
    with pytest.raises(NothingToGoBackTo) as raised:
        choose_target(facts(release("1", 0), current="1"), None)
    assert raised.value.next_command == "backout releases"


@pytest.mark.parametrize(
    ("state", "bad", "why", "accept"),
    [
        (ReleaseState.BAD, None, "on record as bad", " --accept known-bad"),
        (ReleaseState.FAILED, None, "on record as failed", " --accept known-bad"),
        (ReleaseState.DEPLOYING, None, "on record as deploying", ""),
        (ReleaseState.BAD, "1", "backed out: t", " --accept quarantined"),
    ],
)
def test_what_was_left_out_is_named_with_the_reason_and_the_command(
    state: ReleaseState, bad: str | None, why: str, accept: str
) -> None:
    with pytest.raises(NothingToGoBackTo, match=f"is left out.*: 1 \\({why}\\)") as raised:
        choose_target(facts(release("2", 0), release("1", 1, state), current="2", bad=bad), None)
    assert raised.value.next_command == f"backout plan --to 1{accept}"


def test_an_unknown_version_suggests_near_ones() -> None:
    seen = facts(release("5.4.0", 0), release("5.3.0", 1), current="5.4.0")
    with pytest.raises(UnknownVersion) as raised:
        choose_target(seen, "5.3.9")
    assert "5.3.0" in str(raised.value.what)
    assert raised.value.next_command == "backout plan --to 5.3.0"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("5.4.1", "Near: 5.4.0, 5.3.0."),  # What runs may be meant too.
        ("5.2.1", "Near: 5.4.0, 5.3.0."),  # The one below cannot be run any more.
        ("nightly", "None is near; the newest are 5.4.0, 5.3.0."),
    ],
)
def test_only_what_is_near_and_could_run_is_suggested(typed: str, told: str) -> None:
    known = (release("5.4.0", 0), release("5.3.0", 1), release("5.2.0", 2))
    seen = facts(*known, current="5.4.0", available=("5.4.0", "5.3.0"))
    with pytest.raises(UnknownVersion) as raised:
        choose_target(seen, typed)
    assert told in str(raised.value.what)
    near = "Near" in told
    assert raised.value.next_command == (f"backout plan --to {told[6:11]}" if near else "backout releases")


def test_the_only_release_is_known_although_it_runs() -> None:
    with pytest.raises(UnknownVersion) as raised:
        choose_target(facts(release("5.3.0", 0), current="5.3.0"), "9.9.9")
    assert "the newest are 5.3.0." in str(raised.value.what)


def test_a_leading_v_is_forgiven() -> None:
    seen = facts(release("5.4.0", 0), release("5.3.0", 1), current="5.4.0")
    assert choose_target(seen, "v5.3.0").version == "5.3.0"


def test_what_runs_is_unknown_when_the_platform_does_not_answer() -> None:
    seen = facts(release("1", 0), current="1").model_copy(
        update={"workload": Observed[Workload](unknown=msg("gone"), source="t", observed_at=NOW)}
    )
    assert current_version(seen) is None
