"""A person's own command that makes the service use another database, and the probe that tells which one it uses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import Field, SecretStr

from backout.errors import NotPossible, StepFailed
from backout.faults import fault_point
from backout.fields import Declared, Seconds
from backout.launch import Job, ask
from backout.message import msg
from backout.platforms.base import Diagnosis, Site
from backout.restores.scripts import executable, how_it_ended
from backout.words import Words

FROM, TO = "BACKOUT_DATABASE_FROM", "BACKOUT_DATABASE_TO"
HOST_TO, PORT_TO = "BACKOUT_HOST_TO", "BACKOUT_PORT_TO"
_NAME_BYTES = 63
_POLL_S = 0.05
_FRESH_S = 2.0
"""How long an answer of the probe is good for whoever only opens a session: another process may switch meanwhile."""


class SwitchCommandOptions(Declared):
    """Your own command that makes the service's connection name another database."""

    run: Words = Field(
        description="Makes the service's connection name the database `$BACKOUT_DATABASE_TO`; now it names "
        "`$BACKOUT_DATABASE_FROM`. Its server is `$BACKOUT_HOST_TO`, `$BACKOUT_PORT_TO`. No shell runs it. Harmless when it is "
        "so already."
    )
    probe: Words = Field(
        description="Prints the name of the database that the service's connection names now, in its first line; with "
        "another exit status than 0, or without a name, it is unknown."
    )
    server: SecretStr | None = Field(
        default=None,
        description="Address of another server, as ${NAME}: backups are restored on it, and the service is switched to it. It has "
        "the same major version, roles and extensions; the database in it counts for nothing. Left out: the same server.",
    )
    timeout_s: Seconds = Field(default=120.0, gt=0, description="Seconds that the command may take.")
    probe_timeout_s: Seconds = Field(default=5.0, gt=0, description="Seconds that the probe may take.")


class Used(NamedTuple):
    """Which database the service's connection names; None: it cannot be told, for the reason `why`."""

    name: str | None
    why: str = ""


class OwnSwitch:
    """The command and the probe of one service."""

    def __init__(self, options: SwitchCommandOptions, site: Site) -> None:
        self.options, self._site = options, site
        self.cwd = site.directory.resolve()
        self.job = Job(self.cwd / ".backout" / "restore-switch")
        self._asking = threading.Lock()
        self._seen: tuple[str, float] | None = None

    def shown(self) -> list[str]:
        """Return the command as a plan may say it: without secrets."""
        return [self._site.redactor.text(word) for word in self.options.run]

    def used(self) -> str:
        """Return the name that the probe told within the last seconds; else it is asked.

        Raises:
            NotPossible: It cannot be told.
        """
        with self._asking:
            if self._seen is not None and self._site.clock.monotonic_s() < self._seen[1]:
                return self._seen[0]
            found = self._ask()
        if found.name is None:
            raise NotPossible(
                msg("Which database the service uses is not known: {why}", why=found.why),
                state=msg("Nothing was changed."),
                next_command="backout doctor   # it shows what the probe (restore.switch.probe) says",
            )
        return found.name

    def ask(self) -> Used:
        """Ask the probe now."""
        with self._asking:
            return self._ask()

    def _ask(self) -> Used:
        options, site = self.options, self._site
        told = ask(options.probe, cwd=self.cwd, env=site.environ, timeout_s=options.probe_timeout_s)
        found = self._read(told.exit, told.output, told.trouble)
        until_s = site.clock.monotonic_s() + _FRESH_S
        self._seen = (found.name, until_s) if found.name is not None else None
        return found

    def _read(self, status: int | None, output: str, trouble: str) -> Used:
        words = self._site.redactor.text(trouble.strip()[-300:])
        if status is None:
            return Used(None, f"the probe gave no answer: {words}")
        if status != 0:
            return Used(None, f"the probe ended with {status}" + (f": {words}" if words else ""))
        name = next(iter(output.splitlines()), "").strip()
        # A whole connection text would be no name, and may hold a password: it is not repeated.
        if not name or "://" in name or "=" in name or len(name.encode()) > _NAME_BYTES:
            return Used(None, "what the probe printed first is no name of a database")
        return Used(name)

    def carry_out(self, old: str, new: str, place: tuple[str, str]) -> bool:
        """Start the command and wait until it ended; False: one still runs after its time.

        It outlives this process, and is started once at a time. What it did, the probe tells.

        Args:
            old: The database that is used.
            new: The one that shall be.
            place: Host and port of its server.

        Raises:
            StepFailed: It could not be started.
        """
        if not self.ended():
            return False
        self._start(old, new, place)
        return self.ended()

    def ended(self) -> bool:
        """Wait until no command runs, also none that another process left behind; False: one does after its time."""
        clock = self._site.clock
        ends_s = clock.monotonic_s() + self.options.timeout_s
        while self.job.running():
            if clock.monotonic_s() >= ends_s:
                return False
            clock.wait(_POLL_S)
        return True

    def _start(self, old: str, new: str, place: tuple[str, str]) -> None:
        site = self._site
        environ = {**site.environ, FROM: old, TO: new, HOST_TO: place[0], PORT_TO: place[1]}
        fault_point("switch.run.before")
        try:
            self.job.start(
                self.options.run, cwd=self.cwd, env=environ, label=new, secrets=site.redactor.secrets
            )
        except OSError as error:
            raise StepFailed(
                msg("The command that switches could not be started: {path}: {why}", path=str(error.filename),
                    why=error.strerror or "error"),
                state=msg("The service uses {old}.", old=old),
                next_command="backout resume   # once it can be executed",
            ) from error  # fmt: skip
        fault_point("switch.run.after")

    def how_it_ended(self) -> str:
        """Return the command's exit status, with its last lines where it failed."""
        return how_it_ended(self.job, self._site)

    def doctor(self) -> Iterator[Diagnosis]:
        """Look whether command and probe can be executed, and ask the probe; switches nothing."""
        for name, command in (("run", self.options.run), ("probe", self.options.probe)):
            yield executable(self._site, f"database switch: {name}", command[0])
        found = self.ask()
        subject = "database switch: used"
        if found.name is not None:
            evidence = msg("The service's connection names {name}.", name=found.name)
            yield Diagnosis(subject=subject, ok=True, evidence=evidence)
        else:
            evidence = msg("Which database the service uses is not known: {why}.", why=found.why)
            yield Diagnosis(
                subject=subject, ok=False, evidence=evidence, remedy="restore.switch.probe in backout.yaml"
            )
