"""What tests look at: rows, directly, and the kinds of messages that answer."""

from __future__ import annotations

import psycopg
from tests.services.reversible.raw import Raw


def ids(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM t ORDER BY id").fetchall()]


def kinds(raw: Raw, said: bytes, until: bytes = b"Z") -> str:
    raw.say(said)
    return b"".join(one.kind for one in raw.hear(until)).decode()
