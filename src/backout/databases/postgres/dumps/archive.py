"""Reads an archive of pg_dump (custom or directory format) to its end, as pg_restore would run it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from backout.databases.postgres.dumps.sql_text import SqlText, within
from backout.databases.postgres.dumps.unpack import CHUNK_BYTES, Damaged, chunks
from backout.databases.postgres.programs import Programs
from backout.message import Message, msg

_LISTED = re.compile(r"^;\s+(dbname|Dumped from database version): (.*)$", re.MULTILINE)
_TABLE_DATA = re.compile(r"^\d+; \d+ \d+ TABLE DATA ", re.MULTILINE)
_SUBSCRIPTION = re.compile(r"^\d+; \d+ \d+ SUBSCRIPTION ", re.MULTILINE)
RESTORE_LIKE_THIS = ("--no-subscriptions",)
"""Arguments that the restore itself has to be given too: what is read here is what runs there."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the archive's table of contents tells."""

    database: str | None
    server_major: int | None
    tables: int
    subscriptions: int


def list_contents(path: Path, programs: Programs) -> Contents:
    """Read the table of contents.

    Raises:
        Damaged: pg_restore does not understand it, or is older than the pg_dump that wrote it.
    """
    told = subprocess.run(
        [programs.path("pg_restore"), "--list", str(path)],
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if told.returncode:
        raise Damaged(_said(told.stderr, programs))
    facts = dict(_LISTED.findall(told.stdout))
    version = re.match(r"\d+", facts.get("Dumped from database version", ""))
    return Contents(
        database=facts.get("dbname") or None,
        server_major=int(version[0]) if version else None,
        tables=len(_TABLE_DATA.findall(told.stdout)),
        subscriptions=len(_SUBSCRIPTION.findall(told.stdout)),
    )


def read_text(path: Path, programs: Programs, text: SqlText, progress: Callable[[int], None]) -> int:
    """Let pg_restore write the whole archive as SQL, and read that; return its bytes.

    Raises:
        Damaged: pg_restore came upon something that it cannot read.
    """
    size = 0
    command = [programs.path("pg_restore"), *RESTORE_LIKE_THIS, "--file=-", str(path)]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, bufsize=0
        )
        with child:
            try:
                for data in _blocks(child.stdout):
                    size += len(data)
                    for _ in text.feed(data):
                        pass
                    progress(size)
            except BaseException:
                child.kill()
                raise
        errors.seek(0)
        said = errors.read(100_000).decode(errors="replace")
    if child.returncode:
        raise Damaged(_said(said, programs))
    for _ in text.feed(b"", last=True):
        pass
    return size


def damaged_files(path: Path, seen: Callable[[str], Callable[[bytes], object] | None]) -> Iterator[Message]:
    """Read every file of a directory archive to its end; yield what is wrong.

    pg_restore 15.18 notices a packed file that is cut short only when it closes it, and then speaks of a missing file.
    """
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        name = str(file.relative_to(path))
        try:
            for _ in chunks(file, packed=name.endswith(".gz"), seen=seen(name)):
                pass
        except Damaged as error:
            yield within(msg("File {file}", file=name), error.why)


def _blocks(pipe: IO[bytes] | None) -> Iterator[bytes]:
    """Give what comes through a pipe in large blocks: it comes in small ones."""
    if pipe is None:
        return
    gathered, size = [], 0
    while data := pipe.read(CHUNK_BYTES):
        gathered.append(data)
        size += len(data)
        if size >= CHUNK_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _said(errors: str, programs: Programs) -> Message:
    line = next((e for e in errors.splitlines() if "error:" in e), errors.strip().splitlines()[-1:])
    why = str(line if isinstance(line, str) else "".join(line)).partition("error: ")
    words = (why[2] or why[0]).strip()
    if "unsupported version" in words:
        return msg(
            "pg_restore {major}.{minor} is older than the pg_dump that wrote it: {words}",
            major=programs.major,
            minor=programs.minor,
            words=words,
        )
    return msg("pg_restore says: {words}", words=words)
