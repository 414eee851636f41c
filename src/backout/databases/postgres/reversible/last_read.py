"""The catalog as it was read last: of what is the same as then, nothing is read again.

PostgreSQL never changes a row of the catalog in a transaction, it writes another one: so the place (ctid) and the maker (xmin)
of every row tell whether anything is another than before, which is asked in a tenth of the time of reading it.
Source: PostgreSQL 15 documentation, 5.5 "System Columns".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from backout.databases.postgres.reversible import catalog
from backout.databases.postgres.reversible.catalog import FIRST_OID, NAMES, OTHERS, oids
from backout.databases.postgres.reversible.link import Link, scalar
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.snapshot import Snapshot, Thing

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

_RELATION = "c.relkind IN ('r', 'p', 'v', 'm', 'f')"
# An index is its table's; those of values that are stored apart are many, and nobody changes them.
_INDEX = "pg_index x JOIN pg_class c ON c.oid = x.indexrelid AND c.relnamespace <> 'pg_toast'::regnamespace"
_OF_TABLES = [
    (table, f"SELECT 'table', {table}, {row}.ctid, {row}.xmin FROM {source} WHERE {condition}")
    for table, row, source, condition in (
        ("c.oid", "c", "pg_class c", _RELATION),
        (
            "a.attrelid",
            "a",
            "pg_attribute a JOIN pg_class c ON c.oid = a.attrelid",
            f"a.attnum > 0 AND {_RELATION}",
        ),
        ("i.inhrelid", "i", "pg_inherits i", "true"),
        ("d.adrelid", "d", "pg_attrdef d", "true"),
        ("k.conrelid", "k", "pg_constraint k", "true"),
        ("k.confrelid", "k", "pg_constraint k", "true"),
        ("t.tgrelid", "t", "pg_trigger t", "true"),
        ("w.ev_class", "w", "pg_rewrite w", "true"),
        ("p.polrelid", "p", "pg_policy p", "true"),
        ("s.stxrelid", "s", "pg_statistic_ext s", "true"),
        ("f.ftrelid", "f", "pg_foreign_table f", "true"),
        ("x.indrelid", "x", _INDEX, "true"),
        ("x.indrelid", "c", _INDEX, "true"),
        ("x.indrelid", "a", f"{_INDEX} JOIN pg_attribute a ON a.attrelid = c.oid", "a.attnum > 0"),
        ("x.indrelid", "i", f"{_INDEX} JOIN pg_inherits i ON i.inhrelid = c.oid", "true"),
    )
]
"""The column that tells whose rows are, and the query for them: what is a table's own."""
_NAMED = f"{NAMES}:0"
"""Of this are the rows that tell the names of tables which are not read."""
_OF_OTHERS = [
    f"SELECT '{NAMES}', 0::oid, ctid, xmin FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND oid >= {FIRST_OID} AND oid <> ALL ($1::oid[])",
    f"SELECT '{NAMES}', 0::oid, ctid, xmin FROM pg_inherits WHERE inhrelid >= {FIRST_OID} AND inhrelid <> ALL ($1::oid[])",
]
_CLASS = "CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'composite' ELSE 'table' END"
_ROWS = [
    f"SELECT {_CLASS}, c.oid, c.ctid, c.xmin FROM pg_class c WHERE c.relkind IN ('S', 'c') AND c.oid >= {FIRST_OID}",
    f"SELECT 'type', contypid, ctid, xmin FROM pg_constraint WHERE conrelid = 0 AND oid >= {FIRST_OID}",
    # The type of an array has its name from that of its elements, wherever it is told; and that of a table's rows is told
    # nowhere, unless something is of it.
    f"""SELECT 'type', t.oid, t.ctid, t.xmin FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
      WHERE t.oid >= {FIRST_OID} AND t.typcategory <> 'A' AND (t.typrelid = 0 OR c.relkind = 'c' OR t.oid IN (
        SELECT coalesce(nullif(o.typelem, 0), o.oid) FROM pg_depend d JOIN pg_type o ON o.oid = d.refobjid
        WHERE d.refclassid = 'pg_type'::regclass AND d.deptype = 'n'))""",
    f"""SELECT 'composite', c.oid, a.ctid, a.xmin FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.relkind = 'c' AND c.oid >= {FIRST_OID}""",
    f"SELECT 'type', enumtypid, ctid, xmin FROM pg_enum WHERE oid >= {FIRST_OID}",
    f"SELECT 'function', oid, ctid, xmin FROM pg_proc WHERE oid >= {FIRST_OID}",
    f"SELECT 'sequence', seqrelid, ctid, xmin FROM pg_sequence WHERE seqrelid >= {FIRST_OID}",
    f"""SELECT 'sequence', d.objid, d.ctid, d.xmin FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid
      WHERE d.classid = 'pg_class'::regclass AND d.objid >= {FIRST_OID}""",
    # The schema `public`, and what is said of it, are of initdb and can change.
    "SELECT 'schema', oid, ctid, xmin FROM pg_namespace",
    "SELECT 'schema', objoid, ctid, xmin FROM pg_description WHERE classoid = 'pg_namespace'::regclass",
    f"""SELECT CASE WHEN c.oid IS NOT NULL THEN {_CLASS} WHEN coalesce(k.conrelid, t.tgrelid, p.polrelid, s.stxrelid, w.ev_class) IS NOT NULL THEN 'table' ELSE n.name END,
        coalesce(x.indrelid, c.oid, k.conrelid, t.tgrelid, p.polrelid, s.stxrelid, w.ev_class, d.objoid), d.ctid, d.xmin FROM pg_description d
      JOIN (VALUES ('pg_class', 'table'), ('pg_constraint', 'domain'), ('pg_trigger', 'trigger'), ('pg_type', 'type'),
        ('pg_proc', 'function'), ('pg_policy', 'policy'), ('pg_statistic_ext', 'statistics'), ('pg_rewrite', 'rule')) n(catalog, name) ON d.classoid = n.catalog::regclass
      LEFT JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid LEFT JOIN pg_index x ON x.indexrelid = c.oid
      LEFT JOIN pg_constraint k ON d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid AND k.conrelid <> 0
      LEFT JOIN pg_trigger t ON d.classoid = 'pg_trigger'::regclass AND t.oid = d.objoid
      LEFT JOIN pg_policy p ON d.classoid = 'pg_policy'::regclass AND p.oid = d.objoid
      LEFT JOIN pg_statistic_ext s ON d.classoid = 'pg_statistic_ext'::regclass AND s.oid = d.objoid
      LEFT JOIN pg_rewrite w ON d.classoid = 'pg_rewrite'::regclass AND w.oid = d.objoid
      WHERE d.objoid >= {FIRST_OID}""",
    f"""SELECT c.relname::text, d.objoid, d.ctid, d.xmin FROM pg_description d JOIN pg_class c ON c.oid = d.classoid
      WHERE d.objoid >= {FIRST_OID} AND c.relnamespace = 'pg_catalog'::regnamespace AND c.relname IN ({", ".join(map(literal, OTHERS.values()))})""",
    "SELECT 'default', oid, ctid, xmin FROM pg_default_acl",
    "SELECT 'publication', oid, ctid, xmin FROM pg_publication",
    "SELECT 'publication', prpubid, ctid, xmin FROM pg_publication_rel",
    "SELECT 'publication', pnpubid, ctid, xmin FROM pg_publication_namespace",
    "SELECT 'publication', objoid, ctid, xmin FROM pg_description WHERE classoid = 'pg_publication'::regclass",
    "SELECT 'database', objoid, ctid, xmin FROM pg_shdescription WHERE classoid = 'pg_database'::regclass",
    "SELECT 'database', oid, ctid, xmin FROM pg_database WHERE datname = current_database()",
    f"SELECT 'pg_ts_config', mapcfg, ctid, xmin FROM pg_ts_config_map WHERE mapcfg >= {FIRST_OID}",
    f"SELECT 'pg_opfamily', amopfamily, ctid, xmin FROM pg_amop WHERE oid >= {FIRST_OID}",
    f"SELECT 'pg_opfamily', amprocfamily, ctid, xmin FROM pg_amproc WHERE oid >= {FIRST_OID}",
    # A view, which shows everybody what he may see.
    "SELECT 'mapping-' || md5(m::text), umid, NULL::tid, NULL::xid FROM pg_user_mappings m",
    *(
        f"SELECT '{catalog}', {oid}, ctid, xmin FROM {catalog} WHERE {oid} >= {FIRST_OID}"
        for catalog, oid in ((c, "rngtypid" if c == "pg_range" else "oid") for c in OTHERS.values())
    ),
]


