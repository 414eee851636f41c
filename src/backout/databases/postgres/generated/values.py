"""Values of every type, as text: the n-th is another one than all before it, wherever the type has that many."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from backout.databases.postgres.generated.look import Column, Look, Type

FORMS = ("name", "digits", "{}", "uuid", "date")
"""What a text may look like: applications keep numbers, documents and dates in texts, and migrations change their type."""

_DATE = re.compile(r"[12]\d{3}-[01]\d-[0-3]\d")
_DAY = datetime(2024, 1, 1, 12, tzinfo=UTC)
_HEADER = 4
_DEEP = 4


def values(look: Look, column: Column, n: int, form: str) -> Iterator[str]:
    """Yield values of a column's type, the most telling first; nothing: there is no way known to make one.

    Args:
        look: Has its type.
        column: The column.
        n: Number of the row; what is made of it is another value for every number, if the type has so many.
        form: What a text looks like: one of `FORMS`.
    """
    yield from _of(look, look.type_of(column), column.modifier, n, form, column.name, 0)


def text_of(n: int, form: str, name: str, limit: int | None = None) -> str:
    """Return the n-th text of a form, no longer than so many characters."""
    made = {
        "name": f"{name} {n}",
        "digits": str(n),
        "{}": f'{{"{name}": {n}}}',
        "uuid": str(UUID(int=n)),
        "date": _date(n),
    }[form]
    if limit is None or len(made) <= limit:
        return made
    return str(n)[-limit:] if len(str(n)) >= limit else (str(n) + name)[:limit]


def _of(look: Look, kind: Type, modifier: int, n: int, form: str, name: str, depth: int) -> Iterator[str]:
    if depth > _DEEP:
        return
    if kind.kind == "d":
        base, base_modifier = kind.base
        of_base = list(_of(look, look.types[base], base_modifier, n, form, name, depth + 1))
        yield from (*of_base, *(one for text in turned(kind.literals, n) for one in near(text, n)))
    elif kind.kind == "e":
        yield from turned(kind.labels, n)
    elif kind.kind == "c":
        yield from _composite(look, kind, n, form, depth)
    elif kind.kind in ("r", "m"):
        low = next(_of(look, look.types[kind.bound], -1, n, form, name, depth + 1), None)
        if low is not None:
            yield (
                f"[{_quoted(low)},{_quoted(low)}]"
                if kind.kind == "r"
                else f"{{[{_quoted(low)},{_quoted(low)}]}}"
            )
        yield "empty" if kind.kind == "r" else "{}"
    elif kind.element:
        inside = next(_of(look, look.types[kind.element], modifier, n, form, name, depth + 1), None)
        if inside is not None:
            yield "{" + _quoted(inside) + "}"
        yield "{}"
    elif kind.name in ("text", "varchar", "bpchar", "citext"):
        limit = modifier - _HEADER if modifier >= _HEADER else None
        yield text_of(n, form, name, limit)
        yield from (text_of(n, other, name, limit) for other in FORMS if other != form)
        others = (f"a{n}", f"a{n}@example.com", f"https://example.com/{n}", "a", "")
        yield from (one for one in others if limit is None or len(one) <= limit)
    elif kind.name in _MADE:
        yield from _MADE[kind.name](n, modifier, form)


def turned(values: tuple[str, ...], n: int) -> Iterator[str]:
    """Yield all, beginning with the n-th."""
    yield from (values[(n + i) % len(values)] for i in range(len(values)))


def near(text: str, n: int) -> Iterator[str]:
    """Yield a value that a rule names and, of a number or a date, some beside it: a bound may be meant with or without it."""
    yield text
    if text.lstrip("-").isdecimal():
        yield from (str(int(text) + step) for step in (1, -1, 2 + n % 50, -2 - n % 50))
    elif found := _DATE.match(text):
        day = datetime.strptime(found[0], "%Y-%m-%d").replace(tzinfo=UTC)
        yield (day + timedelta(days=1 + n % 27)).strftime("%Y-%m-%d") + text[found.end() :]


def _composite(look: Look, kind: Type, n: int, form: str, depth: int) -> Iterator[str]:
    parts = [
        next(_of(look, look.types[oid], modifier, n, form, name, depth + 1), None)
        for name, oid, modifier in kind.parts
    ]
    yield "(" + ",".join("" if one is None else _quoted(one) for one in parts) + ")"


def _quoted(text: str) -> str:
    """Return a text as an element of an array, range or row."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _date(n: int) -> str:
    return (_DAY + timedelta(days=n)).strftime("%Y-%m-%d")


