"""Which servers somebody has taken out, as for repair: backout neither lets them in nor forgets it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from backout.routers.haproxy.servers import Server, is_held


def taken_out(
    sides: Mapping[str, Sequence[str]], servers: Mapping[str, Server], noted: Set[str] = frozenset()
) -> frozenset[str]:
    """Return the servers that stay as they are whatever share their side gets.

    backout shuts sides as a whole, and leaves maintenance with weight 0. So who has a weight and is shut or drains, or has
    weight 0 and is open, while another one of its side takes requests, was taken out by somebody else; and in a side that is
    shut as a whole, who has a weight beside others with 0: backout leaves a weight to those whom it finds taken out. A side
    that is shut as a whole with like weights is off, whoever did that: nobody can tell it from one that is wholly under repair.

    Args:
        sides: The servers of each side.
        servers: As they are.
        noted: While all is held, who was taken out before.
    """
    held = is_held(servers)
    found: set[str] = set()
    for own in sides.values():
        # Who follows another server, or a name, is shut by that: no order of backout's lets it in.
        found |= {one for one in own if servers[one].follows}
        weighty = {one for one in own if servers[one].weight}
        takes = {one for one in weighty if servers[one].state == "ready"}
        if held:
            found |= noted & set(own)
        elif takes:
            found |= weighty - takes
            found |= {one for one in own if one not in weighty and not servers[one].shut}
        elif weighty != set(own):
            found |= weighty
    return frozenset(found)


def others_of(sides: Mapping[str, Sequence[str]], out: Set[str]) -> dict[str, tuple[str, ...]]:
    """Return the servers of each side without those that are taken out."""
    return {name: tuple(one for one in own if one not in out) for name, own in sides.items()}
