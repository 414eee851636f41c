"""Stories: the real command line on a real stage; the stage is shared by a module and put back between stories."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from tests.command_line import Cli

from backout.children import basic_env
from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage

_PROBES = {
    "count: 300": "count: 80",
    "per_second: 150": "per_second: 400",
    "max_error_rate: 0.01": "max_error_rate: 0.1",
    "max_p95_ms: 250": "max_p95_ms: 20000",  # How fast this machine is now is no part of a story.
}
TINY = """\
service: tiny
environment: production
platform:
  kind: command
  deploy: [./deploy, "{version}"]
  probe: [cat, running]
  list: [cat, versions]
  timeout_s: 5
checks:
  - {kind: command, name: answers, run: [test, -s, running]}
policy:
  compatible: []
"""
TINY_DEPLOY = """\
#!/bin/sh
echo "deploying $1"
if [ -e hang ]; then exec sleep 600; fi
if [ -e fail ]; then echo "the registry is down" >&2; exit 7; fi
echo "$1" >running
"""


class Scene:
    """A stage on which the good and the bad release were recorded, and the bad one runs."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.cli = Cli(stage.directory, self.environ())
        self.config = stage.config.read_text()

    def environ(self) -> dict[str, str]:
        return {
            **self.stage.environ(),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            "XDG_STATE_HOME": str(self.stage.directory / "xdg"),
        }

    def state(self) -> dict[str, Any]:
        return self.stage.state()

    @staticmethod
    def until(reached: Callable[[], Any], within_s: float = 30) -> Any:
        """Poll until something is so, and return it."""
        deadline_s = time.monotonic() + within_s
        while not (found := reached()):
            assert time.monotonic() < deadline_s, "did not happen in time"
            time.sleep(0.02)
        return found

    def holds(self, *names: str) -> dict[str, Any]:
        """Return the overview once these hold, and no others: on a busy machine one of them may not answer within its second."""
        found: dict[str, Any] = self.until(
            lambda: (o := self.cli("--json").ended(0).json) and sorted(o["held"]) == [*names] and o
        )
        return found

    def newest_run(self) -> dict[str, Any] | None:
        """Return the newest run as `status --json` tells it."""
        done = self.cli("status", "--json")
        return done.json if "error" not in done.json else None

    def at_step(self, kind: str) -> dict[str, Any]:
        """Wait until the newest run is inside a step of that kind, and return the run."""

        def inside() -> dict[str, Any] | None:
            run = self.newest_run()
            for step in run["steps"] if run else ():
                if step["state"] in ("begun", "applied") and step["key"].endswith(kind.replace(".", "-")):
                    return run
            return None

        found: dict[str, Any] = self.until(inside)
        return found

    @contextmanager
    def start_that_hangs(self, version: str, *, patience_s: float) -> Iterator[Path]:
        """Make a release never become ready for as long as the file that is handed over exists."""
        hang = self.stage.directory / f"hang-{version}"
        script = self.stage.directory / "bin" / "start"
        script.write_text(
            "#!/bin/sh\n"
            f'if [ -e "{self.stage.directory}/hang-$(basename "$PWD")" ]; then\n'
            '    echo "waiting for the licence server"\n'
            f"    exec {sys.executable} -c 'import time; time.sleep(600)'\n"
            "fi\n"
            f"exec {sys.executable} -m collector\n"
        )
        script.chmod(0o755)
        hang.touch()
        own = f'start: ["{script}"]\n  start_timeout_s: {patience_s}'
        with self.configured(lambda config: re.sub(r"start: \[.*\]", own, config)):
            try:
                yield hang
            finally:
                hang.unlink(missing_ok=True)
                self.end_hanging()

    def end_hanging(self) -> None:
        """End what hangs in a release's folder."""
        releases = str(self.stage.root / "releases")
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if "time.sleep(600)" in " ".join(process.cmdline()) and process.cwd().startswith(releases):
                    process.kill()

    @property
    def state_file(self) -> Path:
        return self.stage.directory / ".backout" / "state.db"

    @contextmanager
    def configured(self, change: Callable[[str], str]) -> Iterator[None]:
        """Change `backout.yaml` for a while."""
        before = self.stage.config.read_text()
        changed = change(before)
        assert changed != before, "the story's change of the configuration does nothing"
        self.stage.config.write_text(changed)
        try:
            yield
        finally:
            self.stage.config.write_text(before)

    def without_probes(self) -> AbstractContextManager[None]:
        """Leave out the check that sends many requests: it takes long on the bad release."""
        return self.configured(
            lambda config: re.sub(r"  - kind: probes.*?(?=  - kind: command)", "", config, flags=re.DOTALL)
        )

    @contextmanager
    def sql(self, *statements: str, undo: tuple[str, ...] = (), superuser: bool = False) -> Iterator[None]:
        """Change the database for a while."""
        self.execute(*statements, superuser=superuser)
        try:
            yield
        finally:
            self.execute(*undo, superuser=superuser)

    def execute(self, *statements: str, superuser: bool = False) -> list[Any]:
        url = self.stage.postgres.superuser_url if superuser else self.stage.database_url
        rows: list[Any] = []
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                done = connection.execute(statement)
                rows = done.fetchall() if done.description else []
        return rows

    def finished_well(self) -> None:
        """Check that the good release serves, once, and that nothing is held or refused."""
        found = self.state()
        schema = found.pop("schema")
        assert schema
        assert found == {
            "link": GOOD,
            "version": GOOD,
            "processes": 1,
            "pid_file_is_right": True,
            "databases": ["collector open"],
            "front": "pass",
            "takes_writes": True,
        }


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, require_service: Callable[[str], None]
) -> Iterator[Scene]:
    require_service("postgres")
    with Stage(tmp_path_factory.mktemp("stage") / "stage", fsync=False) as stage:
        text = stage.config.read_text()
        for old, new in _PROBES.items():
            assert old in text
            text = text.replace(old, new)
        stage.config.write_text(text)
        scene = Scene(stage)
        stage.deploy(GOOD)
        scene.cli("record").ended(0)
        stage.deploy(BAD)
        scene.cli("record", "--state", "bad").ended(0)
        stage.snapshot()
        yield scene


