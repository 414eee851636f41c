"""What an entry of the journal says, for people."""

from __future__ import annotations

from backout.databases.postgres.reversible.journal import Entry

_WORDS = {
    "extension.added": "extension {called} made",
    "schema.added": "schema {called} made",
    "schema.hidden": "schema {called} dropped (hidden)",
    "sequence.changed": "sequence {called} changed",
    "sequence.added": "sequence {called} made",
    "sequence.hidden": "sequence {called} dropped (hidden)",
    "type.added": "type {called} made",
    "type.attributes": "attributes of type {called} changed",
    "type.hidden": "type {called} dropped (hidden)",
    "domain.changed": "domain {called} changed",
    "domain.check": "CHECK {called} of a domain made, dropped or changed",
    "table.added": "table {called} made",
    "table.hidden": "table {called} dropped (hidden)",
    "partition.attached": "table {called} made a partition",
    "partition.detached": "partition {called} detached",
    "inherits": "table {called} inherits from others",
    "column.added": "column {called} made",
    "column.hidden": "column {called} dropped (hidden)",
    "column.aside": "column {called} dropped (its values are in a table beside)",
    "column.retyped": "column {called} has another type: {types}",
    "constraint.added": "constraint {called} made",
    "constraint.dropped": "constraint {called} dropped",
    "key.dropped": "key {called} dropped",
    "constraint.deferred": "constraint {called} is looked at at another moment",
    "constraint.validated": "constraint {called} proven for the rows that were there",
    "index.added": "index {called} made",
    "index.hidden": "index {called} dropped (hidden)",
    "trigger.added": "trigger {called} made",
    "trigger.hidden": "trigger {called} dropped (hidden)",
    "trigger.replaced": "trigger {called} replaced",
    "trigger.switched": "trigger {called} switched on or off",
    "function.added": "function {called} made",
    "function.hidden": "function {called} dropped (hidden)",
    "function.replaced": "function {called} replaced",
    "row_security": "row level security of {called} switched",
    "policy.added": "policy {called} made",
    "policy.dropped": "policy {called} dropped",
    "policy.changed": "policy {called} changed",
    "privileges": "privileges on {called} changed",
    "privileges.default": "default privileges {called} changed",
    "owner": "owner of {called} changed",
    "named.added": "{of} {called} made",
    "placed": "{what} of {called} changed",
    "stored": "storage settings of {called} changed: {what}",
    "stored.new_index": "storage settings of {called} changed: {what}",
    "views": "views {called} made, dropped or changed",
    "column.default": "default of {called} changed",
    "identity": "identity of column {called} changed",
    "label.renamed": "label {label} of type {called} renamed",
    "label.added": "label {label} added to type {called}",
    "rows": "rows of {called} changed",
    "commented": "comment on {called} changed",
    "observed.kept": "{called}",
    "observed.refused": "would have been refused: {called}",
}


def sentence(entry: Entry) -> str:
    """Return what was done, by the names of then."""
    told = entry.operation
    called = told.get("called") or told.get("hidden", {}).get("called", "")
    if entry.kind == "renamed":
        return f"{told['of']} {told['from'][0]} is now {called}"
    if entry.kind in ("remade", "publication", "cast"):
        what = "made" if told["from"] is None else "dropped" if told["to"] is None else "changed"
        return f"{told.get('of', entry.kind)} {called} {what}"
    if entry.kind == "column.not_null":
        return f"column {called} {'must' if told['not_null'] else 'need not'} have a value"
    return _WORDS[entry.kind].format(
        called=called,
        of=told.get("of", ""),
        label=told.get("label") or told.get("from", ""),
        types=" is now ".join(told.get("types", ())),
        what=str(told.get("what", "")).replace("_", " "),
    )
