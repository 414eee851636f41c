"""A PostgreSQL for a bench, and databases in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from backout.children import Children
from backout.embedded.server import EmbeddedPostgres


@contextmanager
def server() -> Iterator[tuple[EmbeddedPostgres, Path]]:
    """Give a server that runs, and a folder for other files; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="backout-bench-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        directory.chmod(0o755)  # PostgreSQL runs as another user when this is root
        children = Children(directory / "run")
        made = EmbeddedPostgres(directory, children, fsync=False)
        try:
            made.start()
            yield made, directory
        finally:
            made.close()
            children.close()


@contextmanager
def database(made: EmbeddedPostgres, name: str, *, template: str = "template1") -> Iterator[str]:
    """Give the URL of a new database, as its owner; it is dropped afterwards."""
    words = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(made.superuser_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {name} TEMPLATE {template} OWNER collector").format(**words)
        )
        try:
            yield f"{made.url.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**words))
