"""What may be declared, how it is compared, and what is kept secret."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from backout.checks import CheckOptions, make_check
from backout.checks.http import matches
from backout.checks.sql import same
from backout.clock import SystemClock
from backout.platforms.base import Site
from backout.redact import Redactor

ADAPTER: TypeAdapter[Any] = TypeAdapter(CheckOptions)
DECLARED: list[dict[str, Any]] = [
    {"kind": "http", "name": "h", "url": "http://127.0.0.1/health", "headers": {"Authorization": "Bearer top-secret"}},
    {"kind": "probes", "name": "p", "url": "http://127.0.0.1/"},
    {"kind": "command", "name": "c", "run": ["true"]},
    {"kind": "sql", "name": "s", "query": "SELECT 1", "expect": 1},
    {"kind": "prometheus", "name": "m", "url": "http://127.0.0.1", "query": "up", "proves": "error_rate",
     "headers": {"Authorization": "Bearer other-secret"}},
]  # fmt: skip


def site() -> Site:
    return Site("collector", "test", Path(), {}, SystemClock(), Redactor())


@pytest.mark.parametrize("declared", DECLARED, ids=lambda d: d["kind"])
def test_each_kind_makes_a_check_of_its_name(declared: dict[str, Any]) -> None:
    assert make_check(ADAPTER.validate_python(declared), site()).name == declared["name"]


@pytest.mark.parametrize("declared", DECLARED, ids=lambda d: d["kind"])
def test_a_key_that_is_not_known_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        ADAPTER.validate_python({**declared, "nonsense": 1})


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("probes", "max_error_rate", 0),
        ("probes", "max_error_rate", 1.5),
        ("probes", "count", 0),
        ("probes", "concurrency", 0),
        ("http", "timeout_s", 0),
        ("prometheus", "window_s", 0),
        ("probes", "count", 99_999_999_999),
        ("probes", "per_second", True),
        ("probes", "tolerance", float("inf")),
        ("http", "timeout_s", float("nan")),
        ("http", "timeout_s", 1e23),
        ("http", "url", "notaurl"),
        ("http", "url", "file:///etc/passwd"),
        ("http", "url", "http://127.0.0.1:99999999/"),
        ("http", "url", "http://:80/"),
        ("http", "name", ""),
        ("prometheus", "proves", "workload"),
    ],
)
def test_values_that_make_no_sense_are_refused(kind: str, key: str, value: object) -> None:
    (declared,) = (d for d in DECLARED if d["kind"] == kind)
    with pytest.raises(ValidationError, match=key):
        ADAPTER.validate_python({**declared, key: value})


def test_headers_are_secrets() -> None:
    place = site()
    for declared in (DECLARED[0], DECLARED[4]):
        options = ADAPTER.validate_python(declared)
        assert "secret" not in repr(options)
        make_check(options, place)
        secret = declared["headers"]["Authorization"]
        assert secret not in place.redactor.text(f"sent {secret}")


@pytest.mark.parametrize(
    ("got", "expected", "exact", "answer"),
    [
        ({"status": "ok", "database": "connected", "more": 1}, {"status": "ok"}, False, True),
        ({"status": "ok", "more": 1}, {"status": "ok"}, True, False),
        ({"status": "ok"}, {"status": "ok"}, True, True),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, False, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False, False),
        ({"a": 1}, {"a": True}, False, False),
        ({}, {"a": None}, False, False),
        ([1, 2], [1], False, False),
        (None, {"a": 1}, False, False),
        ("ok", "ok", False, True),
    ],
)
def test_an_answer_is_compared_by_what_is_expected(
    got: Any, expected: Any, exact: bool, answer: bool
) -> None:
    assert matches(got, expected, exact=exact) is answer


@pytest.mark.parametrize(
    ("got", "expected", "answer"),
    [
        (1, 1, True),
        (Decimal("1.50"), 1.5, True),
        (Decimal("1.51"), 1.5, False),
        (True, True, True),
        (1, True, False),
        (True, 1, False),
        ("1", 1, False),
        ("x", "x", True),
        (Decimal("2"), "2", True),
        (None, None, True),
        (None, 0, False),
        (0, None, False),
    ],
)
def test_a_database_value_is_compared_with_the_declared_one(got: object, expected: Any, answer: bool) -> None:
    assert same(got, expected) is answer
