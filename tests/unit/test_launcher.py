"""The sieve: no secret comes through, wherever the stream is cut, and nothing else is kept back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backout.launcher import Sieve

SECRETS = [b"hunter22", b"22-and-more", b"tok-5c1e\nsecond line", b"aaaa"]
PIECES = st.sampled_from(
    [
        *SECRETS,
        b"hunter",
        b"22",
        b"tok-5c1e",
        b"\n",
        b"a",
        b"x y",
        b"https",
        b"://",
        b"u:",
        b"pass",
        b"@",
        b"/",
        b"\xff",
    ]
)


def sieved(text: bytes, cuts: list[int] | None = None, secrets: list[bytes] | None = None) -> bytes:
    sieve, places = Sieve(SECRETS if secrets is None else secrets), sorted({0, *(cuts or []), len(text)})
    chunks = [text[a:b] for a, b in pairwise(places)]
    return b"".join([*map(sieve.feed, chunks), sieve.end()])


@given(st.lists(PIECES, max_size=12).map(b"".join), st.data())
def test_the_cuts_change_nothing_and_no_secret_comes_through(text: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    shown = sieved(text, cuts)
    assert shown == sieved(text)
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"nothing to hide\n", b"nothing to hide\n"),
        (b"hunter22-and-more", b"***"),
        (b"hunter22hunter22", b"******"),
        (b"hunter2", b"***"),
        (b"hun", b"hun"),
        (b"at postgresql://app:s3cret@db/x", b"at postgresql://app:***@db/x"),
        (b"at https://host:8080/path", b"at https://host:8080/path"),
        (b"tok-5c1e\nsecond line\n", b"***\n"),
        (b"tok-5c1e\nother line\n", b"tok-5c1e\nother line\n"),
    ],
)
def test_what_is_shown(text: bytes, shown: bytes) -> None:
    assert sieved(text) == shown == sieved(text, list(range(len(text))))


def test_only_the_beginning_of_a_secret_is_held_back() -> None:
    sieve = Sieve(SECRETS)
    assert sieve.feed(b"waiting for hunt") == b"waiting for "
    assert sieve.feed(b"ers. url: http") == b"hunters. url: http"
    assert sieve.feed(b"://u:") == b""
    assert sieve.feed(b"word@db\n") == b"://u:***@db\n"
    assert sieve.end() == b""


def test_short_values_are_no_secrets() -> None:
    assert sieved(b"a no is a no", secrets=[b"no", b""]) == b"a no is a no"