def _numeric(n: int, modifier: int, _form: str) -> Iterator[str]:
    # Source: PostgreSQL 15, src/backend/utils/adt/numeric.c, numeric_typmod_precision() and _scale().
    if modifier < _HEADER:
        yield f"{n}.5"
        return
    precision, scale = (modifier - _HEADER) >> 16 & 0xFFFF, (modifier - _HEADER) & 0x7FF
    scale = scale - 0x800 if scale & 0x400 else scale
    made = Decimal(n % 10 ** max(precision, 1)).scaleb(-scale)
    yield f"{made:f}"
    yield "0"


def _whole(limit: int) -> Callable[[int, int, str], Iterator[str]]:
    def made(n: int, _modifier: int, _form: str) -> Iterator[str]:
        yield str(n % limit)
        yield from ("1", "0", "2")

    return made


def _bits(n: int, modifier: int, _form: str) -> Iterator[str]:
    length = modifier if modifier > 0 else 1
    yield f"{n % 2**length:0{length}b}"


def _varying_bits(n: int, modifier: int, _form: str) -> Iterator[str]:
    yield f"{n:b}"[-modifier:] if modifier > 0 else f"{n:b}"


def _truth(n: int, _modifier: int, _form: str) -> Iterator[str]:
    yield from ("true", "false") if n % 2 else ("false", "true")


def _document(n: int, _modifier: int, _form: str) -> Iterator[str]:
    yield from (f'{{"n": {n}, "on": true}}', f"[{n}]", f'"{n}"', str(n), "{}", "[]")


def _vector(n: int, modifier: int, _form: str) -> Iterator[str]:
    yield "[" + ",".join(str((n + i) % 97) for i in range(max(modifier, 3))) + "]"


def _plain(pattern: str) -> Callable[[int, int, str], Iterator[str]]:
    """Make values by a pattern with the number, its lowest byte, and the one above."""

    def made(n: int, _modifier: int, _form: str) -> Iterator[str]:
        yield pattern.format(n=n, low=n % 256, high=n // 256 % 256, date=_date(n), uuid=UUID(int=n))

    return made


_MADE: dict[str, Callable[[int, int, str], Iterator[str]]] = {
    "int2": _whole(32_000),
    "int4": _whole(2_000_000_000),
    "int8": _whole(9_000_000_000_000_000_000),
    "oid": _whole(2_000_000_000),
    "float4": _plain("{n}.5"),
    "float8": _plain("{n}.25"),
    "numeric": _numeric,
    "money": _plain("{n}.50"),
    "bool": _truth,
    "name": _plain("n{n}"),
    "char": _plain("{low}"),
    "uuid": _plain("{uuid}"),
    "date": _plain("{date}"),
    "timestamp": _plain("{date} 10:00:00"),
    "timestamptz": _plain("{date} 10:00:00+00"),
    "time": _plain("10:00:00.{n}"),
    "timetz": _plain("10:00:00.{n}+00"),
    "interval": _plain("{n} days"),
    "bytea": _plain("\\x{n:08x}"),
    "json": _document,
    "jsonb": _document,
    "jsonpath": _plain("$.a{n}"),
    "xml": _plain("<n>{n}</n>"),
    "inet": _plain("10.1.{high}.{low}"),
    "cidr": _plain("10.1.{high}.{low}/32"),
    "macaddr": _plain("08:00:2b:01:{high:02x}:{low:02x}"),
    "macaddr8": _plain("08:00:2b:01:00:00:{high:02x}:{low:02x}"),
    "bit": _bits,
    "varbit": _varying_bits,
    "tsvector": _plain("word{n}"),
    "tsquery": _plain("word{n}"),
    "point": _plain("({n},1)"),
    "line": _plain("{{1,2,{n}}}"),
    "lseg": _plain("[(0,0),({n},1)]"),
    "box": _plain("({n},1),(0,0)"),
    "path": _plain("[(0,0),({n},1)]"),
    "polygon": _plain("((0,0),({n},1),(1,0))"),
    "circle": _plain("<(0,0),{n}>"),
    "pg_lsn": _plain("0/{n:X}"),
    "hstore": _plain("n=>{n}"),
    "ltree": _plain("top.n{n}"),
    "lquery": _plain("top.n{n}.*"),
    "cube": _plain("({n},1)"),
    "isbn": _plain("978-0-393-04002-9"),
    "vector": _vector,
    "halfvec": _vector,
}
