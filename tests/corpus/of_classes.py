"""Histories that are JavaScript classes: of MikroORM, and pairs of TypeORM."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus.driving import Classes
from tests.corpus.history import History, Step
from tests.corpus.installing import client_of_node, from_npm

_BEFORE = {
    "mikroorm": "CREATE TABLE mikro_orm_migrations (id serial PRIMARY KEY, name varchar(255), executed_at timestamptz DEFAULT current_timestamp)",
    "pairs": "CREATE TABLE typeorm_migrations (id serial PRIMARY KEY, name varchar NOT NULL)",
}
_DOWN = re.compile(r"\n    (?:async )?down\(\w*\) \{(.*?)\n    \}", re.S)


@dataclass(frozen=True, slots=True)
class ClassesOf:
    """A package of npm whose history is classes.

    Attributes:
        package: Its name.
        version: Pinned.
        folders: Of the history, in the package.
        tool: `mikroorm` or `pairs`.
        before: Statements that the project's own set-up runs first.
        loads: What its classes import, and need: package, version and file, by the import's name.
    """

    package: str
    version: str
    folders: tuple[str, ...]
    tool: str
    before: tuple[str, ...] = ()
    loads: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.package

    def history(self) -> History:
        """Bring the package, and find its classes."""
        package, client = from_npm(self.package, self.version), client_of_node()
        files = {
            one.stem: one
            for folder in self.folders
            for one in (package / folder).glob("*.js")
            if _is_class(one)
        }
        steps = [Step(name, has_down=_goes_back(files[name])) for name in sorted(files, key=_moment)]
        loads = {
            name: from_npm(package, version) / file for name, (package, version, file) in self.loads.items()
        }
        driver = Classes(self.tool, files, client, loads)
        before = (_BEFORE[self.tool], *self.before)
        return History(self.package, self.package, self.version, self.tool, steps, before, driver)


def _is_class(file: Path) -> bool:
    return re.search(r"^class \w+", file.read_text(), re.M) is not None


def _moment(name: str) -> tuple[str, str]:
    found = re.search(r"\d{8,}", name)
    return (found.group() if found else "", name)


def _goes_back(file: Path) -> bool:
    found = _DOWN.search(file.read_text())
    return found is not None and bool(re.sub(r"//[^\n]*|/\*.*?\*/|\s", "", found.group(1), flags=re.S))