def stamps(link: Link, tables: Collection[int] | None = None) -> Stamps:
    """Return texts of which one is another whenever anything that `catalog.read` would tell is another.

    Args:
        link: The session, with `catalog.own_settings`.
        tables: As of `catalog.read`.
    """
    which = f">= {FIRST_OID}" if tables is None else "= ANY ($1::oid[])"
    own = [f"{query} AND {table} {which}" for table, query in _OF_TABLES]
    rows = " UNION ALL ".join(
        f"SELECT {part} AS part, r.* FROM ({query}) r(kind, whose, place, maker)"
        for part, query in enumerate([*own, *([] if tables is None else _OF_OTHERS), *_ROWS])
    )
    # A sum does not depend on the order of the rows.
    found = scalar(
        link,
        "SELECT string_agg(concat_ws(' ', kind || ':' || whose, n, h), ',') FROM (SELECT kind, whose, count(*) AS n, "
        f"sum(hash_record_extended(ROW(part, place, maker), 0)) AS h FROM ({rows}) x GROUP BY kind, whose) y",
        () if tables is None else (oids(tables),),
        again=True,
    )
    return dict(one.split(" ", 1) for one in (found or "").split(","))


@dataclass(slots=True)
class LastRead:
    """The last reading, by whichever session of a migration.

    Args:
        tables: As of `catalog.read`.
    """

    tables: Collection[int] | None = None
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
        now = stamps(link, self.tables)
        # What somebody commits after this has another stamp, and is read then.
        found = self._found(link, now, last)
        self._last = now, found
        return found

    def _found(self, link: Link, now: Stamps, last: tuple[Stamps, Snapshot] | None) -> Snapshot:
        if last is not None and last[0] == now:
            return last[1]
        changed = None if last is None else _changed(last[0], now, last[1])
        if last is None or changed is None:
            return catalog.read_here(link, self.tables)
        return catalog.read_changed(link, last[1], *changed, within=self.tables)


