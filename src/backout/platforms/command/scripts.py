"""Runs the user's commands: short questions with a deadline, and the one script that acts."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

from backout.document import Document
from backout.errors import TargetUnreachable
from backout.launch import Answer, Job, ask, tail
from backout.message import msg
from backout.platforms.base import Site
from backout.platforms.command.options import CommandOptions
from backout.redact import secrets_of


class Started(Document):
    """Which step started the script last; on disk, so that a new process knows."""

    step: str
    version: str
    command: tuple[str, ...]


class Scripts:
    """The commands of one service, and what is known of the script that ran last."""

    def __init__(self, options: CommandOptions, site: Site) -> None:
        self.options = options
        self.site = site
        self.cwd = (site.directory / Path(options.cwd).expanduser()).resolve()
        self.job = Job(site.directory.resolve() / ".backout" / "command")
        self._note = self.job.folder / "started.json"
        site.redactor.add(*secrets_of(options.env))

    def env(self) -> dict[str, str]:
        """Return the environment of every command: the operator's own, and what is declared."""
        return {**self.site.environ, **self.options.env}

    def running_version(self, deadline_s: float | None = None) -> tuple[str | None, str]:
        """Ask the probe; returns the version, or None and why it is not known."""
        if self.options.probe is None:
            return None, "no probe is declared"
        answer = self._ask(self.options.probe, deadline_s)
        lines = [line.strip() for line in answer.output.splitlines() if line.strip()]
        if answer.exit != 0 or not lines:
            return None, self._trouble(answer)
        return lines[-1], ""

    def versions(self, deadline_s: float) -> tuple[str, ...]:
        """Ask the list command.

        Raises:
            TargetUnreachable: None is declared, or it did not answer.
        """
        if self.options.list is None:
            raise TargetUnreachable(
                msg("No list command is declared: what could be brought back is not known"),
                state=msg("Nothing was changed"),
                next_command="backout doctor  # and declare platform.list in backout.yaml",
            )
        answer = self._ask(self.options.list, deadline_s)
        if answer.exit != 0:
            raise TargetUnreachable(
                msg("The list command failed: {why}", why=self._trouble(answer)),
                state=msg("Nothing was changed"),
                next_command=self.shown(self.options.list),
            )
        return tuple(dict.fromkeys(line.strip() for line in answer.output.splitlines() if line.strip()))

    def start(self, started: Started, command: list[str]) -> bool:
        """Start the script, and note who did; False if one runs already. Raises OSError."""
        if self.job.running():
            return False
        self.job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.job.forget()  # else an older script's exit status would be told as this one's
        draft = self._note.with_suffix(".tmp")
        draft.write_text(started.model_dump_json(), encoding="utf-8")
        draft.replace(self._note)
        secrets = self.site.redactor.secrets
        return self.job.start(command, cwd=self.cwd, env=self.env(), label=started.version, secrets=secrets)

    def started(self) -> Started | None:
        """Return what was started last."""
        try:
            return Started.model_validate(json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def last_lines(self) -> str:
        """Return the end of the script's output, without secrets."""
        return self.site.redactor.text(tail(self.job.log))

    def shown(self, command: tuple[str, ...] | list[str]) -> str:
        """Return a command as a person would type it, without secrets."""
        line = self.site.redactor.text(shlex.join(command))
        return line if self.cwd == Path.cwd() else f"cd {shlex.quote(str(self.cwd))} && {line}"

    def program_of(self, command: tuple[str, ...]) -> str | None:
        """Return the command's program if it can be executed."""
        program = command[0]
        if "/" in program:
            path = self.cwd / program
            return str(path) if path.is_file() and os.access(path, os.X_OK) else None
        return shutil.which(program, path=self.env().get("PATH"))

    def _ask(self, command: tuple[str, ...], deadline_s: float | None) -> Answer:
        limit_s = self.options.probe_timeout_s
        timeout_s = limit_s if deadline_s is None else min(deadline_s, limit_s)
        return ask(command, cwd=self.cwd, env=self.env(), timeout_s=timeout_s)

    def _trouble(self, answer: Answer) -> str:
        last = self.site.redactor.text("\n".join(answer.trouble.strip().splitlines()[-5:]))
        if answer.exit is None:
            return last
        if answer.exit == 0:
            return "it printed nothing"
        return f"exit status {answer.exit}: {last}" if last else f"exit status {answer.exit}"
