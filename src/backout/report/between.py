"""What lies between two versions, for a runbook and for a terminal: commits, migrations, configuration."""

from __future__ import annotations

from collections.abc import Sequence

from backout.message import Message, msg
from backout.observed import Observed
from backout.report.markup import code, escape, facts, say, shown
from backout.revision import Between

_FILES = 10
"""How many files of a kind are named; the rest is counted."""
_ON_A_SCREEN = 5
"""How many commits a terminal shows; a runbook shows all that are named."""


def between_section(seen: Observed[Between] | None) -> list[str]:
    """Return the Markdown lines; nothing where nobody asked."""
    if seen is None:
        return []
    lines = [f"## {say('What lies between')}", ""]
    found = seen.value
    if found is None:
        return [*lines, say("Not known: {why}.", why=str(seen.unknown)), ""]
    pairs = [
        (say("Commits"), shown(_commits(found))),
        (say("Migrations"), _named(found.migrations, found.migration_files)),
        (say("Configuration"), _named(found.configuration, found.configuration_files)),
    ]
    newest = [f"- {code(commit.id[:12])} {escape(commit.subject)}" for commit in found.newest]
    if (more := _all(found) - len(found.newest)) > 0:
        newest.append(f"- {say('and {more} more', more=more)}")
    return [*lines, *facts(pairs), *newest, *([""] if newest else [])]


def between_lines(seen: Observed[Between] | None) -> tuple[str, ...]:
    """Return the lines for a terminal, the first beside its label; nothing where nobody asked."""
    if seen is None:
        return ()
    found = seen.value
    if found is None:
        return (str(msg("not known: {why}", why=str(seen.unknown))),)
    lines = [str(_commits(found))]
    lines += [f"{commit.id[:12]}  {commit.subject}" for commit in found.newest[:_ON_A_SCREEN]]
    if (more := _all(found) - min(len(found.newest), _ON_A_SCREEN)) > 0:
        lines.append(str(msg("and {more} more", more=more)))
    if found.migrations:
        lines.append(str(msg("migrations: {names}", names=_few(found.migrations, found.migration_files))))
    if found.configuration:
        lines.append(
            str(msg("configuration: {names}", names=_few(found.configuration, found.configuration_files)))
        )
    return tuple(lines)


def _commits(found: Between) -> Message:
    told = msg("{commits} commit(s), {files} file(s)", commits=found.commits, files=found.files)
    if not found.only_in_target:
        return told
    if not found.commits:
        return msg("{more} commit(s) more than what runs now, {files} file(s)",
                   more=found.only_in_target, files=found.files)  # fmt: skip
    return msg(
        "{told}; {more} commit(s) of the target are not in what runs now",
        told=str(told), more=found.only_in_target,
    )  # fmt: skip


def _all(found: Between) -> int:
    return found.commits or found.only_in_target


def _few(names: Sequence[str], total: int) -> str:
    more = total - min(len(names), _FILES)
    return ", ".join(names[:_FILES]) + (f" {msg('and {more} more', more=more)}" if more > 0 else "")


def _named(names: Sequence[str], total: int) -> str:
    more = total - min(len(names), _FILES)
    return ", ".join(code(n) for n in names[:_FILES]) + (
        f" {say('and {more} more', more=more)}" if more > 0 else ""
    )
