"""Asks nginx at its status address what it runs."""

from __future__ import annotations

import http.client
import time

_LONGEST = 4096


def asked(address: str, path: str, deadline_s: float) -> str:
    """Return what a worker of nginx answers over a new connection.

    Args:
        address: IP:PORT.
        path: Of the answer.
        deadline_s: Seconds from now.

    Raises:
        OSError: There was no answer in time, or it is none of ours; the text says why.
    """
    host, _, port = address.rpartition(":")
    until = time.monotonic() + deadline_s
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=max(0.05, deadline_s))
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        if connection.sock is not None:
            connection.sock.settimeout(max(0.05, until - time.monotonic()))
        answer = connection.getresponse()
        body = answer.read(_LONGEST).decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(f"no answer of nginx: {error or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"it answers {answer.status}")
    return body
