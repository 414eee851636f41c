"""Which values of the environment are secrets."""

from __future__ import annotations

import time

import pytest

from backout.redact import Redactor, secrets_of


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("LAST_KNOWN_GOOD", "2024.5.3", False),
        ("RELEASE", "v5.3", False),
        ("HOST", "127.0.0.1", False),
        ("NODE_ENV", "production", False),
        ("PORT", "47703", False),
        ("API_TOKEN", "5.3.0", True),
        ("PIN", "12345678", True),
        ("ROOT", "/srv/app", False),
        ("APP_URL", "http://127.0.0.1:47703/health", False),
        ("API_TOKEN", "abc", True),
        ("DB_PASSWORD", "12345", True),
        ("DATABASE_URL", "postgresql://app:s%40cret@db/x", True),
        ("APP_URL", "https://x.example/?sig=abc", True),
        ("ODD", "Tr0ub4dor", True),
        ("ODD", "5.3.0-x8Fq2", True),
    ],
)
def test_everything_is_a_secret_but_what_plainly_is_none(name: str, value: str, secret: bool) -> None:
    assert (value in secrets_of({name: value})) is secret


def test_the_password_of_a_url_is_a_secret_by_itself() -> None:
    assert {"s%40cret", "s@cret"} <= set(secrets_of({"DATABASE_URL": "postgresql://app:s%40cret@db/x"}))


def test_a_long_line_takes_no_time() -> None:
    """A script may print a megabyte without a blank, and a run waits for the redactor."""
    began_s = time.process_time()
    for text in ("x" * 1_000_000, "a://" * 250_000, "a:" * 500_000, "a://b:" + "c" * 1_000_000):
        assert Redactor().text(text) == text
    assert time.process_time() - began_s < 2


@pytest.mark.parametrize("before", ["", "DATABASE_URL=", "x" * 100, "see "])
def test_the_password_of_a_url_is_cut_out_wherever_it_stands(before: str) -> None:
    told = Redactor().text(f"{before}postgresql+psycopg://app:s%40cret@db/x, https://x.example/a:b@c")
    assert told == f"{before}postgresql+psycopg://app:***@db/x, https://x.example/a:b@c"
