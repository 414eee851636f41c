"""A real HAProxy in front of services of the tests."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backout.children import Children, end
from backout.clock import SystemClock
from backout.embedded.server import free_port
from backout.errors import BackoutError
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.routers.haproxy import HaproxyOptions, HaproxyRouter
from backout.testing.steps import wait_until

_CONFIGURATION = """
global
    stats socket {socket} mode 600 level {level}
    server-state-file {folder}/state
    hard-stop-after 60s
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    option redispatch
    errorfile 503 {folder}/503.http
frontend all
    bind 127.0.0.1:{port}
    default_backend app
backend app
    balance roundrobin
    cookie SIDE insert indirect nocache
    load-server-state-from-file global
{servers}
"""
_MAINTENANCE = (
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class Haproxy:
    """One HAProxy with its files in a folder.

    Args:
        folder: Holds configuration, socket and state.
        children: Starts and ends it.
        ports: Of the servers, by name; all but the first are disabled when it starts for the first time.
        level: Of its runtime API.
        more: Settings of servers, by name, in place of their check.
    """

    def __init__(
        self,
        folder: Path,
        children: Children,
        ports: Mapping[str, int],
        level: str = "admin",
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.port, self._children = folder, free_port(), children
        # The path of a UNIX socket has 107 characters at most.
        self.socket = Path(tempfile.mkdtemp(prefix="haproxy-")) / "admin.sock"
        servers = "\n".join(
            f"    server {name} 127.0.0.1:{port} cookie {name} {(more or {}).get(name, 'check inter 200')}{'' if not at else ' disabled weight 0'}"
            for at, (name, port) in enumerate(ports.items())
        )
        (folder / "503.http").write_bytes(_MAINTENANCE.encode())
        (folder / "state").write_text("1\n")
        (folder / "haproxy.cfg").write_text(
            _CONFIGURATION.format(
                folder=folder, socket=self.socket, level=level, port=self.port, servers=servers
            )
        )

    def start(self) -> None:
        """Start a master with its worker."""
        argv = ["haproxy", "-W", "-db", "-f", str(self.folder / "haproxy.cfg")]
        self._children.start("haproxy", argv, env={"PATH": f"{os.environ['PATH']}:/usr/sbin"})

    def reload(self) -> None:
        """Have a new worker read the configuration, and wait until it answers."""
        before = self._worker()
        os.kill(self._pid, signal.SIGUSR2)
        wait_until(lambda: self._worker() not in ("", before))

    def kill(self) -> None:
        """End master and worker at once."""
        worker = self._worker()
        end(self._pid, None, signal.SIGKILL)
        if worker:
            os.kill(int(worker), signal.SIGKILL)

    def router(self, sides: Mapping[str, tuple[str, ...]], **options: object) -> HaproxyRouter:
        """Return the router for some sides, by the names of their servers."""
        site = Site("collector", "test", self.folder, {}, SystemClock(), Redactor())
        return HaproxyRouter.create(
            HaproxyOptions.model_validate(self.told | {"sides": sides} | options), site
        )

    @property
    def told(self) -> dict[str, object]:
        """Options of its router, but for the sides."""
        return {"socket": str(self.socket), "backend": "app", "state_file": "state"}

    @property
    def _pid(self) -> int:
        pid = self._children.pid("haproxy")
        assert pid is not None
        return pid

    def _worker(self) -> str:
        from backout.routers.haproxy.runtime import Runtime

        try:
            told = Runtime(str(self.socket), 1.0, "").ask("show info")
        except BackoutError:
            return ""
        return next((line.split()[1] for line in told.splitlines() if line.startswith("Pid:")), "")


@contextmanager
def haproxy(
    folder: Path, ports: Mapping[str, int], level: str = "admin", more: Mapping[str, str] | None = None
) -> Iterator[Haproxy]:
    """Give a HAProxy that answers on its runtime API."""
    children = Children(folder / "run")
    made = Haproxy(folder, children, ports, level, more)
    try:
        made.start()
        wait_until(lambda: made._worker() != "")
        yield made
    finally:
        children.close()
        shutil.rmtree(made.socket.parent)
