"""A switch away from a database: it is closed for writes first, kept afterwards, and at most one takes writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backout.backup import BesideState, SwapOrder
from backout.errors import LostRace, NotPossible, Refused, StepFailed
from backout.observed import Answer

from .pairs import Pair, quiet

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(database: Any) -> Iterator[Pair]:
    made = Pair(database.url, database.server.admin_url(), database.name, database.role)
    made.make()
    yield made
    made.drop()


class Service:
    """The service's address: which database it names."""

    def __init__(self, name: str) -> None:
        self.uses = name

    def used(self) -> str:
        return self.uses


@pytest.fixture
def service(pair: Pair) -> Service:
    return Service(pair.live)


@pytest.fixture
def adapter(database: Any, tmp_path: Path, service: Service) -> Any:
    made = database.adapter(tmp_path)
    made.follow(service.used)
    return made


def order_of(pair: Pair, **more: Any) -> SwapOrder:
    return pair.order(kept=pair.live, beside_oid=None, **more)


def back_of(pair: Pair) -> SwapOrder:
    return SwapOrder(
        live=pair.beside, live_oid=None, beside=pair.live, beside_oid=pair.oid(pair.live), kept=pair.beside
    )


def switch(adapter: Any, service: Service, order: SwapOrder, *, held: bool = False) -> None:
    adapter.begin_switch(order, held=held, note=quiet)
    service.uses = order.beside
    adapter.end_switch(order, held=held)


def takes_writes(pair: Pair, name: str) -> bool:
    with pair.connect(name) as connection:
        return connection.execute("SHOW transaction_read_only").fetchone() == ("off",)


def blocked(adapter: Any, order: SwapOrder) -> str:
    return "; ".join(map(str, adapter.switch_blockers(order)))


def test_the_other_one_is_used_and_the_old_one_is_kept_read_only(
    pair: Pair, adapter: Any, service: Service
) -> None:
    order = order_of(pair)
    assert adapter.switch_blockers(order) == () and adapter.in_the_way_of_a_switch() == ((), ())
    with pair.connect() as client:
        client.execute("INSERT INTO which VALUES (10, 'since the backup')")
        adapter.begin_switch(order, held=False, note=quiet)
        with pytest.raises(psycopg.OperationalError):
            client.execute("INSERT INTO which VALUES (11, 'too late')")
    assert not adapter.switch_ended(order)
    assert [takes_writes(pair, n) for n in (pair.live, pair.beside)] == [False, True]
    service.uses = pair.beside
    adapter.end_switch(order, held=False)
    assert adapter.switch_ended(order)
    adapter.end_switch(order, held=False)
    assert [takes_writes(pair, n) for n in (pair.live, pair.beside)] == [False, True]
    assert adapter.live(5).name == pair.beside
    (found,) = adapter.beside(5)
    assert (found.name, found.state, found.oid) == (pair.live, BesideState.KEPT, order.live_oid)
    with pair.connect(pair.beside) as used:
        used.execute("INSERT INTO which (id, is_it) VALUES (99, 'after')")
    (told,) = adapter.differences(pair.live, tables=(), examples=1, note=quiet)
    assert (told.inserted, told.updated, told.after_swap) == (1, 1, 1)


def test_the_same_switch_with_the_names_exchanged_goes_back(
    pair: Pair, adapter: Any, service: Service
) -> None:
    with pair.connect() as live:
        live.execute(sql.SQL("COMMENT ON DATABASE {} IS 'ours'").format(sql.Identifier(pair.live)))
        live.execute(sql.SQL("ALTER DATABASE {} SET work_mem = '5MB'").format(sql.Identifier(pair.live)))
    switch(adapter, service, order_of(pair))
    assert pair.comment(pair.beside) == "ours"
    with pair.connect(pair.beside) as used:
        assert used.execute("SHOW work_mem").fetchone() == ("5MB",)
    back = back_of(pair)
    assert adapter.switch_blockers(back) == ()
    switch(adapter, service, back)
    assert adapter.switch_ended(back) and not adapter.switch_ended(order_of(pair))
    assert pair.comment(pair.live) == "ours"
    assert [takes_writes(pair, n) for n in (pair.live, pair.beside)] == [True, False]
    assert [(d.name, d.state) for d in adapter.beside(5)] == [(pair.beside, BesideState.KEPT)]


def test_no_number_that_was_given_out_is_given_out_again(pair: Pair, adapter: Any, service: Service) -> None:
    with pair.connect() as live:
        for _ in range(5):
            live.execute("INSERT INTO which (is_it) VALUES ('x')")
    switch(adapter, service, order_of(pair))
    with pair.connect(pair.beside) as used:
        row = used.execute("INSERT INTO which (is_it) VALUES ('y') RETURNING id").fetchone()
    assert row == (7,)


