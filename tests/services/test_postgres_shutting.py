"""Who sets the read-only default off itself is stopped by taking CONNECT away; it comes back exactly as it was."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from backout.databases.postgres.marks import SETTING
from backout.errors import ExitCode, NotPossible, StepFailed
from backout.observed import REFUSE_CONNECTIONS, REFUSE_WRITES, Answer
from backout.plan.base import PASSING
from backout.plan.model import StepSpec
from backout.steps.no_writes import NoWrites
from backout.testing.holds import check_hold
from backout.testing.steps import acting_on, wait_until

from .holding import act

pytestmark = pytest.mark.slow
OVERRIDE = f"-c {SETTING}=off"
WRITES = r"(\d+ rows were written|Have written and not committed)"
"""What commits is counted up to a second later; until then it is told as not committed."""


class Service:
    """A database, the application's role (which owns nothing), and a person's that may only look."""

    def __init__(self, database: Any, app: str, reader: str) -> None:
        self.database, self.app, self.reader = database, app, reader

    def run(self, statement: str) -> None:
        with self.database.admin() as admin:
            admin.execute(f"SET {SETTING} = off")  # it may be held
            admin.execute(self.quoted(statement))

    def quoted(self, statement: str) -> sql.Composed:
        names = {
            "db": self.database.name,
            "owner": self.database.role,
            "app": self.app,
            "reader": self.reader,
        }
        return sql.SQL(statement).format(**{k: sql.Identifier(v) for k, v in names.items()})

    def url(self, role: str) -> str:
        return str(self.database.url).replace(self.database.role, role)

    def one(self, query: str) -> Any:
        with self.database.server.admin() as admin:
            row = admin.execute(query, {"db": self.database.name}).fetchone()
        assert row is not None
        return row[0]

    def datacl(self) -> str | None:
        found = self.one("SELECT datacl::text FROM pg_database WHERE datname = %(db)s")
        return None if found is None else str(found)

    def rights(self) -> str:
        return str(
            self.one(
                "SELECT coalesce(datacl, acldefault('d', datdba))::text FROM pg_database WHERE datname = %(db)s"
            )
        )

    def comment(self) -> Any:
        return self.one(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %(db)s"
        )

    @contextmanager
    def writing(self, url: str, options: str = OVERRIDE) -> Iterator[list[float]]:
        """Let an application write, and reconnect whenever it is thrown out."""
        stop, written = threading.Event(), list[float]()

        def go_on() -> None:
            while not stop.is_set():
                with (
                    suppress(psycopg.Error),
                    psycopg.connect(url, autocommit=True, options=options) as client,
                ):
                    while not stop.is_set():
                        client.execute("INSERT INTO reports (body) VALUES ('x')")
                        written.append(time.monotonic())
                        stop.wait(0.01)
                stop.wait(0.01)

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            wait_until(lambda: len(written) > 5)
            yield written
        finally:
            stop.set()
            thread.join()


def writes_again(written: list[float]) -> None:
    count = len(written)
    wait_until(lambda: len(written) > count + 5)


@pytest.fixture
def service(database: Any, make_role: Any) -> Service:
    database.run("CREATE TABLE reports (id serial PRIMARY KEY, body text)")
    made = Service(database, make_role("app"), make_role("reader"))
    # Backout ends the application's sessions, and gives back what the application granted.
    made.run("GRANT {app}, {reader} TO {owner}")
    made.run("GRANT INSERT ON reports TO {app}")
    made.run("GRANT USAGE ON SEQUENCE reports_id_seq TO {app}")
    return made


@pytest.fixture(autouse=True)
def nobodys_rights_stay(service: Service) -> Iterator[None]:
    yield
    service.run(f"ALTER ROLE {{app}} RESET {SETTING}")
    service.run("REASSIGN OWNED BY {app}, {reader} TO {owner}")
    service.run("DROP OWNED BY {app}, {reader} CASCADE")


def prove(adapter: Any, means: Any) -> Any:
    notes: list[str] = []
    acting = acting_on({"database": adapter, "hold:database": means})
    acting = replace(acting, deadline_s=acting.clock.monotonic_s() + 2, note=lambda m: notes.append(str(m)))
    spec = StepSpec(kind="hold.proof", target="database", params={"window_s": 1.5}, timeout_s=15)
    return NoWrites().apply(spec, acting), notes


DEFAULT: list[str] = []
GRANTED = [
    "REVOKE CONNECT ON DATABASE {db} FROM PUBLIC",
    "GRANT CONNECT ON DATABASE {db} TO {app}",
    "GRANT CREATE, TEMPORARY ON DATABASE {db} TO {reader}",
    "COMMENT ON DATABASE {db} IS 'the one that ''counts'''",
]
OPTION = [
    "GRANT CONNECT ON DATABASE {db} TO {app} WITH GRANT OPTION",
    "GRANT CREATE ON DATABASE {db} TO {reader}",
    "SET ROLE {app}; GRANT CONNECT ON DATABASE {db} TO {reader}; RESET ROLE",
]
RIGHTS = pytest.mark.parametrize("rights", [DEFAULT, GRANTED, OPTION], ids=["default", "granted", "option"])


@RIGHTS
def test_an_application_that_overrides_the_default_is_stopped_and_everything_comes_back(
    service: Service, tmp_path: Path, rights: list[str]
) -> None:
    for statement in rights:
        service.run(statement)
    adapter = service.database.adapter(tmp_path)
    means = adapter.hold_means()
    before, effective, comment, free = service.datacl(), service.rights(), service.comment(), means.observe(5)
    assert (before is None) == (rights is DEFAULT)
    with service.writing(service.url(service.app)) as written:
        means.hold(REFUSE_WRITES)
        assert service.datacl() == before, "not before a write arrives"
        writes_again(written)
        receipt, notes = prove(adapter, means)
        assert re.search(WRITES, notes[0]) and "CONNECT" in notes[0]
        assert "No row was written" in str(receipt.what)
        assert "superusers (postgres) pass, and backout's own role" in receipt.data[PASSING]
        assert service.app not in receipt.data[PASSING]
        for role in (service.app, service.reader):
            with pytest.raises(psycopg.OperationalError, match="does not have CONNECT"):
                psycopg.connect(service.url(role))
        held = means.observe(5)
        assert (held.held, held.mode) == (Answer.YES, REFUSE_CONNECTIONS)
        assert "release-hold gives it back" in service.comment()

        means.release(free.prior)
        assert service.rights() == effective and service.comment() == comment
        if before is not None:
            assert service.datacl() == before, "to the byte"
        assert means.observe(5) == free
        writes_again(written)


@pytest.mark.parametrize("how", ["session", "role"])
def test_however_it_is_overridden(service: Service, tmp_path: Path, how: str) -> None:
    adapter = service.database.adapter(tmp_path)
    means = adapter.hold_means()
    if how == "role":
        # It is known that this role goes on writing: nobody has to wait until it did.
        service.run(f"ALTER ROLE {{app}} SET {SETTING} = off")
        means.hold(REFUSE_WRITES)
    else:
        means.hold(REFUSE_WRITES)
        with psycopg.connect(service.url(service.app), autocommit=True) as client:
            client.execute(f"SET {SETTING} = off")
            client.execute("INSERT INTO reports (body) VALUES ('x')")
            client.execute("BEGIN")
            client.execute("INSERT INTO reports (body) VALUES ('x')")
            _, notes = prove(adapter, means)
            assert "written and not committed" in notes[0]
            with pytest.raises(psycopg.OperationalError):
                client.execute("COMMIT")
    assert means.observe(5).mode == REFUSE_CONNECTIONS
    with pytest.raises(psycopg.OperationalError, match="does not have CONNECT"):
        psycopg.connect(service.url(service.app))
    means.release({SETTING: None})
    assert means.observe(5).held is Answer.NO


@RIGHTS
def test_the_contract(service: Service, tmp_path: Path, rights: list[str]) -> None:
    for statement in rights:
        service.run(statement)
    means = service.database.adapter(tmp_path).hold_means()
    check_hold(means, REFUSE_CONNECTIONS, snapshot=lambda: (service.rights(), service.comment()))


def test_the_application_may_own_the_database_where_backout_has_a_role_of_its_own(
    service: Service, make_role: Any, tmp_path: Path
) -> None:
    own = make_role("backout")
    service.run(f"GRANT {{owner}} TO {own}")
    adapter = replace(service.database, role=own).adapter(tmp_path)
    means, before = adapter.hold_means(), service.rights()
    with service.writing(service.database.url) as written:
        means.hold(REFUSE_WRITES)
        receipt, _ = prove(adapter, means)
        assert f"the owner {service.database.role} can give itself CONNECT again" in receipt.data[PASSING]
        means.release({SETTING: None})
        writes_again(written)
    assert service.rights() == before


# --- who passes ---------------------------------------------------------------------------------


def test_a_superuser_is_named_and_nothing_is_proven(service: Service, tmp_path: Path) -> None:
    adapter = service.database.adapter(tmp_path)
    means = adapter.hold_means()
    url = service.database.server.admin_url(service.database.name)
    with service.writing(url, f"{OVERRIDE} -c application_name=biller") as written:
        means.hold(REFUSE_WRITES)
        with pytest.raises(StepFailed, match=f"Writes still arrive: {WRITES}") as caught:
            prove(adapter, means)
        assert caught.value.exit_code is ExitCode.STOPPED
        assert "superusers (postgres) pass" in str(caught.value.state)
        assert "superuser postgres application 'biller'" in str(caught.value.state)
        assert "pg_stat_activity" in caught.value.next_command
        means.release({SETTING: None})
        writes_again(written)


def test_an_application_that_uses_backouts_own_role_is_named_with_the_remedy(
    service: Service, tmp_path: Path
) -> None:
    adapter = service.database.adapter(tmp_path)
    means, own = adapter.hold_means(), service.database.role
    with service.writing(service.database.url):
        means.hold(REFUSE_WRITES)
        with pytest.raises(StepFailed) as caught:
            prove(adapter, means)
    assert f"role {own} application" in str(caught.value.state)
    assert f"CREATE ROLE backout LOGIN IN ROLE {own}" in caught.value.next_command.replace('"', "")
    means.release({SETTING: None})


def test_where_it_would_stop_nobody_nothing_is_taken(service: Service, tmp_path: Path) -> None:
    service.run("REVOKE CONNECT ON DATABASE {db} FROM PUBLIC")
    adapter = service.database.adapter(tmp_path)
    means, before = adapter.hold_means(), service.datacl()
    with service.writing(service.database.url):
        means.hold(REFUSE_WRITES)
        with pytest.raises(StepFailed, match="Taking CONNECT away would stop nobody: superusers") as caught:
            prove(adapter, means)
    assert "The rights on" in str(caught.value.state) and "CREATE ROLE backout" in caught.value.next_command
    assert (service.datacl(), means.observe(5).mode) == (before, REFUSE_WRITES)
    means.release({SETTING: None})


def test_what_could_not_be_given_back_is_not_taken(service: Service, tmp_path: Path) -> None:
    for statement in OPTION:
        service.run(statement)
    service.run("REVOKE {app} FROM {owner}")
    means, before = service.database.adapter(tmp_path).hold_means(), service.datacl()
    with pytest.raises(NotPossible, match=f"cannot give back what {service.app} granted") as caught:
        means.hold(REFUSE_CONNECTIONS)
    assert f'GRANT "{service.app}" TO' in caught.value.next_command
    assert (service.datacl(), means.observe(5).held) == (before, Answer.NO)


# --- somebody else changes the rights -----------------------------------------------------------


def test_rights_that_were_changed_meanwhile_are_told_and_not_overwritten(
    service: Service, tmp_path: Path
) -> None:
    for statement in OPTION:
        service.run(statement)
    means, before = service.database.adapter(tmp_path).hold_means(), service.rights()
    means.hold(REFUSE_CONNECTIONS)
    service.run("GRANT CONNECT ON DATABASE {db} TO {reader}")
    changed = service.datacl()
    with pytest.raises(StepFailed, match="Somebody changed the rights on") as caught:
        means.release({SETTING: None})
    assert "Nothing was overwritten" in str(caught.value.state) and "PUBLIC" in str(caught.value.state)
    assert service.datacl() == changed
    assert means.observe(5).mode == REFUSE_CONNECTIONS, "it is still held"

    env = {**os.environ, "DATABASE_URL": service.database.url}
    subprocess.run(["/bin/sh", "-ec", caught.value.next_command], env=env, check=True, capture_output=True)
    means.release({SETTING: None})
    assert means.observe(5).held is Answer.NO and service.comment() is None
    # What was there before is there again, and what somebody gave meanwhile, too.
    assert f"{service.reader}=Cc/{service.database.role}" in service.rights()
    service.run("REVOKE CONNECT ON DATABASE {db} FROM {reader}")
    assert sorted(service.rights().strip("{}").split(",")) == sorted(before.strip("{}").split(","))


def test_a_comment_that_was_damaged_meanwhile_is_told_and_the_rights_stay_as_they_are(
    service: Service, tmp_path: Path
) -> None:
    means = service.database.adapter(tmp_path).hold_means()
    means.hold(REFUSE_CONNECTIONS)
    kept, during = service.comment(), service.datacl()
    with service.database.server.admin() as admin:
        names = (sql.Identifier(service.database.name), sql.Literal(kept[:-9]))
        admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(*names))
    for asked in (lambda: means.observe(5), lambda: means.release({SETTING: None})):
        with pytest.raises(NotPossible, match="does not tell any more what was before"):
            asked()
    assert service.datacl() == during
    with service.database.server.admin() as admin:
        admin.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                sql.Identifier(service.database.name), sql.Literal(kept)
            )
        )
    means.release({SETTING: None})
    assert means.observe(5).held is Answer.NO


def test_a_role_that_was_dropped_meanwhile_keeps_nobody_held(
    service: Service, make_role: Any, tmp_path: Path
) -> None:
    with service.database.server.admin() as admin:
        admin.execute("CREATE ROLE leaver LOGIN")
    service.run("GRANT CONNECT ON DATABASE {db} TO leaver")
    means = service.database.adapter(tmp_path).hold_means()
    means.hold(REFUSE_CONNECTIONS)
    service.run("DROP ROLE leaver")
    means.release({SETTING: None})
    assert "leaver" not in service.rights() and "=Tc/" in service.rights()


# --- kill -9 ------------------------------------------------------------------------------------

FAULTS = [
    "database.hold.set.before",
    "database.hold.set.after",
    "database.shut.before",
    "database.shut.commit.before",
    "database.shut.after",
    "database.hold.end_sessions.before",
    "database.hold.end_sessions.after",
    "database.hold.mark.after",
    "database.let_in.before",
    "database.let_in.commit.before",
    "database.let_in.after",
    "database.release.set.before",
    "database.release.set.after",
    "database.release.end_sessions.before",
    "database.release.end_sessions.after",
    "database.release.mark.after",
]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("then", ["hold", "release"])
def test_killed_anywhere_either_direction_finishes(
    service: Service, tmp_path: Path, fault: str, then: str
) -> None:
    for statement in OPTION:
        service.run(statement)
    what = "release" if "release" in fault or "let_in" in fault else REFUSE_CONNECTIONS
    means, before = service.database.adapter(tmp_path).hold_means(), service.datacl()
    if what == "release":
        means.hold(REFUSE_CONNECTIONS)
    with service.writing(service.url(service.app)) if what != "release" else nullcontext():
        assert act(service.database, what, BACKOUT_FAULT=fault) == -signal.SIGKILL
        fact = means.observe(5)
        if then == "hold":
            if fact.mode != REFUSE_CONNECTIONS:
                means.hold(REFUSE_CONNECTIONS)
            assert means.observe(5).mode == REFUSE_CONNECTIONS
            left = "SELECT count(*) FROM pg_stat_activity WHERE datname = %(db)s AND NOT usename = 'postgres'"
            assert service.one(left) == 0, "who came in before is gone"
            means.release({SETTING: None})
        elif fact.held is not Answer.NO:
            means.release(fact.prior)
    assert (service.datacl(), service.comment()) == (before, None)
    assert means.observe(5).held is Answer.NO


def test_every_fault_point_is_tried_above(service: Service, tmp_path: Path) -> None:
    log = tmp_path / "faults"
    for what in (REFUSE_CONNECTIONS, "release"):
        assert act(service.database, what, BACKOUT_FAULT_LOG=str(log)) == 0
    assert [line.partition(":")[0] for line in log.read_text().splitlines()] == FAULTS


# --- by hand ------------------------------------------------------------------------------------


def test_what_is_printed_can_be_typed(service: Service, tmp_path: Path) -> None:
    for statement in (*OPTION, GRANTED[-1]):
        service.run(statement)
    means, env = (
        service.database.adapter(tmp_path).hold_means(),
        {**os.environ, "DATABASE_URL": service.database.url},
    )

    def type_in(commands: tuple[str, ...]) -> None:
        for command in commands:
            assert "s3cret" not in command
            subprocess.run(["/bin/sh", "-ec", command], env=env, check=True, capture_output=True)

    def connects() -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(service.url(service.app)):
            return True
        return False

    before, comment, free = service.rights(), service.comment(), means.observe(5)
    means.hold(REFUSE_CONNECTIONS)
    assert not connects()
    type_in(means.by_hand(None, means.observe(5).prior))
    assert means.observe(5) == free and connects() and service.comment() == comment
    assert sorted(service.rights().strip("{}").split(",")) == sorted(before.strip("{}").split(","))
    service.run("SET ROLE {app}; REVOKE CONNECT ON DATABASE {db} FROM {reader}; RESET ROLE")
    type_in(means.by_hand(REFUSE_CONNECTIONS, free.prior))
    assert means.observe(5).held is Answer.YES and not connects()
