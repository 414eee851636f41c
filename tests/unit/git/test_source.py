"""The commit that a version is built from, in real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from backout.errors import NothingToGoBackTo, TargetUnreachable
from backout.git.between import between
from backout.git.repository import Repository
from backout.git.source import source_of
from backout.message import msg

WHY = msg("its artefact is gone")


def git(directory: Path, *words: str) -> str:
    who = {f"GIT_{r}_{w}": "ana@example.com" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(directory), *words], env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, "one", code="1")
    git(tmp_path, "tag", "v1.0")
    return tmp_path


def commit(directory: Path, subject: str, **files: str) -> str:
    for name, text in files.items():
        (directory / name).write_text(text)
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--allow-empty", "-m", subject)
    return git(directory, "rev-parse", "HEAD")


def ask(directory: Path) -> Repository:
    return Repository(directory, 20)


def test_a_version_is_its_tag_with_or_without_v_and_an_annotated_one_too(directory: Path) -> None:
    first = git(directory, "rev-parse", "HEAD")
    git(directory, "tag", "-a", "-m", "two", "2.0")
    for version in ("1.0", "v1.0", "2.0", "v2.0"):
        assert source_of(ask(directory), version, None, WHY).commit == first


def test_the_recorded_commit_comes_first_and_may_be_short_or_in_capitals(directory: Path) -> None:
    first = git(directory, "rev-parse", "HEAD")
    second = commit(directory, "two", code="2")
    git(directory, "tag", "--force", "v1.0")
    for name in (first, first[:8], first[:8].upper()):
        found = source_of(ask(directory), "1.0", name, WHY)
        assert (found.commit, found.tag_at) == (first, second)


@pytest.mark.parametrize(
    "name", ["main", "HEAD", "HEAD~0", "--help", "v1.0^{tree}", "", ":/one", "f00", "no such"]
)
def test_what_moves_or_is_no_name_is_no_version(directory: Path, name: str) -> None:
    with pytest.raises(NothingToGoBackTo) as caught:
        source_of(ask(directory), name, None, WHY)
    assert caught.value.next_command == f"cd {directory} && git fetch --tags"


def test_a_branch_called_like_the_tag_is_not_taken_for_it(directory: Path) -> None:
    first = git(directory, "rev-parse", "HEAD")
    commit(directory, "two", code="2")
    git(directory, "branch", "v1.0")
    assert source_of(ask(directory), "v1.0", None, WHY).commit == first


def test_a_branch_called_like_a_commit_is_not_taken_for_it(directory: Path) -> None:
    first = git(directory, "rev-parse", "HEAD")
    git(directory, "branch", "abcdef1")
    git(directory, "branch", first[:8])
    last = commit(directory, "two", code="2")
    git(directory, "branch", "--force", first[:8], last)
    assert ask(directory).commit_of("abcdef1") is None
    assert ask(directory).commit_of(first[:8]) is None, "git itself takes the branch"
    assert ask(directory).commit_of(first) == first
    git(directory, "tag", first[:9], last)
    assert ask(directory).commit_of(first[:9]) == last, "a tag is a name that somebody gave"


@pytest.mark.parametrize(
    "name", ["v1.0~0", "v1.0^0", "v1.0@{0}", "v1.0 ", "../tags/v1.0", "v1.0:code", "v1.*"]
)
def test_the_way_from_a_tag_to_elsewhere_is_no_name(directory: Path, name: str) -> None:
    commit(directory, "two", code="2")
    assert ask(directory).tag(name) is None


def test_whether_a_remote_has_it_is_unknown_without_one(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert source_of(ask(directory), "v1.0", None, WHY).only_here is None
    clone = tmp_path_factory.mktemp("clone") / "shop"
    git(directory, "clone", "--quiet", str(directory), str(clone))
    assert source_of(ask(clone), "v1.0", None, WHY).only_here is False
    commit(clone, "mine", code="3")
    git(clone, "tag", "mine")
    assert source_of(ask(clone), "mine", None, WHY).only_here is True


def test_submodules_and_lfs_are_seen_also_from_a_folder_below(directory: Path) -> None:
    plain = source_of(ask(directory), "v1.0", None, WHY)
    assert not plain.submodules and not plain.lfs
    (directory / "web" / "static").mkdir(parents=True)
    (directory / "web" / "static" / ".gitattributes").write_text("*.png filter=lfs diff=lfs\n")
    (directory / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ../x\n')
    commit(directory, "both")
    git(directory, "tag", "v2")
    found = source_of(ask(directory / "web"), "v2", None, WHY)
    assert found.submodules and found.lfs


def test_another_repository_in_the_environment_is_not_asked(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    git(other, "init", "--quiet")
    hostile = {
        **os.environ,
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_CONFIG_COUNT": "x",
    }
    assert Repository(directory, 20, hostile).tag("v1.0") == git(directory, "rev-parse", "HEAD")


def test_what_lies_between_counts_both_sides_and_any_file_name(directory: Path) -> None:
    first = git(directory, "rev-parse", "HEAD")
    git(directory, "checkout", "--quiet", "-b", "hotfix")
    hotfix = commit(directory, "only a hotfix", fix="1")
    git(directory, "checkout", "--quiet", "main")
    (directory / "migrations").mkdir()
    (directory / "migrations" / "0002 \u00fc\n.sql").write_text("x")
    last = commit(directory, "tab\there", code="2")
    assert between(ask(directory), last, first).only_in_target == 0
    found = between(ask(directory), last, hotfix)
    assert (found.commits, found.only_in_target, found.files) == (1, 1, 3)
    assert found.newest[0].subject == "tab\there" and found.migrations == ("migrations/0002 \u00fc\n.sql",)
    forward = between(ask(directory), first, last)
    assert (forward.commits, forward.only_in_target, forward.newest) == (0, 1, found.newest)
    assert between(ask(directory), first, first).files == 0


def test_thousands_of_files_do_not_fill_the_journal(directory: Path) -> None:
    first = git(directory, "rev-parse", "HEAD")
    (directory / "k8s").mkdir()
    (directory / "migrations").mkdir()
    for n in range(300):
        (directory / "k8s" / f"{n}.yaml").touch()
        (directory / "migrations" / f"{n}.sql").touch()
    last = commit(directory, "x" * 5000)
    found = between(ask(directory), last, first)
    assert (found.migration_files, found.configuration_files) == (300, 300)
    assert len(found.model_dump_json()) < 3000


def test_too_slow_or_no_repository_is_no_answer(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(TargetUnreachable, match="no answer within"):
        source_of(Repository(directory, 0), "v1.0", None, WHY)
    with pytest.raises(TargetUnreachable, match="not a git repository"):
        source_of(ask(tmp_path_factory.mktemp("bare")), "v1.0", None, WHY)
    with pytest.raises(TargetUnreachable, match="git: No such file"):
        Repository(directory, 5, {"PATH": "/nowhere"}).tag("v1.0")
