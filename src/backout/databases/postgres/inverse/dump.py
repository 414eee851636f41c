"""The SQL that makes each thing of a schema, in an order in which it can be made: pg_dump's.

Source: PostgreSQL 15 to 18 source, src/bin/pg_dump/pg_backup_archiver.c, `_printTocEntry`: with `--verbose` the text of
each entry is headed by the catalog and oid of what it makes.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import NamedTuple

from backout.databases.postgres.connect import Connector
from backout.databases.postgres.programs import SETTINGS, Programs, die_with_parent, environment
from backout.databases.postgres.scratch.clone import programs_for
from backout.errors import NotPossible
from backout.message import msg

_HEAD = re.compile(
    r"^--\n-- TOC entry \d+ \(class (\d+) OID (\d+)\)\n(?:-- Dependencies: [\d ]*\n)?-- Name: [^\n]*?; Type: ([A-Z ]+); Schema: [^\n]*\n--\n",
    re.MULTILINE,
)
_PLACE = re.compile(r"^SET default_(tablespace|table_access_method) = (.*);\n", re.MULTILINE)
_TAIL = re.compile(r"^-- Completed on [^\n]*\n.*\Z", re.MULTILINE | re.DOTALL)
# What a table is sorted and known by is told beside: it changes without the index.
_MARKS = re.compile(
    r"^ALTER TABLE (?:ONLY )?[^\n]* (?:CLUSTER ON|REPLICA IDENTITY USING INDEX) [^\n]*;\n*", re.MULTILINE
)
_WAIT_S = 600


class Entry(NamedTuple):
    """What makes one thing.

    Attributes:
        catalog: Oid of the catalog that the thing is in; 0: it is a part or quality of another.
        oid: Its oid.
        kind: pg_dump's word.
        text: The statements.
    """

    catalog: int
    oid: int
    kind: str
    text: str


def read_entries(connector: Connector, server_version: int) -> list[Entry]:
    """Return what makes every thing of a database's schemas; rows, owners, privileges and comments are left out.

    Raises:
        NotPossible: There is no pg_dump that fits, or it failed.
    """
    programs = _programs(server_version // 10000)
    text, env = environment(connector, SETTINGS)
    command = [programs.path("pg_dump"), "--schema-only", "--verbose", "--no-owner", "--no-privileges"]
    command += ["--no-comments", "--no-security-labels", "--no-password", "--exclude-schema=backout*"]
    ran = subprocess.run(
        [*command, f"--dbname={text}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env,
        timeout=_WAIT_S,
        check=False,
        preexec_fn=die_with_parent,
    )
    if ran.returncode:
        # With --verbose it tells of everything it does first; its reason comes last.
        said = " ".join(ran.stderr.decode(errors="replace").splitlines()[-2:])
        raise NotPossible(
            msg("The schema could not be dumped: {said}", said=connector.redactor.text(said)[-800:]),
            state=msg("Nothing was changed."),
            next_command="backout doctor",
        )
    return entries_of(ran.stdout.decode())


@cache
def _programs(major: int) -> Programs:
    return programs_for(major * 10000)


def entries_of(dump: str) -> list[Entry]:
    """Take the plain text of a dump apart. Pure."""
    heads = list(_HEAD.finditer(dump))
    if not heads:
        return []  # of an empty database
    found, places = [], _places({}, dump[: heads[0].start()])
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = dump[head.end() : following.start() if following else len(dump)]
        text = _TAIL.sub("", body)
        # Settings stand behind the text of one entry, and are for the next.
        later = _PLACE.search(text)
        own = text[: later.start()] if later and following else text
        found.append(Entry(int(head[1]), int(head[2]), head[3], _placed(own, places)))
        places = _places(places, text[len(own) :])
    return found


def _places(so_far: dict[str, str], text: str) -> dict[str, str]:
    return so_far | {one[1]: one[2] for one in _PLACE.finditer(text)}


def _placed(text: str, places: dict[str, str]) -> str:
    made = _MARKS.sub("", text).strip()
    space = places.get("tablespace", "''")
    if space != "''" and re.match(
        r"CREATE (UNLOGGED )?(TABLE|MATERIALIZED|UNIQUE|INDEX)|ALTER TABLE (ONLY )?\S+\s+ADD CONSTRAINT", made
    ):
        made = f"SET LOCAL default_tablespace = {space};\n{made}\nSET LOCAL default_tablespace = '';"
    return made
