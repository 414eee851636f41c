"""What a person configures for the `haproxy` router."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from backout.fields import Declared, Name, Seconds


def _server(value: str) -> str:
    # One command a line, several between semicolons: what is put into one must be no other.
    if not value or any(c.isspace() or c in ";/#" or not c.isprintable() for c in value):
        raise ValueError("a name as it stands in haproxy.cfg, without blanks, / ; and #")
    return value


HaproxyName = Annotated[str, AfterValidator(_server)]


class HaproxyOptions(Declared):
    """One backend of a HAProxy on this machine, or whose runtime API is reached over TCP."""

    socket: str = Field(
        description="The runtime API, with level admin: path of the UNIX socket, or HOST:PORT.", min_length=1
    )
    backend: HaproxyName = Field(description="Name of the backend in haproxy.cfg.")
    sides: dict[Name, tuple[HaproxyName, ...]] = Field(
        description="The servers of each side: {blue: [blue1, blue2], green: [green1]}.", min_length=1
    )
    state_file: str | None = Field(
        default=None,
        description="The `server-state-file` of haproxy.cfg, whose backend says `load-server-state-from-file global`: "
        "without it a reload brings the weights of haproxy.cfg back.",
    )
    timeout_s: Seconds = Field(default=3.0, gt=0, le=60, description="Seconds to wait for an answer.")
    drain_timeout_s: Seconds = Field(
        default=30,
        gt=0,
        le=3600,
        description="Seconds that requests inside the service may take when it is held; then they are ended.",
    )

    @model_validator(mode="after")
    def _each_server_is_on_one_side(self) -> HaproxyOptions:
        servers = [one for side in self.sides.values() for one in side]
        twice = sorted({one for one in servers if servers.count(one) > 1})
        if twice:
            raise ValueError(f"server {twice[0]} is on two sides")
        empty = [name for name, side in self.sides.items() if not side]
        if empty:
            raise ValueError(f"side {empty[0]} has no server")
        if len(self.sides) < 2:
            raise ValueError("two sides at least: traffic goes from one to the other")
        return self
