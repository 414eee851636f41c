"""Who may come in, by which protocol, and what the command's environment leads to."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest
from tests.services.reversible.raw import Q, Raw

from backout.databases.postgres.reversible.proxy import wire
from backout.databases.postgres.reversible.proxy.server import Proxy
from backout.databases.postgres.reversible.proxy.stream import Closed
from backout.databases.postgres.reversible.proxy.upstream import NotOpened, Upstream, received

pytestmark = pytest.mark.slow

Connect = Callable[..., psycopg.Connection[Any]]


def first_answer(proxy: Proxy, *raw: bytes) -> tuple[bytes, bytes]:
    """Say something to the proxy and return its first message."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        for one in raw:
            sock.sendall(one)
        head = received(sock, 5)
        return head[:1], received(sock, int.from_bytes(head[1:]) - 4)


def test_the_environment_alone_leads_here(url: str, proxy: Proxy, psql: Any) -> None:
    done = psql("SELECT current_user, current_database()", "-At")
    assert (done.stdout, done.stderr) == (f"collector|{url.rsplit('/', 1)[1]}\n", "")
    assert proxy.connections == 1


def test_each_session_that_came_through_is_counted(proxy: Proxy, connect: Connect) -> None:
    assert proxy.connections == 0
    for number in range(1, 4):
        connect().execute("SELECT 1")
        assert proxy.connections == number


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("wrong", [{"password": "guessed"}, {"user": "postgres"}, {"password": ""}])
def test_who_does_not_know_the_password_stays_out(
    proxy: Proxy, connect: Connect, wrong: dict[str, str], encrypted: bool
) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(**wrong, sslmode="require" if encrypted else "disable")
    assert proxy.connections == 0


def test_another_database_is_refused_by_name(url: str, proxy: Proxy, connect: Connect) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(dbname="shadow")
    assert 'guards the database "' + url.rsplit("/", 1)[1] + '"' in str(caught.value) and '"shadow"' in str(
        caught.value
    )
    assert proxy.connections == 0


def test_replication_and_other_encodings_are_refused(connect: Connect) -> None:
    with pytest.raises(psycopg.OperationalError, match="no replication connections"):
        connect(replication="database")
    with pytest.raises(psycopg.OperationalError, match=r"UTF8 only.*LATIN1"):
        connect(client_encoding="LATIN1")
    connection = connect()
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="UTF8 only"):
        connection.execute("SET client_encoding = 'LATIN1'")
        connection.execute("SELECT 1")
    assert connection.closed


def test_start_up_parameters_go_on_to_the_server(connect: Connect) -> None:
    connection = connect(application_name="tool", options="-c search_path=a,b -c lock_timeout=1234")
    shown = "SELECT current_setting('application_name'), current_setting('search_path'), current_setting('lock_timeout')"
    assert connection.execute(shown).fetchone() == ("tool", "a,b", "1234ms")
    assert connection.info.parameter_status("application_name") == "tool"


def test_parameters_of_the_connection_text_hold_for_the_command(url: str, told: Any) -> None:
    text = f"{url}?options=-c%20lock_timeout%3D77&application_name=mine"
    with Proxy(Upstream.of(text), told.keeper) as proxy:
        environment = proxy.environment()["DATABASE_URL"]
        shown = "SELECT current_setting('lock_timeout'), current_setting('application_name')"
        with psycopg.connect(environment) as connection:
            assert connection.execute(shown).fetchone() == ("77ms", "mine")
        with psycopg.connect(environment, options="-c lock_timeout=88", application_name="its") as connection:
            assert connection.execute(shown).fetchone() == ("88ms", "its")


@pytest.mark.parametrize("binding", ["require", "prefer", "disable"])
def test_a_client_that_insists_on_tls_gets_it(connect: Connect, binding: str) -> None:
    connection = connect(sslmode="require", channel_binding=binding)
    assert connection.pgconn.ssl_in_use
    assert connection.execute("SELECT 1").fetchone() == (1,)
    big = connection.execute("SELECT repeat('x', 3000000)").fetchone()
    assert big is not None and len(big[0]) == 3_000_000
    connection.execute("CREATE TABLE big (x text)")
    connection.execute("INSERT INTO big VALUES (%s)", ("y" * 3_000_000,))
    assert connection.execute("SELECT length(x) FROM big").fetchone() == (3_000_000,)


def test_channel_binding_without_tls_is_not_to_be_had(connect: Connect) -> None:
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        connect(channel_binding="require")


