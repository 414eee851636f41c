"""Runs the user's commands: short questions with a deadline, and the one script that acts."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from backout.document import Document
from backout.errors import TargetUnreachable
from backout.git.repository import without_elsewhere
from backout.launch import Answer, Job, ask, tail
from backout.message import msg
from backout.platforms.base import Site
from backout.platforms.command import worktree
from backout.platforms.command.options import CommandOptions
from backout.redact import secrets_of


class Started(Document):
    """Which step started the script last; on disk, so that a new process knows.

    Attributes:
        worktree: Where it is built, if it is: left behind when somebody killed all of it.
    """

    step: str
    version: str
    command: tuple[str, ...]
    worktree: Path | None = None


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
        answer = self.asked(self.options.probe, deadline_s)
        lines = [line.strip() for line in answer.output.splitlines() if line.strip()]
        if answer.exit != 0 or not lines:
            return None, self.trouble(answer)
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
        answer = self.asked(self.options.list, deadline_s)
        if answer.exit != 0:
            raise TargetUnreachable(
                msg("The list command failed: {why}", why=self.trouble(answer)),
                state=msg("Nothing was changed"),
                next_command=self.shown(self.options.list),
            )
        return tuple(dict.fromkeys(line.strip() for line in answer.output.splitlines() if line.strip()))

    def start(self, started: Started, command: list[str], commit: str | None = None) -> bool:
        """Start the script, and note who did; False if one runs already. Raises OSError.

        Args:
            started: Who starts it.
            command: What is run.
            commit: Run it in a clean worktree of this commit, which is taken away when it ends; None: in `cwd`.
        """
        if self.job.running():
            return False
        if (left := self.left_behind()) is not None:
            worktree.remove(str(self.cwd), left)
        if commit is None:
            return self._start(started, command, self.env())
        # Not below this folder: many build tools look for their settings in the folders above theirs.
        tree = Path(tempfile.mkdtemp(prefix=worktree.PREFIX)) / worktree.NAME
        told = {"cwd": str(self.cwd), "commit": commit, "worktree": str(tree), "command": command}
        words = [sys.executable, "-I", "-S", worktree.__file__, json.dumps(told)]
        env = without_elsewhere(self.env())
        fresh = self._start(started.model_copy(update={"worktree": tree}), words, env)
        if not fresh:
            tree.parent.rmdir()
        return fresh

    def left_behind(self) -> Path | None:
        """Return the worktree that nobody was left to take away; None: there is none, or a script runs in it."""
        noted = self.started()
        tree = noted.worktree if noted is not None else None
        if tree is None or not worktree.is_ours(tree) or self.job.running():
            return None
        return tree if tree.parent.exists() else None

    def _start(self, started: Started, command: list[str], env: dict[str, str]) -> bool:
        self.job.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.job.forget()  # else an older script's exit status would be told as this one's
        draft = self._note.with_suffix(".tmp")
        draft.write_text(started.model_dump_json(), encoding="utf-8")
        draft.replace(self._note)
        secrets = self.site.redactor.secrets
        return self.job.start(command, cwd=self.cwd, env=env, label=started.version, secrets=secrets)

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

    def asked(self, command: tuple[str, ...], deadline_s: float | None) -> Answer:
        """Return the answer of a command that only looks, within the time that a probe may take."""
        limit_s = self.options.probe_timeout_s
        timeout_s = limit_s if deadline_s is None else min(deadline_s, limit_s)
        return ask(command, cwd=self.cwd, env=self.env(), timeout_s=timeout_s)

    def trouble(self, answer: Answer) -> str:
        """Return why a command gave no good answer: its last lines, without secrets."""
        last = self.site.redactor.text("\n".join(answer.trouble.strip().splitlines()[-5:]))
        if answer.exit is None:
            return last
        if answer.exit == 0:
            return "it printed nothing"
        return f"exit status {answer.exit}: {last}" if last else f"exit status {answer.exit}"
