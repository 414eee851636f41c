"""Runs steps that are texts: `sql_worker.py SOCKET STEPS.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psycopg
from serving import serve


def main(path: str, file: str) -> None:
    """Serve the steps of a file."""
    steps = {one["name"]: one for one in json.loads(Path(file).read_text())}

    def answer(asked: dict[str, Any]) -> str:
        step = steps[asked["step"]]
        texts = step[asked["what"]]
        with psycopg.connect(asked["url"], autocommit=True) as connection:
            for text in ["BEGIN", *texts, "COMMIT"] if step["together"] else texts:
                done = connection.pgconn.exec_(text.encode())
                if done.error_message:
                    raise RuntimeError(done.get_error_message())
        return ""

    serve(path, answer)


main(*sys.argv[1:])
