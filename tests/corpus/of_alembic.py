"""Histories of packages that use Alembic."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.corpus.driving import Staying
from tests.corpus.history import History, Step
from tests.corpus.installing import from_pypi


@dataclass(frozen=True, slots=True)
class AlembicPackage:
    """A package of PyPI with an Alembic history.

    Attributes:
        package: Its name.
        version: Pinned.
        folder: Of the history, below the folder where packages are installed.
        versions: Folders below that; empty: `versions`.
        metadata: `module:name`, where revisions leave names to its naming convention.
        environment: What the package wants to be set.
        first: Python that is run once, before anything else.
        before: Python that does what the application does before its first revision; knows `engine`.
        enums_once: Types of columns are made only where they are not there yet.
        extras: Of the package, that its migrations need: `[server]`.
        more: Requirements besides.
        alone: Without what the package says that it needs: it is much, and none of it is for its migrations.
        client: The library by which the package itself speaks to PostgreSQL: its revisions are written for what that takes.
    """

    package: str
    version: str
    folder: str
    versions: tuple[str, ...] = ()
    metadata: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    first: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    enums_once: bool = False
    extras: str = ""
    more: tuple[str, ...] = ()
    alone: bool = False
    client: str = "psycopg2"

    @property
    def name(self) -> str:
        return self.package

    def history(self) -> History:
        """Install the package, and ask it for its history."""
        interpreter = from_pypi(
            self.package, self.version, ("alembic", *self.more), extras=self.extras, alone=self.alone
        )
        options = {
            "folder": str(_site_of(interpreter) / self.folder),
            "versions": self.versions,
            "metadata": self.metadata,
            "environment": self.environment,
            "first": self.first,
            "before": self.before,
            "enums_once": self.enums_once,
            "client": self.client,
        }
        driver = AlembicDriver(interpreter, "alembic_worker.py", options, self.environment)
        steps = [Step(one["name"], has_down=one["has_down"]) for one in json.loads(driver.ask("describe"))]
        return History(self.package, self.package, self.version, "alembic", steps, driver=driver)


class AlembicDriver(Staying):
    """Runs revisions."""

    def prepare(self, url: str) -> None:
        """Do what the application does before its first revision."""
        self.ask("before", url=url)


def _site_of(interpreter: Path) -> Path:
    argv = [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip())
