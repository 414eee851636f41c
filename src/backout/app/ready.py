"""Waiting until a release that was just deployed answers, before anybody judges it."""

from __future__ import annotations

from collections.abc import Callable

from backout.app.parts import Parts
from backout.errors import BackoutError
from backout.message import Message, msg
from backout.platforms.abilities import TellsReadiness

POLL_S = 0.2

Note = Callable[[Message], None]


def wait_until_ready(parts: Parts, note: Note) -> None:
    """Return when the service is ready, when its platform cannot tell, or when its time to start is over.

    Args:
        parts: The service.
        note: Is told what is waited for, each time that it changes.
    """
    platform, clock = parts.platform, parts.clock
    if not isinstance(platform, TellsReadiness):
        return
    ends_s, told = clock.monotonic_s() + platform.ready_within_s, ""
    while True:
        try:
            why = platform.not_ready()
        except (BackoutError, OSError):
            return  # Whoever looks next says so with all that belongs to it.
        if why is None:
            return
        if clock.monotonic_s() >= ends_s:
            patience = f"{platform.ready_within_s:g}"
            note(
                msg(
                    "Not ready after {patience} s: {why}. The checks decide.", patience=patience, why=str(why)
                )
            )
            return
        if str(why) != told:
            told = str(why)
            left = max(1, round(ends_s - clock.monotonic_s()))
            note(msg("Waiting up to {left} s until the service is ready: {why}.", left=left, why=told))
        clock.wait(POLL_S)
