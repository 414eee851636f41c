"""From a line to a request, or to what is wrong with it, which says nothing of the line."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backout.signals.access_log.lines import Request, Unreadable, reader
from backout.signals.options import AccessLogErrors, AccessLogLatency, LogFields

PAGE = Path(__file__).parents[3] / "docs/how-to/watch.md"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {"time": "2026-01-01T12:00:00+00:00", "status": "200", "side": "green", "id": "a"}
COMBINED = r'^\S+ \S+ \S+ \[(?P<time>[^]]+)\] "[^"]*" (?P<status>\d{3})'


def line(**more: Any) -> bytes:
    return json.dumps({k: v for k, v in (GOOD | more).items() if v is not None}).encode()


def read(said: bytes, pattern: str | None = None, *, timed: bool = False) -> Request:
    return reader(LogFields(), pattern, timed=timed)(said)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01T12:00:00+00:00",
        "2026-01-01T14:00:00+02:00",
        "2026-01-01T12:00:00Z",
        "01/Jan/2026:13:00:00 +0100",
        "1767268800.000",
        1767268800,
    ],
)
def test_times_as_servers_write_them(time: object) -> None:
    assert read(line(time=time)).at == AT


def test_numbers_may_be_numbers_and_a_dash_is_nothing() -> None:
    found = read(line(status=503, side="-", id="", duration=0.25), timed=True)
    assert found == Request(AT, 503, None, None, 0.25)


def test_a_regular_expression_says_what_a_line_looks_like() -> None:
    said = b'10.0.0.1 - - [01/Jan/2026:12:00:00 +0000] "GET /?t=secret HTTP/1.1" 502 12 "-" "\xff"'
    assert read(said, COMBINED) == Request(AT, 502, None, None, None)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"", "no JSON"),
        (b"garbage", "no JSON"),
        (b'{"time": "2026', "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 50_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b'"secret"', "no JSON object"),
        (line(time=None), "without `time`"),
        (line(time="secret"), "`time` is no time"),
        (line(time="2026-01-01T12:00:00"), "without its zone"),
        (line(time="nan"), "`time` is no time"),
        (line(time=1e300), "`time` is no time"),
        (line(time=True), "without `time`"),
        (line(status=None), "without `status`"),
        (line(status=["secret"]), "without `status`"),
        (line(status="secret"), "`status` is no status"),
        (line(status="2000"), "`status` is no status"),
        (line(duration=None), "without `duration`"),
        (line(duration="-0.1"), "`duration` is no duration"),
        (line(duration="Infinity"), "`duration` is no duration"),
        (line(duration="secret"), "`duration` is no duration"),
        (line(id="x" * 70_000), "longer than 64 KiB"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_and_nothing_of_it(said: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as raised:
        read(said, timed=True)
    assert "secret" not in str(raised.value)


@given(st.binary(max_size=200))
def test_whatever_stands_there_is_a_request_or_unreadable(said: bytes) -> None:
    for pattern in (None, COMBINED):
        with suppress(Unreadable):
            assert read(said, pattern, timed=True).at.tzinfo is not None


@pytest.mark.parametrize("status", ["000", "-1", "499"])
def test_a_request_without_an_answer_is_one(status: str) -> None:
    assert read(line(status=status)).status == int(status)


@pytest.mark.parametrize(("word", "request_id"), [("abc-1", "abc-1"), ("-", None)])
def test_what_haproxy_writes_is_read_by_the_pattern_of_the_docs(word: str, request_id: str | None) -> None:
    (pattern,) = re.findall("pattern: '(.*)'", PAGE.read_text())
    found = read(f"<134>haproxy[7]: 1767268800.000 503 app/blue1 {word}".encode(), pattern)
    assert found == Request(AT, 503, "app/blue1", request_id, None)


def test_a_pattern_with_a_slip_is_no_configuration() -> None:
    with pytest.raises(ValidationError, match="regular expression"):
        AccessLogErrors(kind="access-log", path="log", pattern="(")
    with pytest.raises(ValidationError, match=r"\(\?P<status>"):
        AccessLogErrors(kind="access-log", path="log", pattern="(?P<time>.*)")
    with pytest.raises(ValidationError, match=r"\(\?P<duration>"):
        AccessLogLatency(kind="access-log-latency", path="log", pattern=COMBINED)


def test_one_word_cannot_stand_for_two_sides() -> None:
    with pytest.raises(ValidationError, match="a:1 for one side only"):
        AccessLogErrors(kind="access-log", path="log", sides={"blue": ("a:1",), "green": ("a:1",)})


@pytest.mark.parametrize("failed", ["6xx", "5", 1000, 99])
def test_what_has_failed_is_a_status_or_a_hundred_of_them(failed: object) -> None:
    with pytest.raises(ValidationError):
        AccessLogErrors.model_validate({"kind": "access-log", "path": "log", "failed": [failed]})
