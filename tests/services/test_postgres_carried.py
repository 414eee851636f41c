"""What belongs to a database and is in no dump goes along with its name: settings, rights, comment, sequences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from backout.databases.postgres.marks import SETTING
from backout.observed import Answer

from .pairs import Pair, quiet

pytestmark = pytest.mark.slow

_OF = """
SELECT d.datacl::text, d.datconnlimit, shobj_description(d.oid, 'pg_database'),
       (SELECT array_agg(r.rolname || ':' || e ORDER BY 1) FROM pg_db_role_setting s
        CROSS JOIN unnest(s.setconfig) e LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE s.setdatabase = d.oid),
       (SELECT array_agg(e ORDER BY e) FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) e
        WHERE s.setdatabase = d.oid AND s.setrole = 0)
FROM pg_database d WHERE d.datname = %s"""


@pytest.fixture
def pair(database: Any) -> Iterator[Pair]:
    made = Pair(database.url, database.server.admin_url(), database.name, database.role)
    made.make()
    yield made
    made.drop()


@pytest.fixture
def adapter(database: Any, tmp_path: Path) -> Any:
    return database.adapter(tmp_path)


def belongings(pair: Pair, name: str) -> Any:
    with pair.admin() as admin:
        return admin.execute(_OF, (name,)).fetchone()


def alter(pair: Pair, *changes: str, name: str | None = None, admin: bool = False) -> None:
    with pair.admin() if admin else pair.connect() as connection:
        for change in changes:
            names = {"db": sql.Identifier(name or pair.live), "me": sql.Identifier(pair.role)}
            connection.execute(sql.SQL(change).format(**names))


def test_settings_rights_limit_and_comment_are_the_live_ones(pair: Pair, adapter: Any) -> None:
    alter(
        pair,
        "ALTER DATABASE {db} SET search_path = \"$user\", public, 'it''s', ''",
        "ALTER DATABASE {db} SET temp_tablespaces = ''",
        "ALTER DATABASE {db} SET statement_timeout = '60s'",
        "ALTER DATABASE {db} SET application_name = 'a=b ''c'' \"d\" 100%'",
        "ALTER ROLE {me} IN DATABASE {db} SET work_mem = '7MB'",
        "REVOKE ALL ON DATABASE {db} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {db} TO pg_monitor WITH GRANT OPTION",
        "ALTER DATABASE {db} CONNECTION LIMIT 33",
        "COMMENT ON DATABASE {db} IS 'ours, 100%% {{}} ''quoted'''",
    )
    alter(pair, "ALTER DATABASE {db} SET work_mem = '1MB'", name=pair.beside)
    before = belongings(pair, pair.live)
    assert before[0] and before[1] == 33 and len(before[4]) == 4
    checked = adapter.check_restored(pair.beside, pair.live, note=quiet)
    assert any("search_path" in str(p) for p in checked.problems)
    adapter.swap(pair.order(), note=quiet)
    assert belongings(pair, pair.live) == before
    assert "default_transaction_read_only=on" in belongings(pair, pair.kept)[4]


def test_what_the_role_may_not_carry_blocks_and_says_what_to_type(pair: Pair, adapter: Any) -> None:
    alter(pair, "ALTER DATABASE {db} SET log_statement = 'all'", admin=True)
    [problem] = adapter.swap_blockers(pair.order())
    assert "log_statement" in str(problem) and "as an administrator: ALTER DATABASE" in str(problem)
    alter(pair, "ALTER DATABASE {db} SET log_statement = 'all'", name=pair.beside, admin=True)
    adapter.swap(pair.order(), note=quiet)
    assert belongings(pair, pair.live)[4] == ["log_statement=all"]


def test_a_hold_by_the_database_is_not_carried(pair: Pair, adapter: Any) -> None:
    means = adapter.hold_means()
    means.hold("refuse_writes")
    adapter.swap(pair.order(), note=quiet)
    assert belongings(pair, pair.live)[4] is None
    with pair.connect() as live:
        live.execute("INSERT INTO which (is_it) VALUES ('new')")
    means.release({SETTING: None})


def test_a_setting_of_the_same_kind_that_was_there_before_the_hold_is_carried(
    pair: Pair, adapter: Any
) -> None:
    alter(pair, "ALTER DATABASE {db} SET default_transaction_read_only = off")
    adapter.hold_means().hold("refuse_writes")
    adapter.swap(pair.order(), note=quiet)
    assert belongings(pair, pair.live)[4] == ["default_transaction_read_only=off"]


def rights(pair: Pair, name: str) -> str:
    with pair.admin() as admin:
        row = admin.execute(
            "SELECT coalesce(datacl, acldefault('d', datdba))::text FROM pg_database WHERE datname = %s",
            (name,),
        ).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize("granted", [False, True])
def test_connect_that_a_hold_took_away_is_there_after_a_swap_and_after_the_swap_back(
    pair: Pair, adapter: Any, make_role: Any, granted: bool
) -> None:
    app = make_role("app")
    alter(pair, "COMMENT ON DATABASE {db} IS 'ours'")
    if granted:
        alter(pair, "REVOKE CONNECT ON DATABASE {db} FROM PUBLIC")
        alter(pair, f"GRANT CONNECT ON DATABASE {{db}} TO {app}")
    before, means = rights(pair, pair.live), adapter.hold_means()
    means.hold("refuse_connections")
    held, order = rights(pair, pair.live), pair.order()
    assert held != before
    adapter.swap(order, note=quiet)
    assert (rights(pair, pair.live), pair.comment(pair.live)) == (before, "ours")
    assert means.observe(5).held is Answer.NO
    assert rights(pair, pair.kept) == held, "nobody but backout gets into what is kept"
    adapter.swap(pair.order(beside=pair.kept, beside_oid=order.live_oid, kept=pair.beside), note=quiet)
    assert (rights(pair, pair.live), pair.comment(pair.live)) == (before, "ours")
    means.release({SETTING: None})
    for name in (pair.live, pair.beside):
        alter(pair, f"REVOKE ALL ON DATABASE {{db}} FROM {app}", name=name)


def test_no_id_that_was_given_out_is_given_out_again(pair: Pair, adapter: Any) -> None:
    with pair.connect() as live, pair.connect(pair.beside) as beside:
        for connection in (live, beside):
            connection.execute("CREATE SEQUENCE down INCREMENT -1")
            connection.execute("CREATE SEQUENCE full_ MAXVALUE 5")
            connection.execute("CREATE SEQUENCE ahead")
            connection.execute("CREATE SEQUENCE untouched")
            connection.execute('CREATE SEQUENCE "odd "" name"')
        beside.execute("ALTER SEQUENCE which_id_seq MAXVALUE 100")
        live.execute("SELECT setval('which_id_seq', 500), setval('down', -40), setval('full_', 5)")
        live.execute("""SELECT setval('ahead', 3), setval('"odd "" name"', 77)""")
        beside.execute("SELECT setval('ahead', 9)")
        live.execute("CREATE SEQUENCE only_here")
    adapter.swap(pair.order(), note=quiet)
    with pair.connect() as now:
        reached = dict(now.execute("SELECT sequencename, last_value FROM pg_sequences").fetchall())
    assert reached == {
        "which_id_seq": 100, "down": -40, "full_": 5, "ahead": 9, "untouched": None, 'odd " name': 77,
    }  # fmt: skip


def test_a_sequence_that_may_not_be_read_blocks(pair: Pair, adapter: Any) -> None:
    with pair.admin(pair.live) as admin:
        admin.execute("CREATE SEQUENCE foreign_one")
    assert "public.foreign_one" in "; ".join(str(b) for b in adapter.swap_blockers(pair.order()))


def test_publications_and_what_is_not_valid_are_compared(pair: Pair, adapter: Any) -> None:
    with pair.connect() as live, pair.connect(pair.beside) as beside:
        live.execute("CREATE PUBLICATION feed FOR TABLE which")
        for connection in (live, beside):
            connection.execute("ALTER TABLE which ADD CONSTRAINT old CHECK (is_it <> '') NOT VALID")
        beside.execute("ALTER TABLE which ADD CONSTRAINT new CHECK (is_it <> '') NOT VALID")
    problems = [str(p) for p in adapter.check_restored(pair.beside, pair.live, note=quiet).problems]
    (feed,) = [p for p in problems if "Publication feed is not as in the live database" in p]
    assert f'psql -d {pair.beside} -c \'CREATE PUBLICATION "feed" FOR TABLE public.which WITH' in feed
    assert [p for p in problems if "Constraint" in p] == ["Constraint new of public.which is not valid"]


def test_publications_made_since_a_database_was_prepared_follow_it(pair: Pair, adapter: Any) -> None:
    with pair.connect() as live, pair.admin(pair.live) as admin:
        live.execute("CREATE PUBLICATION feed FOR TABLE which")
        assert adapter.catch_up(pair.beside, pair.live) == () == adapter.catch_up(pair.beside, pair.live)
        admin.execute("CREATE PUBLICATION all_of_it FOR ALL TABLES")
    (told,) = adapter.catch_up(pair.beside, pair.live)
    assert 'CREATE PUBLICATION "all_of_it" FOR ALL TABLES' in str(told)
    with pair.connect(pair.beside) as beside:
        assert beside.execute("SELECT pubname FROM pg_publication").fetchall() == [("feed",)]


def test_a_publication_is_given_to_the_owner_it_has_in_the_live_database_or_it_is_told(
    pair: Pair, adapter: Any
) -> None:
    def owners() -> dict[str, str]:
        with pair.connect(pair.beside) as beside:
            query = "SELECT pubname, pg_get_userbyid(pubowner)::text FROM pg_publication"
            return dict(beside.execute(query).fetchall())

    stranger, member = f"{pair.role}_stranger", f'{pair.role}; ALTER "member'
    with pair.admin(pair.live) as admin, pair.connect() as live, pair.connect(pair.beside) as beside:
        for role in (stranger, member):
            admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        try:
            admin.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(member), sql.Identifier(pair.role)))
            for database in (pair.live, pair.beside):
                to_all = sql.SQL("GRANT CREATE ON DATABASE {} TO {}, {}")
                admin.execute(to_all.format(*map(sql.Identifier, (database, stranger, member))))
            for name, role in (("fed", stranger), ("ours", member), ("roots", None), ("new", member)):
                live.execute(sql.SQL("CREATE PUBLICATION {} FOR TABLE which").format(sql.Identifier(name)))
                if name != "new":
                    beside.execute(
                        sql.SQL("CREATE PUBLICATION {} FOR TABLE which").format(sql.Identifier(name))
                    )
                owner = sql.SQL("CURRENT_USER") if role is None else sql.Identifier(role)
                given = sql.SQL("ALTER PUBLICATION {} OWNER TO {}")
                admin.execute(given.format(sql.Identifier(name), owner))
            (told,) = adapter.catch_up(pair.beside, pair.live)
            assert f'-d {pair.beside} -c \'ALTER PUBLICATION "fed" OWNER TO "{stranger}"\'' in str(told)
            # A superuser may alter `roots` whoever owns it.
            assert owners() == {"fed": pair.role, "ours": member, "roots": pair.role, "new": member}
            with pair.admin(pair.beside) as by_hand:
                by_hand.execute(sql.SQL("ALTER PUBLICATION fed OWNER TO {}").format(sql.Identifier(stranger)))
            assert adapter.catch_up(pair.beside, pair.live) == ()
        finally:
            for database in (pair.live, pair.beside):
                with pair.admin(database) as there:
                    for role in (stranger, member):
                        there.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            for role in (stranger, member):
                admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.mark.parametrize("name", ["a b'c\"d%s", "größe {x} =\\", "x" * 63, "-d postgres"])
def test_any_name_can_be_swapped(name: str, database: Any, make_site: Any, tmp_path: Path) -> None:
    from psycopg.conninfo import make_conninfo

    from backout.databases.postgres import PostgresDatabase, PostgresOptions

    with database.server.admin() as admin:
        made = sql.SQL("CREATE DATABASE {} OWNER {}")
        admin.execute(made.format(sql.Identifier(name), sql.Identifier(database.role)))
    pair = Pair(make_conninfo(database.url, dbname=name), database.server.admin_url(), name, database.role)
    pair.beside, pair.kept = f"{name[:35]}_restored_20260101_000000", f"{name[:35]}_before_20260101_000000"
    adapter = PostgresDatabase.create(PostgresOptions(url=pair.url), make_site(tmp_path))
    try:
        pair.make()
        adapter.dump(tmp_path / "dump", jobs=2, note=quiet)
        adapter.swap(pair.order(), note=quiet)
        assert (pair.is_it(), pair.is_it(pair.kept)) == ("good", "bad")
        assert adapter.live(5).name == name
    finally:
        with database.server.admin() as admin:
            for each in (name, pair.beside, pair.kept):
                admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(each)))
