"""The process that fills a new database; started by `restore.py`, it outlives backout.

Run as ``python -m backout.databases.postgres.restoring TASK``. It lives as long as its advisory lock in the
maintenance database: when that session is lost (the server was restarted, somebody ended it) it ends with what it
started, and the database is left as cut short. What it starts ends with it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from backout.backup import BesideDatabase, BesideState, RestoreOrder
from backout.databases.postgres.beside import Mark, drop_found, look, server_now, write_mark
from backout.databases.postgres.by_hand import psql, quoted
from backout.databases.postgres.cluster import RESTORE_LOCK, Cluster, server_version, try_lock
from backout.databases.postgres.connect import Connector
from backout.databases.postgres.filling import Filling, analysing, filling
from backout.databases.postgres.other_server import OtherServer
from backout.databases.postgres.programs import die_with_parent, find_programs
from backout.databases.postgres.publications import catch_up
from backout.databases.postgres.restore import OTHER_PASSWORD, PASSWORD, Task, free_bytes
from backout.databases.postgres.watching import lag_bytes, refuse_too_much_wal
from backout.errors import BackoutError, NotPossible, StepFailed
from backout.faults import fault_point
from backout.message import Message, msg
from backout.redact import Redactor

if TYPE_CHECKING:
    import psycopg

_POLL_S = 0.1
_LOOK_EVERY_S = 1.0
_WORDS_BYTES = 16_384
_TABLESPACE = re.compile(
    r'Tablespace "(?P<missing>[^"]+)" does not exist|permission denied for tablespace (?P<denied>.+?)(?= LINE | Command|$)',
    re.IGNORECASE,
)


def main(path: str) -> None:
    """Restore as the task says; what comes of it stands in the database's comment."""
    file = Path(path)
    task = Task.model_validate_json(file.read_text())
    cluster = _cluster(task, file.parent)
    # With autocommit and nothing open: its time-outs are for statements, and this session waits for long.
    live, name = task.order.live, task.order.database
    home = cluster.home(live, name)
    with cluster.maintenance(3600, of=name) as connection:
        connection.execute("SET statement_timeout = 0")
        if not try_lock(connection, RESTORE_LOCK, task.oid):
            return
        fault_point("restore.lock.after")
        found = look(connection, live, name, home=home)
        if (
            not found
            or found[0].oid != task.oid
            or found[0].mark is None
            or found[0].mark.state != "restoring"
        ):
            return
        worker = _Worker(connection, cluster, task.order, found[0].mark, file.parent)
        try:
            worker.restore()
        except BackoutError as error:
            worker.fail(error.what)
        except OSError as error:
            worker.fail(msg("{error}", error=str(error)))


def _cluster(task: Task, folder: Path) -> Cluster:
    redactor = Redactor()
    redactor.add(*(os.environ.get(name) for name in ("PGPASSWORD", PASSWORD, OTHER_PASSWORD)))
    connector = Connector(
        conninfo=_with_password(task.conninfo, PASSWORD),
        redactor=redactor,
        lock_timeout_s=task.lock_timeout_s,
        statement_timeout_s=3600,
        connect_timeout_s=task.connect_timeout_s,
    )
    if task.other is not None:
        there = replace(connector, conninfo=_with_password(task.other, OTHER_PASSWORD))
        connector = replace(connector, other=OtherServer(there, task.maintenance))
    return Cluster(connector, task.maintenance, Path(task.programs), folder.parent, task.schemas)


def _with_password(conninfo: str, variable: str) -> str:
    """Return a connection text with the password that was handed over; no program that is started inherits it."""
    from psycopg.conninfo import make_conninfo

    password = os.environ.pop(variable, None)
    return make_conninfo(conninfo, password=password) if password else conninfo


