"""A release on Kubernetes came with a migration: its pods go back, and the schema around them."""

from __future__ import annotations

import sys
from uuid import uuid4

import psycopg
import pytest

from .service import KubeService

pytestmark = pytest.mark.slow

_RUNS = "import os, sys, psycopg; psycopg.connect(os.environ['DATABASE_URL'], autocommit=True).execute(sys.argv[1])"
_MIGRATION = "ALTER TABLE reports DROP COLUMN received_at; CREATE TABLE labels (id int PRIMARY KEY)"


def test_what_the_earlier_pods_need_comes_first_and_what_the_later_needed_goes_last(own: KubeService) -> None:
    cli = own.configure()
    own.set_version("1.0.0")
    own.rolled_out()
    cli("record", "--state", "good", "--no-checks").ended(0)
    cli("migrate", "--release", "2.0.0", "--", sys.executable, "-c", _RUNS, _MIGRATION).ended(0)
    own.set_version("2.0.0")
    own.rolled_out()
    cli("record", "--no-checks").ended(0)
    row = str(uuid4())
    with psycopg.connect(own.database.url, autocommit=True) as live:
        live.execute("INSERT INTO reports (id, tenant, body) VALUES (%s, 'acme', 'since')", [row])

    steps = cli("plan", "--json").ended(0).json["plan"]["steps"]
    changes = [
        s["spec"]["kind"] for s in steps if s["phase"] in ("bridge schema", "revert code", "contract schema")
    ]
    assert (changes[0], changes[-1]) == ("migrations.back", "migrations.back") and len(changes) > 2
    cli("run", "--yes").ended(0)

    assert own.served() == ["1.0.0"]
    with psycopg.connect(own.database.url) as live:
        found = live.execute(
            "SELECT body, received_at IS NOT NULL, to_regclass('labels') FROM reports WHERE id = %s", [row]
        ).fetchall()
    assert found == [("since", True, None)]
