"""The policy, as far as an assessment needs it."""

from __future__ import annotations

from typing import NamedTuple


class Vouched(NamedTuple):
    """A person's word that a version can use the schema of another one."""

    version: str
    works_with_schema_of: str


class Allowed(NamedTuple):
    """The policy, as far as an assessment needs it.

    Attributes:
        unpacked_bytes: A backup's size where nothing else tells.
        own_script: Whether a person's own script restores.
        own_switch: Whether a person's own command makes the service use another database.
    """

    min_version: str | None = None
    vouched: tuple[Vouched, ...] = ()
    unpacked_bytes: int | None = None
    own_script: bool = False
    own_switch: bool = False
