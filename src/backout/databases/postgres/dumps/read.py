"""Reads a backup to its end before anything is touched, and says everything that speaks against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from backout.backup import Backup, BackupFormat, Manifest, Reading, stem
from backout.backups.contents import content_of
from backout.backups.identity import MANIFEST, identity_of
from backout.databases.postgres.dumps.archive import damaged_files, list_contents, read_text
from backout.databases.postgres.dumps.sql_text import SqlText, joined, within
from backout.databases.postgres.dumps.unpack import CHANGED, Damaged, chunks
from backout.errors import TargetUnreachable
from backout.message import Message, msg

if TYPE_CHECKING:
    from backout.clock import Clock
    from backout.databases.postgres.dumps.rules import Terms
    from backout.databases.postgres.programs import Programs
    from backout.databases.restores import Note

_NOTE_EVERY_S = 5.0


class Reader:
    """Reads one backup. `found` has what speaks against it, in the order in which it was found."""

    def __init__(self, backup: Backup, terms: Terms, clock: Clock, note: Note) -> None:
        self._backup, self._terms, self._clock, self._note = backup, terms, clock, note
        self._path = Path(backup.path)
        self._noted_s = clock.monotonic_s()
        self._hashes: dict[str, hashlib._Hash] = {}
        self.found: list[Message] = []
        self.text = SqlText(terms, by_entry=backup.format in (BackupFormat.CUSTOM, BackupFormat.DIRECTORY))
        self.database: str | None = None
        self.server_major: int | None = None
        self.left_out: list[Message] = []

    def read(self, programs: Callable[[], Programs]) -> Reading:
        """Read it to its end; see `read_backup`."""
        started, backup = self._clock.monotonic_s(), self._backup
        before = identity_of(self._path)
        content = content_of(self._path)
        size: int | None = None
        if content.trouble:
            self.found.append(within(msg("Not a dump that can be restored"), content.trouble))
        elif before != backup.identity or content.format is not backup.format:
            self.found.append(CHANGED)
        else:
            size = self._contents(programs)
            self._judge_text()
            self._judge_origin()
            self._compare_checksums()
            if identity_of(self._path) != before:
                self.found.append(CHANGED)
        told = self.text.told
        return Reading(
            backup=backup.name,
            identity=backup.identity,
            ok=not self.found,
            problems=tuple(self.found),
            read_at=self._clock.now(),
            seconds=round(self._clock.monotonic_s() - started, 3),
            database=self.database,
            server_major=self.server_major,
            tables=tuple(sorted(told.tables)),
            unpacked_bytes=size,
            checksums=bool(self._hashes) and not content.trouble,
            left_out=tuple(self.left_out),
        )

    def _contents(self, programs: Callable[[], Programs]) -> int | None:
        try:
            if self._backup.format in (BackupFormat.CUSTOM, BackupFormat.DIRECTORY):
                return self._archive(programs())
            return self._plain()
        except Damaged as error:
            self.found.append(within(msg("Damaged"), error.why))
            return None

    def _plain(self) -> int:
        size = 0
        packed = self._backup.format is BackupFormat.PLAIN_GZIP
        for data in chunks(self._path, packed=packed, seen=self._seen(self._path.name)):
            size += len(data)
            for _ in self.text.feed(data):
                pass
            self._progress(size)
        for _ in self.text.feed(b"", last=True):
            pass
        return size

    def _archive(self, programs: Programs) -> int:
        folder = self._backup.format is BackupFormat.DIRECTORY
        with ThreadPoolExecutor(1) as beside:  # zlib and sha256 let the other thread go on.
            files = beside.submit(self._files, folder)
            try:
                contents = list_contents(self._path, programs)
                self.database, self.server_major = contents.database, contents.server_major
                size = read_text(self._path, programs, self.text, self._progress)
            finally:
                self.found += files.result()
        told = self.text.told
        if told.data_entries != contents.tables and not self.found:
            self.found.append(
                msg("Damaged: rows of {seen} tables can be read, and {listed} are in its table of contents",
                    seen=told.data_entries, listed=contents.tables)
            )  # fmt: skip
        if contents.subscriptions:
            self.left_out.append(
                msg(
                    "{count} subscriptions: two databases must not draw on one slot",
                    count=contents.subscriptions,
                )
            )
        return size

    def _files(self, folder: bool) -> list[Message]:
        if folder:
            return list(damaged_files(self._path, self._seen))
        seen = self._seen(self._path.name)
        if seen is not None:
            for _ in chunks(self._path, packed=False, seen=seen):
                pass
        return []

    def _judge_text(self) -> None:
        told = self.text.told
        self.server_major = self.server_major or told.server_major
        self.database = self.database or told.database
        if told.foreign:
            self.found.append(msg("It is a dump of {kind}, not of PostgreSQL", kind=told.foreign))
        elif told.cluster:
            self.found.append(
                msg("It is a dump of a whole server by pg_dumpall: take the part of this database out of it, "
                    "from its \\connect to 'PostgreSQL database dump complete'")
            )  # fmt: skip
        elif told.headers > 1:
            self.found.append(msg("It holds {count} dumps, one behind the other", count=told.headers))
        elif not self.found and not told.headers:
            self.found.append(msg("Not a dump of pg_dump: it does not begin as one"))
        elif not self.found and not told.complete:
            self.found.append(
                msg("Not whole: what pg_dump writes last ('PostgreSQL database dump complete') is missing")
            )
        self.found += told.problems
        if told.more_problems:
            self.found.append(msg("And {count} more of that kind", count=told.more_problems))
        for why, where, count in told.left_out.values():
            more = msg(" and {more} more", more=count - 1) if count > 1 else msg("")
            self.left_out.append(within(joined(where, more), why))

    def _judge_origin(self) -> None:
        manifest, live = self._backup.manifest, self._terms.database
        if manifest is not None:
            self.database = self.database or manifest.database
            self.server_major = self.server_major or manifest.server_version // 10_000
        for name in {n for n in (self.database, manifest.database if manifest else None) if n}:
            if live is not None and stem(name) != stem(live):
                self.found.append(msg("It is of the database {name}, not {live}", name=name, live=live))
        major = self._terms.server_major
        if major is not None and self.server_major is not None and self.server_major > major:
            self.found.append(
                msg("It is of PostgreSQL {theirs}, newer than the server's {ours}: restore it on a server of that version",
                    theirs=self.server_major, ours=major)
            )  # fmt: skip

    # --- checksums ------------------------------------------------------------------------------

    def _seen(self, name: str) -> Callable[[bytes], object] | None:
        """Return what gets the bytes of a file, if the manifest has its checksum."""
        manifest = self._backup.manifest
        if manifest is None or name not in manifest.files:
            return None
        self._hashes[name] = hashlib.sha256()
        return self._hashes[name].update

    def _compare_checksums(self) -> None:
        manifest = self._backup.manifest
        if manifest is None or not manifest.files:
            return
        for name, wanted in sorted(manifest.files.items()):
            if name not in self._hashes:
                self.found.append(msg("File {file} is missing", file=name))
            elif f"sha256:{self._hashes[name].hexdigest()}" != wanted:
                self.found.append(
                    msg("File {file} is not as the manifest has it: its checksum differs", file=name)
                )
        for name in _strange(self._path, manifest):
            self.found.append(msg("File {file} is not in the manifest", file=name))

    def _progress(self, size: int) -> None:
        now = self._clock.monotonic_s()
        if now - self._noted_s >= _NOTE_EVERY_S:
            self._noted_s = now
            self._note(msg("Read {mb} MB of {backup}", mb=size // 1_000_000, backup=self._backup.name))


def read_backup(
    backup: Backup, terms: Terms, *, programs: Callable[[], Programs], clock: Clock, note: Note
) -> Reading:
    """Read a backup to its end; changes nothing.

    Args:
        backup: As the store lists it.
        terms: What it is held against.
        programs: Finds pg_restore; asked only for an archive.
        clock: For the reading's time.
        note: Told every few seconds how far it is.

    Raises:
        TargetUnreachable: A file of it cannot be read.
        NotPossible: It is an archive, and there is no pg_restore.
    """
    with_errors = Reader(backup, terms, clock, note)
    try:
        return with_errors.read(programs)
    except OSError as error:
        raise TargetUnreachable(
            msg(
                "Backup {name} cannot be read: {why}",
                name=backup.name,
                why=error.strerror or type(error).__name__,
            ),
            state=msg("Nothing was changed."),
            next_command="backout doctor",
        ) from None


def _strange(path: Path, manifest: Manifest) -> list[str]:
    if not path.is_dir():
        return []
    there = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()}
    return sorted(there - manifest.files.keys() - {MANIFEST})
