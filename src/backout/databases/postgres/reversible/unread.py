"""Whether a transaction ran what can do more than its text says: code that is somewhere else, or made on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from backout.databases.postgres.reversible import manners
from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.parse import Statement, called
from backout.databases.postgres.reversible.rows.closure import OF_USERS, sources

_RUN_UNNAMED = f"""
SELECT DISTINCT p.proname AS name FROM pg_catalog.pg_proc p WHERE {OF_USERS} AND p.oid IN (
  SELECT tgfoid FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT evtfoid FROM pg_catalog.pg_event_trigger
  UNION ALL SELECT oprcode FROM pg_catalog.pg_operator
  UNION ALL SELECT castfunc FROM pg_catalog.pg_cast
  UNION ALL SELECT refobjid FROM pg_catalog.pg_depend WHERE refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    AND classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
                    'pg_catalog.pg_constraint'::pg_catalog.regclass))"""


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

    def may_have_emptied(self, link: Link) -> bool:
        """Tell whether it may have emptied a table besides: by anything of that kind, or by a TRUNCATE in what runs unnamed.

        That is a function of a trigger, a view, an operator, a cast, a default or a CHECK.
        """
        if self.other or sources(link, self.called):
            return True
        unnamed = [str(one["name"]) for one in objects(link, _RUN_UNNAMED, again=True)]
        return any("truncate" in body.lower() for body in sources(link, unnamed))
