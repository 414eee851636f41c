"""The files that people have, as a list."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from backout.backup import Backup, BackupFormat, Manifest
from backout.backups.contents import content_of
from backout.backups.directory import DirectoryBackups, DirectoryOptions
from backout.backups.names import name_in, told_by_name
from backout.backups.rotation import beyond
from backout.clock import SystemClock
from backout.errors import NotPossible, TargetUnreachable
from backout.platforms.base import Site
from backout.redact import Redactor

SQL = b"--\n-- PostgreSQL database dump\n--\n"


def store(tmp_path: Path, **options: str) -> DirectoryBackups:
    (tmp_path / "backups").mkdir(exist_ok=True)
    site = Site("collector", "test", tmp_path, {}, SystemClock(), Redactor())
    return DirectoryBackups.create(DirectoryOptions(**options), site)


def put(tmp_path: Path, name: str, data: bytes = SQL, at: float | None = None) -> Path:
    path = tmp_path / "backups" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if at is not None:
        os.utime(path, (at, at))
    return path


def listed(store: DirectoryBackups) -> dict[str, Backup]:
    return {b.name: b for b in store.found(5)}


def test_the_files_people_have_are_listed_newest_first(tmp_path):
    put(tmp_path, "collector_20260301_020000.sql.gz", gzip.compress(SQL, mtime=0))
    put(tmp_path, "collector_20260302_020000.sql")
    put(
        tmp_path,
        "collector_pre_5.4.sql.gz",
        gzip.compress(SQL, mtime=0),
        at=datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp(),
    )
    put(tmp_path, "collector_20260228_020000.dump", b"PGDMP\1")
    put(tmp_path, "collector_20260227_020000.custom", b"PGDMP\1")
    put(tmp_path, "collector_20260226_020000/toc.dat", b"PGDMP\1")
    found = store(tmp_path).found(5)
    assert [b.name for b in found] == [
        "collector_20260302_020000.sql",
        "collector_pre_5.4.sql.gz",
        "collector_20260301_020000.sql.gz",
        "collector_20260228_020000.dump",
        "collector_20260227_020000.custom",
        "collector_20260226_020000",
    ]
    assert [(b.format, b.taken_at_by, b.before_version, b.by_backout) for b in found[:3]] == [
        (BackupFormat.PLAIN, "name", None, False),
        (BackupFormat.PLAIN_GZIP, "file", "5.4", False),
        (BackupFormat.PLAIN_GZIP, "name", None, False),
    ]
    assert found[0].taken_at == datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert [b.format for b in found[3:]] == [BackupFormat.CUSTOM, BackupFormat.CUSTOM, BackupFormat.DIRECTORY]


@pytest.mark.parametrize(
    "name",
    [
        "collector2_20260301_020000.sql.gz",
        "collector_worker_20260301_020000.sql.gz",
        "collector_pre_20260301_020000.sql.gz",  # of a service called collector_pre
        "other_pre_5.4.sql.gz",
        "collector_20260301_020000.sql.gz.part",
        "collector_pre_5.4.sql.gz.tmp",
        "collector_pre_5.4.sql.gz~",
        "collector_20260301_020000.txt",
        ".collector_20260301_020000.sql.gz",
        "collector_20260301_020000.tmp/toc.dat",
        "collector_pre_5.4.part/toc.dat",
        ".draft-collector_20260301_020000-x/toc.dat",
    ],
)
def test_foreign_and_half_written_ones_are_not_listed(tmp_path, name):
    put(tmp_path, name)
    assert store(tmp_path).found(5) == ()


def test_the_content_decides_not_the_name(tmp_path):
    put(tmp_path, "collector_20260301_020000.sql.gz", SQL)
    put(tmp_path, "collector_20260302_020000.sql", b"PGDMP\1")
    put(tmp_path, "collector_20260303_020000.dump", gzip.compress(SQL, mtime=0))
    put(tmp_path, "collector_20260304_020000.sql.gz", b"")
    found = listed(store(tmp_path))
    assert [found[f"collector_2026030{n}_020000.{e}"].format for n, e in ((1, "sql.gz"), (2, "sql"), (3, "dump"))] == [
        BackupFormat.PLAIN, BackupFormat.CUSTOM, BackupFormat.PLAIN_GZIP,
    ]  # fmt: skip
    assert found["collector_20260304_020000.sql.gz"].format is BackupFormat.PLAIN_GZIP


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x28\xb5\x2f\xfd1234", "zstd"),
        (b"\xff\xfe-\0-\0", "UTF-16"),
        (b"\x7fELF\0\0", "neither"),
        (gzip.compress(b"PGDMP\1\1", mtime=0), "gunzip"),
        (b"toc.dat" + b"\0" * 250 + b"ustar", "tar"),
    ],
)
def test_what_cannot_be_restored_as_it_is_says_what_it_is(tmp_path, data, words):
    content = content_of(put(tmp_path, "x", data))
    assert content.trouble is not None and words in str(content.trouble)


def test_times_in_names_are_in_the_zone_that_was_said(tmp_path):
    put(tmp_path, "collector_20260301_020000.sql")
    assert store(tmp_path, times_in="Asia/Seoul").found(5)[0].taken_at == datetime(
        2026, 2, 28, 17, tzinfo=UTC
    )
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        DirectoryOptions(times_in="Mars/Olympus")


def test_of_two_times_that_a_name_can_mean_it_is_the_later():
    told = told_by_name("c_20261025_023000.sql", "c", ZoneInfo("Europe/Berlin"), folder=False)
    assert told is not None and told.time == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_time_that_is_none_leaves_the_files_own(tmp_path):
    put(tmp_path, "collector_20269999_020000.sql", at=1_700_000_000)
    found = store(tmp_path).found(5)[0]
    assert (found.taken_at_by, found.taken_at) == ("file", datetime.fromtimestamp(1_700_000_000, UTC))


def test_another_beginning_of_names_can_be_said(tmp_path):
    put(tmp_path, "prod-db_20260301_020000.sql")
    assert list(listed(store(tmp_path, name="prod-db"))) == ["prod-db_20260301_020000.sql"]
    with pytest.raises(ValidationError):
        DirectoryOptions(name="../x")


def test_a_manifest_beside_a_file_is_understood_but_does_not_make_it_backouts(tmp_path):
    path = put(tmp_path, "collector_20260301_020000.sql")
    before = listed(store(tmp_path))[path.name].identity
    manifest = {
        "service": "collector", "environment": "test", "database": "db", "taken_at": "2026-03-01T01:59:00Z",
        "finished_at": "2026-03-01T02:00:00Z", "server_version": 150018, "dump_version": "15.18",
        "format": "plain", "files": {}, "migration_head": "alembic:1",
    }  # fmt: skip
    beside = put(tmp_path, f"{path.name}.manifest.json", json.dumps(manifest).encode())
    found = listed(store(tmp_path))[path.name]
    assert found.manifest is not None and found.manifest.migration_head == "alembic:1"
    assert (found.taken_at_by, found.by_backout) == ("manifest", False)
    assert found.identity != before
    assert store(tmp_path).rotate(0, ()) == ()
    beside.write_text(json.dumps({**manifest, "environment": "staging"}))
    assert store(tmp_path).found(5) == ()


def test_a_manifest_that_cannot_be_understood_is_red_and_loses_no_backup(tmp_path):
    path = put(tmp_path, "collector_20260301_020000.sql")
    put(tmp_path, f"{path.name}.manifest.json", b"{")
    kept = store(tmp_path)
    assert kept.found(5)[0].manifest is None
    red = [line for line in kept.doctor() if line.ok is False]
    assert [str(line.evidence) for line in red] == [f"The manifest of {path.name} cannot be understood"]


def test_a_folder_that_is_not_there_is_no_empty_list(tmp_path):
    kept = store(tmp_path)
    (tmp_path / "backups").rmdir()
    with pytest.raises(TargetUnreachable, match="No such file") as caught:
        kept.found(5)
    assert caught.value.next_command.startswith("ls -ld")
    draft = kept.draft("one")
    assert draft.parent == tmp_path / "backups" and draft.stat().st_mode & 0o077 == 0
    kept.discard(draft)


def test_drafts_of_the_dead_are_removed(tmp_path):
    kept = store(tmp_path)
    left = tmp_path / "backups" / ".draft-one-abc"
    left.mkdir()
    (left / "toc.dat").write_bytes(b"PGDMP")
    kept.discard(kept.draft("two"))
    assert not left.exists()


def test_names_that_lead_elsewhere_are_refused(tmp_path):
    for name in ("../x", ".hidden", ""):
        with pytest.raises(NotPossible, match="cannot be called"):
            store(tmp_path).draft(name)


def test_init_finds_the_folder_and_the_name(tmp_path):
    put(tmp_path, "collector_20260301_020000.sql.gz")
    put(tmp_path, "collector_pre_5.4.0.sql.gz")
    found = DirectoryBackups.detect(tmp_path)
    assert found is not None and found.options == {"path": "backups", "name": "collector"}
    assert DirectoryBackups.detect(tmp_path / "backups") is None
    assert name_in("README.sql") is None


def test_of_what_has_some_tables_alone_none_counts_as_one_that_is_kept() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)

    def made(name: str, *tables: str) -> Backup:
        manifest = Manifest.model_validate(
            {
                "service": "s", "environment": "e", "database": "d", "taken_at": at, "finished_at": at,
                "server_version": 150018, "dump_version": "15.18", "format": "directory", "files": {"toc.dat": "x"},
                "tables": tables,
            }
        )  # fmt: skip
        return Backup(
            name=name,
            path=name,
            format=BackupFormat.DIRECTORY,
            size_bytes=1,
            identity=name,
            manifest=manifest,
        )

    newest_first = [
        made("s3", "public.t"),
        made("b2"),
        made("s2", "public.t"),
        made("b1"),
        made("s1", "public.t"),
    ]
    assert [b.name for b in beyond(newest_first, 2)] == ["s1"]
    assert [b.name for b in beyond(newest_first, 1)] == ["s2", "b1", "s1"]
    assert [b.name for b in beyond(newest_first, 0)] == ["s3", "b2", "s2", "b1", "s1"]
