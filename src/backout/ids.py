"""Names for runs, plans and releases: sortable by time, short enough to type."""

from __future__ import annotations

import secrets
from datetime import datetime

_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str, now: datetime) -> str:
    """Return ``prefix-YYYYMMDD-HHMMSS-xxxx``: sorts by time, has no letters that look alike."""
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(4))
    return f"{prefix}-{now:%Y%m%d-%H%M%S}-{tail}"
