"""A writer that also deletes, and keeps what was refused for another try: another row may stand against it for now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from backout.databases.postgres.rows.compare import key_text
from backout.databases.postgres.rows.keys import listed_keys
from backout.databases.postgres.rows.statements import same_key
from backout.databases.postgres.rows.writer import Refusal, Row, Writer, refusal_of

_AT_ONCE = 500


@dataclass
class Waiting:
    """What was refused: rows to insert or to update, or a key to delete, and why."""

    what: Literal["insert", "update", "delete"]
    subject: Any
    reason: str


@dataclass
class Equaliser(Writer):
    """Writes one table until it is equal; nothing is passed over as a conflict."""

    deleted: int = 0
    waiting: list[Waiting] = field(default_factory=list)

    def begin(self) -> None:
        """Disable the table's own triggers: rows come as they were."""
        self._begin()

    def delete(self, keys: list[tuple[Any, ...]]) -> None:
        """Delete the live rows of these keys; those that others refer to wait."""
        for at in range(0, len(keys), _AT_ONCE):
            self._delete(keys[at : at + _AT_ONCE])

    def again(self, what: Literal["delete", "write"]) -> None:
        """Try once more what waits."""
        mine = [w for w in self.waiting if (w.what == "delete") == (what == "delete")]
        self.waiting = [w for w in self.waiting if (w.what == "delete") != (what == "delete")]
        if what == "delete":
            self.delete([w.subject for w in mine])
            return
        for kind, write in (("update", self.update), ("insert", self.insert)):
            rows = [w.subject for w in mine if w.what == kind]
            if rows:
                write(rows)

    def reasons(self) -> list[str]:
        """Return what is left, each with its key and why."""
        found = [str(conflict) for conflict in self.conflicts]
        for waiting in self.waiting:
            key = (
                waiting.subject.text
                if isinstance(waiting.subject, Row)
                else key_text(self.pair, waiting.subject)
            )
            found.append(f"{self.pair.label} {key} ({waiting.what}): {waiting.reason}")
        return found

    def _orphan(self, row: Row, refusal: Refusal) -> None:
        self.waiting.append(Waiting("insert", row, refusal.reason))

    def _refused(self, row: Row, refusal: Refusal) -> None:
        self.waiting.append(Waiting("update", row, refusal.reason))

    def _delete(self, keys: list[tuple[Any, ...]]) -> None:
        """Delete all of these or, where one of them is refused, each half by itself."""
        import psycopg
        from psycopg import sql

        assert self.pair.live is not None
        statement = sql.SQL("DELETE FROM {} AS t USING {} WHERE {}").format(
            self.pair.live.source, listed_keys(self.pair, keys), same_key(self.pair, "q")
        )
        try:
            with self.live.transaction():
                self.deleted += self.live.execute(statement).rowcount
        except psycopg.Error as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            if len(keys) == 1:
                self.waiting.append(Waiting("delete", keys[0], refusal.reason))
                return
            half = len(keys) // 2
            self._delete(keys[:half])
            self._delete(keys[half:])
