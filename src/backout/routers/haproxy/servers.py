"""What HAProxy's runtime API says of servers, and what weights make shares. Pure.

Source: HAProxy 2.6 management guide, 9.1 (CSV format), 9.3 (`show servers state`, `set server`); seen with 2.6.12.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from backout.observed import Answer
from backout.routers.shares import of_hundred

MOST = 256
"""The highest weight of a server."""

_MAINTENANCE = (
    0x01 | 0x02 | 0x20
)  # by command, by a server that is followed, by DNS; 0x04 only tells of `disabled` in haproxy.cfg
_DRAINS = 0x08 | 0x10
_FOLLOWS = 0x02 | 0x10 | 0x20
_AGENT = 0x02 | 0x04
"""Of srv_agent_state: it is configured, and enabled."""
_UP = 2


@dataclass(frozen=True, slots=True)
class Server:
    """One server of the backend.

    Attributes:
        weight: 0 to 256; from the balancing algorithm's view, whatever else keeps requests away.
        shut: It is in maintenance: no request reaches it, not even of a client that sticks to it.
        drains: It gets requests of clients that stick to it, and no others.
        up: HAProxy's checks say so; None: it is not checked now, or `settles`.
        follows: It is shut, or drains, because a server that it tracks does, or its name has no address: no order lets it in.
        settles: It is taken to be up (or down), and HAProxy's checks have not all said so yet: as after maintenance.
        inside: Sessions that are with it, tunnels (WebSockets) among them.
        address: Where it listens.
        agent: A program at the server is asked, and may change weight and state at any time (`agent-check`).
        tracks: The server that it follows, BACKEND/SERVER; empty: none.
    """

    name: str
    weight: int
    shut: bool
    drains: bool
    up: bool | None
    inside: int
    settles: bool = False
    follows: bool = False
    address: tuple[str, int] = ("", 0)
    agent: bool = False
    tracks: str = ""

    @property
    def state(self) -> Literal["ready", "drain", "maint"]:
        """As `set server` calls it."""
        return "maint" if self.shut else "drain" if self.drains else "ready"


def parsed(state: str, stat: str, backend: str) -> dict[str, Server]:
    """Return the servers of a backend by name.

    Args:
        state: What `show servers state BACKEND` says.
        stat: What `show stat` says.
        backend: Its name.

    Raises:
        ValueError: It is not what these commands print.
    """
    lines = [line for line in state.splitlines() if line.strip()]
    if not lines or lines[0].strip() != "1" or not lines[1].startswith("# "):
        raise ValueError("no list of servers (format 1)")
    names = lines[1][2:].split()
    told = [dict(zip(names, line.split(), strict=False)) for line in lines[2:]]
    inside, checked, settling, tracked = _measured(stat, backend)
    return {
        one["srv_name"]: Server(
            name=one["srv_name"],
            weight=int(one["srv_uweight"]),
            shut=bool(int(one["srv_admin_state"]) & _MAINTENANCE),
            drains=bool(int(one["srv_admin_state"]) & _DRAINS),
            up=None
            if one["srv_name"] in settling or one["srv_name"] not in checked
            else int(one["srv_op_state"]) == _UP,
            inside=inside.get(one["srv_name"], 0),
            settles=one["srv_name"] in settling,
            follows=bool(int(one["srv_admin_state"]) & _FOLLOWS),
            agent=int(one["srv_agent_state"]) & _AGENT == _AGENT,
            tracks=tracked.get(one["srv_name"], ""),
            address=(one["srv_addr"], int(one["srv_port"])),
        )
        for one in told
        if one.get("be_name") == backend
    }


def _measured(stat: str, backend: str) -> tuple[dict[str, int], set[str], set[str], dict[str, str]]:
    """Return what is inside each server, who is checked, of whom the checks are not sure (``UP 1/3``), and who follows whom."""
    rows = csv.DictReader(io.StringIO(stat.lstrip("# ")))
    own = [row for row in rows if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")]
    inside = {row["svname"]: int(row["scur"] or 0) + int(row["qcur"] or 0) for row in own}
    checked = {row["svname"] for row in own if row["check_status"]}
    settling = {row["svname"] for row in own if row["check_status"] and row["status"].startswith("UP ")}
    tracked = {row["svname"]: row.get("tracked") or "" for row in own}
    return inside, checked, settling, tracked


def is_held(servers: Mapping[str, Server]) -> bool:
    """Tell whether all are shut, though some have a share: HAProxy answers 503."""
    return all(one.shut for one in servers.values()) and any(one.weight for one in servers.values())


def shares_of(sides: Mapping[str, Sequence[str]], servers: Mapping[str, Server]) -> dict[str, int]:
    """Return per cent for each side, as it is or, while the backend is held, as it will be; 100 together, or all 0."""
    held = is_held(servers)
    weights = {
        name: sum(
            servers[one].weight for one in own if held or not (servers[one].shut or servers[one].drains)
        )
        for name, own in sides.items()
    }
    return of_hundred(weights)


def weights_for(sides: Mapping[str, Sequence[str]], shares: Mapping[str, int]) -> dict[str, int]:
    """Return a weight for each server so that the sides get their shares, whatever number of servers they have.

    Raises:
        ValueError: No side has a share, or a share is so small beside the numbers of servers that no whole weights make it.
    """
    if not any(shares.values()):
        raise ValueError("no side would get requests")
    per_server = {name: shares[name] / len(own) for name, own in sides.items()}
    for highest in range(MOST, 0, -1):
        scale = highest / max(per_server.values())
        rounded = {name: round(value * scale) for name, value in per_server.items()}
        made = of_hundred({name: rounded[name] * len(own) for name, own in sides.items()})
        if made == {name: shares[name] for name in sides} and all(
            bool(rounded[one]) == bool(shares[one]) for one in sides
        ):
            return {one: rounded[name] for name, own in sides.items() for one in own}
    told = ", ".join(f"{name} {shares[name]} %" for name in sides)
    raise ValueError(
        f"no weights of {', '.join(f'{len(own)} servers of {name}' for name, own in sides.items())} make {told}"
    )


def healthy(servers: Sequence[Server]) -> Answer:
    """Tell whether HAProxy's checks say that a side can answer: with one server that is up it can."""
    if any(one.up for one in servers):
        return Answer.YES
    return Answer.UNKNOWN if any(one.up is None for one in servers) else Answer.NO
