"""The results as a table and a page: counted, never estimated."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.corpus.results import ANSWER, LOSSLESS, REFUSED, VERDICTS, WRONG

_ROOT = Path(__file__).parents[2]
_JSON = Path(__file__).parent / "results.json"
_PAGE = _ROOT / "docs/reversibility.md"
_BEGIN, _END = "<!-- corpus: begin -->", "<!-- corpus: end -->"
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out of one project, or of several together."""

    name: str
    version: str
    tool: str
    steps: int
    every: int
    postgres: str
    results: tuple[dict[str, Any], ...]
    backout: str = ""
    complete: bool = True

    def count(self, *verdicts: str, destructive: bool = False) -> int:
        """Return how many migrations have one of some verdicts; none given: all."""
        return sum(
            (not verdicts or one["verdict"] in verdicts) and (not destructive or bool(one["destructive"]))
            for one in self.results
        )

    @property
    def not_held(self) -> int:
        """How many are proven with a lock time that does not grow with the tables, also with an answer."""
        return sum(one["verdict"] in (*LOSSLESS, ANSWER) and not one["held"] for one in self.results)

    def own(self, what: str, *, destructive: bool = False) -> int:
        """Return how many of the project's own ways back do something: `there`, `runs`, `schema`, `rows` or `both`."""
        owns = [one["own"] for one in self.results if one["own"] and (one["destructive"] or not destructive)]
        if what == "there":
            return len(owns)
        return sum(one["schema"] and one["rows"] if what == "both" else one[what] for one in owns)


def is_complete(file: Path, every: int) -> bool:
    """Tell whether a file has all that was wanted, of this engine."""
    lines = _lines(file)
    same = bool(lines) and lines[0].get("backout") == commit() and lines[0]["every"] <= every
    return same and lines[-1] == {"complete": True}


def read(folder: Path) -> list[Found]:
    """Return what there is, by project."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        lines = _lines(file)
        if not lines:
            continue
        complete = lines[-1] == {"complete": True}
        results = lines[1:-1] if complete else lines[1:]
        found.append(Found(**{"every": 1, **lines[0]}, results=tuple(results), complete=complete))
    return found


def _lines(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]


def together(found: Sequence[Found]) -> Found:
    """Return all as one."""
    results = tuple(one for project in found for one in project.results)
    return Found("together", "", "", sum(one.steps for one in found), 0, "", results)


_HEAD = (
    "project",
    "version",
    "tool",
    "migrations",
    "tried",
    *VERDICTS,
    "lossless",
    "own: there",
    "runs",
    "schema",
    "rows",
    "both",
)


def _row(one: Found) -> list[str]:
    tried = one.count()
    own = [str(one.own(what)) for what in ("there", "runs", "schema", "rows", "both")]
    name = one.name if one.complete else f"{one.name} (cut short)"
    return [
        *(name, one.version, one.tool, str(one.steps), str(tried)),
        *(str(one.count(verdict)) for verdict in VERDICTS),
        _share(one.count(*LOSSLESS), tried),
        *own,
    ]


def _share(some: int, all_: int) -> str:
    return f"{100 * some / all_:.1f} %" if all_ else "-"


def table(found: Sequence[Found]) -> str:
    """Return the table, as Markdown; it is as good to read where it is printed."""
    rows = [_row(one) for one in [*found, together(found)]]
    widths = [max(len(row[at]) for row in [list(_HEAD), *rows]) for at in range(len(_HEAD))]
    lines = [_line(list(_HEAD), widths), _line(["-" * width for width in widths], widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in rows), "", *_sums(found)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def _sums(found: Sequence[Found]) -> list[str]:
    """Return the sentences below the table."""
    all_ = together(found)
    tried, losing = all_.count(), all_.count(destructive=True)
    own, own_losing = all_.own("there"), all_.own("there", destructive=True)
    return [
        f"- Proven lossless: {_of(all_.count(*LOSSLESS), tried)}; with those that need an answer {_of(all_.count(*LOSSLESS, ANSWER), tried)}.",
        f"- Of those that destroy something: {_of(all_.count(*LOSSLESS, destructive=True), losing)}; with an answer {_of(all_.count(*LOSSLESS, ANSWER, destructive=True), losing)}.",
        f"- Lock time independent of the tables' size, also with an answer: {_of(all_.not_held, tried)}.",
        f"- Refused: {_of(all_.count(REFUSED), tried)}. Wrong: {all_.count(WRONG)}.",
        f"- The projects' own ways back: schema and earlier rows as before in {_of(all_.own('both'), own)}; of those that destroy something in {_of(all_.own('both', destructive=True), own_losing)}.",
    ]


def _of(some: int, all_: int) -> str:
    return f"{some} of {all_} ({_share(some, all_)})"


def write(found: Sequence[Found]) -> None:
    """Write the results beside this file, and the table and what is refused into the documentation."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    kept = [
        {
            **{
                name: getattr(one, name)
                for name in ("name", "version", "tool", "steps", "every", "postgres", "complete", "backout")
            },
            "results": one.results,
        }
        for one in found
    ]
    text = json.dumps({"date": today, "projects": kept}, separators=(",", ":"))
    _JSON.write_text(text.replace('{"name":', '\n{"name":') + "\n")
    page = _PAGE.read_text()
    made = f"{_BEGIN}\n\n{_page(found, today)}\n\n{_END}"
    _PAGE.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: made, page, flags=re.S))


def _page(found: Sequence[Found], today: str) -> str:
    turns = sorted({one.every for one in found})
    said = "; ".join(
        _turn(n)
        if len(turns) == 1
        else f"{_turn(n)} of {', '.join(one.name for one in found if one.every == n)}"
        for n in turns
    )
    servers = ", ".join(sorted({one.postgres for one in found}))
    lines = [f"Measured on {today}, PostgreSQL {servers}, {_engines(found)}; {said}.", "", table(found)]
    for verdict, title in ((WRONG, "Wrong"), (REFUSED, "Refused"), (ANSWER, "Needs an answer")):
        lines += ["", f"### {title}", "", *(_listed(found, verdict) or ["None."])]
    return "\n".join(lines)


def _turn(every: int) -> str:
    return "every migration" if every == 1 else f"each {every}th migration"


def _listed(found: Sequence[Found], verdict: str) -> list[str]:
    return [
        f"- {project.name} `{one['name']}`: {_why(one)}"
        for project in found
        for one in project.results
        if one["verdict"] == verdict
    ]


def _why(one: dict[str, Any]) -> str:
    if one["why"]:
        return " ".join("; ".join(one["why"]).split())[:_SHOWN].replace("|", "/")
    return ", ".join(f"`{place}` = `{told}`" for place, told in one["answers"].items())


def _engines(found: Sequence[Found]) -> str:
    """Say which backout each was run with: of several commits, the later ones have run a part of it again, with all that had not been right."""
    engines = sorted({one.backout for one in found})
    if len(engines) == 1:
        return f"backout {engines[0]}"
    return "; ".join(
        f"backout {' and '.join(engine.split(', '))} for {', '.join(one.name for one in found if one.backout == engine)}"
        for engine in engines
    )


def commit() -> str:
    """Return the commit of the engine, as it stands."""
    argv = [
        "git",
        "-C",
        str(_ROOT),
        "log",
        "-1",
        "--format=%h",
        "--",
        "src/backout/databases/postgres/reversible",
    ]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