@pytest.mark.parametrize("already_kept", [False, True])
def test_what_was_begun_and_not_made_is_undone(
    pair: Pair, adapter: Any, service: Service, already_kept: bool
) -> None:
    order = order_of(pair)
    if already_kept:
        switch(adapter, service, order)
        order = back_of(pair)
    adapter.begin_switch(order, held=False, note=quiet)
    adapter.undo_switch(order, held=False)
    adapter.undo_switch(order, held=False)
    assert takes_writes(pair, order.live)
    assert takes_writes(pair, order.beside) is not already_kept
    (found,) = adapter.beside(5)
    assert found.state is (BesideState.KEPT if already_kept else BesideState.RESTORED)
    switch(adapter, service, order)
    assert [takes_writes(pair, n) for n in (order.live, order.beside)] == [False, True]


def test_ending_the_switch_back_of_one_that_had_only_begun_opens_the_old_one(
    pair: Pair, adapter: Any
) -> None:
    adapter.begin_switch(order_of(pair), held=False, note=quiet)
    back = back_of(pair)
    assert not adapter.switch_ended(back)
    adapter.end_switch(back, held=False)
    assert adapter.switch_ended(back) and takes_writes(pair, pair.live)
    assert adapter.beside(5)[0].state is BesideState.RESTORED


def test_what_was_made_and_not_marked_can_be_switched_back(
    pair: Pair, adapter: Any, service: Service
) -> None:
    adapter.begin_switch(order_of(pair), held=False, note=quiet)
    service.uses = pair.beside
    back = back_of(pair)
    assert adapter.switch_blockers(back) == ()
    switch(adapter, service, back)
    assert adapter.switch_ended(back)
    assert [takes_writes(pair, n) for n in (pair.live, pair.beside)] == [True, False]
    assert [(d.name, d.state) for d in adapter.beside(5)] == [(pair.beside, BesideState.KEPT)]


def test_a_hold_of_the_run_itself_is_left_to_it(pair: Pair, adapter: Any) -> None:
    means = adapter.hold_means()
    prior = means.observe(5).prior
    means.hold("refuse_writes")
    order = order_of(pair)
    adapter.begin_switch(order, held=True, note=quiet)
    adapter.undo_switch(order, held=True)
    assert means.observe(5).held is Answer.YES
    means.release(prior)
    assert takes_writes(pair, pair.live)


def test_connect_that_a_hold_took_away_is_there_in_the_database_that_is_used_then(
    pair: Pair, adapter: Any, service: Service, make_role: Any
) -> None:
    other, means = make_role("app"), adapter.hold_means()
    url = pair.url.replace(pair.role, other)
    means.hold("refuse_connections")
    switch(adapter, service, order_of(pair))
    psycopg.connect(url, dbname=pair.beside).close()
    with pytest.raises(psycopg.OperationalError, match="does not have CONNECT"):
        psycopg.connect(url, dbname=pair.live)
    assert pair.comment(pair.beside) is None
    switch(adapter, service, back_of(pair))
    psycopg.connect(url, dbname=pair.live).close()
    assert pair.comment(pair.live) is None and takes_writes(pair, pair.live)


def test_a_hold_shows_and_can_be_let_go_while_a_switch_is_cut_short(pair: Pair, adapter: Any) -> None:
    adapter.begin_switch(order_of(pair), held=False, note=quiet)
    means = adapter.hold_means()
    fact = means.observe(5)
    assert (fact.held, fact.mode) == (Answer.YES, "closed")
    assert adapter.beside(5)[0].stops_writes == pair.live
    means.release(fact.prior)
    assert takes_writes(pair, pair.live)
    assert adapter.beside(5)[0].stops_writes is None
    with pytest.raises(Refused, match="cut short"):
        adapter.drop_beside(pair.beside)


def test_whoever_stays_in_the_old_database_is_named(pair: Pair, adapter: Any, service: Service) -> None:
    switch(adapter, service, order_of(pair))
    assert adapter.left_behind(5) == ()
    with pair.connect(pair.live, application_name="puma 7") as stale:
        stale.execute("SELECT 1")
        (found,) = adapter.left_behind(5)
        assert "puma 7" in found
    with pair.connect(pair.live, application_name="backout"):
        assert adapter.left_behind(5) == (), "whoever looks by backout is no client"


