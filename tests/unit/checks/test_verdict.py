"""Success is claimed only when everything that applies is proven."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.checks.base import CheckResult, Outcome
from backout.checks.verdict import add_up, conclude
from backout.message import msg

NEEDED = ("workload", "health", "database", "error_rate", "response_time")


def result(proves: Any, outcome: Outcome = Outcome.PASS) -> CheckResult:
    return CheckResult(name="x", proves=proves, outcome=outcome, evidence=msg("seen"))


ALL = [result(proves) for proves in NEEDED]


def test_all_proven_is_a_pass() -> None:
    verdict = conclude(ALL, database=True)
    assert verdict.outcome is Outcome.PASS
    assert verdict.results == tuple(ALL)


@pytest.mark.parametrize("missing", NEEDED)
def test_each_sentence_that_nothing_speaks_to_is_named_with_the_key_to_declare(missing: str) -> None:
    verdict = conclude([r for r in ALL if r.proves != missing], database=True)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    (added,) = (r for r in verdict.results if r.name == missing)
    assert added.outcome is Outcome.INCONCLUSIVE
    assert added.more is not None
    assert missing == "workload" or "Declare" in str(added.more)


def test_a_database_is_asked_for_only_where_one_is_configured() -> None:
    without = [r for r in ALL if r.proves != "database"]
    assert conclude(without, database=False).outcome is Outcome.PASS


@pytest.mark.parametrize("proves", ["smoke", "version", "other"])
def test_a_declared_check_of_any_kind_can_spoil_it(proves: str) -> None:
    assert conclude([*ALL, result(proves, Outcome.FAIL)], database=True).outcome is Outcome.FAIL
    assert (
        conclude([*ALL, result(proves, Outcome.INCONCLUSIVE)], database=True).outcome is Outcome.INCONCLUSIVE
    )


outcomes = st.lists(st.sampled_from(Outcome))


@given(outcomes)
def test_a_pass_needs_every_one_to_pass_and_a_failure_is_never_hidden(seen: list[Outcome]) -> None:
    answer = add_up(seen)
    assert (answer is Outcome.FAIL) == (Outcome.FAIL in seen)
    assert (answer is Outcome.PASS) == (bool(seen) and set(seen) == {Outcome.PASS})


@given(outcomes, st.sampled_from([Outcome.FAIL, Outcome.INCONCLUSIVE]))
def test_bad_news_never_makes_it_better(seen: list[Outcome], news: Outcome) -> None:
    order = [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL]
    if seen:
        assert order.index(add_up([*seen, news])) >= order.index(add_up(seen))
