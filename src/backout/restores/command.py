"""A person's own script that restores a backup over the live database: started once, asked by a declared probe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import Field, field_validator

from backout.document import Document
from backout.errors import StepFailed
from backout.faults import fault_point
from backout.launch import Job, ask
from backout.message import msg
from backout.observed import Answer
from backout.platforms.base import Diagnosis, Site
from backout.restores.scripts import executable, how_it_ended
from backout.words import Words, filled

# libpq's own variable: what the script runs may write, while the database refuses everybody else.
# Source: PostgreSQL 15 documentation, 34.15 "Environment Variables".
_MAY_WRITE = "-c default_transaction_read_only=off"


class RestoreCommandOptions(Document):
    """Your own script; {path}, {name} and {database} stand for the backup and the database that it overwrites."""

    run: Words = Field(
        description="Restores a backup over the live database: `{path}` or `{name}` stands for the backup, `{database}` "
        "for the database. No shell runs it."
    )
    probe: Words | None = Field(
        default=None,
        description="Exit status 0: that backup is restored, whole; 1: it is not; anything else: unknown. Without it a "
        "run ends as outcome unknown.",
    )
    timeout_s: float = Field(default=14400.0, gt=0, description="Seconds that the script may take.")
    probe_timeout_s: float = Field(default=30.0, gt=0, description="Seconds that the probe may take.")

    @field_validator("run")
    @classmethod
    def _names_backup(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # "The newest one" may be another one when the script is run again; the backup has to be named.
        if not any("{path}" in word or "{name}" in word for word in value):
            raise ValueError(
                "must contain {path} or {name}: which backup is restored must not be the script's guess"
            )
        return value


class Started(Document):
    """Which step started the script last; on disk, so that a new process knows."""

    step: str
    backup: str


class OwnScript:
    """The script of one service, and what is known of how it ran last."""

    def __init__(self, options: RestoreCommandOptions, site: Site) -> None:
        self.options, self._site = options, site
        self.cwd = site.directory.resolve()
        self.job = Job(self.cwd / ".backout" / "restore-command")
        self._note = self.job.folder / "started.json"

    def shown(self, stands_for: Mapping[str, str]) -> list[str]:
        """Return the command as a plan may say it: without secrets."""
        return [self._site.redactor.text(word) for word in filled(self.options.run, stands_for)]

    def start(self, step: str, stands_for: Mapping[str, str]) -> bool:
        """Start the script for a step, and note which; False if one runs already.

        Raises:
            StepFailed: It could not be started.
        """
        if self.job.running():
            return False
        site = self._site
        try:
            self.job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.job.forget()  # else an older script's exit status would be told as this one's
            draft = self._note.with_suffix(".tmp")
            draft.write_text(Started(step=step, backup=stands_for["name"]).model_dump_json())
            draft.replace(self._note)
            fault_point("restore.command.start.before")
            command = filled(self.options.run, stands_for)
            started = self.job.start(
                command,
                cwd=self.cwd,
                env=self._env(),
                label=stands_for["name"],
                secrets=site.redactor.secrets,
            )
        except OSError as error:
            raise StepFailed(
                msg("The restore script could not be started: {path}: {why}", path=str(error.filename),
                    why=error.strerror or "error"),
                state=msg("Nothing was overwritten by this attempt."),
                next_command="backout resume   # once it can be executed",
            ) from error  # fmt: skip
        fault_point("restore.command.start.after")
        return started

    def started(self) -> Started | None:
        """Return what was started last."""
        try:
            return Started.model_validate(json.loads(self._note.read_text()))
        except (OSError, ValueError):
            return None

    def restored(self, stands_for: Mapping[str, str]) -> tuple[Answer, str]:
        """Ask the probe whether that backup is restored; what it does not tell is unknown, with the reason."""
        if self.options.probe is None:
            return Answer.UNKNOWN, "no probe is declared (restore.command.probe)"
        probe = filled(self.options.probe, stands_for)
        told = ask(probe, cwd=self.cwd, env=self._env(), timeout_s=self.options.probe_timeout_s)
        words = self._site.redactor.text((told.trouble or told.output).strip()[-300:])
        if told.exit is None:
            return Answer.UNKNOWN, f"the probe gave no answer: {words}"
        answer = {0: Answer.YES, 1: Answer.NO}.get(told.exit, Answer.UNKNOWN)
        return answer, f"the probe ended with {told.exit}" + (f": {words}" if words else "")

    def how_it_ended(self) -> str:
        """Return the script's exit status, with its last lines where it failed."""
        return how_it_ended(self.job, self._site)

    def doctor(self) -> Iterator[Diagnosis]:
        """Look whether script and probe can be executed; runs neither."""
        for name, command in (("run", self.options.run), ("probe", self.options.probe)):
            if command is not None:
                yield executable(self._site, f"restore script: {name}", command[0])
        if self.options.probe is None:
            yield Diagnosis(
                subject="restore script: probe",
                ok=False,
                evidence=msg("No probe is declared: a restore ends as outcome unknown (exit 7)."),
                remedy="declare restore.command.probe in backout.yaml",
            )

    def _env(self) -> dict[str, str]:
        environ = dict(self._site.environ)
        environ["PGOPTIONS"] = f"{environ.get('PGOPTIONS', '')} {_MAY_WRITE}".strip()
        return environ
