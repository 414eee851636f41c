"""What the names that people give to backups tell: pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

_ENDS = r"\.(?:sql|dump|custom|pgdump|backup|psql)(?:\.gz)?"
_TIME = r"(?P<time>\d{8}_\d{6})"
_FILE = re.compile(rf"(?:{_TIME}|pre_(?P<version>.+?))(?:{_ENDS})", re.IGNORECASE)
_FOLDER = re.compile(rf"(?:{_TIME}|pre_(?P<version>.+?))(?:{_ENDS}|\.dir|\.d)?", re.IGNORECASE)
_UNFINISHED = re.compile(r"(?:\.(?:part|partial|tmp|temp|new|lock|swp|crdownload)|~)$", re.IGNORECASE)
_OF_ANY = re.compile(rf"(?P<name>.+?)_(?:{_TIME}|pre_(?P<version>[^_]+?))(?:{_ENDS})", re.IGNORECASE)


class NameTold(NamedTuple):
    """What a name tells: the time in it, or the version that it was taken before."""

    time: datetime | None = None
    before_version: str | None = None


def told_by_name(entry: str, name: str, zone: ZoneInfo, *, folder: bool) -> NameTold | None:
    """Return what a file's or folder's name tells; None: it is no backup of `name`.

    ``NAME_YYYYMMDD_HHMMSS.sql.gz`` and ``NAME_pre_VERSION.sql.gz``; what looks half-written is none.

    Args:
        entry: The file's or folder's name.
        name: What names of this service's backups begin with.
        zone: Of the times in names. Of two times that a name can mean when clocks are set back it is the later:
            a backup must never be taken for older than it is.
        folder: Whether it is a folder, whose name needs no ending.
    """
    rest = entry.removeprefix(f"{name}_")
    found = (_FOLDER if folder else _FILE).fullmatch(rest)
    if rest == entry or not found or _UNFINISHED.search(entry):
        return None
    if found["time"]:
        return NameTold(time=_time(found["time"], zone))
    # `web_pre_20260102_030405.sql` is of a service `web_pre`.
    return None if re.fullmatch(_TIME, found["version"]) else NameTold(before_version=found["version"])


def name_in(entry: str) -> str | None:
    """Return what the name of a backup of any service begins with; None: it is no backup."""
    found = _OF_ANY.fullmatch(entry)
    return found["name"] if found else None


def _time(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        at = datetime.strptime(text, "%Y%m%d_%H%M%S").replace(tzinfo=zone)
    except ValueError:
        return None
    return max(at.astimezone(UTC), at.replace(fold=1).astimezone(UTC))
