"""The data scenario with the service in the cluster: its pods reach the database again without being asked to."""

from __future__ import annotations

import psycopg
import pytest
import yaml

from .service import KubeService
from .work import deployment

pytestmark = pytest.mark.slow

INSERT = "INSERT INTO reports (id, tenant, body) VALUES (gen_random_uuid(), %s, 'x')"


def test_damaged_data_comes_back_and_what_was_written_since_is_listed(own: KubeService) -> None:
    (own.folder / "backups").mkdir()
    own.apply(deployment("worker", "import time; time.sleep(3600)"))
    cli = own.configure(text=yaml.safe_dump(sections(own)), hold={"suspend": ["deployment/worker"]})
    own.recorded(cli)
    write(own, "a", "b")
    cli("backup", "create").ended(0)
    write(own, "since")
    with psycopg.connect(own.database.url, autocommit=True) as live:
        live.execute("UPDATE reports SET tenant = 'damaged' WHERE tenant IN ('a', 'b')")
    words = ("--scenario", "data", "--backup", newest(cli), "--to", "2.0.0", "--accept", "schema-unknown")
    runbook = cli("plan", *words, "--format", "md").ended(0).out
    assert "pg_restore" in runbook
    cli("run", *words, "--yes", "--max-loss", "10").ended(0)
    assert tenants(own) == {"a", "b"}
    assert own.served() == ["2.0.0"]
    assert own.get("deployment", "worker")["spec"]["replicas"] == 0, "a person lets it go"
    cli("release-hold").ended(0)
    assert own.get("deployment", "worker")["spec"]["replicas"] == 1
    cli("data", "bring", "public.reports", "--where", "tenant = 'since'", "--yes").ended(0)
    assert tenants(own) >= {"since"}


def test_code_and_data_come_back_together_while_nothing_serves(own: KubeService) -> None:
    (own.folder / "backups").mkdir()
    cli = own.configure(text=yaml.safe_dump(sections(own)), hold={"serving": "scale"})
    own.set_version("1.0.0")
    own.rolled_out()
    write(own, "a", "b")
    cli("record").ended(0)
    cli("backup", "create").ended(0)
    own.set_version("2.0.0")
    own.rolled_out()
    cli("record", "--no-checks").ended(0)
    with psycopg.connect(own.database.url, autocommit=True) as live:
        live.execute("UPDATE reports SET tenant = 'damaged'")
    done = cli("run", "--scenario", "full", "--max-loss", "10000", "--yes").ended(0)
    assert "damaged" not in tenants(own) and tenants(own) >= {"a", "b"}
    assert own.served() == ["1.0.0"], done.everything
    assert own.get("deployment", "collector")["spec"]["replicas"] == 1


def sections(own: KubeService) -> dict[str, object]:
    return {
        "backups": {"kind": "directory", "path": "backups"},
        "restore": {"free_space_path": str(own.database.home), "min_free_bytes": 1},
    }


def tenants(own: KubeService) -> set[str]:
    with psycopg.connect(own.database.url) as live:
        return {str(row[0]) for row in live.execute("SELECT DISTINCT tenant FROM reports")}


def write(own: KubeService, *tenants: str) -> None:
    with psycopg.connect(own.database.url, autocommit=True) as live:
        live.cursor().executemany(INSERT, [(tenant,) for tenant in tenants])


def newest(cli: object) -> str:
    return str(cli("backup", "list", "--json").ended(0).json["backups"][0]["backup"]["name"])  # type: ignore[operator]
