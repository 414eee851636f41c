"""Questions to one repository, each with a deadline. Nothing is changed, and nothing is fetched."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from backout.errors import NothingToGoBackTo, TargetUnreachable
from backout.launch import Answer, ask
from backout.message import msg

# Source: `git rev-parse --local-env-vars`, Git 2.39: they name another repository than the one of the folder.
ELSEWHERE = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
    "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)  # fmt: skip
"""Environment variables that git sets for its hooks; whatever runs in another folder must not inherit them."""
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_WHOLE = 40
# Source: git-check-ref-format(1), Git 2.39. What is no name would be read as the way to another commit: 1.0~1.
_NO_NAME = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")


class Repository:
    """The repository around a folder.

    Attributes:
        directory: The folder that was named; git finds the repository from there.
        deadline_s: Seconds that one question may take.
    """

    def __init__(self, directory: Path, deadline_s: float, environ: Mapping[str, str] | None = None) -> None:
        self.directory = directory.resolve()
        self.deadline_s = deadline_s
        self._env = without_elsewhere(os.environ if environ is None else environ) | {
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_LAZY_FETCH": "1",  # a partial clone would ask the network for what it has not
            "LC_ALL": "C",
        }

    @property
    def there(self) -> bool:
        """Whether the folder is in a repository at all; asks nobody."""
        return any((folder / ".git").exists() for folder in (self.directory, *self.directory.parents))

    def text(self, *words: str) -> str:
        """Return what git printed.

        Raises:
            TargetUnreachable: It failed.
        """
        answer = self.answer(*words)
        if answer.exit != 0:
            why = answer.trouble.strip().partition("\n")[0] or f"exit status {answer.exit}"
            raise TargetUnreachable(
                msg("git {verb} failed: {why}", verb=words[0], why=why),
                state=msg("Nothing was changed."),
                next_command=f"git -C {self.directory} status",
            )
        return answer.output

    def answer(self, *words: str) -> Answer:
        """Return git's answer, whatever it is."""
        return ask(
            ["git", "-C", str(self.directory), *words],
            cwd=self.directory, env=self._env, timeout_s=self.deadline_s,
        )  # fmt: skip

    def commit_of(self, name: str) -> str | None:
        """Return the commit in full that a tag or a commit's name stands for; None: git has none of that name.

        Branches are no names of versions: they move.

        Raises:
            TargetUnreachable: Git did not answer.
        """
        if not _COMMIT.fullmatch(name):
            return self.tag(name)
        found = (None if len(name) >= _WHOLE else self.tag(name)) or self.commit(name)
        # A branch may be called like the beginning of a commit's name, and git would take the branch.
        return found if found is None or found.startswith(name) or self.tag(name) == found else None

    def tag(self, version: str) -> str | None:
        """Return the commit of the tag of a version, with or without its `v`; None: there is no such tag."""
        if _NO_NAME.search(version):
            return None
        bare = version.removeprefix("v")
        for name in dict.fromkeys((version, bare, f"v{bare}")):
            if found := self.commit(f"refs/tags/{name}"):
                return found
        return None

    def commit(self, revision: str) -> str | None:
        """Return the commit in full that git has under exactly this name; None: it has none."""
        answer = self.answer("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if answer.exit == 0:
            return answer.output.strip()
        if answer.exit is None or answer.exit == 128:
            # 128 is both "no such commit" of some names and "no repository": tell them apart.
            self.text("rev-parse", "--git-dir")
        return None

    def missing(self, version: str, name: str) -> NothingToGoBackTo:
        """Return the error for a version whose commit is not in this repository, with the command that brings it."""
        shallow = self.answer("rev-parse", "--is-shallow-repository").output.strip() == "true"
        where = msg("this shallow clone") if shallow else msg("this repository")
        fetch = "git fetch --tags --unshallow" if shallow else "git fetch --tags"
        return NothingToGoBackTo(
            msg("Git has no commit of {version}: neither a tag nor a commit {name} is in {where}",
                version=version, name=name, where=str(where)),
            state=msg("Nothing was changed."),
            next_command=f"cd {self.directory} && {fetch}",
        )  # fmt: skip


def without_elsewhere(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what names another repository."""
    numbered = re.compile(r"GIT_CONFIG_(KEY|VALUE)_\d+")
    return {k: v for k, v in environ.items() if k not in ELSEWHERE and not numbered.fullmatch(k)}
