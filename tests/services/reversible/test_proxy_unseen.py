"""What the keeper could not see, or would see otherwise than the server, never runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import errors
from tests.services.reversible.raw import SYNC, Q, Raw, bind, execute
from tests.services.reversible.recording import Recorded
from tests.services.reversible.seen import ids, kinds

from backout.databases.postgres.reversible.proxy import wire

pytestmark = pytest.mark.slow

Connect = Callable[..., psycopg.Connection[Any]]


def test_two_phase_commit_is_refused(t: str, connect: Connect, told: Recorded) -> None:
    connection = connect()
    connection.execute("BEGIN; INSERT INTO t VALUES (2)")
    with pytest.raises(errors.FeatureNotSupported, match="cannot keep PREPARE reversible"):
        connection.execute("PREPARE TRANSACTION 'x'")
    assert connection.execute("COMMIT").statusmessage == "ROLLBACK"
    with pytest.raises(errors.FeatureNotSupported, match="cannot keep COMMIT PREPARED reversible"):
        connection.execute("COMMIT PREPARED 'x'")
    assert ids(t) == [1]


def test_what_the_parser_does_not_know_never_runs(
    t: str, postgres: Any, connect: Connect, told: Recorded
) -> None:
    """A word that is reserved since PostgreSQL 16: 15 would run this, the parser cannot read it."""
    new = "CREATE TABLE system_user ()"
    old = postgres.binaries.source == "system"
    expected = errors.FeatureNotSupported if old else errors.SyntaxError
    connection = connect()
    for arguments in ({}, {"prepare": True}):
        with pytest.raises(expected) as caught:
            connection.execute(new, **arguments)
        if old:
            assert "backout's parser does not understand this statement" in str(caught.value)
    with pytest.raises(expected):
        connection.execute(f"INSERT INTO t VALUES (2); {new}")
    assert ids(t) == [1] and told.calls == []


def test_text_that_the_server_would_read_otherwise_never_runs(
    t: str, connect: Connect, told: Recorded
) -> None:
    connection = connect()
    connection.execute("SET standard_conforming_strings = off")
    with pytest.raises(errors.FeatureNotSupported, match="standard_conforming_strings"):
        connection.execute(r"SELECT 'a\'; INSERT INTO t VALUES (2); --'")
    connection.execute("SET standard_conforming_strings = on")
    connection.execute("SELECT 1")
    assert ids(t) == [1]


def test_a_statement_made_by_prepare_cannot_be_run_unseen(t: str, raw: Raw) -> None:
    kinds(raw, Q("PREPARE p AS INSERT INTO t VALUES (2)"))
    assert kinds(raw, bind(name="p") + execute() + SYNC) == "2EZ"
    assert ids(t) == [1]


def test_function_calls_of_the_protocol_are_refused(t: str, raw: Raw) -> None:
    call = wire.message(b"F", (1).to_bytes(4) + b"\0\0" + b"\0\0" + b"\0\0")
    assert kinds(raw, call) == "EZ"
    assert kinds(raw, Q("SELECT 1")) == "TDCZ"
