"""The way back to a version whose artefact is gone: built anew from its tag or commit, in a clean worktree."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.command_line import Cli

from backout.app import Backout
from backout.assess.model import Request
from backout.children import basic_env
from backout.errors import NothingToGoBackTo, TargetUnreachable, UnknownVersion
from backout.testing.steps import wait_until

pytestmark = pytest.mark.slow

CONFIG = """\
service: shop
environment: production
platform:
  kind: command
  deploy: [./deploy, "{version}"]
  artefact: [test, -e, "images/{version}"]
  rebuild: [./build-and-deploy, "{version}", "{commit}"]
  probe: [cat, running]
  timeout_s: 20
  env: {SHOP: DIRECTORY}
checks:
  - {kind: command, name: answers, run: [test, -s, running]}
"""
DEPLOY = """\
#!/bin/sh
cat "images/$1" >running
"""
# It runs in the worktree, and knows where the service is as a real one knows its host.
BUILD = """\
#!/bin/sh
set -e
echo "$PWD" >>"$SHOP/builds"
if [ -e "$SHOP/fails" ]; then echo "no such package: left-pad" >&2; exit 7; fi
while [ -e "$SHOP/hangs" ]; do sleep 0.05; done
test -z "$(git status --porcelain)" && test "$(git rev-parse HEAD)" = "$2"
test ! -e untracked && test "$(cat code)" = "code of $1"
mkdir -p "$SHOP/images" && echo "$1" >"$SHOP/images/$1"
cat "$SHOP/images/$1" >"$SHOP/running"
"""


class Shop:
    """A service in a repository: v1, then v2 with a migration and another lock file; v2 runs, v1's artefact is gone."""

    def __init__(self, directory, cli):
        self.directory, self.cli = directory, cli

    def git(self, *words, cwd=None):
        who = {f"GIT_{r}_{w}": "ana@example.com" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["git", "-C", str(cwd or self.directory), *words],
            env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, subject, files):
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def release(self, version, state, tag=True):
        if tag:
            self.git("tag", version)
        (self.directory / "images" / version).write_text(f"{version}\n")
        subprocess.run(["./deploy", version], cwd=self.directory, check=True)
        self.cli("record", "--state", state).ended(0)

    def plan(self, to=None):
        with Backout.from_config(self.directory / "backout.yaml") as backout:
            return backout.plan(Request(to=to))

    @property
    def running(self):
        return (self.directory / "running").read_text().strip()

    @property
    def builds(self):
        path = self.directory / "builds"
        return path.read_text().splitlines() if path.exists() else []

    def assert_nothing_is_left(self):
        assert self.git("worktree", "list").count("\n") == 0
        assert [p for p in self.builds if Path(p).exists()] == []

    def replace(self, old, new):
        file = self.directory / "backout.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The shop as every story finds it; made once."""
    directory = tmp_path_factory.mktemp("made")
    shop = Shop(directory, Cli(directory, {**basic_env(), "NO_COLOR": "1"}))
    (directory / "images").mkdir()
    for name, text in {"deploy": DEPLOY, "build-and-deploy": BUILD}.items():
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    (directory / "backout.yaml").write_text(CONFIG)
    ignored = ("backout.yaml", ".backout/", "images/", "running", "builds", "fails", "hangs", "plan.json")
    (directory / ".gitignore").write_text("\n".join(ignored))
    shop.git("init", "--quiet", "--initial-branch=main")
    shop.first = shop.commit("Sell books", {"code": "code of v1"})
    shop.release("v1", "good")
    shop.commit(
        "Count them", {"code": "code of v2", "migrations/0002_count.sql": "ALTER TABLE books ADD n int;"}
    )
    shop.second = shop.commit("Newer driver", {"requirements.lock": "driver==2\n"})
    shop.release("v2", "bad")
    (directory / "images" / "v1").unlink()
    return shop


@pytest.fixture
def shop(made, tmp_path, make_cli):
    directory = tmp_path / "shop"
    shutil.copytree(made.directory, directory)
    own = Shop(directory, make_cli(directory))
    own.first, own.second = made.first, made.second
    own.replace("DIRECTORY", str(directory))
    return own


