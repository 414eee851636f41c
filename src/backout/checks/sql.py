"""`sql`: one read-only query whose first value must be the expected one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from backout.checks.base import CheckResult, Outcome, Subject, note
from backout.checks.options import SqlOptions
from backout.errors import BackoutError, ConfigError
from backout.message import Message, msg

if TYPE_CHECKING:
    from backout.redact import Redactor

_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class SqlCheck:
    """Asks the configured database. An answer that is an error is a failure; no answer is inconclusive."""

    options: SqlOptions

    @property
    def name(self) -> str:
        """The declared name."""
        return self.options.name

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        """Ask, and compare.

        Args:
            subject: What is looked at.
            deadline_s: Seconds from now.
        """
        if subject.database is None:
            return (self._result(Outcome.INCONCLUSIVE, msg("No `database` is configured to ask")),)
        try:
            got = subject.database.scalar(self.options.query, min(self.options.timeout_s, deadline_s))
        except ConfigError as error:
            return (self._result(Outcome.FAIL, error.what),)
        except BackoutError as error:
            return (self._result(Outcome.INCONCLUSIVE, error.what),)
        shown = subject.redactor.text(str(got))[:_SHOWN_CHARS]
        evidence = msg(
            "The query gave {got}, expected {expected}", got=shown, expected=str(self.options.expect)
        )
        return (self._result(Outcome.PASS if same(got, self.options.expect) else Outcome.FAIL, evidence),)

    def by_hand(self, redactor: Redactor) -> tuple[str, ...]:
        """Return a line of psql that can only read; a truth value is printed as t or f."""
        query = shlex.quote(redactor.text(self.options.query))
        expected = msg("Expected: {value}", value=redactor.text(_as_printed(self.options.expect)))
        read_only = 'PGOPTIONS="-c default_transaction_read_only=on"'
        return (note(expected), f'{read_only} psql "$DATABASE_URL" -X -A -t -c {query}')

    def _result(self, outcome: Outcome, evidence: Message) -> CheckResult:
        return CheckResult(name=self.name, proves=self.options.proves, outcome=outcome, evidence=evidence)


def _as_printed(value: bool | int | float | str | None) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    return "(nothing)" if value is None else str(value)


def same(got: object, expected: bool | int | float | str | None) -> bool:
    """Return whether a database's value is the one written in the configuration."""
    if got is None or expected is None:
        return got is None and expected is None
    if isinstance(got, bool) or isinstance(expected, bool):
        return got is expected
    if isinstance(expected, int | float) and isinstance(got, int | float | Decimal):
        return Decimal(str(got)) == Decimal(str(expected))
    return isinstance(expected, str) and str(got) == expected
