"""Real migration tools, unchanged, each with a history of a small shop; run plainly, or through backout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from tests.conftest import JAVA_TOOLS, NODE_TOOLS

from backout.databases.postgres.reversible.link import DirectLink

HISTORIES = Path(__file__).parent / "histories"
_TIMEOUT_S = 120


@dataclass
class Tool:
    """A tool in a folder of its own.

    Args:
        folder: Empty; the project is made there.
    """

    folder: Path
    needs: ClassVar[str] = "postgres"
    # What the history's first two migrations make room for; written by hand after the second.
    seeds: ClassVar[str] = """
        INSERT INTO customers (email, full_name, created_at) VALUES
          ('ann@x', 'Ann', '2026-01-02'), ('bob@x', NULL, '2026-01-03');
        INSERT INTO orders (customer_id, status, total) VALUES (1, 'new', 10), (1, 'paid', 20.5), (2, 'sent', 0);
        INSERT INTO coupon_log (code, order_id) VALUES ('OLD', 1), ('TEN', 2), ('FREE', NULL)"""
    # Written by the release that the last migration belongs to.
    since: ClassVar[str] = """
        INSERT INTO customers (email, name, country, created_at) VALUES ('cem@x', 'Cem', 'tr', '2026-02-01');
        INSERT INTO orders (customer_id, status, total, number)
          SELECT id, 'packed', 7, 'B-1' FROM customers WHERE email = 'cem@x';
        INSERT INTO order_lines (order_id, sku) SELECT id, 'bulb' FROM orders WHERE number = 'B-1';
        UPDATE customers SET name = 'Anna' WHERE email = 'ann@x';
        INSERT INTO parcels (order_id, carrier) SELECT id, 'bike' FROM orders WHERE number = 'B-1'"""
    # Parts of the names of what PostgreSQL cannot take back.
    residue: ClassVar[tuple[str, ...]] = ("enum public.order_status",)
    # Columns of its history table that tell when a migration was applied.
    clocks: ClassVar[tuple[str, ...]] = ()
    # What nobody can compute, as options of `backout migrate`.
    answers: ClassVar[dict[str, tuple[str, ...]]] = {}
    _added: dict[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the history's migrations, in their order."""
        raise NotImplementedError

    def lay(self, count: int) -> None:
        """Have the first migrations in the project, and no others."""
        raise NotImplementedError

    def argv(self) -> list[str]:
        """Return the command that applies what is pending."""
        raise NotImplementedError

    def before(self, url: str) -> None:
        """Do what is done before the first migration, and not through backout."""

    def done(self, url: str, link: DirectLink) -> int | None:
        """Return how many migrations the tool takes for applied; None: it keeps no account."""
        return None

    def plain(self, url: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the tool, or another of its commands, without backout."""
        return self.typed(list(argv) or self.argv(), environment(url, self._added))

    def through(
        self, url: str, *options: str, argv: list[str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the tool through backout."""
        return self.backout(url, "migrate", *options, "--", *(argv or self.argv()))

    def backout(self, url: str, *words: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in environment(url, self._added).items() if not k.startswith("PG")}
        return self.typed([sys.executable, "-m", "backout", *words], env)

    def typed(self, argv: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv, env=env, cwd=self.folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )


def environment(url: str, added: dict[str, str]) -> dict[str, str]:
    found = urlsplit(url)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "BACKOUT_"))}
    return env | added | {
        "DATABASE_URL": url,
        "PGHOST": str(found.hostname),
        "PGPORT": str(found.port),
        "PGUSER": unquote(str(found.username)),
        "PGPASSWORD": unquote(str(found.password)),
        "PGDATABASE": unquote(found.path[1:]),
    }  # fmt: skip


