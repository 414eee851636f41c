"""What the commands that a person declares for a way back of the data share: can they run, and how did they end."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

from backout.launch import tail
from backout.message import msg
from backout.platforms.base import Diagnosis, Site

if TYPE_CHECKING:
    from backout.launch import Job


def executable(site: Site, subject: str, word: str) -> Diagnosis:
    """Look whether a program can be executed; runs nothing."""
    path, shown = site.directory.resolve() / word, site.redactor.text(word)
    found = (
        path.is_file() and os.access(path, os.X_OK)
        if "/" in word
        else shutil.which(word, path=site.environ.get("PATH")) is not None
    )
    if found:
        return Diagnosis(subject=subject, ok=True, evidence=msg("{word} can be executed.", word=shown))
    evidence = msg("{word} is not there, or not executable.", word=shown)
    return Diagnosis(subject=subject, ok=False, evidence=evidence, remedy=f"ls -l {shlex.quote(shown)}")


def how_it_ended(job: Job, site: Site) -> str:
    """Return a script's exit status, with its last lines where it failed."""
    status = job.exit()
    if status == 0:
        return "the script ended with exit status 0"
    shown = "unknown (nobody was left to note it)" if status is None else str(status)
    lines = site.redactor.text(tail(job.log))
    return f"the script ended with exit status {shown}; its last lines:\n{lines}"