def _changed(then: Stamps, now: Stamps, last: Snapshot) -> tuple[set[int], set[str]] | None:
    """Return the tables, and the other kinds, of which something is another; None: it may be anything. Pure."""
    tables: set[int] = set()
    kinds: set[str] = set()
    for whose in {whose for whose, _stamp in then.items() ^ now.items()}:
        kind, oid = whose.split(":")
        if kind == "table" and f"composite:{oid}" not in then:
            tables.add(int(oid))
        elif whose == _NAMED:
            kinds.add(NAMES)
        elif kind == "publication":
            pass  # always read
        elif kind in _CAME_OR_WENT and (whose not in then or whose not in now):
            kinds.update(_CAME_OR_WENT[kind])
        else:
            return None
    if last.of_kind("rule") or any(_asks_others(one) for one in last.of_kind("policy").values()):
        return None  # their texts may name every table
    # So may a view's; and who needs it is told with it, which is of another thing.
    tables |= {key.oid for key in last.of_kind("view")}
    # What is published is told by its names, and with a composite type who needs it.
    composite = any(one["kind"] == "c" for one in last.of_kind("type").values())
    return tables, {*kinds, "publication", *(("type",) if composite else ())}


def _asks_others(policy: Thing) -> bool:
    return "SUBLINK" in f"{policy['using']}{policy['check']}"
