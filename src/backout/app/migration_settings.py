"""How migrations are run here: what backout.yaml says of them, where there is one, and the switch of an emergency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backout.config.load import config_there, load_migrations
from backout.config.model import MigrationsSection
from backout.errors import UsageError
from backout.message import msg
from backout.migration import answer_of, answers_in

SWITCH = "BACKOUT_MIGRATIONS"
"""Environment variable that turns backout off for migrations: `off`."""
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class MigrationSettings:
    """How migrations are run.

    Attributes:
        mode: `on`, `observe` or `off`.
        file: What says so; None: nobody does, and it is as it is without.
        answers: What nobody can compute, by ``table.column``; `back` is before the name where it tells the earlier value,
            `keep` before that of a table whose dropped columns it tells how to keep.
        variables: Further environment variables by which the command finds the database.
        smoke: A test of the release that runs now, for `check`; empty: there is none.
        window_s: How long a migration is kept so that it can be taken back.
        lock_budget_ms: For how long the locks of a way back may be held, as far as that can be.
    """

    mode: str
    file: Path | None
    answers: Mapping[str, str]
    variables: tuple[str, ...]
    smoke: tuple[str, ...]
    window_s: float
    lock_budget_ms: float


def switched_off(environ: Mapping[str, str]) -> str | None:
    """Return what switches backout off in an emergency; None: nothing. No file is read, which may be broken.

    Raises:
        UsageError: The switch has a value that it does not know.
    """
    value = environ.get(SWITCH, "")
    if not value.strip():
        return None
    if value.strip().lower() == "off":
        return f"{SWITCH}={value.strip()}"
    raise UsageError(
        msg("{name} is {value}, and can only be off.", name=SWITCH, value=value),
        state=msg("Nothing was changed."),
        next_command=f"unset {SWITCH}",
    )


def migration_settings(config: Path | None, environ: Mapping[str, str], directory: Path) -> MigrationSettings:
    """Return what the configuration says of migrations; without one: as it is without one.

    Args:
        config: The configuration that was named.
        environ: The environment.
        directory: Where a configuration is looked for, and above.

    Raises:
        ConfigError: The configuration cannot be used.
    """
    file = config_there(config, environ, directory)
    found = MigrationsSection() if file is None else load_migrations(file, environ)
    return MigrationSettings(
        mode=found.mode,
        file=file,
        answers=answers_in(
            [
                *(answer_of(line) for line in found.answers),
                *(("keep", table, how) for table, how in found.keep.items()),
            ]
        ),
        variables=found.variables,
        smoke=found.smoke,
        window_s=found.window_h * _HOUR_S,
        lock_budget_ms=found.lock_budget_ms,
    )
