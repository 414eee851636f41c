"""Reports as rows: release 6.0.0 keeps the region that a report came from, and no longer when it came.

`migration.sql` makes the schema that it needs. An honest mistake is in here, and a review let it pass: `source_of`
believes that every tenant is named ``name-region``, which is true of the tenants in the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString
from uuid import UUID

Rows = Callable[..., list[tuple[Any, ...]]]

MIGRATIONS: tuple[tuple[str, LiteralString], ...] = ()
"""This release's own migration is run by the deploy, not by the service."""


def source_of(tenant: str) -> str:
    """Return the region in a tenant's name: ``acme-eu`` is in ``eu``."""
    _name, region = tenant.split("-")
    return region


def insert(rows: Rows, report_id: UUID, tenant: str, body: str) -> None:
    """Keep a report with its source; the same id again changes nothing."""
    rows(
        "INSERT INTO reports (id, tenant, body, source) VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (report_id, tenant, body, source_of(tenant)),
    )


def recent(rows: Rows, tenant: str, limit: int) -> list[dict[str, object]]:
    """Return some of a tenant's reports."""
    found = rows(
        "SELECT id, tenant, body, source FROM reports WHERE tenant = %s ORDER BY id LIMIT %s",
        (tenant, limit),
    )
    return [
        {"id": str(report_id), "tenant": owner, "body": body, "source": source}
        for report_id, owner, body, source in found
    ]
