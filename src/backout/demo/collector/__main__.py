"""Start the service; SIGTERM and SIGINT end it when the requests in flight are answered."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from . import reports
from .pool import DatabaseUnreachable, Pool
from .server import CollectorServer


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    version = (Path(__file__).parent / "VERSION").read_text().strip()
    pool = Pool(os.environ["DATABASE_URL"], f"collector {version}", reports.MIGRATIONS)
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"]))
    server = CollectorServer(
        address, pool, version, health_shows_version=os.environ.get("HEALTH_SHOWS_VERSION") == "1"
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # shutdown() waits for serve_forever(), which runs in this very thread: ask from another one.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        pool.prepare()
    except DatabaseUnreachable as error:
        logging.warning("serving without a database until it comes: %s", error)
    logging.info("collector %s listens on %s:%d", version, *address)
    server.serve_forever(poll_interval=0.02)
    finished = server.drain(timeout_s=10)
    pool.close()
    logging.info("collector %s stopped", version)
    return 0 if finished else 1


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    os._exit(status)  # Not sys.exit: a handler stuck past the drain must not keep the process.
