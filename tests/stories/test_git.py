"""What the team's repository tells: releases made before backout came, commits and subjects."""

import os
import subprocess

import pytest

pytestmark = pytest.mark.slow
TAGS = {"0.9": "First light", "1.0": "Sign in", "2.0": "New colours"}


@pytest.fixture
def tagged(tiny):
    """The service lies in a repository with a tag for each release, also for one that nobody recorded; no record is there."""
    directory, cli = tiny
    text = (directory / "backout.yaml").read_text()
    (directory / "backout.yaml").write_text(text.replace("  list: [cat, versions]\n", ""))
    for file in (directory / ".backout").iterdir():
        file.unlink()

    def git(*words, day=1):
        who = {
            f"GIT_{role}_{what}": "ana@example.com"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        env = {
            **os.environ,
            **who,
            "GIT_COMMITTER_DATE": f"2026-01-{day:02}T12:00:00Z",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        done = subprocess.run(
            ["git", "-C", str(directory), *words], env=env, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "--quiet")

    def tag(version, name, day, annotated=True):
        git("commit", "--quiet", "--allow-empty", "-m", TAGS[version], day=day)
        git("tag", *(["-a", "-m", f"release {version}"] if annotated else []), name, day=day)
        return git("rev-parse", "HEAD")

    return directory, cli, tag


def rows(cli):
    return {r["release"]["version"]: r["release"] for r in cli("releases", "--json").ended(0).json["rows"]}


def test_releases_from_before_backout_came_are_found_by_their_tags(tagged):
    _, cli, tag = tagged
    commits = {v: tag(v, v, day, annotated=v != "0.9") for day, v in enumerate(TAGS, start=1)}
    found = rows(cli)
    assert {v: (r["commit"], r["subject"]) for v, r in found.items()} == {
        v: (commits[v], TAGS[v]) for v in TAGS
    }
    assert {r["source"] for r in found.values()} == {"found"}
    told = cli("releases").ended(0).out
    assert f"{commits['1.0'][:8]}  Sign in" in told
    # They can be named as a target; that nobody ever saw them serve well is said.
    planned = cli("plan", "--to", "1.0").ended(0).out
    assert "Bring 1.0: ./deploy 1.0" in planned
    assert "No record says that 1.0 ever served well" in planned
    # Also where nothing is built from git.
    assert f"lies between      1 commit(s), 0 file(s)\n    {commits['2.0'][:12]}  New colours" in planned
    cli("run", "--to", "1.0", "--yes").ended(9)
    assert (cli.directory / "running").read_text() == "1.0\n"


def test_a_record_takes_commit_and_subject_from_the_tag_and_flags_override(tagged):
    _, cli, tag = tagged
    commit = tag("2.0", "v2.0", 1)
    cli("record", "--no-checks").ended(0)
    assert (rows(cli)["2.0"]["commit"], rows(cli)["2.0"]["subject"]) == (commit, "New colours")
    cli("record", "--no-checks", "--commit", "f00", "--subject", "By hand", "--by", "eve").ended(0)
    two = rows(cli)["2.0"]
    assert (two["commit"], two["subject"], two["deployed_by"]) == ("f00", "By hand", "eve")


@pytest.mark.parametrize(
    ("runs", "tags", "called"), [("2.0", "v", "1.0"), ("v2.0", "", "v1.0"), ("v2.0", "v", "v1.0")]
)
def test_what_only_a_tag_names_is_called_as_the_platform_calls_what_runs(tagged, runs, tags, called):
    directory, cli, tag = tagged
    (directory / "running").write_text(f"{runs}\n")
    for day, version in enumerate(TAGS, start=1):
        tag(version, f"{tags}{version}", day)
    assert called in rows(cli)
    for typed in ("1.0", "v1.0"):
        assert f"Bring {called}: ./deploy {called}" in cli("plan", "--to", typed).ended(0).out


def test_a_repository_that_cannot_be_read_hides_nothing_else(tagged):
    directory, cli, tag = tagged
    tag("1.0", "1.0", 1)
    (directory / ".git" / "HEAD").write_text("rubbish")
    assert set(rows(cli)) == {"2.0"}
