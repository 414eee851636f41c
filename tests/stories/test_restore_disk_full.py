"""The database's own disk fills up while a backup is restored beside: the live one serves on, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backout.demo.releases import GOOD

pytestmark = pytest.mark.slow

ROWS = 60_000
ROOM_BYTES = 6_000_000
"""For the rows of a backup that has more than twice of that."""
FULL = "could not (extend|write).*(free disk space|No space left)"


@pytest.fixture
def disk(require_service: Callable[[str], None]) -> Iterator[Path]:
    """A file system of its own, that the server's user may write."""
    require_service("tmpfs")
    folder = Path(tempfile.mkdtemp(prefix="backout-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=0755", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


@pytest.fixture
def small(scene: Any, disk: Path) -> Iterator[Any]:
    """The stage with its database on that disk, a backup of it, and no room for a second one."""
    stage = scene.stage
    stage.deploy(GOOD)
    scene.execute(
        f"INSERT INTO reports (id, tenant, body) SELECT md5('disk' || g)::uuid, 'disk', repeat(md5(g::text), 8) FROM generate_series(1, {ROWS}) g"
    )
    shutil.rmtree(stage.directory / "backups", ignore_errors=True)
    scene.cli("backup", "create").ended(0)
    with psycopg.connect(stage.postgres.superuser_url, autocommit=True) as admin:
        row = admin.execute("SELECT current_setting('data_directory')").fetchone()
        assert row is not None
        owner = Path(row[0]).stat()
        place = disk / "tablespace"
        place.mkdir()
        os.chown(place, owner.st_uid, owner.st_gid)
        admin.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(place))))
        admin.execute("GRANT CREATE ON TABLESPACE small TO PUBLIC")
        _move(admin, "small")
        row = admin.execute("SELECT pg_database_size('template0')").fetchone()
        assert row is not None
        used = shutil.disk_usage(disk).used
        subprocess.run(["mount", "-o", f"remount,size={used + row[0] + ROOM_BYTES}", str(disk)], check=True)
        try:
            yield scene
        finally:
            _move(admin, "pg_default")
            admin.execute("DROP TABLESPACE small")
            scene.execute("DELETE FROM reports WHERE tenant = 'disk'")


def _move(admin: psycopg.Connection[Any], tablespace: str) -> None:
    admin.execute("ALTER DATABASE collector ALLOW_CONNECTIONS false")
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'collector'")
    to = sql.SQL("ALTER DATABASE collector SET TABLESPACE {}")
    admin.execute(to.format(sql.Identifier(tablespace)))
    admin.execute("ALTER DATABASE collector ALLOW_CONNECTIONS true")


def test_a_restore_that_fills_the_disk_leaves_the_live_database_and_the_disk_as_they_were(
    small: Any, disk: Path
) -> None:
    free, backup = shutil.disk_usage(disk).free, _newest(small)
    run = ("run", "--scenario", "data", "--backup", backup, "--max-loss", "1000000", "--yes")
    small.cli(*run, "--accept", "space-unknown").refused(
        5, what=FULL, now="nothing is held. 5.3.0 serves", next="backout resume"
    )
    listed = small.cli("backup", "list", "--json").ended(0).json
    assert listed["beside"] == [] and listed["unknown"] is None, "what was begun is still there"
    assert shutil.disk_usage(disk).free > free - 1_000_000
    state = small.state()
    assert (state["takes_writes"], state["front"]) == (True, "pass")
    assert small.execute("SELECT count(*) FROM reports WHERE tenant = 'disk'") == [(ROWS,)]
    small.execute("INSERT INTO reports (id, tenant, body) VALUES (gen_random_uuid(), 'disk', 'x')")
    small.cli("abort", "--yes").ended(0)
    small.cli("backup", "restore", backup).refused(
        5, what=FULL, now="The live database is as it was", next="backout backup list"
    )
    assert small.cli("backup", "list", "--json").ended(0).json["beside"] == []


def _newest(scene: Any) -> str:
    return str(scene.cli("backup", "list", "--json").ended(0).json["backups"][0]["backup"]["name"])
