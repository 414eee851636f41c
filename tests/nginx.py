"""A real nginx in front of services of the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backout.children import Children, end
from backout.clock import SystemClock
from backout.embedded.server import free_port
from backout.errors import BackoutError
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.routers.nginx import NginxOptions, NginxRouter, processes
from backout.routers.nginx.included import Division, text
from backout.testing.steps import wait_until

_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000;
    client_max_body_size 4m;
    client_body_buffer_size 4m;
    include {folder}/shop.conf;
    {log_format}
    map $http_upgrade $upgrades {{ default upgrade; "" ""; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://$shop;
            {access_log}
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgrades;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


class Nginx:
    """One nginx with its files in a folder; the first side gets all requests when it starts for the first time.

    Args:
        folder: Holds configuration, pid file and logs.
        children: Starts and ends it.
        sides: The ports of each side's servers.
        log_format: Called `backout`: requests are written to `access.log`; empty: to nowhere.
        more: Options of the router.
    """

    def __init__(
        self,
        folder: Path,
        children: Children,
        sides: Mapping[str, tuple[int, ...]],
        log_format: str = "",
        **more: object,
    ) -> None:
        self.folder, self.port, self.status, self._children = folder, free_port(), free_port(), children
        self.told: dict[str, object] = {
            "file": "shop.conf",
            "variable": "shop",
            "status": f"127.0.0.1:{self.status}",
            "sides": {name: [f"127.0.0.1:{port}" for port in own] for name, own in sides.items()},
            "command": list(self.argv),
            "pid_file": "nginx.pid",
            **more,
        }
        access_log = f"access_log {folder}/access.log backout;" if log_format else ""
        self.configuration.write_text(
            _CONFIGURATION.format(folder=folder, port=self.port, log_format=log_format, access_log=access_log)
        )
        first = next(iter(sides))
        shares = {name: 100 if name == first else 0 for name in sides}
        self.included.write_text(text(Division(shares), self.router().options))

    @property
    def configuration(self) -> Path:
        """nginx.conf."""
        return self.folder / "nginx.conf"

    @property
    def included(self) -> Path:
        """The file that backout writes."""
        return self.folder / "shop.conf"

    @property
    def argv(self) -> tuple[str, ...]:
        """Starts nginx's program."""
        error_log = str(self.folder / "error.log")
        return ("nginx", "-p", str(self.folder), "-c", str(self.configuration), "-e", error_log)

    def start(self) -> None:
        """Start it, again if it was killed, and wait until it answers."""
        self._children.stop("nginx")
        self._children.start("nginx", self.argv, env={"PATH": f"{os.environ['PATH']}:/usr/sbin"})
        wait_until(self._answers)

    def reload(self) -> None:
        """Have new workers read the configuration, and wait until only they take connections."""
        old = self.taking
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: bool(self.taking) and not self.taking & old)

    def kill(self) -> None:
        """End master and workers at once."""
        workers = processes.workers(self.pid)
        end(self.pid, None, signal.SIGKILL)
        for one in workers:
            end(one.pid, None, signal.SIGKILL)

    def router(self, **options: object) -> NginxRouter:
        """Return a router for it."""
        site = Site("collector", "test", self.folder, {}, SystemClock(), Redactor())
        return NginxRouter.create(NginxOptions.model_validate(self.told | options), site)

    @property
    def pid(self) -> int:
        """The master's."""
        pid = self._children.pid("nginx")
        assert pid is not None
        return pid

    @property
    def taking(self) -> set[int]:
        """The workers that take connections."""
        return {one.pid for one in processes.workers(self.pid) if not one.ends}

    def _answers(self) -> bool:
        try:
            self.router().traffic(1.0)
        except BackoutError:
            assert self._children.alive("nginx"), self._children.log_tail("nginx")
            return False
        return True


@contextmanager
def nginx(
    folder: Path, sides: Mapping[str, tuple[int, ...]], log_format: str = "", **more: object
) -> Iterator[Nginx]:
    """Give an nginx that answers."""
    children = Children(folder / "run")
    try:
        made = Nginx(folder, children, sides, log_format, **more)
        made.start()
        yield made
    finally:
        children.close()
