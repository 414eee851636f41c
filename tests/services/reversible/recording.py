"""A keeper for tests: it notes what it is asked, and vetoes or does what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from backout.databases.postgres.reversible.link import Link
from backout.databases.postgres.reversible.parse import Statement
from backout.databases.postgres.reversible.proxy.keeper import Done, Manner, Pass, Veto

_FREE = (
    "variable_set_stmt",
    "variable_show_stmt",
    "listen_stmt",
    "notify_stmt",
    "declare_cursor_stmt",
    "fetch_stmt",
)
_READS = "SELECT count(*) AS n, current_setting('search_path') AS path FROM pg_class"


@dataclass
class Recorded:
    """What all keepers of a proxy were asked, and what they answer.

    Attributes:
        calls: `begins`, `statement SELECT 1`, …, in order; those of several sessions mixed.
        veto: Given a call, tells why it is vetoed.
        done: Given a statement's text, the tag of what was done instead, and what to run for it.
        runs: SQL that the keeper runs over the link in each of its calls.
        puts_off: SQL that it puts off in each of them, before and after that.
    """

    calls: list[str] = field(default_factory=list)
    veto: Callable[[str], str | None] = lambda call: None
    done: Callable[[str], tuple[str, str] | None] = lambda text: None
    runs: tuple[str, ...] = (_READS,)
    puts_off: tuple[str, ...] = (_READS,)

    def keeper(self) -> Recording:
        return Recording(self)


class Recording:
    def __init__(self, told: Recorded) -> None:
        self._told = told

    def begins(self, link: Link) -> None:
        self._note("begins", link)

    def manner(self, statement: Statement) -> Manner:
        if statement.kind in ("vacuum_stmt", "createdb_stmt", "dropdb_stmt"):
            return Manner.ALONE
        if statement.kind in ("index_stmt", "drop_stmt") and statement.node.concurrent:
            return Manner.ALONE
        is_free = statement.kind in _FREE or (
            statement.kind == "select_stmt" and "wrap" not in statement.text
        )
        return Manner.FREE if is_free else Manner.WRAPPED

    def statement(self, link: Link, statement: Statement) -> Pass | Done:
        self._note(f"statement {statement.text.strip()}", link)
        if done := self._told.done(statement.text):
            tag, instead = done
            link.rows(instead)
            return Done(tag)
        return Pass()

    def ran(self, link: Link, statement: Statement) -> None:
        self._note(f"ran {statement.text.strip()}", link)

    def before_alone(self, link: Link, statement: Statement) -> None:
        self._note(f"before_alone {statement.text.strip()}", link)

    def ended_alone(self, link: Link, statement: Statement, *, failed: bool) -> None:
        self._note(f"ended_alone {statement.text.strip()} failed={failed}", link)

    def before_commit(self, link: Link) -> None:
        self._note("before_commit", link)

    def before_savepoint(self, link: Link) -> None:
        self._note("before_savepoint")

    def rolled_back_to_savepoint(self, link: Link) -> None:
        self._note("rolled_back_to_savepoint")

    def ended(self, *, committed: bool) -> None:
        self._note(f"ended committed={committed}")

    def _note(self, call: str, link: Link | None = None) -> None:
        self._told.calls.append(call)
        if link is not None:
            for query in self._told.puts_off:
                link.later(query)
            for query in self._told.runs:
                link.rows(query)
            for query in self._told.puts_off:
                link.later(query)
        if words := self._told.veto(call):
            raise Veto(words, detail="That is the detail.", hint="That is the hint.")
