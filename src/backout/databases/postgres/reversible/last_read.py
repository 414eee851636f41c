"""The catalog as it was read last: of what is the same as then, nothing is read again.

PostgreSQL never changes a row of the catalog in a transaction, it writes another one: so the place (ctid) and the maker (xmin)
of every row tell whether anything is another than before, which is asked in a tenth of the time of reading it.
Source: PostgreSQL 15 documentation, 5.5 "System Columns".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.catalog import FIRST_OID, OTHERS, Key, Snapshot, Thing
from backout.databases.postgres.reversible.link import Link, scalar

Stamps = dict[str, str]
"""By whose it is: the kind, a colon, and an oid."""

_CAME_OR_WENT = {
    "schema": ("schema",),
    "function": ("function",),
    "sequence": ("sequence",),
    "type": ("type", "label"),
}
"""Of what one more, or one less, is nothing to all that stays, and what is read again then.

One that is another, of these or of what is not among them, may be named in the texts of everything.
"""

# Whose a row of pg_class is: an index is its table's.
_OWNER = """CASE c.relkind WHEN 'S' THEN 'sequence:' || c.oid WHEN 'c' THEN 'composite:' || c.oid
  ELSE 'table:' || coalesce(x.indrelid, c.oid) END"""
_CLASSES = "pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid"
_ROWS = [
    f"SELECT {_OWNER} AS of, c.ctid AS place, c.xmin AS maker FROM {_CLASSES} WHERE c.oid >= {FIRST_OID}",
    f"""SELECT 'table:' || coalesce(x.indrelid, a.attrelid), a.ctid, a.xmin FROM pg_attribute a
      LEFT JOIN pg_index x ON x.indexrelid = a.attrelid WHERE a.attrelid >= {FIRST_OID} AND a.attnum > 0""",
    f"SELECT 'table:' || adrelid, ctid, xmin FROM pg_attrdef WHERE oid >= {FIRST_OID}",
    f"""SELECT whose, k.ctid, k.xmin FROM pg_constraint k,
      unnest(CASE WHEN k.conrelid = 0 THEN ARRAY['type:' || k.contypid] ELSE ARRAY['table:' || k.conrelid, 'table:' || k.confrelid] END) whose
      WHERE k.oid >= {FIRST_OID} AND whose <> 'table:0'""",
    f"SELECT 'table:' || indrelid, ctid, xmin FROM pg_index WHERE indexrelid >= {FIRST_OID}",
    f"SELECT 'table:' || tgrelid, ctid, xmin FROM pg_trigger WHERE oid >= {FIRST_OID}",
    f"SELECT 'table:' || ev_class, ctid, xmin FROM pg_rewrite WHERE oid >= {FIRST_OID}",
    f"SELECT 'table:' || polrelid, ctid, xmin FROM pg_policy WHERE oid >= {FIRST_OID}",
    f"SELECT 'table:' || stxrelid, ctid, xmin FROM pg_statistic_ext WHERE oid >= {FIRST_OID}",
    f"SELECT 'table:' || inhrelid, ctid, xmin FROM pg_inherits WHERE inhrelid >= {FIRST_OID}",
    # The type of an array has its name from that of its elements, wherever it is told.
    f"SELECT 'type:' || oid, ctid, xmin FROM pg_type WHERE oid >= {FIRST_OID} AND typcategory <> 'A'",
    f"SELECT 'type:' || enumtypid, ctid, xmin FROM pg_enum WHERE oid >= {FIRST_OID}",
    f"SELECT 'function:' || oid, ctid, xmin FROM pg_proc WHERE oid >= {FIRST_OID}",
    f"SELECT 'sequence:' || seqrelid, ctid, xmin FROM pg_sequence WHERE seqrelid >= {FIRST_OID}",
    f"""SELECT 'sequence:' || d.objid, d.ctid, d.xmin FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid
      WHERE d.classid = 'pg_class'::regclass AND d.objid >= {FIRST_OID}""",
    # The schema `public`, and what is said of it, are of initdb and can change.
    "SELECT 'schema:' || oid, ctid, xmin FROM pg_namespace",
    "SELECT 'schema:' || objoid, ctid, xmin FROM pg_description WHERE classoid = 'pg_namespace'::regclass",
    f"""SELECT coalesce({_OWNER}, 'table:' || k.conrelid, 'table:' || t.tgrelid, 'table:' || p.polrelid, 'table:' || s.stxrelid, 'table:' || w.ev_class, n.name || ':' || d.objoid), d.ctid, d.xmin
      FROM pg_description d
      JOIN (VALUES ('pg_class', 'table'), ('pg_constraint', 'domain'), ('pg_trigger', 'trigger'), ('pg_type', 'type'),
        ('pg_proc', 'function'), ('pg_policy', 'policy'), ('pg_statistic_ext', 'statistics'), ('pg_rewrite', 'rule')) n(catalog, name) ON d.classoid = n.catalog::regclass
      LEFT JOIN ({_CLASSES}) ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid
      LEFT JOIN pg_constraint k ON d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid AND k.conrelid <> 0
      LEFT JOIN pg_trigger t ON d.classoid = 'pg_trigger'::regclass AND t.oid = d.objoid
      LEFT JOIN pg_policy p ON d.classoid = 'pg_policy'::regclass AND p.oid = d.objoid
      LEFT JOIN pg_statistic_ext s ON d.classoid = 'pg_statistic_ext'::regclass AND s.oid = d.objoid
      LEFT JOIN pg_rewrite w ON d.classoid = 'pg_rewrite'::regclass AND w.oid = d.objoid
      WHERE d.objoid >= {FIRST_OID}""",
    "SELECT 'pg_cast:' || objoid, ctid, xmin FROM pg_description WHERE classoid = 'pg_cast'::regclass",
    "SELECT 'default:' || oid, ctid, xmin FROM pg_default_acl",
    "SELECT 'publication:' || oid, ctid, xmin FROM pg_publication",
    "SELECT 'publication:' || prpubid, ctid, xmin FROM pg_publication_rel",
    "SELECT 'publication:' || pnpubid, ctid, xmin FROM pg_publication_namespace",
    "SELECT 'publication:' || objoid, ctid, xmin FROM pg_description WHERE classoid = 'pg_publication'::regclass",
    "SELECT 'database:' || objoid, ctid, xmin FROM pg_shdescription WHERE classoid = 'pg_database'::regclass",
    "SELECT 'database:' || oid, ctid, xmin FROM pg_database WHERE datname = current_database()",
    "SELECT 'table:' || ftrelid, ctid, xmin FROM pg_foreign_table",
    f"SELECT 'pg_ts_config:' || mapcfg, ctid, xmin FROM pg_ts_config_map WHERE mapcfg >= {FIRST_OID}",
    f"SELECT 'pg_opfamily:' || amopfamily, ctid, xmin FROM pg_amop WHERE oid >= {FIRST_OID}",
    f"SELECT 'pg_opfamily:' || amprocfamily, ctid, xmin FROM pg_amproc WHERE oid >= {FIRST_OID}",
    "SELECT 'mapping:' || umid || '-' || md5(m::text), NULL::tid, NULL::xid FROM pg_user_mappings m",
    *(
        f"SELECT '{catalog}:' || {oid}, ctid, xmin FROM {catalog} WHERE {oid} >= {FIRST_OID}"
        for catalog, oid in ((c, "rngtypid" if c == "pg_range" else "oid") for c in OTHERS.values())
    ),
]


def stamps(link: Link) -> Stamps:
    """Return texts of which one is another whenever anything that `catalog.read` would tell is another.

    Args:
        link: The session, with `catalog.own_settings`.
    """
    rows = " UNION ALL ".join(
        f"SELECT {part} AS part, r.* FROM ({query}) r(whose, place, maker)"
        for part, query in enumerate(_ROWS)
    )
    # A sum does not depend on the order of the rows.
    told = scalar(
        link,
        "SELECT string_agg(concat_ws(' ', whose, n, h), ',') FROM (SELECT whose, count(*) AS n, "
        f"sum(hashtextextended(concat_ws(' ', part, place, maker), 0)) AS h FROM ({rows}) x GROUP BY whose) y",
        again=True,
    )
    return dict(one.split(" ", 1) for one in (told or "").split(","))


@dataclass(slots=True)
class LastRead:
    """The last reading, by whichever session of a migration."""

    _last: tuple[Stamps, Snapshot] | None = field(default=None)

    def read(self, link: Link) -> Snapshot:
        """Return the catalog as the session's transaction sees it.

        Args:
            link: The session, in a transaction.
        """
        with catalog.own_settings(link):
            return self.read_here(link)

    def read_here(self, link: Link) -> Snapshot:
        """Do what `read` does, in a session that has `catalog.own_settings`."""
        last = self._last  # another session's may come in between
        now = stamps(link)
        # What somebody commits after this has another stamp, and is read then.
        found = _read(link, now, last)
        self._last = now, found
        return found


def _read(link: Link, now: Stamps, last: tuple[Stamps, Snapshot] | None) -> Snapshot:
    if last is None:
        return catalog.read_here(link)
    then, snapshot = last
    if then == now:
        return snapshot
    changed = _changed(then, now, snapshot)
    return catalog.read_here(link) if changed is None else catalog.read_changed(link, snapshot, *changed)


def _changed(then: Stamps, now: Stamps, last: Snapshot) -> tuple[set[int], set[str]] | None:
    """Return the tables, and the other kinds, of which something is another; None: it may be anything. Pure."""
    tables: set[int] = set()
    kinds: set[str] = set()
    for whose in {whose for whose, _stamp in then.items() ^ now.items()}:
        kind, oid = whose.split(":")
        if kind == "table" and f"composite:{oid}" not in then:
            tables.add(int(oid))
        elif kind == "publication":
            pass  # always read
        elif kind in _CAME_OR_WENT and (whose not in then or whose not in now):
            kinds.update(_CAME_OR_WENT[kind])
        else:
            return None
    if any(_names_others(key, thing) for key, thing in last.things.items()):
        return None
    # So may a view's; and who needs it is told with it, which is of another thing.
    tables |= {
        key.oid for key, one in last.things.items() if key.kind == "table" and one["kind"] in ("v", "m")
    }
    # What is published is told by its names, and with a composite type who needs it.
    composite = any(key.kind == "type" and one["kind"] == "c" for key, one in last.things.items())
    return tables, {*kinds, "publication", *(("type",) if composite else ())}


def _names_others(key: Key, thing: Thing) -> bool:
    """Tell whether the text of something may name every table: of a rule, and of a policy that asks another."""
    if key.kind == "policy":
        return "SUBLINK" in f"{thing['using']}{thing['check']}"
    return key.kind == "rule"
