"""A part of `make corpus`: real migrations of light packages there and back, never worse than in `results.json`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.corpus.ground import ground
from tests.corpus.of_files import Files
from tests.corpus.projects import PROJECTS
from tests.corpus.results import ANSWER, LOSSLESS, WRONG
from tests.corpus.walking import Walk, each

pytestmark = pytest.mark.slow

_EVERY = {
    "@workflow/world-postgres": 1,
    "graphile-worker": 1,
    "litellm-proxy-extras": 40,
    "procrastinate": 10,
    "optuna": 5,
}
"""Which of a project's migrations are taken: each so many-th, whatever came of it."""
_PROVEN = (*LOSSLESS, ANSWER)


@pytest.mark.parametrize("name", _EVERY)
def test_real_migrations_go_there_and_back(name: str, require_service: Callable[[str], None]) -> None:
    require_service("postgres")
    (project,) = [one for one in PROJECTS if one.name == name]
    if isinstance(project, Files) and project.registry == "npm":
        require_service("node")
    history, every = project.history(), _EVERY[name]
    # The server's user cannot enter a folder of pytest's.
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder, ground(Path(folder)) as made:
        results = list(Walk(made, history, each(every)).results())
    assert len(results) == len(range(every // 2, len(history.steps), every))
    assert [f"{one.name}: {'; '.join(one.why)}" for one in results if one.verdict == WRONG] == []
    known = _known(name)
    worse = [one for one in results if known.get(one.name) in _PROVEN and one.verdict not in _PROVEN]
    assert [f"{one.name} was {known[one.name]}: {'; '.join(one.why)}" for one in worse] == []


def _known(name: str) -> dict[str, str]:
    told = json.loads((Path(__file__).parent / "results.json").read_text())
    return {
        one["name"]: one["verdict"]
        for project in told["projects"]
        if project["name"] == name
        for one in project["results"]
    }
