"""What the guard keeps between looks: what of it still counts, and what happens where it cannot be kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backout.app.watch_state import Watched, alone, digest, harm_seen, load, save
from backout.errors import NotPossible
from backout.guard import Arm, ErrorRate, Errors, Look, Say, Watch
from backout.signals.options import PrometheusErrors

RELEASED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return RELEASED + timedelta(seconds=seconds)


def watched(errors: int) -> Watched:
    """1000 requests in the minute after the release."""
    watch = Watch(release="v2", released_at=RELEASED, metrics=(ErrorRate(),), quiet_s=120)
    arm = Arm(requests=1000, errors=errors)
    look = Look(began=RELEASED, ended=at(60), errors={"errors": Errors(canary=arm)})
    return Watched(watch=watch.add(look))


def test_unready_without_a_break_goes_on() -> None:
    known = watched(0).readiness(unready=True, now=at(100), break_s=120)
    assert known.readiness(unready=True, now=at(200), break_s=120).unready_since == at(100)
    assert known.readiness(unready=False, now=at(200), break_s=120).unready_since is None


@pytest.mark.parametrize("seconds", [3600, 50])
def test_of_the_time_in_which_nobody_looked_it_is_not_known(seconds: float) -> None:
    """An hour later, or after the clock was set back, it is not unready for an hour."""
    known = watched(0).readiness(unready=True, now=at(100), break_s=120)
    assert known.readiness(unready=True, now=at(seconds), break_s=120).unready_since == at(seconds)


@pytest.mark.parametrize("other", [None, ("blue", "green"), ("green",)])
def test_what_came_while_a_side_changed_hands_is_nobodys(other: tuple[str, ...] | None) -> None:
    known = watched(0).served_by(("green", "blue"), at(60))
    assert known.not_before is None  # So that what came before the first look is asked for.
    known = known.model_copy(update={"memory": {"errors": {"at": 1}}, "unready_since": RELEASED})
    assert known.served_by(("green", "blue"), at(70)).memory == known.memory
    left = known.served_by(other, at(70))
    assert (left.memory, left.unready_since, left.not_before) == ({}, None, at(70))
    assert left.watch == known.watch
    again = left.served_by(("green", "blue"), at(80))
    assert (again.not_before, again.memory) == (at(80), {})


def test_harm_that_was_seen_long_ago_may_be_over() -> None:
    known = watched(900)
    verdict = known.watch.verdict(at(90))
    assert verdict.say is Say.BACK_OUT
    assert known.stale(verdict, at(90)) is None
    assert "3540 s old" in str(known.stale(verdict, at(3600)))


def test_harm_is_told_of_the_canary_that_did_it_and_not_of_the_next_of_the_same_release(
    tmp_path: Path,
) -> None:
    assert harm_seen(tmp_path, "v2", RELEASED) is None
    (tmp_path / "guard").mkdir()
    save(tmp_path, "v2", watched(900))
    assert "900 of 1000" in str(harm_seen(tmp_path, "v2", RELEASED))
    assert harm_seen(tmp_path, "v2", at(3600)) is None
    save(tmp_path, "v2", watched(0))
    assert harm_seen(tmp_path, "v2", RELEASED) is None
    (tmp_path / "guard" / "v2.json").write_text('{"watch": {')
    assert harm_seen(tmp_path, "v2", RELEASED) is None


def test_data_of_a_time_that_has_not_come_are_told() -> None:
    known = watched(0)
    assert known.ahead(at(60)) is None
    assert "set back" in str(known.ahead(at(-3600)))


def test_another_query_is_another_question_and_another_token_is_not() -> None:
    def asked(errors: str, token: str) -> str:
        return digest(
            [
                PrometheusErrors(
                    kind="prometheus",
                    url="http://127.0.0.1:9090",
                    requests="sum(increase(a[$window]))",
                    errors=errors,
                    headers={"Authorization": token},
                )
            ]
        )

    first = asked("sum(increase(a[$window]))", "one")
    assert first == asked("sum(increase(a[$window]))", "two") != asked("sum(increase(b[$window]))", "one")


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.write_text("a file")
    with pytest.raises(NotPossible) as told, alone(folder, "v2"):
        pass
    assert "cannot be written" in str(told.value.what) and "'" in str(told.value.next_command)


def test_what_broke_off_is_told_with_what_to_type(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    (folder / "guard").mkdir(parents=True)
    (folder / "guard" / "v2.json").write_text('{"watch": {')
    with pytest.raises(NotPossible) as told:
        load(folder, "v2")
    assert f"mv '{folder}/guard/v2.json' '{folder}/guard/v2.json.old'" in str(told.value.next_command)
