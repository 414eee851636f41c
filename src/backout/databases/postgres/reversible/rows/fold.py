"""Folds logged rows: per row the oldest image and the newest, whatever number of steps there are between them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from backout.databases.postgres.reversible.link import Link, objects
from backout.databases.postgres.reversible.names import literal
from backout.databases.postgres.reversible.rows.chains import Chain, Step, fold
from backout.databases.postgres.reversible.rows.targets import Target

_AT_ONCE = 2000


def fold_entries(link: Link, target: Target) -> None:
    """Make the table `fold` of a target from its `entries`.

    Its rows: old and new (NULL: no row), oknown and nknown, okey and nkey, xmin, sure (nobody else wrote it in between), last
    (order of the last step), steps, made (the first step made the row), between (JSON: column, kept and wanted of what somebody
    wrote in between).
    """
    entries, folded = target.part("entries"), target.part("fold")
    link.rows(f"ANALYZE {entries}")
    link.rows(
        f"""CREATE TABLE {folded} (old text[], new text[], oknown int2[], nknown int2[], okey text[], nkey text[],
          xmin_ text, sure boolean, last bigint, steps bigint[], made boolean, between json)"""
    )
    if target.key:
        _by_set(link, target)
        odd = f"coalesce(okey, nkey) IN (SELECT k FROM {target.part('odd')}) OR nkey IN (SELECT k FROM {target.part('odd')})"
    else:
        odd = "true"
    _one_by_one(link, target, odd)
    link.rows(f"ANALYZE {folded}")


def _by_set(link: Link, target: Target) -> None:
    """Fold every key that stayed with its row and was written by nobody else; note all others in `odd`."""
    entries, groups, odd = target.part("entries"), target.part("groups"), target.part("odd")
    link.rows(
        f"""CREATE TABLE {groups} AS SELECT k, min(seq) AS a, max(seq) AS z, array_agg(seq) AS steps,
          bool_or(broken) AS broken, bool_and(sure) AS sure
        FROM (SELECT seq, k, okey <> nkey OR (i > 1 AND (pnew IS DISTINCT FROM old OR pknown <> known)) AS broken,
            i = 1 OR old IS NULL OR pxmin IS NOT DISTINCT FROM old_xmin AS sure
          FROM (SELECT *, coalesce(okey, nkey) AS k, row_number() OVER w AS i, lag(new) OVER w AS pnew, lag(known) OVER w AS pknown,
              lag(new_xmin) OVER w AS pxmin FROM {entries} WINDOW w AS (PARTITION BY coalesce(okey, nkey) ORDER BY seq)) s) q
        GROUP BY k"""
    )
    link.rows(f"ANALYZE {groups}")
    link.rows(
        f"CREATE TABLE {odd} AS SELECT k FROM {groups} WHERE broken UNION SELECT nkey FROM {entries} WHERE okey <> nkey"
    )
    link.rows(f"ANALYZE {odd}")
    link.rows(
        f"""INSERT INTO {target.part("fold")} SELECT a.old, z.new, a.known, z.known, a.okey, z.nkey, z.new_xmin, g.sure, g.z, g.steps, a.old IS NULL
        FROM {groups} g JOIN {entries} a ON a.seq = g.a AND coalesce(a.okey, a.nkey) = g.k JOIN {entries} z ON z.seq = g.z AND coalesce(z.okey, z.nkey) = g.k
        WHERE g.k NOT IN (SELECT k FROM {odd}) AND (a.old IS NOT NULL OR z.new IS NOT NULL)"""
    )


def _one_by_one(link: Link, target: Target, odd: str) -> None:
    found = objects(
        link,
        f"SELECT seq, old, new, known, okey, nkey, old_xmin, new_xmin FROM {target.part('entries')} WHERE {odd} ORDER BY seq",
    )
    chains = fold((_step(one) for one in found), by_value=not target.key)
    for at in range(0, len(chains), _AT_ONCE):
        rows = ", ".join(_values(chain) for chain in chains[at : at + _AT_ONCE])
        link.rows(f"INSERT INTO {target.part('fold')} VALUES {rows}")


def _step(one: dict[str, list[str | None] | None]) -> Step:
    def image(name: str) -> tuple[str | None, ...] | None:
        value = one[name]
        return None if value is None else tuple(value)

    known: Sequence[object] = one["known"] or ()
    return Step(
        int(str(one["seq"])),
        image("old"),
        image("new"),
        frozenset(int(str(n)) - 1 for n in known),
        image("okey"),
        image("nkey"),
        _text(one["old_xmin"]),
        _text(one["new_xmin"]),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _values(chain: Chain) -> str:
    between = literal(json.dumps(chain.kept)) if chain.kept else "NULL"
    parts = [
        array(chain.old),
        array(chain.new),
        _numbers(chain.old_known),
        _numbers(chain.new_known),
        array(chain.okey),
        array(chain.nkey),
        literal(chain.xmin),
        "true" if chain.sure else "false",
        str(chain.last),
        f"'{{{','.join(map(str, chain.steps))}}}'",
        "true" if chain.made else "false",
        between,
    ]
    return f"({', '.join(parts)})"


def array(image: Sequence[str | None] | None) -> str:
    """Return texts as an SQL array; NULL for no row."""
    return "NULL" if image is None else f"ARRAY[{', '.join(map(literal, image))}]::text[]"


def _numbers(known: frozenset[int]) -> str:
    return f"'{{{','.join(str(i + 1) for i in sorted(known))}}}'::int2[]"
