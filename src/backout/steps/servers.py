"""How a person reaches a server with PostgreSQL's own programs."""

from __future__ import annotations

import shlex

from backout.document import Json


def options(server: Json) -> str:
    """Return the options that name a server (``host:port``) to psql, createdb or pg_restore, with a space behind; "" for null."""
    if not isinstance(server, str):
        return ""
    host, _, port = server.rpartition(":")
    return f"-h {shlex.quote(host)} -p {port} "