def test_gssapi_is_declined(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as sock:
        sock.sendall(wire.request(wire.GSSENC_REQUEST))
        assert sock.recv(1) == b"N"
        sock.sendall(wire.request(wire.SSL_REQUEST))
        assert sock.recv(1) == b"S"


@pytest.mark.parametrize("version", ["3.0", "3.2", "latest"])
def test_both_protocols_are_spoken(connect: Connect, version: str) -> None:
    connection = connect(max_protocol_version=version)
    assert connection.execute("SELECT 1").fetchone() == (1,)
    assert connection.pgconn.backend_pid == connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def test_a_newer_protocol_and_unknown_extensions_are_talked_down(proxy: Proxy) -> None:
    said = {"user": "collector", "_pq_.new": "1", "database": "collector"}
    kind, body = first_answer(proxy, wire.startup((3 << 16) + 9999, said))
    assert (kind, body) == (b"v", struct.pack("!ii", wire.PROTOCOL_3_2, 1) + b"_pq_.new\0")
    kind, body = first_answer(proxy, wire.startup(wire.PROTOCOL_3_0, said))
    assert (kind, body) == (b"v", struct.pack("!ii", wire.PROTOCOL_3_0, 1) + b"_pq_.new\0")
    kind, body = first_answer(proxy, wire.startup(2 << 16, said))
    assert kind == b"E" and b"version 3" in body


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x09\0\x03\0\0x", b"\0\0\0\x08\0\x03\0\0"]
)
def test_noise_is_answered_and_does_no_harm(proxy: Proxy, connect: Connect, noise: bytes) -> None:
    assert first_answer(proxy, noise)[0] in (b"E", b"R")
    assert connect().execute("SELECT 1").fetchone() == (1,)


def test_an_unknown_message_ends_the_session(proxy: Proxy) -> None:
    with closing(Raw(proxy.environment()["DATABASE_URL"])) as raw:
        raw.say(wire.message(b"!"))
        assert b"does not know the message" in raw.hear(b"E")[-1].body
        with pytest.raises(Closed):
            raw.hear(b"Z")


def test_a_server_that_is_not_there_is_known_before_the_command_starts() -> None:
    with pytest.raises(psycopg.OperationalError, match="refused"):
        Upstream.of("postgresql://a:b@127.0.0.1:1/c")


def test_what_the_server_refuses_is_what_the_client_hears(url: str, told: Any) -> None:
    up = Upstream.of(url)
    with Proxy(up, told.keeper) as proxy:
        with pytest.raises(psycopg.OperationalError, match="invalid value for parameter"):
            psycopg.connect(proxy.environment()["DATABASE_URL"], options="-c lock_timeout=x")
        assert proxy.connections == 0


def test_a_raw_session_with_a_wrong_password_tells_the_servers_words(url: str) -> None:
    up = Upstream.of(url)
    wrong = Upstream(
        host=up.host, address=up.address, port=up.port, user=up.user, database=up.database,
        password="guessed", parameters=up.parameters, tls=up.tls,
    )  # fmt: skip
    with pytest.raises(NotOpened, match='password authentication failed for user "collector"'):
        wrong.open({})


def test_the_password_is_new_each_time_and_nowhere_else(url: str, told: Any) -> None:
    with Proxy(Upstream.of(url), told.keeper) as first, Proxy(Upstream.of(url), told.keeper) as second:
        assert first.environment()["PGPASSWORD"] != second.environment()["PGPASSWORD"]
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(first.environment()["DATABASE_URL"], password=second.environment()["PGPASSWORD"])
        assert url.split(":")[2].split("@")[0] not in str(first.environment()) + repr(Upstream.of(url))


def test_names_that_need_quoting_in_a_url(postgres: Any, told: Any) -> None:
    with psycopg.connect(postgres.superuser_url, autocommit=True) as admin:
        admin.execute("""CREATE ROLE "o'dd @/% rôle" LOGIN PASSWORD 'p @/:%ü'""")
        admin.execute("""CREATE DATABASE "d b/?%é" OWNER "o'dd @/% rôle" """)
        try:
            told_port = psycopg.conninfo.make_conninfo(
                "",
                host="127.0.0.1",
                port=postgres.port,
                user="o'dd @/% rôle",
                password="p @/:%ü",
                dbname="d b/?%é",
            )
            with Proxy(Upstream.of(told_port), told.keeper) as proxy:
                environment = proxy.environment()
                with psycopg.connect(environment["DATABASE_URL"]) as connection:
                    names = connection.execute(
                        "SELECT current_user::text, current_database()::text"
                    ).fetchone()
                assert names == ("o'dd @/% rôle", "d b/?%é")
                env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | environment
                done = subprocess.run(
                    ["psql", "-XAtc", "SELECT 1"], env=env, capture_output=True, text=True, check=False
                )
                assert (done.stdout, done.stderr) == ("1\n", "")
        finally:
            admin.execute("""DROP DATABASE "d b/?%é" WITH (FORCE)""")
            admin.execute("""DROP ROLE "o'dd @/% rôle" """)


def test_one_session_says_hello_with_the_servers_key(proxy: Proxy) -> None:
    with closing(Raw(proxy.environment()["DATABASE_URL"])) as raw:
        raw.say(Q("SELECT pg_backend_pid()::text"))
        row = next(one for one in raw.hear(b"Z") if one.kind == b"D")
        assert wire.values_of(row.body) == [str(int.from_bytes(raw.key[:4]))]
