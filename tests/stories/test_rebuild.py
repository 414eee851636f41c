"""The way back to a version whose artefact is gone: built anew from its tag or commit, in a clean worktree."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.command_line import Cli

from backout.children import basic_env
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
    assert f"worktree add --detach /tmp/backout-by-hand {shop.first}" in runbook
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
    told = shop.cli("plan").ended(0).out
    assert (
        f"The tag of v1 points to {shop.second[:12]} now; its record says {shop.first[:12]}, and that is built"
        in told
    )


def test_a_tag_and_a_commit_of_which_there_is_no_record(shop):
    unknown = "abcdef1234567"
    shop.git("tag", "v0", shop.first)
    assert f"built anew from commit {shop.first[:12]}" in shop.cli("plan", "--to", "v0").ended(0).out
    assert "v2 → v1" in shop.cli("plan", "--to", shop.first[:10]).ended(0).out, "its record names the commit"
    between = shop.git("rev-parse", f"{shop.second}~1")
    told = shop.cli("plan", "--to", between[:10]).ended(0).out
    assert f"v2 → {between}" in told and "1 commit(s), 1 file(s)" in told
    shop.cli("plan", "--to", unknown).refused(
        3, what=f"neither a tag nor a commit {unknown}", now="Nothing was changed", next="git fetch --tags$"
    )
    shop.cli("plan", "--to", "main").refused(2, what="no release main", now="Nothing", next="backout")


def test_a_shallow_clone_says_how_to_get_the_rest(shop, tmp_path_factory, make_cli):
    clone = tmp_path_factory.mktemp("clone") / "shop"
    shop.git("clone", "--quiet", "--depth=1", f"file://{shop.directory}", str(clone))
    (clone / ".backout").mkdir()
    for file in (shop.directory / ".backout").iterdir():
        if file.is_file():
            (clone / ".backout" / file.name).write_bytes(file.read_bytes())
    (clone / "backout.yaml").write_text((shop.directory / "backout.yaml").read_text())
    (clone / "running").write_text("v2\n")
    cli = make_cli(clone)
    cli("plan").refused(
        3, what=f"{shop.first} is in this shallow clone", now="Nothing", next="git fetch --tags --unshallow$"
    )
    assert "is a shallow clone" in cli("doctor").ended(3).out
    shop.git("fetch", "--quiet", "--tags", "--unshallow", cwd=clone)
    assert f"built anew from commit {shop.first[:12]}" in cli("plan").ended(0).out


def test_without_a_repository_or_without_git(shop):
    (shop.directory / ".git").rename(shop.directory / "git")
    shop.cli("plan").refused(
        3, what="not a git repository", now="Nothing was changed", next="git -C .* status"
    )
    (shop.directory / "git").rename(shop.directory / ".git")
    path = shop.directory / "bin"
    path.mkdir()
    for name in ("test", "cat", "sh"):
        (path / name).symlink_to(f"/usr/bin/{name}")
    without = type(shop.cli)(shop.directory, {**os.environ, "PATH": str(path)})
    without("plan").refused(3, what="git: No such file", now="Nothing was changed", next="git -C .* status")


def test_an_artefact_that_nobody_can_tell_of_counts_as_gone(shop):
    shop.replace('[test, -e, "images/{version}"]', '[./no-such-program, "{version}"]')
    told = shop.cli("plan").ended(0).out
    assert "whether its artefact is there is not known" in told and "built anew" in told


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
