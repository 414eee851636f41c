"""What a statement of a dump may do: pure rules. What is not known to stay in the new database is refused.

A dump is a program that its author wrote in good faith; these rules keep it from acting on the live database or
the server by accident. They are no jail: a function can do what the restoring role may do, so that role is a
plain owner.
Source of what pg_dump writes: PostgreSQL 18, src/bin/pg_dump/pg_dump.c, pg_backup_archiver.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from backout.backup import stem
from backout.message import Message, msg


@dataclass(frozen=True, slots=True)
class Terms:
    """What a dump is held against.

    Attributes:
        database: Name of the live database; None: not known, any name is taken that is the same throughout.
        server_major: Of the live server; None: not known.
    """

    database: str | None
    server_major: int | None


class LeaveOut(NamedTuple):
    """The restore skips it; `why` is the same sentence for all of its kind.

    Attributes:
        harmless: Whether it does no harm where it cannot be skipped (pg_restore runs an archive, not we).
        database: The name of the dump's own database, if it tells that.
    """

    why: Message
    harmless: bool = False
    database: str | None = None


class Refuse(NamedTuple):
    """It must not run."""

    why: Message


Judgement = LeaveOut | Refuse | None
"""None: it may run."""

_NAME = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_QUALIFIED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_KINDS = (
    "ACCESS METHOD|AGGREGATE|CAST|COLLATION|COLUMN|CONSTRAINT|CONVERSION|DEFAULT PRIVILEGES|DOMAIN|EVENT TRIGGER|"
    "EXTENSION|FOREIGN DATA WRAPPER|FOREIGN TABLE|FUNCTION|GLOBAL TEMP|INDEX|LANGUAGE|LARGE OBJECT|LOCAL TEMP|"
    "MATERIALIZED VIEW|OPERATOR|POLICY|PROCEDURE|PROPERTY GRAPH|PUBLICATION|ROUTINE|RULE|SCHEMA|SEQUENCE|SERVER|"
    "STATISTICS|TABLE|TEMP|TEMPORARY|TEXT SEARCH|TRANSFORM|TRIGGER|TYPE|UNIQUE|UNLOGGED|USER MAPPING|VIEW"
)
_PREFIX = "(?:OR REPLACE |DEFAULT |CONSTRAINT |RECURSIVE |TRUSTED |PROCEDURAL |FOREIGN |UNIQUE |EVENT )*"  # CREATE …
_STAYS = re.compile(
    rf"(?:CREATE {_PREFIX}|ALTER |DROP (?:PROCEDURAL )?)(?:{_KINDS})\b"
    rf"|(?:COMMENT|SECURITY LABEL(?: FOR \S+)?) ON (?:PROCEDURAL )?(?:{_KINDS})\b"
    r"|INSERT INTO |UPDATE (?!pg_catalog\.|pg_)|DELETE FROM (?!pg_catalog\.|pg_)|TRUNCATE |LOCK |ANALYZE|VACUUM|CLUSTER"
    r"|REFRESH MATERIALIZED VIEW |REINDEX (?:\([^)]*\) )?(?:TABLE|INDEX|SCHEMA) |BEGIN\b|START TRANSACTION|COMMIT\b"
    r"|RESET (?!ROLE|SESSION)"
    r"|(?:GRANT|REVOKE) .* ON (?!DATABASE |TABLESPACE |PARAMETER )|;",
    re.IGNORECASE | re.DOTALL,
)
_CALL = re.compile(
    r"SELECT (?:\* FROM )?pg_catalog\.(?:"
    r"set_config\('search_path', '[^']*', (?:true|false)\)"
    r"|setval\('(?:[^']|'')*', -?\d+(?:, (?:true|false))?\)"
    r"|lo_(?:create|unlink|close)\('?\d+'?\)|lo_open\('?\d+'?, \d+\)|lowrite\(\d+, '[\\0-9A-Za-z]*'\)"
    r"|lo_unlink\(oid\) FROM pg_catalog\.pg_largeobject_metadata WHERE oid = '\d+'"
    r"|pg_(?:restore|clear)_\w+\((?:[^';()]|'(?:[^']|'')*'|\([^()]*\))*\)"
    r")\s*;",
    re.IGNORECASE,
)
_COPY = re.compile(
    rf"COPY ({_QUALIFIED})\s*(?:\((?:[^()\"]|\"(?:[^\"]|\"\")*\")*\)\s*)?FROM stdin\b(?![^;]*\bbinary\b)[^;]*;",
    re.IGNORECASE,
)
_INTO = re.compile(rf"INSERT INTO ({_QUALIFIED})", re.IGNORECASE)
_OF_DATABASE = re.compile(
    rf"(?:(?:CREATE|ALTER) DATABASE|DROP DATABASE(?: IF EXISTS)?"
    rf"|(?:COMMENT|SECURITY LABEL(?: FOR \S+)?|(?:GRANT|REVOKE) .*) ON DATABASE) ({_NAME})(?![\w$])(?!\s*,)",
    re.IGNORECASE | re.DOTALL,
)
_MARKED_TEMPLATE = re.compile(
    r"UPDATE pg_catalog\.pg_database SET datistemplate = \w+ WHERE datname = '((?:[^']|'')*)'", re.IGNORECASE
)
_OF_SERVER = re.compile(
    rf"(?:CREATE|ALTER|DROP) (?:ROLE|USER(?! MAPPING)|GROUP|TABLESPACE)\b"
    rf"|(?:COMMENT|SECURITY LABEL(?: FOR \S+)?) ON (?:ROLE|TABLESPACE)\b"
    rf"|(?:GRANT|REVOKE) .* ON (?:TABLESPACE|PARAMETER) |GRANT {_NAME}(?:, ?{_NAME})* TO |REVOKE {_NAME} FROM ",
    re.IGNORECASE | re.DOTALL,
)
_SUBSCRIPTION = re.compile(
    r"(?:CREATE|ALTER|DROP|COMMENT ON|SECURITY LABEL ON) SUBSCRIPTION\b", re.IGNORECASE
)
_REACHES_OUT = re.compile(
    r"\b(?:dblink\w*|lo_export|lo_import|pg_read_\w+|pg_terminate_backend|pg_cancel_backend)\b", re.IGNORECASE
)
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|$)")
_SET = re.compile(r"SET (?:SESSION |LOCAL )?([\w.]+)\s*(?:=|TO)\s*(.*?)\s*;?$", re.IGNORECASE | re.DOTALL)
_CONNECT = re.compile(
    rf"\\c(?:onnect)?\s+(?:(?P<plain>{_NAME})|-reuse-previous=on \"dbname='(?P<quoted>.*)'\")\s*",
    re.IGNORECASE,
)
_SPACE = re.compile(r"""('[^']*'|"[^"]*")|\s+""")
_RESTRICT = re.compile(r"\\(?:un)?restrict [A-Za-z0-9]+")
_ENCODING = re.compile(r"\\encoding ([\w-]+)", re.IGNORECASE)
_SHOWS = re.compile(
    r"\\(?:echo|qecho|warn|timing|pset|set (?:ON_ERROR_STOP|QUIET|ECHO|VERBOSITY))\b[^`\\]*",
    re.I,
)

