"""What the guard knows, kept between looks and over restarts: one file for each release that it watches."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from backout.app.written import write_file
from backout.document import Document, Json
from backout.errors import NotPossible, RunInProgress
from backout.guard import Say, Verdict, Watch
from backout.message import Message, msg
from backout.observed import Answer

_FOLDER = "guard"
_AHEAD = timedelta(seconds=1)


class Watched(Document):
    """A release under watch.

    Attributes:
        watch: Its evidence.
        memory: Of each metric's signal: what its next reading goes on from.
        declared: What was asked, shortened (`digest`): evidence of another question is none of this one.
        arms, not_before: Which sides served it and others at the last look, and since when: of the time from the release until then nothing is asked any more.
        unready_since, unready_seen: Since when the platform says that it is not ready, without a break, and when it said so last;
            None: it is.
    """

    watch: Watch
    memory: dict[str, Json] = {}
    declared: str = ""
    arms: tuple[str, ...] | None = None
    not_before: datetime | None = None
    unready_since: datetime | None = None
    unready_seen: datetime | None = None

    def readiness(self, *, unready: bool, now: datetime, break_s: float) -> Watched:
        """Return it with what the platform says now. Of more than `break_s` without a look nothing is known: it begins anew."""
        seen, since = self.unready_seen, self.unready_since
        goes_on = seen is not None and timedelta(0) <= now - seen <= timedelta(seconds=break_s)
        at = (since if goes_on and since is not None else now) if unready else None
        return self.model_copy(update={"unready_since": at, "unready_seen": now if unready else None})

    def served_by(self, arms: tuple[str, ...] | None, now: datetime) -> Watched:
        """Return it with who serves now: of which release requests were between two looks with others cannot be told.

        Args:
            arms: The release's side, then those beside it; None: the release gets no requests.
            now: When that was so.
        """
        begins = self.arms is None and self.not_before is None
        if arms is not None and (begins or arms == self.arms):
            return self.model_copy(update={"arms": arms})
        return self.model_copy(
            update={
                "arms": arms,
                "not_before": now,
                "memory": {},
                "unready_since": None,
                "unready_seen": None,
            }
        )

    def stale(self, verdict: Verdict, now: datetime) -> Message | None:
        """Return why the harm that was found may be over; None: it is of now."""
        for one in verdict.findings:
            ended = self._until(one.metric)
            if one.harmful is not Answer.YES or ended is None:
                continue
            seconds = (now - ended).total_seconds()
            if seconds > self.watch.quiet_s:
                return msg(
                    "{metric}: the newest data are {seconds} s old.",
                    metric=one.metric,
                    seconds=round(seconds),
                )
        return self.ahead(now)

    def harm(self, since: datetime) -> Message | None:
        """Return why it does harm, if data reach to `since` or later that say so; None: none do."""
        ends = [at for one in self.watch.metrics if (at := self._until(one.name)) is not None]
        verdict = self.watch.verdict(max(ends, default=since))
        if verdict.say is not Say.BACK_OUT:
            return None
        for one in verdict.findings:
            ended = self._until(one.metric)
            if one.harmful is Answer.YES and ended is not None and ended >= since:
                return one.evidence
        return None

    def ahead(self, now: datetime) -> Message | None:
        """Return that there are data of a time that has not come yet; None: there are none."""
        for one in self.watch.metrics:
            ended = self._until(one.name)
            if ended is not None and ended - now > _AHEAD:
                return msg(
                    "{metric}: the newest data are of {at}, which has not come yet: the clock was set back.",
                    metric=one.name,
                    at=f"{ended:%Y-%m-%d %H:%M:%S UTC}",
                )
        return None

    def _until(self, metric: str) -> datetime | None:
        known = self.watch.known.get(metric)
        return known.ended if known is not None else None


def digest(declared: Iterable[Document]) -> str:
    """Return a short form of what is asked; another token asks the same."""
    told = [one.model_dump(mode="json", exclude={"headers"}) for one in declared]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def load(directory: Path, release: str) -> Watched | None:
    """Return what is known of a release; None: nothing yet.

    Raises:
        NotPossible: The file is there and cannot be read: what is known would be lost.
    """
    path = _path(directory, release)
    try:
        return Watched.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        raise NotPossible(
            msg(
                "What the guard knows of {release} cannot be read: {path}: {why}.",
                release=release,
                path=str(path),
                why=getattr(error, "strerror", None) or type(error).__name__,
            ),
            state=msg("Nothing was changed; the release goes on."),
            next_command=f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}   # the guard begins anew, without what it had seen",
        ) from error


def harm_seen(directory: Path, release: str, since: datetime) -> Message | None:
    """Return the harm that was seen of a release in this moment or later; None: none, or what is known cannot be read."""
    with suppress(NotPossible):
        known = load(directory, release)
        if known is not None:
            return known.harm(since)
    return None


def save(directory: Path, release: str, known: Watched) -> None:
    """Write what is known of a release, whole or not at all."""
    write_file(_path(directory, release), known.model_dump_json())


@contextmanager
def alone(directory: Path, release: str) -> Iterator[None]:
    """Keep other guards of this release away for a while; the kernel lets go if this one is killed.

    Raises:
        RunInProgress: One watches already.
        NotPossible: What is seen could not be kept.
    """
    path = _path(directory, release).with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotPossible(
            msg("{path} cannot be written: {why}.", path=str(path), why=error.strerror or str(error)),
            state=msg("Nothing was changed; the release goes on, and nobody watches it."),
            next_command=f"ls -ld {shlex.quote(str(path.parent))}; df -h {shlex.quote(str(directory))}",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunInProgress(
                msg("Another guard watches {release} already, on this machine.", release=release),
                state=msg("Nothing was changed."),
                next_command="backout watch --pause   # it then does nothing by itself",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _path(directory: Path, release: str) -> Path:
    name = "".join(c if c.isalnum() or c in "._-" else f"%{ord(c):x}" for c in release)
    return directory / _FOLDER / f"{name}.json"
