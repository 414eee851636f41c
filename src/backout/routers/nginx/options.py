"""What a person configures for the `nginx` router."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from backout.fields import Declared, Name, Seconds

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
_COOKIE = re.compile(r"[A-Za-z0-9_]{1,100}")
_DIRECTIVE = re.compile(r"[a-z_]+( [A-Za-z0-9_.:/=$-]+)*")
_TAKEN = ("server", "include")


def _address(value: str) -> str:
    # Connections are found by these numbers in the kernel's table: a host name may mean another address to nginx than to backout.
    expected = "an address and a port, as 127.0.0.1:8001 or [::1]:8001"
    host, _, port = value.rpartition(":")
    v6 = host.startswith("[") and host.endswith("]")
    try:
        found = ipaddress.ip_address(host[1:-1] if v6 else host)
    except ValueError:
        raise ValueError(expected) from None
    if (
        (found.version == 6) is not v6
        or "%" in host
        or not re.fullmatch(r"[1-9][0-9]{0,4}", port)
        or int(port) > 65535
    ):
        raise ValueError(expected)
    if found.is_unspecified or getattr(found, "ipv4_mapped", None) is not None:
        raise ValueError(f"{expected}: the kernel tells connections to {host} under another address")
    return f"[{found}]:{port}" if v6 else f"{found}:{port}"


def _loopback(value: str) -> str:
    address = _address(value)
    if not ipaddress.ip_address(address.rpartition(":")[0].strip("[]")).is_loopback:
        raise ValueError("a port of this machine alone, as 127.0.0.1:8099")
    return address


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("a name of letters, digits and underscores, without $")
    return value


def _cookie(value: str) -> str:
    if not _COOKIE.fullmatch(value):
        raise ValueError(
            "a name of letters, digits and underscores: nginx has no variable for another cookie"
        )
    return value


def _directive(value: str) -> str:
    if not _DIRECTIVE.fullmatch(value) or value.split()[0] in _TAKEN:
        raise ValueError(
            "one directive of an upstream without its semicolon, as `keepalive 32`; servers stand under sides"
        )
    return value


Address = Annotated[str, AfterValidator(_address)]


class NginxOptions(Declared):
    """One service behind an nginx on this machine."""

    file: str = Field(description="Written by backout; nginx.conf includes it in `http`.", min_length=1)
    variable: Annotated[str, AfterValidator(_variable)] = Field(
        description="Says which side gets a request: `proxy_pass http://$NAME;`, without a path behind it."
    )
    status: Annotated[str, AfterValidator(_loopback)] = Field(
        description="Free address on loopback: nginx tells there what it runs, and answers maintenance."
    )
    sides: dict[Name, tuple[Address, ...]] = Field(
        description="Addresses of the servers of each side: {blue: ['127.0.0.1:8001'], green: ['127.0.0.1:8002']}.",
        min_length=1,
    )
    upstream: tuple[Annotated[str, AfterValidator(_directive)], ...] = Field(
        default=(), description="Directives for each side's upstream: [least_conn, keepalive 32]."
    )
    sticky_cookie: Annotated[str, AfterValidator(_cookie)] | None = Field(
        default=None,
        description="Clients with the same value of this cookie stay on one side while shares stay; shares are then of clients.",
    )
    command: tuple[str, ...] = Field(
        default=("nginx",),
        description="Starts nginx's program: [nginx, -c, /etc/nginx/nginx.conf].",
        min_length=1,
    )
    pid_file: str = Field(default="/run/nginx.pid", description="Where nginx's master keeps its pid.")
    timeout_s: Seconds = Field(
        default=10,
        gt=0,
        le=60,
        description="Seconds in which nginx has to test its configuration, and to reload it.",
    )
    drain_timeout_s: Seconds = Field(
        default=30,
        gt=0,
        le=3600,
        description="Seconds that requests inside the service may take when it is held.",
    )

    @model_validator(mode="after")
    def _each_server_is_on_one_side(self) -> NginxOptions:
        servers = [self.status, *(one for side in self.sides.values() for one in side)]
        twice = sorted({one for one in servers if servers.count(one) > 1})
        if twice:
            raise ValueError(f"{twice[0]} stands there twice")
        empty = [name for name, side in self.sides.items() if not side]
        if empty:
            raise ValueError(f"side {empty[0]} has no server")
        if len(self.sides) < 2:
            raise ValueError("two sides at least: traffic goes from one to the other")
        return self
