"""What a build from git starts from: the commit of a version, and what a person has to know of it."""

from __future__ import annotations

from backout.git.repository import Repository
from backout.message import Message
from backout.revision import Source


def source_of(repository: Repository, version: str, recorded: str | None, why: Message) -> Source:
    """Return the commit that a version is built from: the recorded one, else that of its tag.

    Args:
        repository: Where it is looked for.
        version: The version.
        recorded: Commit that its record names; None: none does.
        why: Why it is built at all.

    Raises:
        NothingToGoBackTo: The commit is not in the repository.
        TargetUnreachable: Git did not answer.
    """
    commit = repository.commit_of(recorded.lower() if recorded else version)
    if commit is None:
        raise repository.missing(version, recorded or version)
    tagged = repository.tag(version)
    return Source(
        why=why,
        commit=commit,
        tag_at=tagged if tagged != commit else None,
        only_here=_only_here(repository, commit),
        submodules=bool(
            repository.text("ls-tree", "--full-tree", "--name-only", commit, ".gitmodules").strip()
        ),
        lfs=repository.answer("grep", "-q", "filter=lfs", commit, "--", ":(top)*.gitattributes").exit == 0,
    )


def _only_here(repository: Repository, commit: str) -> bool | None:
    """Return whether no branch that was fetched has the commit; None: nothing was ever fetched."""
    if not repository.text("for-each-ref", "--count=1", "refs/remotes"):
        return None
    return not repository.text("for-each-ref", "--count=1", "--contains", commit, "refs/remotes")
