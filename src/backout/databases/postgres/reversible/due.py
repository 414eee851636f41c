"""What is still to be done after a COMMIT: read from the catalog and the journal, and stored nowhere.

Whoever comes after a kill finds the same. What would take away a constraint stands here only when what replaces it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backout.databases.postgres.reversible import journal, primary
from backout.databases.postgres.reversible.built import BY_INDEX, built, left_over, path_of, renamed
from backout.databases.postgres.reversible.catalog import read
from backout.databases.postgres.reversible.constraints import AT_ONCE, additions, kept_in
from backout.databases.postgres.reversible.fill import is_written
from backout.databases.postgres.reversible.journal import Entry, is_hiding
from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.names import REQUIRED, ident, is_hidden, literal
from backout.databases.postgres.reversible.relatives import below
from backout.databases.postgres.reversible.snapshot import Key, Snapshot
from backout.databases.postgres.reversible.views import to_fill


def due(link: Link) -> list[str]:
    """Return the statements that are still to be run: constraints to be proven, indexes and keys to be built.

    Args:
        link: In a transaction, as the `search_path` of the reading holds in one only.
    """
    return due_in(read(link), journal.every_entry(link))


def due_in(now: Snapshot, entries: list[Entry]) -> list[str]:
    """Return the same for a catalog and journal that were read."""
    return [*_indexes(now, entries), *_wanted(now, entries), *_owed(now, entries)]


def owed(link: Link) -> list[str]:
    """Return what of it the schema lacks: without it a constraint would be missing. The journal is needed to finish it."""
    return _owed(read(link), journal.every_entry(link))


def _owed(now: Snapshot, entries: list[Entry]) -> list[str]:
    return [
        *left_over(now, entries),
        *_keys(now, entries),
        *_references(now, entries),
        *_proofs(now, entries),
        *_proofs_of_domains(now, entries),
        *_values(now),
        *_promotions(now, entries),
        *_by_index(now, entries),
        *to_fill(now, [one for entry in entries for one in entry.operation.get("unfilled", ())]),
    ]


def _indexes(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what builds the indexes that find rows written while a column is hidden."""
    for entry in entries:
        record = entry.operation.get("hidden", {})
        name, hidden = record.get("written"), is_hiding(entry)
        if name is None or not hidden or Key("column", record["table"], record["attnum"]) not in now.things:
            continue
        for table in (record["table"], *below(now, record["table"])):
            if now.things[Key("table", table)]["kind"] != "r":
                continue
            # A constant as the key: the values may be longer than an index can hold.
            rows = f"{path_of(now, table)} ((1)) WHERE {is_written(record, record['hidden'])}"
            own = name if table == record["table"] else f"{name}_{table}"
            yield from built(now, table, own, f"CREATE INDEX CONCURRENTLY {ident(own)} ON {rows}")