class Drizzle(Tool):
    """drizzle-kit's own command."""

    needs = "node"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "node_modules").symlink_to(NODE_TOOLS / "node_modules")
        for file in ("drizzle.config.ts", "migrate-pg.mjs", "migrate-postgres.mjs"):
            shutil.copy(HISTORIES / file, folder)
        (folder / "drizzle/meta").mkdir(parents=True)
        self._journal = json.loads((HISTORIES / "drizzle/meta/_journal.json").read_text())

    def names(self) -> list[str]:
        return [one["tag"] for one in self._journal["entries"]]

    def lay(self, count: int) -> None:
        entries = self._journal["entries"][:count]
        for one in entries:
            shutil.copy(HISTORIES / f"drizzle/{one['tag']}.sql", self.folder / "drizzle")
        (self.folder / "drizzle/meta/_journal.json").write_text(
            json.dumps({**self._journal, "entries": entries})
        )

    def add(self, name: str, *scripts: str) -> None:
        """Have another migration after those that are there, of statements that are sent one by one."""
        journal = json.loads((self.folder / "drizzle/meta/_journal.json").read_text())
        last = journal["entries"][-1]
        journal["entries"].append({**last, "idx": last["idx"] + 1, "when": last["when"] + 1, "tag": name})
        (self.folder / f"drizzle/{name}.sql").write_text("--> statement-breakpoint\n".join(scripts))
        (self.folder / "drizzle/meta/_journal.json").write_text(json.dumps(journal))

    def argv(self) -> list[str]:
        return [str(self.folder / "node_modules/.bin/drizzle-kit"), "migrate"]

    def done(self, url: str, link: DirectLink) -> int:
        """It applies what is newer than the newest row of its table."""
        last = link.rows("SELECT max(created_at) AS at FROM drizzle.__drizzle_migrations")[0]["at"]
        return sum(1 for one in self._journal["entries"] if one["when"] <= int(last or 0))


class DrizzlePg(Drizzle):
    """The migrator of drizzle-orm, with the driver `pg`."""

    def argv(self) -> list[str]:
        return ["node", "migrate-pg.mjs"]


class DrizzlePostgres(Drizzle):
    """The migrator of drizzle-orm, with the driver `postgres`."""

    def argv(self) -> list[str]:
        return ["node", "migrate-postgres.mjs"]


class Prisma(Tool):
    """`prisma migrate deploy` with the engine that the package has in it, on the files of drizzle-kit.

    That engine cuts a file at every semicolon, so that no block can be in it; Prisma itself writes none.
    """

    needs = "node"
    clocks = ("started_at", "finished_at", "(?<=[( ])id(?=='[0-9a-f-]{36}')")

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "node_modules").symlink_to(NODE_TOOLS / "node_modules")
        shutil.copy(HISTORIES / "prisma.config.ts", folder)
        (folder / "prisma/migrations").mkdir(parents=True)
        (folder / "prisma/schema.prisma").write_text(
            'datasource db {\n  provider = "postgresql"\n  url = env("DATABASE_URL")\n}\n'
        )
        (folder / "prisma/migrations/migration_lock.toml").write_text('provider = "postgresql"\n')
        self._files = sorted((HISTORIES / "drizzle").glob("*.sql"))
        # Else it would download engines that it does not run.
        (folder / "none").touch(mode=0o755)
        names = ("PRISMA_QUERY_ENGINE_LIBRARY", "PRISMA_SCHEMA_ENGINE_BINARY")
        self._added |= dict.fromkeys(names, str(folder / "none")) | {"CHECKPOINT_DISABLE": "1"}

    def names(self) -> list[str]:
        return [one.stem for one in self._files]

    def lay(self, count: int) -> None:
        for one in self._files[:count]:
            at = self.folder / "prisma/migrations" / one.stem
            at.mkdir(exist_ok=True)
            text = re.sub(r"DO \$\$ BEGIN(.*?)EXCEPTION.*?END \$\$;", r"\1", one.read_text(), flags=re.DOTALL)
            (at / "migration.sql").write_text(text)

    def argv(self) -> list[str]:
        return [str(self.folder / "node_modules/.bin/prisma"), "migrate", "deploy"]

    def done(self, url: str, link: DirectLink) -> int:
        said = self.plain(url, self.argv()[0], "migrate", "status")
        pending = [one for one in self.names() if f"\n{one}\n" in said.stdout]
        assert bool(pending) == (said.returncode != 0), said.stdout + said.stderr
        return len(self.names()) - len(pending)


class Psql(Tool):
    """psql on the files of drizzle-kit, whose separators are comments: each statement is a transaction."""

    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._files = sorted((HISTORIES / "drizzle").glob("*.sql"))
        self._count = 0

    def names(self) -> list[str]:
        return [one.stem for one in self._files]

    def lay(self, count: int) -> None:
        self._count = count

    def argv(self) -> list[str]:
        file = self._files[self._count - 1]
        return ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *self.options, "-f", str(file)]


class PsqlOne(Psql):
    """psql on the same files, each in one transaction."""

    options = ("-1",)


