"""Reports as rows: what release 5.3.0 creates, writes and reads."""

from __future__ import annotations

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
)


def insert(rows: Rows, report_id: UUID, tenant: str, body: str) -> None:
    """Keep a report; the same id again changes nothing."""
    rows(
        "INSERT INTO reports (id, tenant, body) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING",
        (report_id, tenant, body),
    )


def recent(rows: Rows, tenant: str, limit: int) -> list[dict[str, object]]:
    """Return a tenant's last reports, newest first."""
    found = rows(
        "SELECT id, tenant, body, received_at FROM reports"
        " WHERE tenant = %s ORDER BY received_at DESC LIMIT %s",
        (tenant, limit),
    )
    return [
        {"id": str(report_id), "tenant": owner, "body": body, "received_at": received_at.isoformat()}
        for report_id, owner, body, received_at in found
    ]