NEWER_SETTINGS = {
    "default_toast_compression": 14,
    "idle_session_timeout": 14,
    "event_triggers": 17,
    "transaction_timeout": 17,
}
"""Settings of a session, by the major version that knows them first. Source: release notes of 14 and 17."""
_HIDES_BACKSLASH = ("sjis", "shift_jis_2004", "big5", "gbk", "gb18030", "johab")
"""Client encodings in which a byte of a letter may look like a backslash. Source: PostgreSQL 15, table 24.3."""


def judge(text: str, whole: bool, terms: Terms) -> Judgement:
    """Say what becomes of one statement.

    Args:
        text: Without comments, one space between words, beginning with its first word.
        whole: False: only its beginning is known.
        terms: What it is held against.
    """
    if _MARKED_TEMPLATE.match(text) or _OF_DATABASE.match(text):
        return _of_database(text, terms)
    if _SUBSCRIPTION.match(text):
        return LeaveOut(msg("subscriptions: two databases must not draw on one slot"))
    if _OF_SERVER.match(text):
        return LeaveOut(msg("roles and tablespaces: they are the server's, and stay as they are now"))
    word = text.split(None, 1)[0].rstrip(";").upper()
    if word == "SET":
        return _setting(text, terms)
    if word == "COPY":
        return None if whole and _COPY.fullmatch(text) else Refuse(_copy_refused(text))
    if word in ("SELECT", "WITH"):
        return None if whole and _CALL.fullmatch(text) else Refuse(_not_known(text))
    if word in ("INSERT", "UPDATE", "DELETE") and _REACHES_OUT.search(_LITERAL.sub("''", text)):
        return Refuse(msg("it may reach out of the new database: {text}", text=short(text)))
    return None if _STAYS.match(text) else Refuse(_not_known(text))


