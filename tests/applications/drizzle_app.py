"""The example `examples/drizzle-app`: its releases as processes, and what was written through them."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from tests.conftest import NODE_TOOLS
from tests.services.reversible.tools import Tool, environment
from tests.waiting import until

from backout.embedded.server import free_port

EXAMPLE = Path(__file__).parents[2] / "examples/drizzle-app"


class Checkout(Tool):
    """The example's folder, as after `npm ci`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        (folder / "node_modules").symlink_to(NODE_TOOLS / "node_modules")

    def migrate(self, url: str, release: int) -> subprocess.CompletedProcess[str]:
        """Type what README.md says for a deploy."""
        return self.through(
            url,
            "--release",
            str(release),
            argv=["env", f"RELEASE={release}", "npx", "drizzle-kit", "migrate"],
        )


@dataclass(frozen=True)
class Release:
    """A release that serves."""

    port: int

    def get(self, path: str) -> list[dict[str, Any]]:
        with self._ask("GET", path, None) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def post(self, to: str, /, **body: object) -> dict[str, Any]:
        """Write; return the row as this release sees it."""
        with self._ask("POST", to, json.dumps(body).encode()) as answer:
            (row,) = json.load(answer)
        made: dict[str, Any] = row
        return made

    def _ask(self, method: str, path: str, body: bytes | None) -> HTTPResponse:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=body)
        answer: HTTPResponse = urllib.request.urlopen(asked, timeout=30)
        return answer


@dataclass
class Releases:
    """Starts releases, and ends those that it started."""

    checkout: Checkout
    url: str
    _running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, number: int) -> Release:
        port = free_port()
        log = self.checkout.folder / f"v{number}.log"
        with log.open("wb") as out:
            self._running[number] = subprocess.Popen(
                ["node", "--import", "tsx", f"v{number}/app.ts"],
                cwd=self.checkout.folder,
                env=environment(self.url, {"PORT": str(port)}),
                stdout=out,
                stderr=out,
            )
        until(lambda: b"listening" in log.read_bytes())
        return Release(port)

    def stop(self, number: int) -> None:
        process = self._running.pop(number)
        process.terminate()
        process.wait(30)

    def close(self) -> None:
        for number in list(self._running):
            self.stop(number)


@dataclass
class Ledger:
    """Writes through releases, and remembers what has to be there."""

    customers: dict[int, dict[str, Any]] = field(default_factory=dict)
    orders: dict[int, dict[str, Any]] = field(default_factory=dict)
    visits: dict[int, dict[str, Any]] = field(default_factory=dict)

    def customer(self, release: Release, email: str, name: str, **more: object) -> int:
        made = release.post("/customers", email=email, name=name, **more)
        self.customers[made["id"]] = {"id": made["id"], "email": email, "name": name, **more}
        return int(made["id"])

    def renamed(self, release: Release, customer: int, name: str) -> None:
        release.post(f"/customers/{customer}", name=name)
        self.customers[customer]["name"] = name

    def order(self, release: Release, customer: int, cents: int, **more: object) -> int:
        made = release.post("/orders", customerId=customer, cents=cents, **more)
        self.orders[made["id"]] = {
            "id": made["id"],
            "customerId": customer,
            "cents": cents,
            "status": "new",
            "placedAt": made["placedAt"],
            **more,
        }
        return int(made["id"])

    def status(self, release: Release, order: int, status: str) -> None:
        changed = release.post(f"/orders/{order}", status=status)
        self.orders[order]["status"] = status
        if "paidAt" in changed:
            self.orders[order]["paidAt"] = changed["paidAt"]

    def visit(self, release: Release, path: str) -> None:
        made = release.post("/visits", path=path)
        self.visits[made["id"]] = made

    def missing(self, release: Release, *paths: str) -> list[str]:
        """Return what a release does not have as it was written, as far as it has a place for it."""
        found = []
        for path in paths:
            written: dict[int, dict[str, Any]] = getattr(self, path)
            there = {row["id"]: row for row in release.get(f"/{path}")}
            found += [f"{path} {one} is not there" for one in written.keys() - there.keys()]
            found += [f"{path} {one} is not known" for one in there.keys() - written.keys()]
            found += [
                f"{path} {one}: {name} is {there[one][name]!r}, not {value!r}"
                for one in written.keys() & there.keys()
                for name, value in written[one].items()
                if name in there[one] and there[one][name] != value
            ]
        return sorted(found)
