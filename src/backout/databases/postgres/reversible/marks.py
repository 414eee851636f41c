"""Values that tell rows written since: made at random, so that no row has one by chance."""

from __future__ import annotations

import secrets
from uuid import uuid4


def mark_of(type_text: str, modifier: int) -> str | None:
    """Return a literal of a type that nobody else uses; None: the type has none to spare.

    Args:
        type_text: As `format_type` prints it.
        modifier: `atttypmod`; -1: none.
    """
    if modifier != -1:
        return None
    if type_text in ("text", "character varying"):
        return f"'backout:{secrets.token_hex(12)}'::{type_text}"
    if type_text == "uuid":
        return f"'{uuid4()}'::uuid"
    if type_text == "bytea":
        return f"'\\x{secrets.token_hex(16)}'::bytea"
    if type_text == "jsonb":
        return f"'\"backout:{secrets.token_hex(12)}\"'::jsonb"
    if type_text == "bigint":
        return f"'-{2**62 + secrets.randbelow(2**62)}'::bigint"
    if type_text == "numeric":
        return f"'-{secrets.randbelow(10**30)}.{secrets.randbelow(10**9)}'::numeric"
    if type_text in ("timestamp with time zone", "timestamp without time zone"):
        hour, second, fraction = secrets.randbelow(24), secrets.randbelow(3600), secrets.randbelow(10**6)
        return f"'4000-01-{1 + secrets.randbelow(28):02} {hour:02}:{second // 60:02}:{second % 60:02}.{fraction:06}+00 BC'::{type_text}"
    return None