@pytest.fixture
def looks(shared: Scene) -> Iterator[Scene]:
    """The stage, for a story after which it must be exactly as before."""
    before = shared.state()
    yield shared
    assert shared.state() == before, "this story must change nothing"


@pytest.fixture
def scene(shared: Scene) -> Iterator[Scene]:
    """The stage, for a story that changes it; put back afterwards."""
    yield shared
    shared.stage.config.write_text(shared.config)
    shared.stage.reset()


@pytest.fixture
def make_cli(tmp_path: Path) -> Iterator[Callable[[Path], Cli]]:
    """Give the command line in a directory without a stage."""
    made: list[Path] = []

    def make(directory: Path) -> Cli:
        made.append(directory)
        return Cli(
            directory,
            {**basic_env(), "NO_COLOR": "1", "COLUMNS": "200", "XDG_STATE_HOME": str(tmp_path / "xdg")},
        )

    yield make
    for directory in made:
        Cli.end_children(directory)


@pytest.fixture
def tiny(tmp_path: Path, make_cli: Callable[[Path], Cli]) -> tuple[Path, Cli]:
    """A service whose release is a line in a file; 1.0 was recorded as good, 2.0 runs."""
    (tmp_path / "backout.yaml").write_text(TINY)
    (tmp_path / "deploy").write_text(TINY_DEPLOY)
    (tmp_path / "deploy").chmod(0o755)
    (tmp_path / "versions").write_text("2.0\n1.0\n")
    cli = make_cli(tmp_path)
    for version in ("1.0", "2.0"):
        (tmp_path / "running").write_text(f"{version}\n")
        cli("record", "--state", "good" if version == "1.0" else "bad").ended(0)
    return tmp_path, cli