def test_back_to_a_version_whose_artefact_is_gone_and_forward_again(shop):
    (shop.directory / "untracked").write_text("mine")
    (shop.directory / "code").write_text("half a fix")
    shop.git("add", "code")
    before = (
        shop.git("status", "--porcelain"),
        shop.git("stash", "list"),
        shop.git("branch", "--show-current"),
    )
    plan = shop.cli("plan").ended(0)
    assert (
        f"v1 is built anew from commit {shop.first[:12]}: its artefact is gone (test -e images/v1: exit status 1)"
        in plan.out
    )
    assert (
        f"in a clean worktree of {shop.first[:12]}, and bring it: ./build-and-deploy v1 {shop.first}"
        in plan.out
    )
    assert "2 commit(s), 3 file(s)" in plan.out
    assert f"{shop.second[:12]}  Newer driver" in plan.out
    assert "migrations: migrations/0002_count.sql" in plan.out
    assert "configuration: requirements.lock" in plan.out
    assert "driver==2" not in plan.out
    told = shop.cli("plan", "--json").ended(0).json["plan"]
    assert told["source"]["commit"] == shop.first and told["between"]["value"]["commits"] == 2
    runbook = shop.cli("plan", "--format", "md").ended(0).out
    assert "## What lies between" in runbook
    assert f'worktree add --detach "$tree" {shop.first}' in runbook
    done = shop.cli("run", "--yes")
    assert done.code in (0, 9), done.everything
    assert shop.running == "v1" and len(shop.builds) == 1
    assert not shop.builds[0].startswith(str(shop.directory))
    assert before == (
        shop.git("status", "--porcelain"), shop.git("stash", "list"), shop.git("branch", "--show-current"),
    )  # fmt: skip
    shop.assert_nothing_is_left()
    # Forward again: the artefact of v2 is there, and nothing is built.
    plan = shop.cli("plan", "--to", "v2", "--accept", "quarantined").ended(0)
    assert "v2 is brought as it was: its artefact is there (test -e images/v2)" in plan.out
    assert "Bring v2: ./deploy v2" in plan.out
    done = shop.cli("run", "--to", "v2", "--accept", "quarantined", "--yes")
    assert done.code in (0, 9), done.everything
    assert shop.running == "v2" and len(shop.builds) == 1


def test_a_build_that_fails_leaves_what_runs_alone(shop):
    (shop.directory / "fails").touch()
    done = shop.cli("run", "--yes")
    done.refused(
        5,
        what=r"v2 runs.*exit status 7.*no such package: left-pad",
        now="nothing is held",
        next="^backout resume run-",
    )
    assert shop.running == "v2"
    shop.assert_nothing_is_left()
    (shop.directory / "fails").unlink()
    assert shop.cli("resume").code in (0, 9)
    assert shop.running == "v1" and len(shop.builds) == 2
    shop.assert_nothing_is_left()


def test_a_build_that_hangs_is_not_begun_twice(shop):
    (shop.directory / "hangs").touch()
    shop.replace("timeout_s: 20", "timeout_s: 1.5")
    for words in (("run", "--yes"), ("resume",)):
        shop.cli(*words).refused(
            5, what="the script for v1 runs", now="nothing is held", next="^backout resume run-"
        )
    (shop.directory / "hangs").unlink()
    assert shop.cli("resume").code in (0, 9)
    assert shop.running == "v1" and len(shop.builds) == 1
    shop.assert_nothing_is_left()


def test_a_worktree_that_a_kill_left_behind_is_named_and_taken_away(shop):
    (shop.directory / "hangs").touch()
    shop.replace("timeout_s: 20", "timeout_s: 1.5")
    shop.cli("run", "--yes").ended(5)
    wait_until(lambda: shop.builds)
    (left,) = shop.builds
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if process.cwd() == left or (process.cwd() == str(shop.directory) and "worktree.py" in words):
                process.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue
    told = shop.cli("doctor").ended(3).out
    assert f"FAIL  worktree: {left} was left behind" in told
    assert f"git worktree remove --force --force {left}" in told
    (shop.directory / "hangs").unlink()
    assert shop.cli("resume").code in (0, 9)
    assert shop.running == "v1" and len(shop.builds) == 2
    shop.assert_nothing_is_left()


