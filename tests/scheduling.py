"""Which tests go to the same worker when there are several (pytest-xdist)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling


class _TogetherWhereShared(LoadScopeScheduling):
    """Hands tests out one by one, but a file whole if its tests share something that is made once for it.

    `--dist loadgroup` would be the means for it, but does nothing with pytest 9.2 (pytest-xdist 3.8.0,
    xdist/remote.py writes to `Item._nodeid`, which is no more).
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return file if _shares(self.config.rootpath / file) else nodeid


def scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Return who hands the tests out."""
    return _TogetherWhereShared(config, log)


@cache
def _shares(file: Path) -> bool:
    """Whether the file, or the conftest beside it, makes something once for the file."""
    beside = file.with_name("conftest.py")
    return any('scope="module"' in path.read_text() for path in (file, beside) if path.exists())
