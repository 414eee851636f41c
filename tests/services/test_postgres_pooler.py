"""Behind PgBouncer in transaction mode clients wait during a swap, or (pooler not named) lose their session."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.waiting import until

from backout.app.migrations import Migrations
from backout.errors import ConfigError

from .pairs import Pair, ended_by_kill, quiet

pytestmark = pytest.mark.slow
_SECRET = "pooler-s3cret"


@pytest.fixture
def pair(database: Any) -> Iterator[Pair]:
    made = Pair(database.url, database.server.admin_url(), database.name, database.role)
    made.make()
    yield made
    made.drop()


class Bouncer:
    def __init__(self, pair: Pair, port: int) -> None:
        self.pair, self.port = pair, port
        self.admin_url = f"postgresql://boss:{_SECRET}@127.0.0.1:{port}/pgbouncer"

    def is_it(self) -> str:
        with psycopg.connect(self.pair.url, port=self.port, dbname="front", autocommit=True) as connection:
            return str(connection.execute("SELECT is_it FROM which").fetchall()[0][0])


@pytest.fixture(params=["extra_float_digits"])
def bouncer(
    request: Any,
    pair: Pair,
    database: Any,
    free_port: Callable[[], int],
    require_service: Callable[[str], None],
) -> Iterator[Bouncer]:
    require_service("pgbouncer")
    home, port = Path(tempfile.mkdtemp(prefix="backout-pgbouncer-")), free_port()
    (home / "users").write_text(f'"{pair.role}" "s3cret-p@ss/word"\n"boss" "{_SECRET}"\n')
    (home / "ini").write_text(
        f"[databases]\nfront = host=127.0.0.1 port={database.server.port} dbname={pair.live}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
        f"auth_file = {home}/users\nadmin_users = boss\npool_mode = transaction\n"
        f"server_login_retry = 0\nignore_startup_parameters = {request.param}\n"
    )
    switch: dict[str, Any] = {}
    if os.getuid() == 0:
        entry = pwd.getpwnam("postgres")
        for path in (home, *home.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)
        switch = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([program, str(home / "ini")], stdout=log, stderr=log, cwd="/", **switch)
    made = Bouncer(pair, port)

    def answers() -> bool:
        assert process.poll() is None, (home / "log").read_text()
        try:
            return made.is_it() == "bad"
        except psycopg.OperationalError:
            return False

    try:
        until(answers, 20)
        yield made
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home)


def clients(bouncer: Bouncer, swap: Callable[[], object]) -> tuple[list[str], list[str]]:
    """Return what three busy clients saw, and what went wrong for them, while the body swaps."""
    stop, seen, wrong = threading.Event(), [], []

    def client() -> None:
        while not stop.is_set():
            try:
                seen.append(bouncer.is_it())
            except psycopg.Error as error:
                wrong.append(str(error))
            time.sleep(0.002)

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(seen) > 20)
        swap()
        count = len(seen)
        until(lambda: len(seen) > count + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return seen, wrong


def test_clients_of_a_pooler_that_is_named_wait_and_see_no_error(
    pair: Pair, bouncer: Bouncer, database: Any, tmp_path: Path
) -> None:
    adapter = database.adapter(tmp_path, pooler=bouncer.admin_url)
    seen, wrong = clients(bouncer, lambda: adapter.swap(pair.order(), note=quiet))
    assert wrong == []
    assert seen[-1] == "good" and "bad" not in seen[seen.index("good") :]


def test_without_its_name_clients_lose_their_session_and_reconnect(
    pair: Pair, bouncer: Bouncer, database: Any, tmp_path: Path
) -> None:
    adapter = database.adapter(tmp_path)
    seen, _ = clients(bouncer, lambda: adapter.swap(pair.order(), note=quiet))
    assert seen[-1] == "good" and "bad" not in seen[seen.index("good") :]


def test_a_transaction_that_never_ends_does_not_keep_the_pooler_from_pausing(
    pair: Pair, bouncer: Bouncer, database: Any, tmp_path: Path
) -> None:
    adapter = database.adapter(tmp_path, pooler=bouncer.admin_url)
    idle = psycopg.connect(pair.url, port=bouncer.port, dbname="front", autocommit=True)
    idle.execute("BEGIN")
    idle.execute("UPDATE which SET is_it = 'never committed'")
    assert adapter.swap(pair.order(), note=quiet) < 3
    idle.close()
    assert bouncer.is_it() == "good"


def test_a_kill_leaves_the_pooler_paused_until_the_swap_or_the_release(
    pair: Pair, bouncer: Bouncer, database: Any, tmp_path: Path
) -> None:
    adapter = database.adapter(tmp_path, pooler=bouncer.admin_url)
    order = pair.order()
    for point in ("swap.pause.after", "swap.close.after", "swap.commit.after"):
        child = pair.swap_in_child(tmp_path, order, fault=point, pooler=bouncer.admin_url)
        assert ended_by_kill(child)
        until(lambda: _nobody_swaps(pair))
        adapter.swap(order, note=quiet)
        assert bouncer.is_it() == "good"
        back = pair.order(
            beside=pair.kept, beside_oid=order.live_oid, live_oid=order.beside_oid, kept=pair.beside
        )
        adapter.swap(back, note=quiet)
    assert ended_by_kill(
        pair.swap_in_child(tmp_path, order, fault="swap.close.after", pooler=bouncer.admin_url)
    )
    until(lambda: _nobody_swaps(pair))
    adapter.hold_means().release(adapter.hold_means().observe(5).prior)
    assert bouncer.is_it() == "bad"


def _nobody_swaps(pair: Pair) -> bool:
    with pair.admin() as admin:
        return admin.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


@pytest.mark.parametrize("bouncer", ["extra_float_digits", "extra_float_digits,options"], indirect=True)
def test_backout_itself_does_not_go_through_a_pooler_and_says_so(pair: Pair, bouncer: Bouncer) -> None:
    url = make_conninfo(pair.url, port=bouncer.port, dbname="front")
    with pytest.raises(ConfigError, match="leads to a pooler") as refused:
        Migrations(url).history()
    typed = subprocess.run(
        refused.value.next_command, shell=True, env={**os.environ, "DATABASE_URL": url}, capture_output=True
    )
    with pair.admin() as server:
        assert typed.stdout.decode().strip() == f"127.0.0.1|{server.info.port}", typed.stderr
    with pytest.raises(ConfigError, match="leads to a pooler"):
        Migrations(url).migrate(["true"])
