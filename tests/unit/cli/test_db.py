"""The verbs of a database that nobody can reach, or name: no configuration of backout is spoken of."""

from __future__ import annotations

import pytest

from backout.app.migrations import Migrations
from backout.errors import BackoutError


@pytest.mark.parametrize(
    ("url", "then"),
    [
        ("postgresql://u:s3cret@127.0.0.1:1/app", "psql"),
        ("no such thing", "backout db status --database postgresql://"),
    ],
)
def test_the_next_command_needs_no_configuration(url: str, then: str) -> None:
    migrations = Migrations(url, {})
    for ask in (migrations.history, migrations.rollback, migrations.redo, migrations.finish):
        with pytest.raises(BackoutError) as refused:
            ask()
        assert refused.value.next_command.startswith(then)
        assert refused.value.exit_code in (2, 3)
        assert "s3cret" not in f"{refused.value.what} {refused.value.state} {refused.value.next_command}"
