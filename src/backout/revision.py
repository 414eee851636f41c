"""A version as git knows it, and what lies between two."""

from __future__ import annotations

from backout.document import Document
from backout.message import Message


class Commit(Document):
    """One commit.

    Attributes:
        id: Its name in full.
    """

    id: str
    subject: str


class Between(Document):
    """What the way from one commit to another takes away, as git has it.

    Attributes:
        source, target: The commits, in full.
        commits: How many are in the source and not in the target.
        newest: The newest of them, or where there are none, of those that only the target has; not all where there are many.
        only_in_target: How many are in the target and not in the source: a fix that was never merged.
        files: How many files differ.
        migration_files: How many of them are migrations.
        migrations: The first of them, by name.
        configuration_files: How many say how it is built, deployed or configured.
        configuration: The first of them, by name; never what is in them.
    """

    source: str
    target: str
    commits: int
    newest: tuple[Commit, ...] = ()
    only_in_target: int = 0
    files: int = 0
    migration_files: int = 0
    migrations: tuple[str, ...] = ()
    configuration_files: int = 0
    configuration: tuple[str, ...] = ()


class Source(Document):
    """How a release is brought: by the artefact that was recorded, or built anew from git.

    Attributes:
        why: Why so: what was asked, and what it answered.
        commit: The commit it is built from; null: its artefact is there, and is deployed.
        tag_at: Where the tag of its name points, if that is another commit.
        only_here: Whether no branch or tag of another repository is known to have the commit; null: nobody can tell.
        submodules: Whether the commit has submodules.
        lfs: Whether the commit keeps files in Git LFS.
    """

    why: Message
    commit: str | None = None
    tag_at: str | None = None
    only_here: bool | None = None
    submodules: bool = False
    lfs: bool = False
