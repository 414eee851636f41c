"""The databases that the engine is tried on are made by a plain owner, and any change of a visible value is seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.services.reversible.schemas import ALL, DJANGO, LEDGER, SHOP
from tests.services.reversible.servers import Server
from tests.services.reversible.values import changed, read_rows

from backout.databases.postgres.reversible.fingerprint import differences, read_print
from backout.databases.postgres.reversible.link import DirectLink, LinkError

pytestmark = pytest.mark.slow


@contextmanager
def made(server: Server, sql: str) -> Iterator[DirectLink]:
    with server.connected() as connection:
        link = DirectLink(connection)
        link.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
        link.rows(sql)
        link.rows("SET CONSTRAINTS ALL IMMEDIATE")
        yield link
        link.rows("ROLLBACK")


@pytest.mark.parametrize("name", ALL)
def test_every_table_has_rows_and_twice_the_same_is_made(server: Server, name: str) -> None:
    with made(server, ALL[name]) as link:
        rows, found = read_rows(link), read_print(link)
    assert min(len(lines) for lines in rows.values()) > 0
    assert sum(len(lines) for lines in rows.values()) > 1000
    with made(server, ALL[name]) as link:
        assert changed(rows, read_rows(link)) == []
        assert differences(found, read_print(link)) == []


def test_rows_are_sorted_by_their_key_and_name_their_values(server: Server) -> None:
    with made(server, DJANGO) as link:
        rows = read_rows(link)
    assert [line.split(", ")[1] for line in rows["public.django_content_type"]] == [
        f"id='{n}'" for n in range(1, 6)
    ]
    assert rows["public.auth_group"] == ["id='1', name='editors'", "id='2', name='readers'"]


def test_a_changed_a_new_and_a_lost_row_are_told(server: Server) -> None:
    with made(server, LEDGER) as link:
        before = read_rows(link)
        link.rows(
            """UPDATE ledger.tenant SET options = '{"b": 1, "a": [1, 2], "b": 2}' WHERE code = 'acme'"""
        )
        link.rows("INSERT INTO ledger.alembic_version VALUES ('b')")
        link.rows("DELETE FROM ledger.period WHERE tenant_code = 'nord' AND (year, month) = (2023, 3)"
                  " AND NOT EXISTS (SELECT FROM ledger.entry e WHERE e.tenant_code = 'nord' AND e.year = 2023"
                  " AND e.month = 3)")  # fmt: skip
        found = changed(before, read_rows(link))
    assert [line.split(",")[0] for line in found] == [
        "ledger.alembic_version: new: version_num='b'",
        "ledger.period: gone: locked='true'",
        "ledger.tenant: gone: code='acme'",
        "ledger.tenant: new: code='acme'",
    ]


def test_null_is_not_empty_and_a_table_that_went_is_told_with_its_rows(server: Server) -> None:
    with made(server, SHOP) as link:
        before = read_rows(link)
        link.rows(
            "UPDATE orders SET note = NULL WHERE number = (SELECT min(number) FROM orders WHERE note = '')"
        )
        assert len(changed(before, read_rows(link))) == 2
        link.rows('DROP TABLE "drizzle"."__drizzle_migrations"')
        assert "drizzle.__drizzle_migrations: gone" in changed(before, read_rows(link))


def test_what_is_hidden_does_not_count(server: Server) -> None:
    with made(server, SHOP) as link:
        before = read_rows(link)
        link.rows(
            "ALTER TABLE users ADD _bo_1 int DEFAULT 3; CREATE SCHEMA backout_hidden; CREATE SCHEMA backout"
        )
        link.rows(
            "CREATE TABLE backout_hidden.t AS SELECT 1 AS a; CREATE TABLE backout.journal AS SELECT 1 AS a"
        )
        link.rows("CREATE TABLE _bo_2 AS SELECT 1 AS a")
        assert changed(before, read_rows(link)) == []


def test_the_order_of_columns_and_how_the_session_prints_do_not_count(server: Server) -> None:
    with made(server, SHOP) as link:
        before = read_rows(link)
        link.rows("""ALTER TABLE users ADD again text; UPDATE users SET again = full_name;
            ALTER TABLE users DROP full_name; ALTER TABLE users RENAME again TO full_name""")
        link.rows("""SET LOCAL DateStyle = 'SQL, DMY'; SET LOCAL TimeZone = 'Asia/Seoul';
            SET LOCAL search_path = drizzle; SET LOCAL bytea_output = escape; SET LOCAL extra_float_digits = -10;
            SET LOCAL IntervalStyle = iso_8601""")
        assert changed(before, read_rows(link)) == []


def test_rows_that_row_level_security_hides_are_an_error_and_not_a_silence(server: Server) -> None:
    with made(server, SHOP) as link:
        link.rows("ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY")
        with pytest.raises(LinkError, match="row-level security"):
            read_rows(link)