def judge_command(text: str, inside: bool, terms: Terms) -> Judgement:
    """Say what becomes of one of psql's own commands."""
    if inside:
        return Refuse(msg("a command of psql inside a statement: {text}", text=short(text)))
    encoding = _ENCODING.fullmatch(text)
    if is_restrict(text) or (encoding and encoding[1].lower() not in _HIDES_BACKSLASH):
        return None
    connect = _CONNECT.fullmatch(text)
    if connect:
        quoted = connect["quoted"]
        name = unquoted(connect["plain"]) if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        return _database_named(name, text, terms)
    if _SHOWS.fullmatch(text):
        return LeaveOut(msg("commands of psql that only change what it shows"))
    return Refuse(
        msg("a command of psql that may run programs or leave the database: {text}", text=short(text))
    )


def is_restrict(text: str) -> bool:
    r"""Whether it is ``\restrict`` or ``\unrestrict``, which every newer pg_dump writes."""
    return bool(_RESTRICT.fullmatch(text))


def table_of(text: str) -> str | None:
    """Return the table that a statement brings rows to, ``schema.table``; None: it brings none."""
    found = _COPY.match(text) or _INTO.match(text)
    if not found:
        return None
    parts = re.findall(_NAME, found[1])
    return ".".join(unquoted(part) for part in parts)


def in_one_line(text: str) -> str:
    """Return a statement with one space where it has any, quotes left as they are."""
    return _SPACE.sub(lambda found: found[1] or " ", text).strip()


def is_copy(text: str) -> bool:
    """Whether rows follow the statement."""
    return text[:5].upper().startswith("COPY")


def unquoted(name: str) -> str:
    """Return the name that an identifier stands for."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def short(text: str) -> str:
    """Return a statement's beginning, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"


def _of_database(text: str, terms: Terms) -> Judgement:
    marked, found = _MARKED_TEMPLATE.match(text), _OF_DATABASE.match(text)
    if marked:
        name = marked[1].replace("''", "'")
    elif found:
        name = unquoted(found[1])
    else:
        return Refuse(_not_known(text))
    return _database_named(name, text, terms)


def _database_named(name: str, text: str, terms: Terms) -> Judgement:
    if terms.database is not None and stem(name) != stem(terms.database):
        return Refuse(
            msg("it is about the database {name}, not {live}: {text}",
                name=name, live=terms.database, text=short(text))
        )  # fmt: skip
    return LeaveOut(
        msg("what pg_dump -C wrote about the database {name} itself: the restore makes its own, "
            "with the settings and rights of the live one", name=name),
        database=name,
    )  # fmt: skip


def _setting(text: str, terms: Terms) -> Judgement:
    found = _SET.fullmatch(text)
    if not found or found[1].lower() in ("role", "session_authorization"):
        return Refuse(msg("it acts as another role, or cannot be understood: {text}", text=short(text)))
    name, value = found[1].lower(), found[2].strip("'").lower()
    since = NEWER_SETTINGS.get(name, 0)
    if since > (terms.server_major or 0):
        return LeaveOut(
            msg(
                "settings of newer servers: {name} is known from PostgreSQL {since} on",
                name=name,
                since=since,
            ),
            harmless=True,
        )
    if name == "standard_conforming_strings" and value not in ("on", "true", "1", "yes"):
        return Refuse(msg("its strings are written in the old way ({text}); dump it with "
                          "PGOPTIONS='-c standard_conforming_strings=on'", text=short(text)))  # fmt: skip
    if name == "client_encoding" and value in _HIDES_BACKSLASH:
        return Refuse(msg("text in {encoding} cannot be read safely; dump it with -E UTF8", encoding=value))
    return None


def _copy_refused(text: str) -> Message:
    if re.search(r"\bPROGRAM\b", text, re.IGNORECASE):
        return msg("it runs a program on the server: {text}", text=short(text))
    return msg("it reads or writes something else than the rows that follow it: {text}", text=short(text))


def _not_known(text: str) -> Message:
    if re.match(r"ALTER SYSTEM", text, re.IGNORECASE):
        return msg("it changes the whole server: {text}", text=short(text))
    return msg("pg_dump does not write this, and nobody can tell whether it stays in the new database: {text}",
               text=short(text))  # fmt: skip
