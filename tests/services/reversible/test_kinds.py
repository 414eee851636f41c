"""Each kind alone: up is what the plain statement makes, down is what was there, and every row written is kept, twice."""

from __future__ import annotations

import pytest

from .conftest import Database
from .engine import migrate, redo, run, undo
from .kinds import KINDS
from .servers import VERSIONS, by_turns
from .states import schema_of, seen

pytestmark = pytest.mark.slow


_ALL = {kind.name: kind for kind in KINDS}


# Each on the server that `test_kinds_busy` and `test_place` do not ask about it.
@pytest.mark.parametrize(("server", "name"), by_turns(_ALL, first=VERSIONS[-1]), indirect=["server"])
def test_there_and_back_and_there_again(name: str, database: Database, second: Database) -> None:
    kind, link = _ALL[name], database.link()
    run(link, kind.before)
    run(second.link(), kind.before)
    run(second.link(), kind.up)
    before, after = schema_of(database.url), schema_of(second.url)

    number = migrate(link, kind.up)
    assert schema_of(database.url) == after
    run(link, kind.new)

    undo(link, number)
    assert (schema_of(database.url) == before) is not kind.residue
    assert seen(link, kind.look) == kind.back
    run(link, kind.old)

    redo(link, number)
    assert schema_of(database.url) == after
    assert seen(link, kind.ahead) == kind.forth

    undo(link, number)
    assert (schema_of(database.url) == before) is not kind.residue
    redo(link, number)
    assert schema_of(database.url) == after
    assert seen(link, kind.ahead) == kind.forth