def _wanted(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what builds the indexes that a change of type needs for the way there or back."""
    for one in [one for entry in entries for one in entry.operation.get("wanted", ())]:
        columns = now.columns(one["table"])
        if not {*one["columns"], one["where"] or min(columns, default=0)} <= columns.keys():
            continue
        listed = ", ".join(ident(columns[attnum]["name"]) for attnum in one["columns"]) or "(1)"
        where = f" WHERE {ident(columns[one['where']]['name'])}" if one["where"] else ""
        create = f"CREATE {'UNIQUE ' if one['unique'] else ''}INDEX CONCURRENTLY {ident(one['name'])}"
        yield from built(
            now, one["table"], one["name"], f"{create} ON {path_of(now, one['table'])} ({listed}){where}"
        )


def _promotions(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        record = entry.operation.get("key")
        if record is not None and Key("table", record["table"]) in now.things:
            yield from primary.promotions(now, record, path_of(now, record["table"]))


def _keys(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what builds the keys and unique indexes that a migration made, when it was made again."""
    for entry in entries:
        if entry.state != "applied" or not entry.operation.get("rebuild"):
            continue
        made = entry.operation["rebuild"]
        table = made["table"]
        if Key("table", table) not in now.things:
            continue
        path, name = path_of(now, table), ident(made["name"])
        at_once = made["word"] == AT_ONCE
        if not at_once:
            create = renamed(now, made)
            if _is_of_hidden(now, table, create):
                continue  # the same migration has dropped a column of it since: it went with that
            yield from built(now, table, made["name"], create)
        if made["word"] is not None and not any(
            one["name"] == made["name"] for one in now.of_table("constraint", table).values()
        ):
            if at_once:
                yield f"ALTER TABLE {path} ADD CONSTRAINT {name} {made['definition']}"
            else:
                yield f"ALTER TABLE {path} ADD CONSTRAINT {name} {made['word']} USING INDEX {name} {made['deferred']}".rstrip()
            if made["comment"] is not None:
                yield f"COMMENT ON CONSTRAINT {name} ON {path} IS {literal(made['comment'])}"


def _references(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what makes the foreign keys that lead to such a key."""
    for entry in entries:
        for one in kept_in(entry.operation) if entry.state == "applied" else ():
            if one.get("owed") and _may_be_made(now, one):
                yield from additions(now, one)


def _may_be_made(now: Snapshot, reference: dict[str, Any]) -> bool:
    """Tell whether a foreign key is not there, and all that it is of: what was dropped since has taken it along."""
    if any(
        one["name"] == reference["name"] for one in now.of_table("constraint", reference["table"]).values()
    ):
        return False
    of = [
        Key("column", reference[table], n)
        for table, columns in (("table", "columns"), ("to_table", "to_columns"))
        for n in reference[columns]
    ]
    of += [Key("table", reference["table"]), Key("table", reference["to_table"])]
    return all(key in now.things and not is_hidden(str(now.things[key]["name"])) for key in of)


def _is_of_hidden(now: Snapshot, table: int, create: str) -> bool:
    """Tell whether a column is hidden of which an index would be."""
    names = [str(one["name"]) for one in now.columns(table).values()]
    return any(is_hidden(name) and name in create for name in names)


def _proofs(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what proves the constraints that were valid before, and were put back for new rows only."""
    proofs = [entry for entry in entries if entry.kind == "constraint.validated"]
    wanted = [Key("constraint", one.operation["oid"]) for one in proofs if one.state == "applied"]
    for entry in entries:
        for constraint in kept_in(entry.operation):
            if constraint["valid"]:
                those = _meant(now, constraint, back=_made_again(entry))
                wanted += [key for key in those if not _is_unproven(now, key, entry, proofs)]
    for key in dict.fromkeys(wanted):
        if key in now.things and not now.things[key]["valid"]:
            one = now.things[key]
            yield f"ALTER TABLE {path_of(now, one['table'])} VALIDATE CONSTRAINT {ident(one['name'])}"


def _is_unproven(now: Snapshot, key: Key, entry: Entry, proofs: list[Entry]) -> bool:
    """Tell whether the way went on to before a constraint was proven, after it was made again as it was when an entry took it away."""
    one = now.things[key]
    before = [
        proof
        for proof in proofs
        if proof.id < entry.id
        and (
            proof.operation["oid"] == key.oid
            or (proof.operation["table"], proof.operation["name"]) == (one["table"], one["name"])
        )
    ]
    return bool(before) and max(before, key=lambda proof: proof.id).state == "undone"


def _meant(now: Snapshot, constraint: dict[str, Any], *, back: bool) -> list[Key]:
    """Return what a constraint is now: the one of its name, else, after a way that went on to another name, what says the same."""
    there = {
        key: one
        for key, one in now.of_table("constraint", constraint["table"]).items()
        if one["kind"] in ("f", "c")
    }
    named = [key for key, one in there.items() if one["name"] == constraint["name"]]
    alike = (
        "kind",
        "columns",
        "to_table",
        "to_columns",
        "on_update",
        "on_delete",
        "match",
        "deferrable",
        "deferred",
    )
    same = [key for key, one in there.items() if all(one[word] == constraint[word] for word in alike)]
    if named or not back:
        return named
    return [key for key in same if there[key]["kind"] == "f" or _says(there[key]) == _says(constraint)]


def _made_again(entry: Entry) -> bool:
    if entry.kind == "constraint.added":
        return entry.state == "applied"  # and made again, if it is not valid
    return entry.state == "undone" and entry.kind in (
        "table.hidden",
        "column.hidden",
        "column.aside",
        "constraint.dropped",
    )


def _says(check: dict[str, Any]) -> str:
    return str(check["definition"]).removesuffix(" NOT VALID")


def _proofs_of_domains(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what proves the CHECKs of domains that were valid before, and were put back for new rows only."""
    for entry in entries:
        side = {"applied": "to", "undone": "from"}.get(entry.state)
        wanted = entry.operation[side] if entry.kind == "domain.check" and side else None
        domain = now.things.get(Key("type", entry.operation.get("domain", 0)))
        if wanted is None or not wanted["valid"] or domain is None:
            continue
        path = ident(now.things[Key("schema", domain["schema"])]["name"], domain["name"])
        for one in now.things.values():
            same = (one.get("of_domain"), one["name"]) == (entry.operation["domain"], wanted["name"])
            if same and not one["valid"]:
                yield f"ALTER DOMAIN {path} VALIDATE CONSTRAINT {ident(wanted['name'])}"


def _values(now: Snapshot) -> Iterator[str]:
    """Yield what makes columns NOT NULL that are so by a constraint for the time being.

    The constraint goes only when the column is: where a NULL is in its way, it goes on refusing more of them.
    """
    for key, one in now.things.items():
        if key.kind != "constraint" or not REQUIRED.fullmatch(str(one["name"])) or not one["local"]:
            continue
        path, column = path_of(now, one["table"]), now.columns(one["table"])[one["columns"][0]]
        if column["not_null"]:
            yield f"ALTER TABLE {path} DROP CONSTRAINT {ident(one['name'])}"
        else:
            yield f"ALTER TABLE {path} VALIDATE CONSTRAINT {ident(one['name'])}"
            yield f"ALTER TABLE {path} ALTER COLUMN {ident(column['name'])} SET NOT NULL"


def _by_index(now: Snapshot, entries: list[Entry]) -> Iterator[str]:
    """Yield what is said of a table by an index that was built anew."""
    for entry in entries:
        told = entry.operation
        if not told.get("due") or entry.state != "applied" or Key("table", told["table"]) not in now.things:
            continue
        columns = now.columns(told["table"])
        for one in now.of_table("index", told["table"]).values():
            if one["name"] == told["to"]["name"] and one["valid"] and not one[told["what"]]:
                needs = one["columns"] if told["what"] == "replica_identity" else []
                if all(columns[attnum]["not_null"] for attnum in needs):
                    yield f"ALTER TABLE {path_of(now, told['table'])} {BY_INDEX[told['what']]} {ident(one['name'])}"