def test_a_tag_that_was_moved_is_named_and_the_recorded_commit_is_built(shop):
    shop.git("tag", "--force", "v1", shop.second)
    plan = shop.plan()
    (moved,) = [f for f in plan.findings if f.rule == "source.tag-moved"]
    assert f"points to {shop.second[:12]} now; its record says {shop.first[:12]}" in str(moved.evidence)
    assert plan.source.commit == shop.first


def test_a_tag_and_a_commit_of_which_there_is_no_record(shop):
    shop.git("tag", "v0", shop.first)
    assert shop.plan("v0").source.commit == shop.first
    assert shop.plan(shop.first[:10]).to_version == "v1", "its record names the commit"
    middle = shop.git("rev-parse", f"{shop.second}~1")
    plan = shop.plan(middle[:10])
    assert (plan.to_version, plan.source.commit) == (middle, middle)
    assert (plan.between.value.commits, plan.between.value.files) == (1, 1)
    with pytest.raises(NothingToGoBackTo, match="neither a tag nor a commit abcdef1234567") as caught:
        shop.plan("abcdef1234567")
    assert caught.value.next_command.endswith("git fetch --tags")
    with pytest.raises(UnknownVersion, match="no release main"):
        shop.plan("main")


def test_a_shallow_clone_says_how_to_get_the_rest(shop, tmp_path):
    clone = tmp_path / "clone"
    shop.git("clone", "--quiet", "--depth=1", f"file://{shop.directory}", str(clone))
    for name in (".backout", "images"):
        shutil.copytree(shop.directory / name, clone / name)
    for name in ("backout.yaml", "running"):
        shutil.copy(shop.directory / name, clone / name)
    cut = Shop(clone, shop.cli)
    with pytest.raises(NothingToGoBackTo, match=f"{shop.first} is in this shallow clone") as caught:
        cut.plan()
    assert caught.value.next_command.endswith("git fetch --tags --unshallow")
    with Backout.from_config(clone / "backout.yaml") as backout:
        assert any("is a shallow clone" in str(line.evidence) for line in backout.doctor().lines)
    shop.git("fetch", "--quiet", "--tags", "--unshallow", cwd=clone)
    assert cut.plan().source.commit == shop.first


def test_without_a_repository_or_without_git(shop, monkeypatch):
    (shop.directory / ".git").rename(shop.directory / "git")
    with pytest.raises(
        TargetUnreachable, match=r"v1 cannot be brought: its artefact is gone .*not a git repository"
    ):
        shop.plan()
    (shop.directory / "git").rename(shop.directory / ".git")
    path = shop.directory / "bin"
    path.mkdir()
    for name in ("test", "cat", "sh"):
        (path / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(path))
    with pytest.raises(TargetUnreachable, match="git: No such file") as caught:
        shop.plan()
    assert str(caught.value.state) == "Nothing was changed." and "git -C" in caught.value.next_command


def test_an_artefact_that_nobody_can_tell_of_counts_as_gone(shop):
    shop.replace('[test, -e, "images/{version}"]', '[./no-such-program, "{version}"]')
    plan = shop.plan()
    assert plan.source.commit == shop.first
    assert "whether its artefact is there is not known" in str(plan.source.why)


def test_an_artefact_that_goes_away_after_the_plan_stops_the_run(shop):
    (shop.directory / "images/v1").write_text("v1\n")
    shop.cli("plan", "-o", "plan.json").ended(0)
    (shop.directory / "images/v1").unlink()
    shop.cli("run", "plan.json", "--yes").refused(
        5,
        what="v1 was to be brought by its artefact, and its artefact is gone",
        now="No script was started",
        next="backout",
    )
    assert shop.running == "v2" and shop.builds == []
