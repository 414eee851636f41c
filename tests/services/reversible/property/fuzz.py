"""Runs cases of new seeds for as long as it is told, and prints what it finds, made smaller; or one seed again."""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.services.reversible import servers
from tests.services.reversible.conftest import made_in
from tests.services.reversible.servers import Server

from .case import Case, Finding, Told
from .running import Run, place
from .shrinking import smaller

_SLOW_S = 10


def run_case(server: Server, case: Case, *, draw: bool) -> Told:
    """Run a case in two new databases of a server; what it lacks is drawn."""
    with ExitStack() as opened:
        places = [
            place(opened.enter_context(made_in(server.postgres)).url, server.postgres.superuser_url, opened)
            for _ in range(2)
        ]
        return Run(case, *places, draw=draw).run()


def kind_of(server: Server, case: Case, *, draw: bool) -> str | None:
    """Return what kind of finding a case comes to; None: it ends well."""
    try:
        run_case(server, case, draw=draw)
    except Finding as error:
        return error.kind
    except Exception as error:
        return f"crash of the test: {type(error).__name__}"
    return None


def _made_smaller(server: Server, case: Case, seconds: float) -> Case | None:
    """Return what is left of a case that fails; None: run again, it does not."""
    kind = kind_of(server, copy.deepcopy(case), draw=False)
    if kind is None:
        return None
    return smaller(case, lambda one: kind_of(server, one, draw=False) == kind, seconds=seconds)


def _told() -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--seed", type=int, default=None, help="the first one; else one made of the time")
    asked.add_argument("--count", type=int, default=sys.maxsize, help="how many at most")
    asked.add_argument("--version", type=int, default=15, choices=servers.VERSIONS)
    asked.add_argument("--smaller", type=float, default=60, help="seconds for making a case smaller")
    return asked.parse_args()


def main() -> int:
    told = _told()
    first = int(time.time()) if told.seed is None else told.seed
    ends, ended, found = time.monotonic() + told.seconds, Counter[str](), Counter[str]()
    cases, seeds = 0, dict[str, int]()
    with (
        tempfile.TemporaryDirectory() as directory,
        servers.server(told.version, Path(directory) / "server") as server,
    ):
        while cases < told.count and time.monotonic() < ends:
            seed, cases, began = first + cases, cases + 1, time.monotonic()
            case = Case(seed)
            try:
                how = run_case(server, case, draw=True)
                told_of = [f"refused: {one}" for one in how.refused] + [
                    f"stopped: {one}" for one in how.stopped
                ]
                ended.update(told_of + [f"kept: {one}" for one in how.kept])
                seeds.update(dict.fromkeys(told_of, seed))
            except Exception as error:
                kind = error.kind if isinstance(error, Finding) else f"crash of the test: {error!r}"
                found[kind] += 1
                said = str(error) if isinstance(error, Finding) else traceback.format_exc()
                sys.stdout.write(f"--- seed {seed}, PostgreSQL {told.version}: {said}\n")
                if told.smaller:
                    small = _made_smaller(server, case, told.smaller)
                    sys.stdout.write(f"{small.text() if small else 'not met again'}\n")
            if time.monotonic() - began > _SLOW_S + told.smaller:
                sys.stdout.write(f"--- seed {seed} took {time.monotonic() - began:.1f} s\n")
            sys.stdout.flush()
    sys.stdout.write(
        f"{cases} cases from seed {first} on PostgreSQL {told.version}: {sum(found.values())} findings {dict(found)}\n"
    )
    for one, count in ended.most_common(60):
        sys.stdout.write(f"  {count} {one[:400]} (seed {seeds.get(one, '-')})\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
