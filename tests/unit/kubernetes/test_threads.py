"""Several threads ask the API server for the first time at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from backout.clock import SystemClock
from backout.kubernetes.api import Api
from backout.kubernetes.kubeconfig import choose

_THREADS = 8


def at_once(act: Callable[[], Any]) -> list[Any]:
    barrier = threading.Barrier(_THREADS)

    def one(_number: int) -> Any:
        barrier.wait(timeout=10)
        return act()

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(one, range(_THREADS)))


def test_one_connection_is_made(tmp_path: Path) -> None:
    file, asked = tmp_path / "kubeconfig", []
    file.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )

    def connect() -> Any:
        asked.append(1)
        return choose(file, None, {})

    api = Api(connect, None, SystemClock())
    assert len({id(found) for found in at_once(lambda: api.config)}) == 1
    assert len(asked) == 1
    assert {found.context_name for found in at_once(lambda: choose(file, None, {}))} == {"x"}