def test_every_other_database_beside_belongs_to_the_one_in_use_and_can_be_dropped(
    pair: Pair, adapter: Any, service: Service
) -> None:
    switch(adapter, service, order_of(pair))
    switch(adapter, service, back_of(pair))
    switch(adapter, service, order_of(pair))
    with pytest.raises(Refused, match="is the live database"):
        adapter.drop_beside(pair.beside)
    adapter.drop_beside(pair.live)
    assert adapter.beside(5) == () and pair.oid(pair.live) is None
    with pair.admin() as admin:  # the fixture drops what it made
        make = sql.SQL("CREATE DATABASE {} OWNER {}")
        admin.execute(make.format(sql.Identifier(pair.live), sql.Identifier(pair.role)))


# --- what is in the way -------------------------------------------------------------------------


def test_a_database_of_another_owner_is_refused_before_anything_is_changed(pair: Pair, adapter: Any) -> None:
    owned = sql.SQL("ALTER DATABASE {} OWNER TO {}")
    with pair.admin() as admin:
        admin.execute(owned.format(sql.Identifier(pair.live), sql.Identifier("postgres")))
    order = order_of(pair)
    told = "; ".join(map(str, adapter.in_the_way_of_a_switch().blockers))
    for text in (told, blocked(adapter, order)):
        assert f"may not make {pair.live} read-only, nor mark it: postgres owns it; GRANT postgres TO" in text
    with pytest.raises(NotPossible, match="postgres owns it"):
        adapter.begin_switch(order, held=False, note=quiet)
    assert takes_writes(pair, pair.live) and adapter.beside(5)[0].state is BesideState.RESTORED
    with pair.admin() as admin:
        admin.execute(owned.format(sql.Identifier(pair.live), sql.Identifier(pair.role)))


def test_a_superusers_session_does_not_stand_in_the_way_and_a_role_that_may_write_does(
    pair: Pair, adapter: Any, make_role: Any
) -> None:
    order = order_of(pair)
    with pair.admin(pair.live):
        assert adapter.switch_blockers(order) == (), "a provider's own agent is always there"
    other = make_role("batch")
    with pair.connect() as live:
        live.execute(sql.SQL("GRANT ALL ON which TO {}").format(sql.Identifier(other)))
    with pair.connect(user=other, password="s3cret-p@ss/word"):
        assert "cannot be ended by this role: pid" in blocked(adapter, order)
        with pytest.raises(NotPossible, match="cannot be ended"):
            adapter.begin_switch(order, held=False, note=quiet)
    assert takes_writes(pair, pair.live)
    with pair.connect() as live:
        live.execute(sql.SQL("REVOKE ALL ON which FROM {}").format(sql.Identifier(other)))


def test_a_role_with_a_setting_of_its_own_is_named(pair: Pair, adapter: Any) -> None:
    setting = sql.SQL("ALTER ROLE {} SET default_transaction_read_only = off")
    with pair.admin() as admin:
        admin.execute(setting.format(sql.Identifier(pair.role)))
    assert "has a setting of its own that lets it write" in blocked(adapter, order_of(pair))
    with pair.admin() as admin:
        admin.execute(
            sql.SQL("ALTER ROLE {} RESET default_transaction_read_only").format(sql.Identifier(pair.role))
        )


def test_prepared_transactions_and_slots_stand_in_the_way(pair: Pair, adapter: Any) -> None:
    order = order_of(pair)
    with pair.connect() as live:
        live.execute("BEGIN; INSERT INTO which VALUES (50, 'prepared'); PREPARE TRANSACTION 'p1'")
        assert "Prepared transaction p1" in blocked(adapter, order)
        live.execute("ROLLBACK PREPARED 'p1'")
    with pair.admin(pair.live) as admin:
        admin.execute("SELECT pg_create_logical_replication_slot('cdc_sw', 'pgoutput')")
        assert "Logical slot cdc_sw" in blocked(adapter, order)
        assert adapter.in_the_way_of_a_switch().slots == ("cdc_sw",)
        assert adapter.switch_blockers(order.model_copy(update={"accept_slots": ("cdc_sw",)})) == ()
        admin.execute("SELECT pg_drop_replication_slot('cdc_sw')")


def test_other_databases_of_those_names_are_refused(pair: Pair, adapter: Any) -> None:
    wrong = order_of(pair, live_oid=1)
    for act in (adapter.switch_ended, lambda o: adapter.begin_switch(o, held=False, note=quiet)):
        with pytest.raises(LostRace):
            act(wrong)


def test_while_nobody_can_tell_which_is_used_nothing_is_read(database: Any, tmp_path: Path) -> None:
    def unknown() -> str:
        raise StepFailed("not known", state="nothing", next_command="doctor")  # type: ignore[arg-type]

    made = database.adapter(tmp_path)
    made.follow(unknown)
    with pytest.raises(StepFailed):
        made.live(5)
    with pytest.raises(StepFailed):
        made.schema(5)
