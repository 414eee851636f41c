"""A router's file is replaced whole, or not at all."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest

from backout.routers.durable import clear, replace


def test_mode_and_link_stay_and_nothing_is_left_beside(tmp_path: Path) -> None:
    target, link = tmp_path / "available.conf", tmp_path / "enabled.conf"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    replace(link, "new")
    assert (link.is_symlink(), target.read_text(), stat.S_IMODE(target.stat().st_mode)) == (
        True,
        "new",
        0o640,
    )
    assert {one.name for one in tmp_path.iterdir()} == {"available.conf", "enabled.conf"}


def test_a_new_file_can_be_read_by_everybody(tmp_path: Path) -> None:
    replace(tmp_path / "new.conf", "text")
    assert stat.S_IMODE((tmp_path / "new.conf").stat().st_mode) == 0o644


def test_what_cannot_be_written_leaves_the_old_text_and_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            replace(path, "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.conf", "old")]


def test_what_a_kill_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    names = [".a.conf.x1y2z3w4.backout", ".a.conf.swp", ".other.conf.x1y2z3w4.backout", "a.conf"]
    for name in names:
        (tmp_path / name).write_text("")
    clear(tmp_path / "a.conf")
    assert {one.name for one in tmp_path.iterdir()} == set(names[1:])
