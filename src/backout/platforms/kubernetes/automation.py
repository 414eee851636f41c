"""Automation that can be paused: what is declared of it, and its commands, each started once at a time."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pydantic import Field, model_validator

from backout.errors import StepFailed, UsageError
from backout.faults import fault_point
from backout.fields import Declared, Seconds
from backout.launch import Job, ask, tail
from backout.message import Message, msg
from backout.observed import Answer, Owner
from backout.platforms.base import Site
from backout.words import Words


class AutomationOptions(Declared):
    """Who else changes the workloads, and how it is paused; commands are lists, or strings split as a shell would."""

    manager: str = Field(
        min_length=1,
        max_length=128,
        description="Name by which backout finds it (argocd, flux, the application's name, or the field "
        "manager's), as plan and doctor call it.",
    )
    reverts: bool = Field(
        default=True, description="false: it never takes a change back by itself, e.g. a deploy pipeline."
    )
    pause: Words | None = Field(
        default=None, description="Pauses it before anything is changed; harmless when it is paused already."
    )
    resume: Words | None = Field(
        default=None,
        description="Lets it go on; typed by a person later, and run when a way back is undone. Needed with pause.",
    )
    probe: Words | None = Field(
        default=None,
        description="Exit status 0: paused, 1: not paused, anything else: unknown. Without it what the pause "
        "command's exit status says is believed.",
    )
    timeout_s: Seconds = Field(default=30.0, gt=0, description="Seconds that each command may take.")

    @model_validator(mode="after")
    def _both(self) -> AutomationOptions:
        if (self.pause is None) != (self.resume is None):
            raise ValueError("pause and resume belong together")
        return self


def declared(
    owners: Sequence[Owner], options: Sequence[AutomationOptions], paused: dict[str, Answer]
) -> tuple[Owner, ...]:
    """Return the owners with what is declared of them; what is declared and not found is an owner too. Pure.

    Args:
        owners: As found.
        options: As declared.
        paused: By the declared name, whether its probe says that it is paused.
    """
    found = [_with(owner, _about(owner, options), paused) for owner in owners]
    known = {about.manager for owner in owners if (about := _about(owner, options)) is not None}
    for one in options:
        if one.manager not in known:
            evidence = msg("{name} is declared in platform.automation", name=one.manager)
            bare = Owner(kind="manager", name=one.manager, reverts=Answer.YES, evidence=evidence)
            found.append(_with(bare, one, paused))
    return tuple(found)


def _about(owner: Owner, options: Sequence[AutomationOptions]) -> AutomationOptions | None:
    return next((o for o in options if o.manager in (owner.name, owner.kind)), None)


def _with(owner: Owner, about: AutomationOptions | None, paused: dict[str, Answer]) -> Owner:
    if about is None:
        return owner
    is_paused = paused.get(about.manager, Answer.UNKNOWN)
    if is_paused is Answer.UNKNOWN:
        is_paused = owner.paused
    reverts, evidence = owner.reverts, owner.evidence
    if not about.reverts:
        reverts = Answer.NO
        evidence = msg("{evidence}; declared: it takes nothing back by itself", evidence=str(evidence))
    elif is_paused is Answer.YES:
        reverts = Answer.NO
        evidence = msg("{evidence}; it is paused now", evidence=str(evidence))
    elif owner.paused is not Answer.YES:
        reverts = Answer.YES
    name = about.manager if about.pause is not None else owner.name
    return owner.model_copy(
        update={
            "name": name,
            "reverts": reverts,
            "evidence": evidence,
            "pausable": about.pause is not None,
            "paused": is_paused,
        }
    )


class Automation:
    """One declared automation. Its commands are started through the launcher, so they never run twice at the same time."""

    def __init__(self, options: AutomationOptions, site: Site) -> None:
        self.options, self._site = options, site
        self._job = Job(site.directory.resolve() / ".backout" / f"automation-{_plain(options.manager)}")
        self._note = self._job.folder / "step"

    def paused(self, deadline_s: float) -> Answer:
        """Ask the probe; without one, or when it does not answer in time: unknown."""
        options, site = self.options, self._site
        if options.probe is None:
            return Answer.UNKNOWN
        timeout_s = min(deadline_s, options.timeout_s)
        told = ask(options.probe, cwd=site.directory, env=site.environ, timeout_s=timeout_s)
        return {0: Answer.YES, 1: Answer.NO}.get(-1 if told.exit is None else told.exit, Answer.UNKNOWN)

    def running(self) -> bool:
        """Return whether one of its commands runs now."""
        return self._job.running()

    def ended(self, step: str) -> int | None:
        """Return the exit status of the command that a step started here; None: it started none, or it is not known."""
        try:
            noted = self._note.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return self._job.exit() if noted == step else None

    def last_lines(self) -> str:
        """Return the end of what the last command printed, without secrets."""
        return self._site.redactor.text(tail(self._job.log))

    def shown(self, *, pause: bool) -> str:
        """Return the command as a person types it, without secrets."""
        return self._site.redactor.text(shlex.join(self._words(pause=pause)))

    def start(self, step: str, *, pause: bool) -> None:
        """Start the command, unless one runs; `ended` and `paused` tell what became of it.

        Raises:
            StepFailed: It could not be started.
        """
        site, word = self._site, "pause" if pause else "resume"
        try:
            if self._job.running():
                return
            self._job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._job.forget()
            self._note.write_text(step, encoding="utf-8")
            fault_point(f"automation.{word}.before")
            self._job.start(
                self._words(pause=pause), cwd=site.directory, env=site.environ, label=word,
                secrets=site.redactor.secrets,
            )  # fmt: skip
            fault_point(f"automation.{word}.after")
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
            raise StepFailed(
                msg("The {word} command of {name} cannot be started: {why}",
                    word=word, name=self.options.manager, why=site.redactor.text(why)),
                state=msg("Nothing was paused or resumed by it."),
                next_command=self.shown(pause=pause),
            ) from None  # fmt: skip

    def _words(self, *, pause: bool) -> tuple[str, ...]:
        words = self.options.pause if pause else self.options.resume
        assert words is not None  # `automation_of` gives only those that can be paused
        return words


def automation_of(options: Sequence[AutomationOptions], name: str, site: Site) -> Automation:
    """Return a declared automation that can be paused.

    Raises:
        UsageError: The configuration does not declare it, or not how it is paused.
    """
    for one in options:
        if one.manager == name and one.pause is not None:
            return Automation(one, site)
    known: Message = msg("platform.automation does not say how {name} is paused", name=name)
    raise UsageError(
        known, state=msg("Nothing was changed"), next_command="${EDITOR:-vi} backout.yaml   # platform.automation"
    )  # fmt: skip


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
