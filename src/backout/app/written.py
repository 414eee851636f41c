"""Files that a person named: a plan, a report."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from backout.errors import UsageError
from backout.message import msg


def write_file(path: Path, text: str) -> None:
    """Make `text` the content of a file, all or nothing; what is no regular file (a pipe, a device) gets it as it comes.

    Raises:
        UsageError: It cannot be written; what stood there still stands.
    """
    draft = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(
            msg("{path} cannot be written: {reason}.", path=str(path), reason=reason),
            state=msg("Nothing was changed, and what stood there still stands."),
            next_command=f"ls -ld {shlex.quote(str(path.parent))}",
        ) from error
