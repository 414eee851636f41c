"""Rows of several tables that refer to each other come in one transaction, parents first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.services.both import Both
from tests.waiting import until

from backout.errors import CredentialsRefused, TargetUnreachable, UsageError

pytestmark = pytest.mark.slow
_WAITS = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'"
_END_READERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = %s AND application_name = 'backout' AND (wait_event_type = 'Lock' OR NOT %s)"""

_FAMILY = (
    "CREATE TABLE grandparent (id serial PRIMARY KEY, name text UNIQUE)",
    "CREATE TABLE parent (id int PRIMARY KEY, of int NOT NULL REFERENCES grandparent)",
    "CREATE TABLE child (id int PRIMARY KEY, of int NOT NULL REFERENCES parent)",
)


@pytest.mark.parametrize(
    "named", [("child", "parent", "grandparent"), ("public.parent", "child", "grandparent", "parent")]
)
def test_tables_come_parents_first_in_whatever_order_they_are_named(both: Both, named: tuple[str, ...]):
    both.run(*_FAMILY)
    both.kept.run(
        "INSERT INTO grandparent SELECT n, 'g' || n FROM generate_series(1, 600) n",
        "INSERT INTO parent SELECT n, n FROM generate_series(1, 600) n",
        "INSERT INTO child SELECT n, n FROM generate_series(1, 600) n",
    )
    both.live.run("INSERT INTO grandparent VALUES (9999, 'g7')")
    dry = both.bring_all(*named, dry_run=True)
    assert both.rows("SELECT count(*) FROM grandparent") == [(1,)]
    done = both.bring_all(*named)
    assert [table.model_copy(update={"dry_run": True}) for table in done] == list(dry)
    assert [told.table for told in done] == ["public.grandparent", "public.parent", "public.child"]
    assert [told.inserted for told in done] == [599, 599, 599]
    # What refers to a row that did not come is named too, each in its table.
    told = [[str(c).partition(" violates")[0] for c in table.conflicts] for table in done]
    assert told == [
        ["id=7: duplicate key value"],
        ['id=7: insert or update on table "parent"'],
        ['id=7: insert or update on table "child"'],
    ]
    assert both.rows("INSERT INTO grandparent (name) VALUES ('new') RETURNING id") == [(601,)]
    again = both.bring_all(*named)
    assert [(told.inserted, told.equal) for told in again] == [(0, 599)] * 3


def test_several_tables_are_one_transaction(both: Both):
    both.run(*_FAMILY)
    both.kept.run("INSERT INTO grandparent VALUES (1, 'g')", "INSERT INTO parent VALUES (1, 1)")
    both.live.run("REVOKE INSERT ON parent FROM CURRENT_USER")
    with pytest.raises(CredentialsRefused, match="permission denied for table parent"):
        both.bring_all("grandparent", "parent")
    assert both.rows("SELECT * FROM grandparent") == []


@pytest.mark.parametrize("side", ["kept", "live"])
def test_a_session_that_is_ended_midway_leaves_nothing(both: Both, side: str):
    both.run(*_FAMILY)
    both.kept.run(
        "INSERT INTO grandparent SELECT n, 'g' || n FROM generate_series(1, 1000) n",
        "INSERT INTO parent SELECT n, n FROM generate_series(1, 1000) n",
    )
    # It stops in the middle: the first table's rows are written, and the second table is somebody else's for now.
    holder = both.live.connect(autocommit=False)
    holder.execute("LOCK TABLE parent IN EXCLUSIVE MODE")
    with ThreadPoolExecutor() as pool:
        bringing = pool.submit(both.bring_all, "grandparent", "parent", lock_timeout_s=60)
        with both.live.server.admin() as admin:
            until(lambda: admin.execute(_WAITS, (both.live.name,)).fetchall())
            name = both.kept.name if side == "kept" else both.live.name
            ended = admin.execute(_END_READERS, (name, side == "live")).fetchall()
            assert ended
            holder.rollback()
        with pytest.raises(TargetUnreachable) as caught:
            bringing.result()
    told = caught.value
    assert "Bringing public.grandparent, public.parent stopped" in str(told.what)
    assert "Nothing was brought" in str(told.state) and "the same command again" in told.next_command
    assert both.rows("SELECT * FROM grandparent") == []


def test_a_table_that_somebody_locked_says_who_to_ask(both: Both):
    both.run("CREATE TABLE t (id int PRIMARY KEY)")
    both.kept.run("INSERT INTO t VALUES (1)")
    holder = both.live.connect(autocommit=False)
    holder.execute("LOCK TABLE t IN EXCLUSIVE MODE")
    with pytest.raises(
        TargetUnreachable, match=r"Bringing public\.t stopped: Somebody else holds a lock"
    ) as caught:
        both.bring("t")
    assert caught.value.next_command.startswith("backout db blockers ")


def test_a_condition_is_for_one_table_alone(both: Both):
    both.run(*_FAMILY)
    both.kept.run("INSERT INTO grandparent VALUES (1, 'g')")
    with pytest.raises(UsageError, match=r"one table; public\.parent, public\.child are several") as caught:
        both.bring_all("child", "parent", where="id = 1")
    assert caught.value.next_command.startswith("backout data bring public.parent --where 'id = 1' --dry-run")
    assert both.bring_all("grandparent", "public.grandparent", where="id = 1")[0].inserted == 1


_CIRCLE = (
    "CREATE TABLE department (id int PRIMARY KEY, boss int)",
    "CREATE TABLE person (id int PRIMARY KEY, works_in int NOT NULL REFERENCES department)",
    "ALTER TABLE department ADD CONSTRAINT has_boss FOREIGN KEY (boss) REFERENCES person",
    "INSERT INTO department VALUES (0, NULL)",
    "INSERT INTO person VALUES (0, 0)",
)


def test_tables_that_refer_to_each_other_come_where_their_rows_do_not(both: Both):
    both.run(*_CIRCLE)
    both.kept.run(
        "INSERT INTO person SELECT n, 0 FROM generate_series(1, 50) n",
        "INSERT INTO department SELECT n, n FROM generate_series(1, 50) n",
        "INSERT INTO person SELECT 100 + n, n FROM generate_series(1, 50) n",
    )
    done = both.bring_all("department", "person")
    assert {told.table: (told.inserted, told.conflicts) for told in done} == {
        "public.department": (50, ()),
        "public.person": (100, ()),
    }


@pytest.mark.parametrize("late", [True, False])
def test_rows_in_a_circle_come_together_where_that_can_be_checked_late(both: Both, late: bool):
    both.run(*_CIRCLE)
    both.kept.run(
        "ALTER TABLE department ALTER CONSTRAINT has_boss DEFERRABLE",
        "BEGIN; SET CONSTRAINTS has_boss DEFERRED; INSERT INTO department VALUES (1, 1);"
        " INSERT INTO person VALUES (1, 1), (2, 1); COMMIT",
    )
    if late:
        both.live.run("ALTER TABLE department ALTER CONSTRAINT has_boss DEFERRABLE")
    told = {table.table: table for table in both.bring_all("person", "department")}
    person, department = told["public.person"], told["public.department"]
    if late:
        assert (department.inserted, person.inserted) == (1, 2)
        assert not department.conflicts and not person.conflicts
    else:
        assert (department.inserted, person.inserted) == (0, 0)
        assert 'foreign key constraint "has_boss" (Key (boss)=(1)' in str(department.conflicts[0])
        assert [str(c).partition(":")[0] for c in person.conflicts] == ["id=1", "id=2"]
