"""A live database and one beside it, as a restore would have left it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql
from tests.waiting import until

from backout.backup import SwapOrder
from backout.databases.postgres.beside import Mark, comment_of

_CHILD = """
import json, os, sys
from pathlib import Path
from backout.backup import SwapOrder
from backout.clock import SystemClock
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.platforms.base import Site
from backout.redact import Redactor
told = json.loads(sys.argv[1])
site = Site("s", "e", Path(told["directory"]), os.environ, SystemClock(), Redactor())
adapter = PostgresDatabase.create(PostgresOptions(**told["options"]), site)
print(adapter.swap(SwapOrder.model_validate(told["order"]), note=lambda _: None))
"""


def quiet(_: object) -> None:
    """Nobody watches."""


class Pair:
    """Both have a table `which` that says which one it is.

    Args:
        url: To the live database, as its owner.
        admin_url: To the maintenance database, as superuser.
    """

    def __init__(self, url: str, admin_url: str, live: str, role: str) -> None:
        self.url, self.admin_url, self.live, self.role = url, admin_url, live, role
        self.beside = f"{live}_restored_20260101_000000"
        self.kept = f"{live}_before_20260101_000000"

    def make(self) -> None:
        with self.admin() as admin:
            admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(self.role)))
            beside = sql.Identifier(self.beside)
            made = sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}")
            admin.execute(made.format(beside, sql.Identifier(self.role)))
            mark = Mark(state="restored", live=self.live, since=datetime.now(UTC), backup="b", identity="i")
            said = sql.Literal(comment_of(mark))
            admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(beside, said))
        for name, text in ((self.live, "bad"), (self.beside, "good")):
            with self.connect(name) as connection:
                connection.execute("CREATE TABLE which (id serial PRIMARY KEY, is_it text)")
                connection.execute("INSERT INTO which (is_it) VALUES (%s)", (text,))

    def drop(self) -> None:
        with self.admin() as admin:
            names = admin.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (self.live,)
            ).fetchall()
            for (name,) in names:
                database = sql.Identifier(name)
                admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))
                if name != self.live:
                    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))

    def admin(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(self.admin_url, dbname=database, autocommit=True)

    def connect(self, name: str | None = None, **more: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, dbname=name or self.live, autocommit=True, **more)

    def is_it(self, name: str | None = None) -> str:
        with self.connect(name) as connection:
            return str(connection.execute("SELECT is_it FROM which ORDER BY id").fetchall()[0][0])

    def order(self, **more: Any) -> SwapOrder:
        told = {"live": self.live, "beside": self.beside, "kept": self.kept, "live_oid": self.oid(self.live)}
        return SwapOrder(**{**told, "beside_oid": self.oid(self.beside), **more})

    def oid(self, name: str) -> int | None:
        with self.admin() as admin:
            row = admin.execute("SELECT oid::bigint FROM pg_database WHERE datname = %s", (name,)).fetchone()
        return int(row[0]) if row else None

    def open_names(self) -> set[str]:
        """Return which of the live one's name and the others take connections."""
        with self.admin() as admin:
            rows = admin.execute(
                "SELECT datname FROM pg_database WHERE starts_with(datname, %s) AND datallowconn",
                (self.live,),
            ).fetchall()
        return {str(row[0]) for row in rows}

    def comment(self, name: str) -> str | None:
        with self.admin() as admin:
            row = admin.execute("SELECT shobj_description(%s, 'pg_database')", (self.oid(name),)).fetchone()
        return row[0] if row else None

    def swap_in_child(
        self,
        directory: Path,
        order: SwapOrder,
        *,
        fault: str | None = None,
        log: Path | None = None,
        how: str = "KILL",
        pooler: str | None = None,
    ) -> subprocess.Popen[str]:
        """Swap in a process of its own, which a fault point may end or freeze."""
        told = {
            "directory": str(directory),
            "options": {"url": self.url, "pooler": pooler},
            "order": order.model_dump(mode="json"),
        }
        env = dict(os.environ) | ({"BACKOUT_FAULT": fault, "BACKOUT_FAULT_SIGNAL": how} if fault else {})
        env |= {"BACKOUT_FAULT_LOG": str(log)} if log else {}
        return subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps(told)],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def ended_by_kill(child: subprocess.Popen[str]) -> bool:
    """Wait for a child; True: its fault point killed it, False: it came to its end."""
    try:
        _, trouble = child.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        child.kill()  # it must not outlive the test, and its pipes must not
        child.communicate()
        raise
    assert child.returncode in (0, -signal.SIGKILL), trouble
    return child.returncode != 0


def until_frozen(child: subprocess.Popen[str]) -> None:
    """Wait until a fault point has frozen the child."""
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
