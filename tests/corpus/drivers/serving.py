"""A program that stays: it is told a step and a database, runs it, and says how it ended. Only the standard library.

A package takes seconds to be imported, and its migrations are run thousands of times.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any


def serve(path: str, answer: Callable[[dict[str, Any]], str]) -> None:
    """Answer one request after the other, until the one who asks for the last time says so.

    Args:
        path: Of a socket that is made.
        answer: Does what is asked, and returns what to say; raises where it cannot be done.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(1)
        threading.Thread(target=_end_with_who_started, daemon=True).start()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdout.close()
        while True:
            caller, _ = door.accept()
            with caller, caller.makefile("rw") as talk:
                asked = json.loads(talk.readline())
                if asked["what"] == "end":
                    return
                json.dump(_answered(answer, asked), talk)


def _end_with_who_started() -> None:
    sys.stdin.read()
    os._exit(1)


def _first(error: BaseException) -> BaseException:
    """Return the error that was meant: some tools tidy up in the transaction that it has ended, and fail once more."""
    while "transaction is aborted" in str(error) and error.__context__ is not None:
        error = error.__context__
    return error


def _more(error: BaseException) -> str:
    """Return detail and hint of the server where an error has them, and its text has not: so it is with asyncpg."""
    found: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        for name in ("detail", "hint"):
            told = getattr(cause, name, None)
            if isinstance(told, str) and told not in str(error):
                found.append(f"{name.upper()}:  {told}")
        cause = cause.__cause__
    return "\n".join(dict.fromkeys(found))


def _answered(answer: Callable[[dict[str, Any]], str], asked: dict[str, Any]) -> dict[str, Any]:
    printed = io.StringIO()
    os.environ.update(asked.get("environment", {}))
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            said = answer(asked)
    except BaseException as error:
        last, said = "".join(traceback.format_exception(error)[-12:]), _first(error)
        return {
            "status": 1,
            "said": f"{type(said).__name__}: {said}\n{_more(said)}\n{printed.getvalue()[-2000:]}\n{last[-4000:]}",
        }
    return {"status": 0, "said": said}
