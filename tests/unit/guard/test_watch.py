"""The verdict over time: continue only by evidence, back out only for what is the release's, and otherwise why it cannot be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from backout.guard import Arm, Durations, ErrorRate, Errors, Latency, Look, Say, Verdict, Watch
from backout.guard.latency import bucketed

RELEASED = datetime(2026, 1, 1, 12, tzinfo=UTC)
TICK = timedelta(seconds=15)
NAME = "5.4.0"


def at(look: int) -> datetime:
    return RELEASED + look * TICK


def errors(canary: tuple[int, int], control: tuple[int, int] | None) -> Errors:
    arms = [Arm(requests=n, errors=x) for n, x in (canary, control or (0, 0))]
    return Errors(canary=arms[0], control=arms[1] if control else None)


def look(number: int, canary: tuple[int, int], control: tuple[int, int] | None, **more: object) -> Look:
    """Return the look from one tick to the next; ticks below 0 are before the release."""
    given = {"errors": {"errors": errors(canary, control)}, **more}
    return Look(began=at(number), ended=at(number + 1), **given)  # type: ignore[arg-type]


def watched(
    watch: Watch, first: int, last: int, canary: tuple[int, int], control: tuple[int, int] | None
) -> Watch:
    for number in range(first, last):
        watch = watch.add(look(number, canary, control))
    return watch


def said(verdict: Verdict) -> str:
    return "\n".join(map(str, (*verdict.reasons, *verdict.notes)))


NEW = Watch(release=NAME, released_at=RELEASED, ids=True)
GOOD, BAD, REST = (200, 1), (200, 10), (1800, 9)


def test_a_bad_release_is_backed_out_with_the_figures() -> None:
    verdict = watched(NEW, 0, 4, BAD, REST).verdict(at(4))
    assert verdict.say is Say.BACK_OUT
    assert said(verdict).startswith("errors: 40 of 800 (5.00%) beside 36 of 7200 (0.50%); evidence of harm ")
    assert said(verdict).endswith(", 100 is enough")
    assert verdict.promised == 0.01 and verdict.findings[0].e_value > 100
    assert verdict.needed is None


def test_a_good_one_goes_on_only_when_that_is_shown() -> None:
    early, late = watched(NEW, 0, 4, GOOD, REST), watched(NEW, 0, 60, GOOD, REST)
    verdict = early.verdict(at(4))
    assert verdict.say is Say.CANNOT_TELL and verdict.needed is not None and verdict.within_s is not None
    assert 2_000 < verdict.needed.requests < 200_000
    assert verdict.within_s == pytest.approx(verdict.needed.requests * 15 / 2000, rel=0.01)
    assert late.verdict(at(60)).say is Say.CONTINUE
    assert ": at most 0." in said(late.verdict(at(60)))
    assert said(watched(NEW, 0, 1, (3, 0), (9, 0)).verdict(at(1))).endswith("too few to say more")


def test_three_requests_a_minute_are_never_fine() -> None:
    watch = watched(NEW, 0, 240, (1, 0), (2, 0))
    verdict = watch.verdict(at(240))
    assert verdict.say is Say.CANNOT_TELL and verdict.needed is not None and verdict.needed.requests > 500


def test_without_any_data_it_cannot_tell() -> None:
    verdict = NEW.verdict(at(1))
    assert verdict.say is Say.CANNOT_TELL and said(verdict) == "errors: no data since the release"
    assert "no data for 150 s: nothing is known of now" in said(NEW.verdict(at(10)))


def test_an_incident_of_both_arms_is_not_the_release_s() -> None:
    watch = watched(watched(NEW, -40, 0, (0, 0), (2000, 10)), 0, 10, GOOD, REST)
    verdict = watched(watch, 10, 30, (200, 20), (1800, 180)).verdict(at(30))
    assert verdict.say is not Say.BACK_OUT
    assert "failures rose from 0.50% to 10.00% in the control arm by 12:02:" in said(verdict)
    assert "what a release does to both arms alike" in said(verdict)


def test_an_incident_of_both_arms_that_began_before_is_unlikely_the_release_s() -> None:
    before = watched(watched(NEW, -40, -10, (0, 0), (2000, 10)), -10, 0, (0, 0), (2000, 200))
    verdict = watched(before, 0, 20, (200, 20), (1800, 180)).verdict(at(20))
    assert verdict.say is not Say.BACK_OUT
    assert "before the release: unlikely the release's" in said(verdict)


def test_a_gap_is_not_zero_errors() -> None:
    watch = watched(NEW, 0, 60, GOOD, REST)
    assert watch.verdict(at(60)).say is Say.CONTINUE
    later = watch.verdict(at(60) + timedelta(minutes=10))
    assert later.say is Say.CANNOT_TELL and "errors: no data for 600 s: nothing is known of now" in said(
        later
    )
    again = watched(watch, 100, 101, GOOD, REST).verdict(at(101))
    assert again.say is Say.CONTINUE and "errors: 600 s since the release without data" in said(again)


def test_harm_that_was_shown_stays_harm_when_data_stop() -> None:
    """Perhaps they stop because of it."""
    verdict = watched(NEW, 0, 4, BAD, REST).verdict(at(4) + timedelta(hours=1))
    assert verdict.say is Say.BACK_OUT


def test_what_is_older_than_the_release_is_not_held_against_it() -> None:
    watch = watched(NEW, -40, 0, (200, 100), REST)
    assert watch.known["errors"].compared is None
    across = Look(began=at(0) - TICK / 2, ended=at(0) + TICK / 2, errors={"errors": errors(BAD, REST)})
    assert NEW.add(across) == NEW


def test_a_look_that_is_read_twice_counts_once() -> None:
    once = watched(NEW, 0, 3, BAD, REST)
    assert watched(once, 0, 3, BAD, REST) == once
    overlapping = Look(began=at(2), ended=at(4), errors={"errors": errors(BAD, REST)})
    assert once.add(overlapping) == once


def test_it_goes_on_after_a_restart_where_it_was() -> None:
    latency = Latency(edges_s=(0.1, 0.5, 1.0))
    watch = Watch(release=NAME, released_at=RELEASED, metrics=(ErrorRate(), latency))
    durations = {"p95": Durations(canary=(90, 8, 2, 0), control=(900, 80, 20, 0))}
    whole = halted = watched(watch, -3, 0, (0, 0), REST)
    for number in range(10):
        one = look(number, GOOD, REST, durations=durations, share=0.1)
        whole = whole.add(one)
        halted = Watch.model_validate_json(halted.model_dump_json()).add(one)
    assert halted == whole
    assert halted.verdict(at(10)) == whole.verdict(at(10))
    verdict = whole.verdict(at(10))
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_without_ids_no_chance_is_promised() -> None:
    verdict = watched(NEW.model_copy(update={"ids": False}), 0, 4, BAD, REST).verdict(at(4))
    assert verdict.say is Say.BACK_OUT and verdict.promised is None
    assert "Not all requests have ids" in str(verdict.not_promised[0])


def test_without_control_arm_nothing_is_promised_and_fine_takes_an_upper_bound() -> None:
    harmful = watched(NEW, 0, 10, (2000, 100), None).verdict(at(10))
    assert harmful.say is Say.BACK_OUT and harmful.promised is None
    assert "No control arm for errors" in str(harmful.not_promised[0])
    few = watched(NEW, 0, 1, (40, 0), None).verdict(at(1))
    assert few.say is Say.CANNOT_TELL and few.needed is not None
    assert watched(NEW, 0, 10, (2000, 10), None).verdict(at(10)).say is Say.CONTINUE


def test_an_incident_from_before_the_release_is_said_to_be_unlikely_its() -> None:
    watch = watched(watched(NEW, -40, -10, (2000, 10), None), -10, 20, (2000, 100), None)
    verdict = watch.verdict(at(20))
    assert verdict.say is Say.CANNOT_TELL
    assert "errors: failures began before 5.4.0 (by 11:5" in said(
        verdict
    ) and "unlikely the release's" in said(verdict)


def test_an_incident_that_began_with_the_release_is_its() -> None:
    watch = watched(watched(NEW, -40, 0, (2000, 10), None), 0, 20, (2000, 100), None)
    assert watch.verdict(at(20)).say is Say.BACK_OUT


def test_of_two_metrics_one_that_is_harmful_is_enough_and_one_that_is_not_known_is_too_much() -> None:
    latency = Latency(limit_s=0.5)
    watch = Watch(release=NAME, released_at=RELEASED, metrics=(ErrorRate(), latency), ids=True)
    fast, slow = bucketed([0.1] * 190 + [0.2] * 10), bucketed([0.5] * 200)
    rest = bucketed([0.1] * 1700 + [0.2] * 100)
    harmful = good = only_errors = watch
    for number in range(60):
        harmful = harmful.add(
            look(number, GOOD, REST, durations={"p95": Durations(canary=slow, control=rest)})
        )
        good = good.add(look(number, GOOD, REST, durations={"p95": Durations(canary=fast, control=rest)}))
        only_errors = only_errors.add(look(number, GOOD, REST))
    verdict = harmful.verdict(at(60))
    assert verdict.say is Say.BACK_OUT
    assert [str(reason).split(":")[0] for reason in verdict.reasons] == ["p95"]
    assert [one.alpha for one in verdict.findings] == [0.005, 0.005]
    assert good.verdict(at(60)).say is Say.CONTINUE
    partly = only_errors.verdict(at(60))
    assert partly.say is Say.CANNOT_TELL and "p95: no data for 900 s" in said(partly)


def test_durations_without_control_arm_are_held_against_their_limit() -> None:
    watch = Watch(release=NAME, released_at=RELEASED, metrics=(Latency(limit_s=0.5),))
    for took, say in ((0.1, Say.CONTINUE), (0.9, Say.BACK_OUT)):
        told = watch
        for number in range(5):
            counts = Durations(canary=bucketed([took] * 200))
            told = told.add(Look(began=at(number), ended=at(number + 1), durations={"p95": counts}))
        verdict = told.verdict(at(5))
        assert verdict.say is say, said(verdict)
        assert "took longer than 0.5 s, 5.00% may; no control arm" in said(verdict)


def test_a_metric_that_cannot_be_told_yet_keeps_the_other_from_going_on() -> None:
    watch = Watch(release=NAME, released_at=RELEASED, metrics=(ErrorRate(), Latency()))
    few = Durations(canary=bucketed([0.1]), control=bucketed([0.1] * 9))
    for number in range(60):
        watch = watch.add(look(number, GOOD, REST, durations={"p95": few}))
    verdict = watch.verdict(at(60))
    assert verdict.say is Say.CANNOT_TELL and said(verdict).startswith("p95: ")


def test_a_limit_inside_a_bucket_is_neither_exceeded_nor_kept() -> None:
    watch = Watch(release=NAME, released_at=RELEASED, metrics=(Latency(limit_s=0.5, edges_s=(0.25, 1.0)),))
    for number in range(20):
        counts = Durations(canary=(100, 100, 0))
        watch = watch.add(Look(began=at(number), ended=at(number + 1), durations={"p95": counts}))
    verdict = watch.verdict(at(20))
    assert verdict.say is Say.CANNOT_TELL
    assert said(verdict).startswith("p95: 0 to 2000 of 4000 took longer than 0.5 s")


def test_after_the_canary_serves_everybody_the_limit_counts() -> None:
    compared = watched(NEW, 0, 60, GOOD, REST)
    alone = watched(compared, 60, 61, (50, 0), None)
    assert alone.verdict(at(61)).say is Say.CANNOT_TELL, "nothing is shown of it alone yet"
    assert watched(alone, 61, 70, (2000, 10), None).verdict(at(70)).say is Say.CONTINUE
    harmful = watched(watched(NEW, 0, 4, BAD, REST), 4, 20, (2000, 10), None)
    assert harmful.verdict(at(20)).say is Say.BACK_OUT, "what was shown beside the control arm"


def test_rubbish_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="not watched, or not of that kind: latency"):
        NEW.add(Look(began=at(0), ended=at(1), errors={"latency": errors(GOOD, REST)}))
    with pytest.raises(ValueError, match="not watched, or not of that kind: errors"):
        NEW.add(Look(began=at(0), ended=at(1), durations={"errors": Durations(canary=(1, 2))}))
    with pytest.raises(ValidationError, match="ends before it begins"):
        Look(began=at(1), ended=at(1))
    with pytest.raises(ValidationError, match="without its zone"):
        Look(began=datetime(2026, 1, 1), ended=at(1))  # noqa: DTZ001
    with pytest.raises(ValidationError, match="less than no request"):
        Durations(canary=(5, -2))
    with pytest.raises(ValidationError, match="two metrics of one name"):
        Watch(release=NAME, released_at=RELEASED, metrics=(ErrorRate(), ErrorRate()))
