"""HAProxy: the router `haproxy` beside `set server …` through socat."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from _apart import sides_apart
from _router_case import SIDES, RouterCase
from tests.haproxy import haproxy


def cases() -> dict[str, Callable[[Path], AbstractContextManager[RouterCase]]]:
    """Return what is measured: shift waits for a check that comes back, where HAProxy checks its servers."""
    return {
        "haproxy": partial(_case, check=""),
        "haproxy, servers checked every 200 ms": partial(_case, check="check inter 200"),
    }


@contextmanager
def _case(folder: Path, check: str) -> Iterator[RouterCase]:
    with (
        sides_apart(*SIDES) as ports,
        haproxy(folder, ports, more=dict.fromkeys(SIDES, check)) as made,
    ):
        router = made.router({name: (name,) for name in SIDES})

        def ours(to: str, left: str) -> None:
            router.shift({to: 100, left: 0})

        def bare(to: str, left: str) -> None:
            words = (
                f"set server app/{to} weight 256; set server app/{to} state ready; "
                f"set server app/{left} state maint; set server app/{left} weight 0"
            )
            subprocess.run(
                ["socat", "-t", "10", "stdio", str(made.socket)],
                input=words + "\n",
                text=True,
                check=True,
                capture_output=True,
            )

        ours(*SIDES)
        yield RouterCase(port=made.port, ours=ours, bare=bare)
