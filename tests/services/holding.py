"""Another process that holds a database or lets it go, and can be killed at a fault point."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

_ACT = """
import os, sys
from pathlib import Path
from backout.clock import SystemClock
from backout.databases.postgres import PostgresDatabase, PostgresOptions
from backout.platforms.base import Site
from backout.redact import Redactor
site = Site("collector", "test", Path("."), os.environ, SystemClock(), Redactor())
means = PostgresDatabase.create(PostgresOptions(url=os.environ["DATABASE_URL"]), site).hold_means()
prior = {"default_transaction_read_only": None}
means.release(prior) if sys.argv[1] == "release" else means.hold(sys.argv[1])
"""


def act(database: Any, what: str, **environ: str) -> int:
    """Do it, and return how the process ended.

    Args:
        database: Which.
        what: `release`, or the mode of a hold.
        environ: What its environment has besides.
    """
    env = {**os.environ, "DATABASE_URL": database.url, **environ}
    return subprocess.run([sys.executable, "-c", _ACT, what], env=env, check=False).returncode
