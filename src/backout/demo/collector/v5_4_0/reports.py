"""Reports as rows: release 5.4.0 adds the region that a report came from.

Two honest mistakes are in here, and a review let both pass. `source_of` believes that every tenant is
named ``name-region``: true of the tenants in the tests, not of ``umbrella`` or ``wayne-labs-us``. And
`label_of` waits for a label that a nightly job will write, inside the request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, LiteralString
from uuid import UUID

Rows = Callable[..., list[tuple[Any, ...]]]

MIGRATIONS: tuple[tuple[str, LiteralString], ...] = (
    (
        "0001_reports",
        """
        CREATE TABLE IF NOT EXISTS reports (
            id uuid PRIMARY KEY,
            tenant text NOT NULL,
            body text NOT NULL,
            received_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX IF NOT EXISTS reports_tenant_received_at ON reports (tenant, received_at DESC);
        """,
    ),
    (
        "0002_report_sources",
        """
        ALTER TABLE reports ADD COLUMN source text;
        CREATE TABLE report_sources (region text PRIMARY KEY, label text NOT NULL);
        """,
    ),
)


def source_of(tenant: str) -> str:
    """Return the region in a tenant's name: ``acme-eu`` is in ``eu``."""
    _name, region = tenant.split("-")
    return region


def label_of(rows: Rows, region: str) -> str:
    """Return the label of a region; it may be a moment before it is there, so ask again."""
    for _attempt in range(4):
        found = rows("SELECT label FROM report_sources WHERE region = %s", (region,))
        if found:
            return str(found[0][0])
        time.sleep(0.1)
    return region


def insert(rows: Rows, report_id: UUID, tenant: str, body: str) -> None:
    """Keep a report with its source; the same id again changes nothing."""
    rows(
        "INSERT INTO reports (id, tenant, body, source) VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (report_id, tenant, body, source_of(tenant)),
    )


def recent(rows: Rows, tenant: str, limit: int) -> list[dict[str, object]]:
    """Return a tenant's last reports with the label of their source, newest first."""
    label = label_of(rows, source_of(tenant))
    found = rows(
        "SELECT id, tenant, body, received_at FROM reports"
        " WHERE tenant = %s ORDER BY received_at DESC LIMIT %s",
        (tenant, limit),
    )
    return [
        {
            "id": str(report_id),
            "tenant": owner,
            "body": body,
            "received_at": received_at.isoformat(),
            "source": label,
        }
        for report_id, owner, body, received_at in found
    ]
