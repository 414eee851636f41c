"""What HAProxy counts of each server. Pure.

Source: HAProxy 2.6 management guide, 9.1: `hrsp_*` are responses of servers by class, `econ` requests for which no server could be
reached, `eresp` responses that broke off, `cli_abrt` what clients gave up (those are theirs).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from backout.routers.base import RequestsCounted

_ANSWERED = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_FAILED = "hrsp_5xx"
_BROKE = ("econ", "eresp")


def counted(stat: str, backend: str, sides: Mapping[str, Sequence[str]]) -> dict[str, RequestsCounted]:
    """Return what was counted of each side.

    Args:
        stat: What `show stat` says.
        backend: Its name.
        sides: Servers by side.

    Raises:
        KeyError: A server, or a column, is not there.
        ValueError: A column holds no number: the backend does not speak HTTP.
    """
    rows = csv.DictReader(io.StringIO(stat.lstrip("# ")))
    servers = {row["svname"]: row for row in rows if row["pxname"] == backend}
    found = {}
    for side, own in sides.items():
        told = [servers[name] for name in own]
        if any(row[name] is None for row in told for name in (*_BROKE, *_ANSWERED)):
            raise ValueError("a line ends too early")
        # What broke off before an answer is in none of the classes. What broke off within it is in both: few, and they failed.
        broke = sum(int(row[name] or 0) for row in told for name in _BROKE)
        answered = sum(int(row[name]) for row in told for name in _ANSWERED)
        failed = sum(int(row[_FAILED]) for row in told)
        found[side] = RequestsCounted(requests=answered + broke, failed=failed + broke)
    return found


def process(info: str) -> str:
    """Return which process counts: a reload begins another one, whose counters may be higher than the last ones.

    Args:
        info: What `show info` says (9.3).

    Raises:
        KeyError: It does not say so.
    """
    told = dict(line.partition(": ")[::2] for line in info.splitlines())
    # In a container each process may have the same number.
    return " ".join(filter(None, (told["Pid"], told.get("Start_time_sec"))))
