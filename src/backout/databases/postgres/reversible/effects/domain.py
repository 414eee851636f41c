"""ALTER DOMAIN: its default, its NOT NULL and its CHECKs are as before; rows written since are looked at after the COMMIT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from backout.databases.postgres.reversible.catalog import own_settings
from backout.databases.postgres.reversible.difference import Difference
from backout.databases.postgres.reversible.effects.base import NEITHER, Bears, Operation
from backout.databases.postgres.reversible.names import ident, is_hidden, literal
from backout.databases.postgres.reversible.parse import as_printed
from backout.databases.postgres.reversible.snapshot import Key, Thing
from backout.databases.postgres.reversible.work import Moved, Work

_CHANGED = 68
"""The turn at which it is changed, there and back."""
_VALUES = ("default", "not_null")
_OF_CHECK = ("name", "definition", "valid", "comment")
_HEAD = "ALTER DOMAIN d ADD "


class DomainChanged:
    """A domain with another default, or that takes NULL, or does not."""

    kind: ClassVar[str] = "domain.changed"
    down_at: ClassVar[int] = 9
    redo_at: ClassVar[int] = _CHANGED

    def bears(self, operation: Operation) -> Bears:
        """Rows of the one may be none of the other."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take it."""
        for change in difference.changed("type", *_VALUES):
            if change.thing["kind"] != "d" or is_hidden((change.before or {})["name"]):
                continue
            difference.take(change.key, *_VALUES)
            yield {
                "oid": change.key.oid,
                "called": difference.after.name(change.key),
                "from": {name: (change.before or {})[name] for name in _VALUES},
                "to": {name: (change.after or {})[name] for name in _VALUES},
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Change it back. PostgreSQL looks at all rows for a NOT NULL; rows that come back need that it is gone."""

        def change_back() -> None:
            _change(work, operation, since="to", to="from")

        if operation["from"]["not_null"]:
            work.at(_CHANGED, lambda: work.now_or_after_rows(change_back))
        else:
            work.at_or_before_rows(_CHANGED, change_back)
        return operation

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Change it again; to take no NULL, where it has to be, when the rows have their values."""
        if operation["to"]["not_null"]:
            work.now_or_after_rows(lambda: _change(work, operation, since="from", to="to"))
        else:
            _change(work, operation, since="from", to="to")
        return operation


def _change(work: Work, operation: Operation, *, since: str, to: str) -> None:
    called, wanted = operation["called"], operation[to]
    now = work.thing("type", operation["oid"], called=called)
    if {name: now[name] for name in _VALUES} != operation[since]:
        raise Moved(called, "was changed by somebody else since")
    path = work.path("type", operation["oid"], called=called)
    if wanted["default"] != now["default"]:
        words = "DROP DEFAULT" if wanted["default"] is None else f"SET DEFAULT {wanted['default']}"
        with own_settings(work.link):
            work.run(f"ALTER DOMAIN {path} {words}")
    if wanted["not_null"] != now["not_null"]:
        work.run(f"ALTER DOMAIN {path} {'SET' if wanted['not_null'] else 'DROP'} NOT NULL")


class DomainCheck:
    """A CHECK of a domain that was not there, is gone, or is another."""

    kind: ClassVar[str] = "domain.check"
    down_at: ClassVar[int] = 8
    redo_at: ClassVar[int] = 8

    def bears(self, operation: Operation) -> Bears:
        """Rows of the one may be none of the other."""
        return NEITHER

    def find(self, difference: Difference) -> Iterator[Operation]:
        """Take those of domains that were there and are."""
        for change in list(difference.left.values()):
            domain = Key("type", change.thing.get("of_domain") or 0)
            if change.key.kind != "constraint" or domain not in difference.before.things:
                continue
            if domain not in difference.after.things:
                continue
            difference.take(change.key)
            where = difference.after if change.after is not None else difference.before
            yield {
                "domain": domain.oid,
                "called": f"{where.name(domain)}.{change.thing['name']}",
                "from": _kept(change.before),
                "to": _kept(change.after),
            }

    def down(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop the later one; make the earlier one when all that it speaks of is there."""
        return _turn(work, operation, since="to", to="from")

    def redo(self, work: Work, change: int, operation: Operation) -> Operation:
        """Drop the earlier one; make the later one."""
        return _turn(work, operation, since="from", to="to")


def _kept(thing: Thing | None) -> dict[str, Any] | None:
    return None if thing is None else {name: thing[name] for name in _OF_CHECK}


def _turn(work: Work, operation: Operation, *, since: str, to: str) -> Operation:
    if (old := operation[since]) is not None:
        there = [
            one
            for key, one in work.now.things.items()
            if key.kind == "constraint"
            and (one["of_domain"], one["name"]) == (operation["domain"], old["name"])
        ]
        if not there:
            raise Moved(operation["called"], "is not there")
        if there[0]["definition"] != old["definition"]:
            raise Moved(operation["called"], "was changed by somebody else since")
        work.run(f"ALTER DOMAIN {_path(work, operation)} DROP CONSTRAINT {ident(old['name'])}")
    if operation[to] is not None:
        work.at_end.append(lambda: work.at_end.append(lambda: _make(work, operation, operation[to])))
    return operation


def _make(work: Work, operation: Operation, wanted: dict[str, Any]) -> None:
    path, name = _path(work, operation), ident(wanted["name"])
    text = str(wanted["definition"]).removesuffix(" NOT VALID")
    with own_settings(work.link):
        # Rows that are there are looked at after the COMMIT (`due.py`).
        check = as_printed(text, head=_HEAD)
        work.run(f"ALTER DOMAIN {path} ADD CONSTRAINT {name} {check} NOT VALID")
    if wanted["comment"] is not None:
        work.run(f"COMMENT ON CONSTRAINT {name} ON DOMAIN {path} IS {literal(wanted['comment'])}")


def _path(work: Work, operation: Operation) -> str:
    return work.path("type", operation["domain"], called=operation["called"])
