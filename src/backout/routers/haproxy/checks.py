"""Waits for HAProxy's own checks of servers that were let in."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from backout.errors import StepFailed
from backout.message import Message, msg
from backout.observed import Answer
from backout.routers.haproxy.servers import Server, healthy

if TYPE_CHECKING:
    from backout.routers.haproxy.router import HaproxyRouter

_WITHIN_S = 10.0
"""The longest that is waited; HAProxy checks every 2 s where nothing else is configured."""
_POLL_S = 0.05


def wait_until_in(sides: Mapping[str, Sequence[str]], router: HaproxyRouter) -> None:
    """Wait until a check of each side has come back: HAProxy takes who leaves maintenance to be up, whether it is or not.

    Args:
        sides: The servers of each side that was let in.
        router: Says how they are.

    Raises:
        StepFailed: A side is down, or one of its servers is shut again.
        TargetUnreachable: The runtime API did not answer.
    """
    deadline = time.monotonic() + _WITHIN_S
    while True:
        found = router.servers()
        servers = {name: [found[one] for one in own] for name, own in sides.items()}
        why = _lacking(servers)
        if why is not None:
            raise StepFailed(
                why,
                state=msg("Those that lose their share were not shut out: they take requests as before."),
                next_command=router.look,
            )
        if all(_is_settled(own) for own in servers.values()) or time.monotonic() >= deadline:
            return
        time.sleep(_POLL_S)


def _lacking(sides: Mapping[str, Sequence[Server]]) -> Message | None:
    for name, own in sides.items():
        if (shut := next((one.name for one in own if one.shut or not one.weight), None)) is not None:
            return msg(
                "Server {server} was let in, and gets no requests: HAProxy was reloaded, or somebody else shut it.",
                server=shut,
            )
        if healthy(own) is Answer.NO:
            return msg("HAProxy's checks say that side {side} is down.", side=name)
    return None


def _is_settled(own: Sequence[Server]) -> bool:
    return any(one.up for one in own) or not any(one.settles for one in own)