class Alembic(Tool):
    """Alembic with the driver psycopg: all migrations that are pending in one transaction."""

    driver: ClassVar[str] = "psycopg"
    each: ClassVar[str] = ""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._added |= {"DRIVER": self.driver, "EACH": self.each}
        self._files = sorted((HISTORIES / "alembic/versions").glob("*.py"))
        shutil.copytree(
            HISTORIES / "alembic",
            folder,
            dirs_exist_ok=True,
            ignore=lambda at, names: names if at.endswith("versions") else [],
        )

    def names(self) -> list[str]:
        return [one.stem for one in self._files]

    def lay(self, count: int) -> None:
        for one in self._files[:count]:
            shutil.copy(one, self.folder / "versions")

    def argv(self) -> list[str]:
        return [sys.executable, "-m", "alembic", "upgrade", "head"]

    def done(self, url: str, link: DirectLink) -> int:
        said = self.plain(url, sys.executable, "-m", "alembic", "current")
        assert said.returncode == 0, said.stderr
        return int(said.stdout.split()[0])


class AlembicPsycopg2(Alembic):
    """Alembic with the driver psycopg2, each migration in a transaction of its own."""

    driver = "psycopg2"
    each = "yes"


class Django(Tool):
    """Django's `migrate`; its own tables, which other applications' migrations make, are there before."""

    residue = ()
    clocks = ("applied",)
    answers = {"0008_owner": ("--fill", "orders.customer_id=1")}
    seeds = """
        INSERT INTO customers (email, full_name, created_at) VALUES
          ('ann@x', 'Ann', '2026-01-02'), ('bob@x', NULL, '2026-01-03');
        INSERT INTO orders (customer_id, status, total) VALUES (1, 'new', 10), (1, 'paid', 20.5), (2, 'sent', 0);
        INSERT INTO coupon_log (code, order_id) VALUES ('OLD', 1), ('TEN', 2), ('FREE', NULL)"""
    since = """
        INSERT INTO customers (email, name, country, newsletter, created_at)
          VALUES ('cem@x', 'Cem', 'tr', true, '2026-02-01');
        INSERT INTO orders (customer_id, status, total, number)
          SELECT id, 'packed', 7, 'B-1' FROM customers WHERE email = 'cem@x';
        INSERT INTO order_lines (order_id, sku, quantity) SELECT id, 'bulb', 1 FROM orders WHERE number = 'B-1';
        UPDATE customers SET name = 'Anna' WHERE email = 'ann@x';
        INSERT INTO parcels (carrier) VALUES ('bike');
        INSERT INTO parcels_orders (parcel_id, order_id) SELECT 1, id FROM orders WHERE number = 'B-1'"""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._files = sorted((HISTORIES / "django/shop/migrations").glob("0*.py"))
        shutil.copytree(
            HISTORIES / "django",
            folder,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("0*.py", "__pycache__"),
        )

    def names(self) -> list[str]:
        return [one.stem for one in self._files]

    def lay(self, count: int) -> None:
        for one in self._files[:count]:
            shutil.copy(one, self.folder / "shop/migrations")

    def argv(self) -> list[str]:
        return [sys.executable, "manage.py", "migrate"]

    def before(self, url: str) -> None:
        said = self.plain(url)
        assert said.returncode == 0, said.stderr

    def done(self, url: str, link: DirectLink) -> int:
        said = self.plain(url, sys.executable, "manage.py", "showmigrations", "--plan", "shop")
        assert said.returncode == 0, said.stderr
        return said.stdout.count("[X]  shop.")


class Flyway(Psql):
    """Flyway itself, on the same files: its history in one session, its work in another, a transaction for each file."""

    needs = "java"
    clocks = ("installed_on", "execution_time")

    def lay(self, count: int) -> None:
        (self.folder / "sql").mkdir(exist_ok=True)
        for number, one in enumerate(self._files[:count], 1):
            shutil.copy(one, self.folder / f"sql/V{number}__{one.stem}.sql")

    def argv(self) -> list[str]:
        return self._java("migrate")

    def done(self, url: str, link: DirectLink) -> int:
        said = self.plain(url, *self._java("applied"))
        assert said.returncode == 0, said.stderr
        return int(said.stdout.split()[-1])

    def validated(self, url: str) -> bool:
        """Tell whether the tool finds its history as its files are."""
        return self.plain(url, *self._java("validate")).returncode == 0

    def _java(self, word: str) -> list[str]:
        return [
            "java",
            "-cp",
            f"{JAVA_TOOLS}/lib/*:{JAVA_TOOLS}/lib",
            "Migrate",
            word,
            str(self.folder / "sql"),
        ]