class _Worker:
    def __init__(
        self,
        connection: psycopg.Connection[Any],
        cluster: Cluster,
        order: RestoreOrder,
        mark: Mark,
        folder: Path,
    ) -> None:
        self._connection, self._cluster, self._order = connection, cluster, order
        self._mark, self._folder = mark, folder
        self._waits: str | None = None

    def restore(self) -> None:
        """Fill the database, gather statistics, and mark it as restored."""
        version = server_version(self._connection)
        programs = find_programs(self._cluster.programs, version)
        fault_point("restore.fill.before")
        self._run(filling(self._cluster, programs, self._order, version // 10000, self._folder))
        fault_point("restore.fill.after")
        self._carry_publications()
        self._run(analysing(self._cluster, programs, self._order))
        fault_point("restore.analyse.after")
        self._connection.execute("SET synchronous_commit = on")  # and all before it is durable, too
        self._write("restored", None)
        fault_point("restore.restored.after")

    def _carry_publications(self) -> None:
        """Give the database the live one's publications; what could not be is told when it is checked."""
        if self._order.tables:
            return
        with suppress(BackoutError):
            catch_up(self._cluster, self._order.database, self._order.live)

    def fail(self, why: Message) -> None:
        """Say why, and drop the database: it is of no use, and takes space."""
        text = self._cluster.connector.redactor.text(str(why))
        fault_point("restore.failed.before")
        self._write("failed", text)
        fault_point("restore.failed.after")
        failed = BesideDatabase(
            name=self._order.database,
            oid=0,
            state=BesideState.FAILED,
            accepts=False,
            backup=self._order.backup,
            identity=self._order.identity,
            since=server_now(self._connection),
            run=self._mark.run,
            why=text,
        )
        (self._folder / "failed.json").write_text(failed.model_dump_json())
        drop_found(self._connection, self._order.database)

    def _write(self, state: str, why: str | None) -> None:
        told = {"state": state, "why": why, "since": server_now(self._connection)}
        write_mark(
            self._connection, self._order.database, Mark.model_validate(self._mark.model_dump() | told)
        )

    def _run(self, program: Filling) -> None:
        """Run one program to its end, watching what has to be watched; it ends with this process."""
        with tempfile.TemporaryFile() as words:
            process = subprocess.Popen(
                program.command,
                stdin=subprocess.PIPE if program.text else subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                env=program.env,
                cwd="/",
                process_group=0,
                preexec_fn=die_with_parent,
            )
            feeder = _Feeder(process, program, self._order.max_bytes_per_s)
            try:
                self._wait(process)
            finally:
                _kill_group(process)
                feeder.join()
            self._judge(process, program, feeder, _tail(words))

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        next_look_s = time.monotonic() + _LOOK_EVERY_S
        while True:
            try:
                process.wait(_POLL_S)
                return
            except subprocess.TimeoutExpired:
                self._refuse_a_full_disk()
            if time.monotonic() >= next_look_s:
                self._connection.execute("SELECT 1")  # raises when the session, and with it our lock, is gone
                refuse_too_much_wal(self._connection, self._order)
                self._wait_for_standbys(process)
                next_look_s = time.monotonic() + _LOOK_EVERY_S

    def _refuse_a_full_disk(self) -> None:
        free = free_bytes(self._order.space_path)
        if free is not None and free < self._order.min_free_bytes:
            raise StepFailed(
                msg(
                    "The disk of {path} is nearly full: {free} bytes are free, {needed} must stay so",
                    path=self._order.space_path,
                    free=free,
                    needed=self._order.min_free_bytes,
                ),
                state=msg("The live database is untouched."),
                next_command=f"df -h {self._order.space_path}",
            )

    def _wait_for_standbys(self, process: subprocess.Popen[bytes]) -> None:
        """Let the program wait while standbys lag behind too far; until half of that is made up."""
        limit = self._order.max_replica_lag_bytes
        if limit is None:
            return
        lag = lag_bytes(self._connection) or 0
        if self._waits is None and lag > limit:
            self._waits = f"waits for standbys that lag {lag} bytes behind"
            os.killpg(process.pid, signal.SIGSTOP)
        elif self._waits is not None and lag <= limit // 2:
            self._waits = None
            os.killpg(process.pid, signal.SIGCONT)
        else:
            return
        self._write("restoring", self._waits)

    def _judge(self, process: subprocess.Popen[bytes], program: Filling, feeder: _Feeder, words: str) -> None:
        if feeder.error is not None and process.returncode in (0, None, -signal.SIGKILL, -signal.SIGPIPE):
            raise self._failed(f"the backup cannot be read: {feeder.error}")
        if process.returncode == 0:
            return
        errors = [line for line in words.splitlines() if "error:" in line or "ERROR:" in line]
        if program.tolerated and errors and all(program.tolerated in line for line in errors):
            return
        name = Path(program.command[0]).name
        said = " ".join(words.split())[-1200:]
        raise self._failed(f"{name} ended with {process.returncode}: {said}{self._what_to_type(said)}")

    def _what_to_type(self, said: str) -> str:
        """Return what an administrator types where the backup names a tablespace that is not there, or not ours."""
        found = _TABLESPACE.search(said)
        if found is None:
            return ""
        missing, denied = found["missing"], found["denied"]
        name = quoted(missing or denied)
        if missing:
            statement = f"CREATE TABLESPACE {name} LOCATION '/an/empty/folder/of/the/servers/user'"
        else:
            statement = f"GRANT CREATE ON TABLESPACE {name} TO {quoted(self._connection.info.user)}"
        return f" As an administrator, then restore again: {psql(statement)}"

    def _failed(self, why: str) -> NotPossible:
        return NotPossible(
            msg("{backup} could not be restored: {why}", backup=self._order.backup, why=why),
            state=msg("The live database is untouched; the new one is dropped."),
            next_command="backout backup verify",
        )


class _Feeder:
    """Writes a program's input from a thread, not faster than allowed."""

    def __init__(
        self, process: subprocess.Popen[bytes], program: Filling, max_bytes_per_s: int | None
    ) -> None:
        self.error: BaseException | None = None
        self._process, self._limit = process, max_bytes_per_s
        self._thread: threading.Thread | None = None
        if program.text is not None:
            self._thread = threading.Thread(target=self._feed, args=(program.text,), daemon=True)
            self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended: it does once its program has."""
        if self._thread is not None:
            self._thread.join()

    def _feed(self, text: Any) -> None:
        pipe: IO[bytes] | None = self._process.stdin
        assert pipe is not None
        began_s, written = time.monotonic(), 0
        pieces = text()
        try:
            for piece in pieces:
                pipe.write(piece)
                written += len(piece)
                if self._limit is not None:
                    self._slow_down(began_s + written / self._limit)
            pipe.close()
        except BrokenPipeError:
            pass  # the program has ended, and says why
        except Exception as error:
            # Hazard: closing its input would let it end as if all had come.
            self.error = error
            with suppress(ProcessLookupError):
                self._process.kill()
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
            with suppress(OSError):
                pipe.close()

    def _slow_down(self, until_s: float) -> None:
        while (left_s := until_s - time.monotonic()) > 0 and self._process.poll() is None:
            time.sleep(min(left_s, _POLL_S))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(words: IO[bytes]) -> str:
    size = words.seek(0, os.SEEK_END)
    words.seek(max(0, size - _WORDS_BYTES))
    return words.read().decode(errors="replace")


if __name__ == "__main__":
    main(sys.argv[1])
