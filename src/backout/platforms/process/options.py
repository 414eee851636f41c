"""What a person configures for the `process` platform, and the paths that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from backout.document import Json
from backout.fields import Declared, HttpUrl, Seconds
from backout.words import Words

_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR")


class ProcessOptions(Declared):
    """Releases as folders, a `current` link and one process; relative paths start at `root`."""

    root: str = Field(description="Folder with `releases/<version>/` and the `current` link.")
    start: Words = Field(
        description="Start command, run in the release's folder; `{release}` is it. A list or one string."
    )
    env_file: str | None = Field(
        default=None, description="KEY=VALUE lines for the service; its values are secrets and never shown."
    )
    pid_file: str | None = Field(
        default=None, description="Where the pid stands; default shared/pids/<service>.pid."
    )
    log_file: str | None = Field(
        default=None, description="Gets the service's output; default shared/log/<service>.log."
    )
    stop_signal: Literal["TERM", "INT", "QUIT", "HUP"] = Field(
        default="TERM", description="Signal that asks the service to end."
    )
    stop_timeout_s: Seconds = Field(default=10.0, ge=0, description="Seconds until it is ended by KILL.")
    start_timeout_s: Seconds = Field(default=30.0, gt=0, description="Seconds until it must be ready.")
    ready_url: HttpUrl | None = Field(
        default=None, description="Answers 2xx when the service is ready; asked of the process itself."
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """The absolute paths of one service on this machine."""

    root: Path
    pid_file: Path
    log_file: Path
    env_file: Path | None

    @classmethod
    def of(cls, options: ProcessOptions, *, service: str, directory: Path) -> Layout:
        """Return the paths; touches nothing but the root's own name (links in it are followed)."""
        root = (directory / Path(options.root).expanduser()).resolve()
        return cls(
            root=root,
            pid_file=root / (options.pid_file or f"shared/pids/{service}.pid"),
            log_file=root / (options.log_file or f"shared/log/{service}.log"),
            env_file=root / options.env_file if options.env_file else None,
        )

    @property
    def releases(self) -> Path:
        """The folder of the release folders."""
        return self.root / "releases"

    @property
    def current(self) -> Path:
        """The link that says which release is wanted."""
        return self.root / "current"

    @property
    def state(self) -> Path:
        """Backout's own files at this target."""
        return self.root / ".backout"

    @property
    def service_lock(self) -> Path:
        """Held as long as a service that backout started runs."""
        return self.state / "service.lock"

    def release(self, ref: str) -> Path:
        """Return the folder of a release."""
        return self.releases / ref

    def linked(self) -> str | None:
        """Return the release that `current` points to; None if there is no link, or it points elsewhere."""
        try:
            text = self.current.readlink()
        except OSError:
            return None
        where = Path(self.current.parent, text)
        if where.parent.resolve() == self.releases.resolve() and where.name not in ("", ".", ".."):
            return where.name  # also when that folder is gone: the link still says what is wanted
        return self.ref_of(where.resolve())

    def linked_at(self) -> datetime | None:
        """Return when `current` was made to point where it points; None if it is gone."""
        try:
            return datetime.fromtimestamp(self.current.lstat().st_mtime, UTC)
        except OSError:
            return None

    def ref_of(self, path: Path) -> str | None:
        """Return the release that a resolved path lies in, or None."""
        releases = self.releases.resolve()
        return path.relative_to(releases).parts[0] if releases in path.parents else None


def service_env(environ: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service: a few basics of the operator's own, then the env file.

    The operator's other variables are kept out on purpose: what is exported in somebody's shell at night
    must not decide which database a service talks to.
    """
    basics = {k: v for k, v in environ.items() if k in _PASSED_ON or k.startswith("LC_")}
    return {**basics, **extra}


def declared(layout: Layout, options: ProcessOptions) -> dict[str, Json]:
    """Return what a plan says about the service, absolute: for the runbook, and to notice a change."""
    return {
        "root": str(layout.root),
        "start": list(options.start),
        "env_file": str(layout.env_file) if layout.env_file else None,
        "pid_file": str(layout.pid_file),
        "log_file": str(layout.log_file),
        "stop_signal": options.stop_signal,
        "stop_timeout_s": options.stop_timeout_s,
        "start_timeout_s": options.start_timeout_s,
        "ready_url": options.ready_url,
    }
