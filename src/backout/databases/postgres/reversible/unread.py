"""Whether a transaction ran what can do more than its text says: code that is somewhere else, or made on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from backout.databases.postgres.reversible import manners
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.parse import Statement, called
from backout.databases.postgres.reversible.rows.closure import sources


@dataclass(slots=True)
class Unread:
    """What a transaction ran that tells not all that it does.

    Attributes:
        called: Names of the functions that its queries called.
        other: It ran something of which not even that can be told.
    """

    called: set[str] = field(default_factory=set)
    other: bool = False

    def ran(self, statement: Statement) -> None:
        """Note what a statement called. PostgreSQL's own functions do nothing to a table besides."""
        if statement.kind == "select_stmt":
            self.called |= called(statement.node)
        elif manners.is_opaque(statement):
            self.other = True

    def anything(self, link: Link) -> bool:
        """Tell whether there is anything of that kind."""
        return self.other or bool(sources(link, self.called))
