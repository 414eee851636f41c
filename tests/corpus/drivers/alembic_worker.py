"""Runs an Alembic history, one revision at a time, with the interpreter of the package: `alembic_worker.py SOCKET OPTIONS.json`.

What `alembic upgrade` does with a plain env.py (`transaction_per_migration`, the package's metadata): the same objects of
Alembic, so that neither a revision's place in branches nor the package's own env.py matters.
Source: Alembic 1.20, alembic/command.py, alembic/runtime/migration.py.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving import serve

_ASYNC = "asyncpg"
_DOWN_OF_NOTHING = (ast.Pass, ast.Raise, ast.Return)


def main(path: str, file: str) -> None:
    """Serve the revisions of a package."""
    options = json.loads(Path(file).read_text())
    os.environ.update(options["environment"])
    history = _History(options)
    serve(path, history.answer)


class _History:
    def __init__(self, options: dict[str, Any]) -> None:
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        self._options = options
        for line in options["first"]:
            exec(line, {})
        folder = Path(options["folder"])
        self._config = Config()
        self._config.set_main_option("script_location", str(folder))
        self._config.set_main_option("recursive_version_locations", "true")
        for option in ("path_separator", "version_path_separator"):  # Alembic from 1.16 on, and before
            self._config.set_main_option(option, "space")
        if options["versions"]:
            self._config.set_main_option(
                "version_locations", " ".join(str(folder / one) for one in options["versions"])
            )
        self._script = ScriptDirectory.from_config(self._config)
        self._metadata = _named(options["metadata"]) if options["metadata"] else None
        if options["enums_once"]:
            _enums_once()

    def answer(self, asked: dict[str, Any]) -> str:
        if asked["what"] == "describe":
            return json.dumps([self._described(one) for one in self._in_order()])
        if asked["what"] == "before":
            return self._before(asked["url"])
        return self._run(asked["url"], asked["step"], up=asked["what"] == "up")

    def _in_order(self) -> list[Any]:
        return list(reversed(list(self._script.walk_revisions())))

    def _described(self, revision: Any) -> dict[str, Any]:
        return {"name": revision.revision, "has_down": _goes_back(Path(revision.path))}

    def _before(self, url: str) -> str:
        """Do what the application itself does before its first revision."""
        engine = _engine(url)
        for line in self._options["before"]:
            exec(line, {"engine": engine, "url": url})
        engine.dispose()
        return ""

    def _run(self, url: str, name: str, *, up: bool) -> str:
        from alembic.runtime.environment import EnvironmentContext
        from alembic.runtime.migration import MigrationStep

        revision = self._script.get_revision(name)
        step = MigrationStep.upgrade_from_script if up else MigrationStep.downgrade_from_script

        def fn(_heads: Any, _context: Any) -> list[Any]:
            return [step(self._script.revision_map, revision)]

        def run(connection: Any) -> None:
            with EnvironmentContext(self._config, self._script, fn=fn) as environment:
                environment.configure(
                    connection=connection,
                    target_metadata=self._metadata,
                    transaction_per_migration=True,
                    compare_type=True,
                )
                with environment.begin_transaction():
                    environment.run_migrations()

        os.environ["DATABASE_URL"] = url  # for revisions that connect by themselves
        if self._options["client"] == _ASYNC:
            asyncio.run(_connected_async(url, run))
        else:
            _connected(url, run)
        return ""


def _connected(url: str, run: Callable[[Any], None]) -> None:
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            run(connection)
    finally:
        engine.dispose()


async def _connected_async(url: str, run: Callable[[Any], None]) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    engine = create_async_engine(_with(url, _ASYNC), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


def _engine(url: str) -> Any:
    import sqlalchemy
    from sqlalchemy.pool import NullPool

    return sqlalchemy.create_engine(_with(url, "psycopg2"), poolclass=NullPool)


def _with(url: str, client: str) -> str:
    told = url.replace("postgresql://", f"postgresql+{client}://", 1)
    return told.replace("sslmode=", "ssl=") if client == _ASYNC else told


def _named(path: str) -> Any:
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found


def _enums_once() -> None:
    """Have a type made only where it is not there yet, as older versions of SQLAlchemy did for a column's."""
    from sqlalchemy.dialects.postgresql import ENUM

    create = ENUM.create
    ENUM.create = lambda self, bind=None, checkfirst=True, **more: create(self, bind, checkfirst=True, **more)


def _goes_back(path: Path) -> bool:
    """Tell whether a revision's downgrade does something."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name == "downgrade":
            return any(not _is_nothing(one) for one in node.body)
    return False


def _is_nothing(node: ast.stmt) -> bool:
    says = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return says or isinstance(node, _DOWN_OF_NOTHING)


main(*sys.argv[1:])
