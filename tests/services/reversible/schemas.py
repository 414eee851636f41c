"""Three databases as three kinds of tools make them, with rows of many types: SQL that one `Link.rows` call runs."""

from __future__ import annotations

from pathlib import Path


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


SHOP = _read("shop.sql")
"""As drizzle-kit writes it: enums, identity, jsonb, arrays, a generated column, views; its history too."""

LEDGER = _read("ledger.sql")
"""As Alembic writes it: composite keys that cascade on update, checks, a domain, json, a trigger that keeps sums."""

DJANGO = _read("django.sql")
"""As Django writes it: deferred foreign keys, serials, indexes for LIKE; its history too."""

ALL = {"shop": SHOP, "ledger": LEDGER, "django": DJANGO}
