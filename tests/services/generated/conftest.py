"""A server of each version, and a database of its own for each test."""

from __future__ import annotations

from tests.services.reversible.conftest import database, postgres, server, server_of

__all__ = ["database", "postgres", "server", "server_of"]
