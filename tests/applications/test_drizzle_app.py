"""Three releases of an application on Drizzle and back, old and new code at once: what each wrote, the first one has."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.applications.drizzle_app import EXAMPLE, Checkout, Ledger, Releases
from tests.docs import console
from tests.services.reversible import servers
from tests.services.reversible.test_tools import ok
from tests.services.reversible.tools import environment

from backout.embedded.server import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def url(tmp_path: Path, require_service: Callable[[str], None]) -> Iterator[str]:
    require_service("postgres")
    require_service("node")
    with servers.server(15, tmp_path / "server") as made:
        yield made.postgres.url


@pytest.fixture
def app(url: str, tmp_path: Path) -> Iterator[Releases]:
    made = Releases(Checkout(tmp_path / "app"), url)
    yield made
    made.close()


def test_three_releases_and_back_with_old_and_new_code_running(app: Releases) -> None:
    checkout, url, ledger = app.checkout, app.url, Ledger()
    ok(checkout.migrate(url, 1))
    one = app.start(1)
    ann = ledger.customer(one, "ann@example.com", "Ann Lee")
    first = ledger.order(one, ann, 1250, note="ring twice")
    ledger.visit(one, "/")

    assert "can be taken back" in ok(checkout.migrate(url, 2))
    two = app.start(2)
    bob = ledger.customer(one, "bob@example.com", "Bob")
    cem = ledger.customer(two, "cem@example.com", "Cem", newsletter=True)
    ledger.renamed(two, ann, "Ann Smith")
    ledger.order(one, cem, 300, note="from release 1")
    second = ledger.order(two, bob, 700, reference="R-2")
    ledger.status(one, second, "paid")
    ledger.status(two, first, "paid")
    ledger.visit(one, "/prices")
    assert ledger.missing(one, "customers", "orders", "visits") == []
    assert ledger.missing(two, "customers", "orders") == []

    # Release 1 ends, as the third one takes away what only that needs.
    app.stop(1)
    assert "can be taken back" in ok(checkout.migrate(url, 3))
    three = app.start(3)
    dan = ledger.customer(three, "dan@example.com", "Dan", newsletter=True)
    eve = ledger.customer(two, "eve@example.com", "Eve")
    ledger.renamed(three, bob, "Robert")
    ledger.renamed(two, dan, "Daniel")
    ledger.order(two, dan, 5, reference="R-3")
    third = ledger.order(three, eve, 99, reference="R-4")
    ledger.status(three, third, "paid")
    ledger.status(two, third, "sent")
    ledger.status(three, first, "sent")
    assert ledger.missing(two, "customers", "orders") == []
    assert ledger.missing(three, "customers", "orders") == []

    # All the way back, with releases 2 and 3 still running.
    ok(checkout.backout(url, "db", "rollback", "--yes", "--to", "1"))
    one = app.start(1)
    assert ledger.missing(one, "customers", "orders", "visits") == []
    app.stop(2)
    app.stop(3)
    fay = ledger.customer(one, "fay@example.com", "Fay")
    last = ledger.order(one, fay, 1, note="while it was taken back")
    ledger.status(one, last, "paid")
    ledger.visit(one, "/back")
    assert ledger.missing(one, "customers", "orders", "visits") == []

    app.stop(1)
    ok(checkout.backout(url, "db", "redo", "--yes", "--steps", "2"))
    three = app.start(3)
    assert ledger.missing(three, "customers", "orders") == []
    ledger.order(three, fay, 2, reference="R-5")
    ok(checkout.backout(url, "db", "rollback", "--yes", "--to", "1"))
    one = app.start(1)
    assert ledger.missing(one, "customers", "orders", "visits") == []


def test_a_stranger_who_follows_the_readme_sees_what_it_says(url: str, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "app")
    ports = {shown: str(free_port()) for shown in ("3001", "3002", "3003")}
    where = console.Where(checkout.folder, console.environment(environment(url, {}), checkout.folder))
    try:
        for action in console.actions((EXAMPLE / "README.md").read_text()):
            assert isinstance(action, console.Command)
            line = action.line
            for shown, port in ports.items():
                line = line.replace(shown, port)
            code, printed = console.run(replace(action, line=line), where)
            assert code == action.exit_code, f"$ {line}\n" + "\n".join(printed)
            assert console.difference(action.shown, printed) == "", line
    finally:
        for file in checkout.folder.glob("*.pid"):
            with suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGTERM)
