"""The environment of a command that is to find a scratch database in the place of the live one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import quote

from backout.databases.postgres.reversible.proxy.server import MISLEADING


def pointed_at(url: str, variables: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment, with nothing in it that leads elsewhere.

    Args:
        url: Of the scratch database.
        variables: Further environment variables by which the command finds its database.
    """
    from psycopg.conninfo import conninfo_to_dict

    told = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    if (host := told.get("host", "")).startswith("/"):
        # Clients that take URLs alone know the folder of a socket only as a parameter.
        who, name = quote(told.get("user", ""), safe=""), quote(told.get("dbname", ""))
        url = f"postgresql://{who}@/{name}?host={quote(host, safe='')}&port={told.get('port', '5432')}"
    leading = {
        "DATABASE_URL": url,
        "PGHOST": host,
        "PGPORT": told.get("port", ""),
        "PGUSER": told.get("user", ""),
        "PGPASSWORD": told.get("password", ""),
        "PGDATABASE": told.get("dbname", ""),
    }
    kept = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    return kept | {name: value for name, value in leading.items() if value} | dict.fromkeys(variables, url)
