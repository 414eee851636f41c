"""Clients that ask without pause, each in a thread of its own."""

from __future__ import annotations

import threading
from typing import Self


class Clients:
    """They ask from the beginning to the end of a `with`; a subclass says what each does until `stop` is set.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self.ask, args=(n,), daemon=True) for n in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(40)
            assert not thread.is_alive(), "a request was never answered"

    def ask(self, client: int) -> None:
        """Ask as that client, numbered from 0, until `stop` is set."""
        raise NotImplementedError
