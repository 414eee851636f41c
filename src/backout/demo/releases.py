"""The releases of the service `collector`, written out as complete directories of code."""

from __future__ import annotations

import shutil
from pathlib import Path

GOOD, BAD, MIGRATED = "5.3.0", "5.4.0", "6.0.0"
"""One that is good, one that is not, and one that is not and comes with a migration."""
RELEASES = (GOOD, BAD, MIGRATED)
_CODE = Path(__file__).parent / "collector"
_OVERLAYS: dict[str, Path | None] = {
    GOOD: None,
    BAD: _CODE / "v5_4_0",
    MIGRATED: _CODE / "v6_0_0",
}


def write_release(version: str, directory: Path) -> None:
    """Write the code of a release below `directory`, to be run there with ``python -m collector``.

    Args:
        version: One of `RELEASES`.
        directory: Created; has to be new.

    Raises:
        KeyError: There is no such version.
    """
    overlay = _OVERLAYS[version]
    package = directory / "collector"
    package.mkdir(parents=True)
    _copy_files(_CODE, package)
    if overlay is not None:
        # The overlay's own __init__ says what it is; it is no part of the release.
        _copy_files(overlay, package, leave_out=("__init__.py",))
    shutil.copyfile(package / "VERSION", directory / "VERSION")


def _copy_files(source: Path, to: Path, leave_out: tuple[str, ...] = ()) -> None:
    for file in source.iterdir():
        if file.is_file() and file.name not in leave_out:
            shutil.copyfile(file, to / file.name)
