"""Runs that other machines journalled: where the target keeps runs, they are brought into the journal here."""

from __future__ import annotations

from contextlib import suppress

from backout.app.parts import Parts
from backout.errors import BackoutError

_PATIENCE_S = 1.0


def look_elsewhere(parts: Parts) -> None:
    """Bring what the target tells of runs; what cannot be asked or kept now is left for the next command. Idempotent."""
    if parts.look_only:
        return
    with suppress(BackoutError):
        _receive(parts, _PATIENCE_S, at_once=False)


def need_elsewhere(parts: Parts) -> None:
    """The same, for whoever is about to act; and the other way round: others must not wait for a run that ended here.

    Raises:
        TargetUnreachable: The target did not tell, or cannot be written.
        JournalTampered: A run there is not as it was written.
    """
    _receive(parts)
    if parts.mirror is not None and parts.apart is None:
        parts.mirror.catch_up(parts.journal)


def _receive(parts: Parts, patience_s: float = 20.0, *, at_once: bool = True) -> None:
    # A journal apart has an emergency's own run alone; it is merged into the one that has all.
    if parts.mirror is not None and parts.apart is None:
        parts.mirror.receive(parts.journal, patience_s, at_once=at_once)
