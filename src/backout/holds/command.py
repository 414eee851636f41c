"""A hold by the user's own commands: suspends workers and crons, and lets them go on."""

from __future__ import annotations

import shlex
from typing import NoReturn

from pydantic import Field, field_validator

from backout.document import Json
from backout.errors import StepFailed, UsageError
from backout.faults import fault_point
from backout.fields import Declared, Name, Seconds
from backout.launch import Job, ask, tail
from backout.message import msg
from backout.observed import Answer, HoldFact
from backout.platforms.base import Site
from backout.words import Words

SUSPEND = "suspend"
_POLL_S = 0.02


class HoldCommandOptions(Declared):
    """One declared means of holding; commands are lists, or strings split as a shell would."""

    name: Name = Field(description="What people call it, e.g. workers.")
    hold: Words = Field(description="Suspends; harmless when it is suspended already.")
    release: Words = Field(description="Lets it go on; harmless when it goes on already.")
    probe: Words = Field(description="Exit status 0: suspended, 1: not suspended, anything else: unknown.")
    timeout_s: Seconds = Field(default=30.0, gt=0, description="Seconds that each command may take.")

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if value in ("router", "database"):
            raise ValueError("a name that is not 'router' or 'database'")
        return value


class CommandHold:
    """Holds by commands. Each is started through the launcher, so it never runs twice at the same time."""

    def __init__(self, options: HoldCommandOptions, site: Site) -> None:
        self.options = options
        self._site = site
        self._job = Job(site.directory.resolve() / ".backout" / f"hold-{options.name}")

    @property
    def name(self) -> str:
        """The declared name."""
        return self.options.name

    def observe(self, deadline_s: float) -> HoldFact:
        """Ask the probe; what it does not tell within the deadline is unknown."""
        options, site = self.options, self._site
        timeout_s = min(deadline_s, options.timeout_s)
        answer = ask(options.probe, cwd=site.directory, env=site.environ, timeout_s=timeout_s)
        held = {0: Answer.YES, 1: Answer.NO}.get(-1 if answer.exit is None else answer.exit, Answer.UNKNOWN)
        prior: dict[str, Json] = {} if held is Answer.UNKNOWN else {"held": held is Answer.YES}
        mode = SUSPEND if held is Answer.YES else None
        return HoldFact(name=self.name, modes=(SUSPEND,), held=held, mode=mode, prior=prior)

    def hold(self, mode: str) -> None:
        """Suspend.

        Raises:
            UsageError: Another mode than `suspend`.
            StepFailed: The command failed, or took too long.

        Idempotent: nothing is run if the probe says that it holds.
        """
        if mode != SUSPEND:
            raise UsageError(
                msg("Hold {name} cannot {mode}, only suspend", name=self.name, mode=mode),
                state=msg("Nothing was changed"),
                next_command="backout hold --help",
            )
        self._make(Answer.YES, self.options.hold, "hold")

    def release(self, prior: dict[str, Json]) -> None:
        """Let it go on, or leave it suspended if it was so before. Idempotent.

        Raises:
            StepFailed: The command failed, or took too long.
        """
        if prior.get("held") is True:
            self._make(Answer.YES, self.options.hold, "hold")
        else:
            self._make(Answer.NO, self.options.release, "release")

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return what a person would type."""
        command = self.options.hold if mode is not None or prior.get("held") is True else self.options.release
        line = self._site.redactor.text(shlex.join(command))
        return (f"cd {shlex.quote(str(self._site.directory))} && {line}",)

    def _make(self, wanted: Answer, command: tuple[str, ...], word: str) -> None:
        self._await_end(word)  # of a copy that a killed backout left behind
        if self.observe(self.options.timeout_s).held is wanted:
            return
        fault_point(f"hold.command.{word}.before")
        site = self._site
        try:
            secrets = site.redactor.secrets
            self._job.start(command, cwd=site.directory, env=site.environ, label=word, secrets=secrets)
        except OSError as error:
            self._fail(word, f"{error.filename}: {error.strerror}")
        fault_point(f"hold.command.{word}.after")
        self._await_end(word)
        status = self._job.exit()
        if status != 0:
            self._fail(word, f"exit status {'unknown' if status is None else status}")

    def _await_end(self, word: str) -> None:
        clock = self._site.clock
        deadline = clock.monotonic_s() + self.options.timeout_s
        while self._job.running():
            if clock.monotonic_s() >= deadline:
                self._fail(word, f"still runs after {self.options.timeout_s:g} s")
            clock.wait(_POLL_S)

    def _fail(self, word: str, why: str) -> NoReturn:
        redact = self._site.redactor.text
        raise StepFailed(
            msg("The {word} command of {name}: {why}; last lines:\n{lines}",
                word=word, name=self.name, why=redact(why), lines=redact(tail(self._job.log))),
            state=msg("Whether {name} is suspended now: {held}",
                      name=self.name, held=str(self.observe(self.options.timeout_s).held)),
            next_command=redact(shlex.join(self.options.probe)),
        )  # fmt: skip
