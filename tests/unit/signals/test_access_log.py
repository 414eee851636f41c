"""What an access log tells: from where it was left, over rotation, whole lines alone, each request once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backout.clock import SystemClock
from backout.document import Json
from backout.guard import Arm, Look
from backout.platforms.abilities import Arms
from backout.signals.access_log import AccessLogSignal, file
from backout.signals.access_log.file import Places
from backout.signals.base import Reading, Span
from backout.signals.options import AccessLogErrors, AccessLogLatency

RELEASED = datetime(2026, 1, 1, 12, tzinfo=UTC)
BESIDE = Arms("green", ("blue",), 0.1)
ALONE = Arms("green", (), 1.0, rest=("blue",))
SECRET = "token-of-somebody"


@dataclass
class Log:
    """A log, and the guard that reads it; each reading goes on from what the one before kept, as after a restart."""

    path: Path
    told: dict[str, Any] = field(default_factory=dict)
    arms: Arms | None = BESIDE
    memory: Json = None
    since_s: float = -1800
    not_before_s: float | None = None
    number: int = 0

    def write(
        self,
        at_s: float,
        *sides: str,
        status: int = 200,
        ids: Iterable[str | None] | None = None,
        path: Path | None = None,
        **more: object,
    ) -> None:
        """Write a line for each of the sides."""
        lines = []
        for side, own in zip(sides, ids or [""] * len(sides), strict=True):
            self.number += 1
            told = {"time": at(at_s).isoformat(), "status": str(status), "side": side, "url": f"/?{SECRET}"}
            told |= {"id": own or f"{SECRET}-{self.number}"} if own is not None else {}
            lines.append(json.dumps(told | more) + "\n")
        self.raw("".join(lines), path)

    def raw(self, text: str, path: Path | None = None) -> None:
        with (path or self.path).open("a") as to:
            to.write(text)

    def read(self, now_s: float, *, latency: bool = False) -> Reading:
        told = {"path": self.path.name, **self.told}
        options = (
            AccessLogLatency.model_validate({"kind": "access-log-latency", **told})
            if latency
            else AccessLogErrors.model_validate({"kind": "access-log", **told})
        )
        span = Span(
            since=at(self.since_s),
            now=at(now_s),
            released_at=RELEASED,
            arms=self.arms,
            deadline_s=60,
            not_before=at(self.not_before_s) if self.not_before_s is not None else None,
        )
        reading = AccessLogSignal(options, SystemClock(), self.path).read(span, self.memory)
        kept = Reading.model_validate_json(reading.model_dump_json())
        assert SECRET not in kept.model_dump_json()
        self.memory = kept.memory
        return kept


@pytest.fixture
def log(tmp_path: Path) -> Log:
    made = Log(tmp_path / "access.log")
    made.path.touch()
    made.read(0)
    return made


def at(seconds: float) -> datetime:
    return RELEASED + timedelta(seconds=seconds)


def only(reading: Reading) -> tuple[tuple[int, int], tuple[int, int] | None]:
    """Return what the one look counted, as (requests, errors) of the release and of what is beside it."""
    (look,) = reading.looks
    return counted(look)


def counted(look: Look) -> tuple[tuple[int, int], tuple[int, int] | None]:
    found = look.errors["errors"]

    def told(arm: Arm) -> tuple[int, int]:
        return arm.requests, arm.errors

    return told(found.canary), told(found.control) if found.control else None


def noted(reading: Reading) -> str:
    return "; ".join(str(one) for one in reading.notes)


def test_requests_of_both_arms_are_counted_between_two_readings(log: Log) -> None:
    log.write(1, "green", "blue", "blue")
    log.write(2, "green", "blue", status=503)
    reading = log.read(10)
    assert only(reading) == ((2, 1), (3, 1))
    (look,) = reading.looks
    assert (look.began, look.ended, look.share) == (at(0), at(10), 0.1)
    assert (reading.why, reading.notes, reading.without_id) == (None, (), 0)


def test_a_log_without_new_lines_tells_of_no_requests(log: Log) -> None:
    assert only(log.read(10)) == ((0, 0), (0, 0))
    log.write(11, "green")
    assert only(log.read(20)) == ((1, 0), (0, 0))
    assert only(log.read(30)) == ((0, 0), (0, 0))


def test_a_client_that_hung_up_is_no_failure_unless_that_is_said(log: Log) -> None:
    log.write(1, "green", status=499)
    log.write(1, "green", status=404)
    assert only(log.read(10)) == ((2, 0), (0, 0))
    log.told["failed"] = ["5xx", 499]
    log.write(11, "green", status=499)
    log.write(11, "green", status=404)
    assert only(log.read(20)) == ((2, 1), (0, 0))


def test_a_retry_counts_once_in_whichever_arm_and_reading_it_comes(log: Log) -> None:
    log.write(1, "green", "green", "blue", status=500, ids=["a", "a", "a"])
    log.write(2, "blue", status=500, ids=["b"])
    assert only(log.read(10)) == ((1, 1), (1, 1))
    log.write(11, "green", "green", "blue", ids=["a", "b", "c"])
    assert only(log.read(20)) == ((0, 0), (1, 0))


def test_requests_without_an_id_count_each_and_are_told(log: Log) -> None:
    log.write(1, "green", "green", "blue", ids=[None, None, "a"])
    reading = log.read(10)
    assert (only(reading), reading.without_id) == (((2, 0), (1, 0)), 2)
    assert "2 of 3 requests had no id" in noted(reading)


def test_a_retry_of_what_came_before_anybody_counted_is_none(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", since_s=0)
    log.write(-5, "blue", status=500, ids=["a"])
    log.write(1, "green", "green", status=500, ids=["a", "b"])
    assert only(log.read(10)) == ((1, 1), (0, 0))


def test_ids_of_requests_before_the_release_take_no_promise(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.write(-5, "blue", ids=[None])
    log.write(1, "green")
    assert log.read(10).without_id == 0


def test_the_first_reading_looks_back_by_the_lines_times(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", since_s=-150)
    log.write(-1000, "blue", status=500)
    log.write(-140, "blue")
    log.write(-61, "blue", status=500)
    log.write(5, "green")
    looks = log.read(70).looks
    seconds = [[(when - RELEASED).total_seconds() for when in (one.began, one.ended)] for one in looks]
    assert seconds == [[-150, -90], [-90, -30], [-30, 0], [0, 60], [60, 70]]
    assert [counted(one)[1] for one in looks] == [(1, 0), (1, 1), (0, 0), (0, 0), (0, 0)]
    assert [counted(one)[0] for one in looks] == [(0, 0), (0, 0), (0, 0), (1, 0), (0, 0)]


def test_what_the_log_does_not_reach_back_to_is_not_known(tmp_path: Path) -> None:
    """An earlier log may have had it."""
    log = Log(tmp_path / "log")
    log.write(20, "blue")
    (look,) = log.read(40).looks
    assert (look.began, look.ended) == (at(20), at(40))


def test_an_empty_log_says_nothing_of_the_time_before_it_was_read(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.path.touch()
    first = log.read(10)
    assert (first.looks, first.why) == ((), None)
    assert only(log.read(20)) == ((0, 0), (0, 0))


def test_what_was_written_late_counts(log: Log) -> None:
    log.read(10)
    log.write(9, "green", status=500)
    assert only(log.read(20)) == ((1, 1), (0, 0))


def test_a_late_line_from_before_the_release_does_not(log: Log) -> None:
    log.write(-1, "green", status=500)
    assert only(log.read(10)) == ((0, 0), (0, 0))


def test_what_came_while_a_side_changed_hands_is_not_counted(log: Log) -> None:
    log.memory, log.not_before_s = None, 5
    log.write(3, "green", status=500)
    log.write(6, "green")
    reading = log.read(10)
    assert only(reading) == ((1, 0), (0, 0))
    assert reading.looks[0].began == at(5)


def test_lines_of_a_time_that_has_not_come_are_not_counted(log: Log) -> None:
    for _ in range(100):
        log.write(1, "green")
    log.write(3600, "green", status=500)
    reading = log.read(10)
    assert only(reading) == ((100, 0), (0, 0))
    assert "1 of 101 lines" in noted(reading) and "has not come yet" in noted(reading)


def test_a_clock_that_was_set_back_is_told_and_it_goes_on_from_there(log: Log) -> None:
    log.read(3600)
    back = log.read(10)
    assert back.looks == () and "set back" in str(back.why)
    log.write(11, "green")
    assert only(log.read(20)) == ((1, 0), (0, 0))


def test_where_the_release_serves_everybody_nothing_is_beside_it(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", arms=ALONE)
    log.write(-9, "blue", "blue")
    log.write(1, "green", "blue", status=500)
    before, after = log.read(10).looks
    assert (counted(before), counted(after)) == (((2, 0), None), ((1, 1), None))


def test_on_a_platform_without_sides_all_lines_count(log: Log) -> None:
    log.arms = None
    log.write(1, "green", "-")
    assert only(log.read(10)) == ((2, 0), None)


def test_the_log_has_its_own_words_for_sides(log: Log) -> None:
    log.told["sides"] = {"green": ["shop-green", "10.0.0.1:80"], "blue": ["shop-blue", "10.0.0.2:80"]}
    log.write(1, "shop-green", "shop-blue", "10.0.0.1:81, 10.0.0.1:80", "10.0.0.1:80 : 10.0.0.2:80")
    assert only(log.read(10)) == ((2, 0), (2, 0))


def test_requests_of_no_side_are_left_out_and_told(log: Log) -> None:
    log.write(1, "green", "elsewhere", "-", status=500)
    reading = log.read(10)
    assert only(reading) == ((1, 1), (0, 0))
    assert "2 requests of no side" in noted(reading)


def test_where_no_line_is_of_a_side_nothing_is_known(log: Log) -> None:
    log.write(1, "shop-green", "shop-blue")
    reading = log.read(10)
    assert reading.looks == () and "no line of" in str(reading.why)
    log.told["sides"] = {"green": ["shop-green"]}
    log.write(11, "shop-green")
    (look,) = log.read(20).looks
    assert look.began == at(10)


def test_half_a_line_waits_for_its_other_half(log: Log) -> None:
    log.write(1, "green")
    whole = log.path.read_text()
    log.raw(whole[:30].replace("{", "{ "))
    assert only(log.read(10)) == ((1, 0), (0, 0))
    assert only(log.read(20)) == ((0, 0), (0, 0))
    log.raw(whole[30:].replace(f"{SECRET}-1", "other"))
    assert only(log.read(30)) == ((1, 0), (0, 0))


def test_lines_that_cannot_be_read_are_told_and_are_neither_errors_nor_requests(log: Log) -> None:
    for _ in range(100):
        log.write(1, "green")
    log.raw(f"{SECRET}\n")
    reading = log.read(10)
    assert only(reading) == ((100, 0), (0, 0))
    assert "1 of 101 lines" in noted(reading) and "no JSON" in noted(reading)


def test_where_many_cannot_be_read_nothing_is_known(log: Log) -> None:
    """Else a release whose failures are written in another form would be fine."""
    for _ in range(50):
        log.write(1, "green")
    log.raw(f"{SECRET}\n")
    reading = log.read(10)
    assert reading.looks == () and "too few lines" in str(reading.why)
    log.write(11, "green")
    assert only(log.read(20)) == ((1, 0), (0, 0))


@pytest.mark.parametrize("name", ["access.log.1", "access.log-20260101", "access-20260101.log"])
def test_over_a_rotation_nothing_is_lost(log: Log, name: str) -> None:
    log.write(1, "green")
    log.read(10)
    log.write(11, "green", status=500)
    renamed = log.path.rename(log.path.with_name(name))
    log.write(12, "blue")
    assert only(log.read(20)) == ((1, 1), (1, 0))
    # Until it is told, whoever writes goes on in the renamed file.
    log.write(21, "green", path=renamed)
    log.write(22, "green")
    assert only(log.read(30)) == ((2, 0), (0, 0))
    renamed.unlink()
    log.write(31, "green")
    assert only(log.read(40)) == ((1, 0), (0, 0))


def test_an_empty_log_that_was_renamed_is_read_on(log: Log) -> None:
    renamed = log.path.rename(log.path.with_name("access.log.1"))
    log.path.touch()
    log.write(1, "green", path=renamed)
    assert only(log.read(10)) == ((1, 0), (0, 0))


def test_between_the_renaming_and_the_new_file_there_is_none_and_nothing_is_lost(log: Log) -> None:
    log.write(1, "green")
    renamed = log.path.rename(log.path.with_name("access.log.1"))
    missing = log.read(10)
    assert missing.looks == () and "No such file" in str(missing.why)
    log.write(11, "green", path=renamed)
    log.path.touch()
    reading = log.read(20)
    assert (only(reading), reading.looks[0].began) == (((2, 0), (0, 0)), at(0))


@pytest.mark.parametrize("longer", [False, True])
def test_a_log_that_is_copied_and_cut_is_read_on_in_the_copy(log: Log, longer: bool) -> None:
    log.write(1, "green")
    log.read(10)
    log.write(11, "green", status=500)
    log.path.with_name("access.log.1").write_bytes(log.path.read_bytes())
    os.truncate(log.path, 0)
    sides = ["blue"] * (9 if longer else 1)
    log.write(12, *sides)
    assert only(log.read(20)) == ((1, 1), (len(sides), 0))


@pytest.mark.parametrize("lines", [0, 1, 9])
def test_what_was_cut_away_and_cannot_be_found_is_a_gap(log: Log, lines: int) -> None:
    log.write(1, "green", "green", "green")
    log.read(10)
    os.truncate(log.path, 0)
    log.write(12, *["green"] * lines)
    reading = log.read(20)
    assert reading.looks == () and "rotated or cut" in str(reading.why)
    log.write(21, "green")
    (look,) = log.read(30).looks
    assert (counted(look), look.began) == (((1, 0), (0, 0)), at(20))


def test_two_rotations_between_two_readings_are_a_gap(log: Log) -> None:
    log.write(1, "green")
    log.read(10)
    first = log.path.rename(log.path.with_name("access.log.2"))
    log.write(11, "green", status=500)
    second = log.path.rename(log.path.with_name("access.log.1"))
    log.write(12, "green")
    for number, one in enumerate((first, second, log.path)):
        os.utime(one, (number, number))
    reading = log.read(20)
    assert reading.looks == () and "rotated or cut" in str(reading.why)


@pytest.mark.parametrize("goes", [True, False])
def test_an_earlier_log_that_goes_before_it_was_read_to_its_end_is_a_gap(
    log: Log, monkeypatch: pytest.MonkeyPatch, goes: bool
) -> None:
    monkeypatch.setattr(file, "_BLOCK", 1000)
    monkeypatch.setattr(file, "MOST_BYTES", 1000)
    log.write(1, "green")
    log.read(10)
    log.write(11, *["green"] * 50)
    renamed = log.path.rename(log.path.with_name("access.log.1"))
    log.write(12, "green")
    assert "still to be read" in noted(log.read(20))
    if goes:
        renamed.unlink()
    else:
        renamed.rename(log.path.with_name("access.log.2"))
        log.path.rename(renamed)
        log.path.touch()
    reading = log.read(30)
    assert reading.looks == () and "rotated or cut" in str(reading.why)


def test_another_log_beside_it_is_none_of_its_own(log: Log) -> None:
    log.write(1, "green")
    log.read(10)
    log.path.rename(log.path.with_name("access.log.1"))
    log.write(11, "green")
    log.write(11, "green", status=500, path=log.path.with_name("access-admin.log"))
    log.write(11, "green", status=500, path=log.path.with_name("error.log"))
    assert only(log.read(20)) == ((1, 0), (0, 0))


def test_what_cannot_be_read_is_a_gap_and_says_why(tmp_path: Path) -> None:
    for name, make, why in (
        ("missing", lambda path: None, "No such file"),
        ("folder", Path.mkdir, "no regular file"),
        ("pipe", os.mkfifo, "no regular file"),
    ):
        path = tmp_path / name
        make(path)
        reading = Log(path).read(10)
        assert (reading.looks, reading.memory) == ((), None)
        assert why in str(reading.why)


def test_a_reading_takes_so_much_and_says_what_is_left(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_BLOCK", 1000)
    monkeypatch.setattr(file, "MOST_BYTES", 4000)
    for second in range(100):
        log.write(second, "green")
    total, ended = 0, at(0)
    for _ in range(20):
        reading = log.read(100)
        assert all(one.began >= ended for one in reading.looks)
        total += sum(counted(one)[0][0] for one in reading.looks)
        ended = reading.looks[-1].ended
        if not reading.notes:
            break
        assert "are still to be read" in noted(reading) and ended < at(100)
    assert (total, ended) == (100, at(100))


def test_lines_of_one_second_that_are_read_in_two_readings_count_once_each(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "_BLOCK", 1000)
    monkeypatch.setattr(file, "MOST_BYTES", 1000)
    log.write(5, *["green"] * 40)
    total = 0
    for _ in range(20):
        total += sum(counted(one)[0][0] for one in log.read(100).looks)
    assert total == 40


def test_a_line_without_an_end_is_not_waited_for_forever(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "_BLOCK", 1000)
    log.raw("x" * 5000)
    assert "5 of 5 lines" in noted(log.read(10))
    log.raw("\n")
    log.read(20)
    log.write(21, "green")
    assert only(log.read(30)) == ((1, 0), (0, 0))


def test_the_first_reading_of_a_long_log_begins_at_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "MOST_BYTES", 1000)
    log = Log(tmp_path / "log", since_s=0)
    for second in range(60):
        log.write(second, "green")
    reading = log.read(60)
    assert (reading.why, reading.notes) == (None, ())
    (look,) = reading.looks
    assert look.began > at(40) and counted(look)[0][0] == 60 - (look.began - RELEASED).seconds


def test_durations_are_counted_by_bucket_each_request_once(log: Log) -> None:
    log.memory = None
    log.write(1, "green", duration="0.100", ids=["a"])
    log.write(2, "green", "blue", duration="9.0", ids=["a", "b"])
    (look,) = log.read(10, latency=True).looks
    found = look.durations["p95"]
    assert found.control is not None
    assert (sum(found.canary), sum(found.control)) == (1, 1)
    edges = AccessLogLatency(kind="access-log-latency", path="log").metric.edges_s
    slow, fast = found.control.index(1), found.canary.index(1)
    assert edges[fast - 1] < 0.1 <= edges[fast] and edges[slow - 1] < 9 <= edges[slow]


def test_a_unit_may_be_milliseconds_and_what_is_slower_than_all_buckets_counts(log: Log) -> None:
    log.memory, log.told["unit"] = None, "ms"
    log.write(1, "green", duration=100)
    log.write(2, "blue", duration=1e9)
    (look,) = log.read(10, latency=True).looks
    found = look.durations["p95"]
    edges = AccessLogLatency(kind="access-log-latency", path="log").metric.edges_s
    assert found.control is not None
    assert edges[found.canary.index(1) - 1] < 0.1 <= edges[found.canary.index(1)]
    assert found.control[-1] == 1


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.sampled_from(["write", "half", "read", "rename", "copy"]), max_size=25),
    block=st.sampled_from([150, 400, 1 << 20]),
)
def test_whatever_happens_to_the_log_each_request_counts_once(steps: list[str], block: int) -> None:
    """But for what no reader can see: a second rotation between two readings, and an empty log that is filled, copied and cut between two."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(file, "_BLOCK", block)
        patch.setattr(file, "MOST_BYTES", 3 * block)
        log, written, total, rotated, half = Log(Path(folder) / "access.log"), 0, 0, False, ""
        empty = True
        log.path.touch()
        log.read(0)
        now = 0.0
        for number, step in enumerate([*steps, *["read"] * 30]):
            now += 1
            if step == "copy" and empty:
                continue
            if step == "write":
                log.raw(half)
                log.write(now, "green", "blue")
                written, half = written + 2 + bool(half), ""
            elif step == "half" and not half:
                whole = json.dumps(
                    {"time": at(now).isoformat(), "status": 200, "side": "green", "id": number}
                )
                log.raw(whole[:20])
                half = whole[20:] + "\n"
            elif step in ("rename", "copy") and not rotated and not half and log.path.stat().st_size:
                rotated = True
                other = log.path.with_name(f"access.log.{number}")
                if step == "rename":
                    log.path.rename(other)
                    log.path.touch()
                else:
                    other.write_bytes(log.path.read_bytes())
                    os.truncate(log.path, 0)
                os.utime(other, (number, number))
            elif step == "read":
                reading = log.read(now)
                assert reading.why is None
                total += sum(sum(arm[0] for arm in counted(one) if arm) for one in reading.looks)
                empty = not Places.model_validate(cast("dict[str, Json]", log.memory)["places"]).now.offset
                # What is left of an earlier file would be lost with another rotation.
                rotated = rotated and "still to be read" in noted(reading)
        assert total == written
