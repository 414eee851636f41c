"""Asks several at the same time, and waits for none of them longer than agreed."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


def ask_all(questions: Mapping[K, Callable[[], T]], deadline_s: float) -> dict[K, T | Exception]:
    """Return what was answered within seconds from now, by name; who did not answer is left out.

    The threads are daemons: one that never gets its answer cannot keep the process alive.
    """
    answers: queue.SimpleQueue[tuple[K, T | Exception]] = queue.SimpleQueue()

    def ask(name: K, question: Callable[[], T]) -> None:
        try:
            answers.put((name, question()))
        except Exception as error:
            answers.put((name, error))

    for name, question in questions.items():
        threading.Thread(target=ask, args=(name, question), name=f"ask {name}", daemon=True).start()
    until, found = time.monotonic() + deadline_s, dict[K, T | Exception]()
    while len(found) < len(questions):
        try:
            name, answer = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        found[name] = answer
    return found
