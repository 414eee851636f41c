"""Runs that other machines journalled: where the target keeps runs, they are brought into the journal here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from backout.app.parts import Parts
from backout.errors import BackoutError

if TYPE_CHECKING:
    from backout.execute.mirror import Mirror

_PATIENCE_S = 1.0


def look_elsewhere(parts: Parts) -> None:
    """Bring what the target tells of runs; what cannot be asked or kept now is left for the next command. Idempotent."""
    if parts.look_only:
        return
    mirror = _mirror(parts)
    if mirror is not None:
        with suppress(BackoutError):
            mirror.receive(parts.journal, _PATIENCE_S, at_once=False)


def need_elsewhere(parts: Parts) -> None:
    """The same, for whoever is about to act; and the other way round: others must not wait for a run that ended here.

    Raises:
        TargetUnreachable: The target did not tell, or cannot be written.
        JournalTampered: A run there is not as it was written.
    """
    mirror = _mirror(parts)
    if mirror is not None:
        mirror.receive(parts.journal)
        mirror.catch_up(parts.journal)


def _mirror(parts: Parts) -> Mirror | None:
    # A journal apart has an emergency's own run alone; it is merged into the one that has all.
    return parts.mirror if parts.apart is None else None
