"""The command platform keeps the contract, with real scripts; and its own bad days."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil
import pytest

from backout.clock import SystemClock
from backout.errors import LostRace, StepFailed, TargetUnreachable
from backout.launch import Job
from backout.observed import Workload
from backout.plan.base import Probe, Probed
from backout.plan.model import StepSpec
from backout.platforms.base import Platform, Site
from backout.platforms.command import CommandOptions, CommandPlatform
from backout.redact import Redactor
from backout.release import Artefact, Release
from backout.testing.crash import carry_out_in_child
from backout.testing.platforms import PlatformContract, Stage
from backout.testing.steps import acting_on, drive, wait_until

pytestmark = pytest.mark.slow

SECRET = "tok-5c1e-very-secret"


def site(directory: Path) -> Site:
    return Site("web", "production", directory, dict(os.environ), SystemClock(), Redactor())


def run_step(platform: Platform, spec: StepSpec, name: str = "run/step") -> Probe:
    acting = acting_on({"platform": platform}, step_name=name)
    return drive(platform.step_kinds()[spec.kind], spec, acting)


DEPLOY = """#!/bin/sh
echo "deploying $1 with $API_TOKEN"
echo x >> runs
[ -n "$SLOW" ] && sleep "$SLOW"
[ "$1" = "bad" ] && { echo "no such image, token $API_TOKEN" >&2; exit 3; }
echo "$1" > running.tmp && mv running.tmp running
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for name, text in {"deploy.sh": DEPLOY, "probe.sh": "#!/bin/sh\necho checking\ncat running\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "running").write_text("v2\n")
    return tmp_path


def command_options(**extra: object) -> dict[str, object]:
    return {
        "deploy": ["./deploy.sh", "{version}"],
        "probe": "./probe.sh",
        "list": ["printf", "v2\\nv1\\n"],
        "env": {"API_TOKEN": SECRET},
        "timeout_s": 20,
        **extra,
    }


def command_platform(directory: Path, **extra: object) -> CommandPlatform:
    return CommandPlatform.create(CommandOptions.model_validate(command_options(**extra)), site(directory))


def void(_: object) -> None:
    """Drop a value."""


def command_stage(directory: Path, **extra: object) -> Stage:
    def snapshot() -> object:
        return {str(p): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}

    platform = command_platform(directory, **extra)

    def brings(version: str) -> Callable[[], None]:
        return lambda: void((directory / "running").write_text(f"{version}\n"))

    half_done = {"the other version runs": brings("v1"), "neither version runs": brings("v0")}
    return Stage(
        platform, "v1", "v2", lambda: [(directory / "running").read_text().strip()], half_done, snapshot
    )


class TestCommand(PlatformContract):
    @pytest.fixture
    def stage(self, scripts: Path) -> Stage:
        return command_stage(scripts)


class TestCommandWithoutList(PlatformContract):
    @pytest.fixture
    def stage(self, scripts: Path) -> Stage:
        return command_stage(scripts, list=None, rollback="./deploy.sh {version}")


REBUILD = """#!/bin/sh
echo "$PWD" >> "$SERVICE/runs"
[ -n "$SLOW" ] && sleep "$SLOW"
[ -e "$SERVICE/chatty" ] && echo "built with $API_TOKEN"
[ "$(cat code)" = "code of $1" ] || exit 4
echo "$1" > "$SERVICE/running.tmp" && mv "$SERVICE/running.tmp" "$SERVICE/running"
"""


@pytest.fixture
def repository(scripts: Path) -> Path:
    """The same service, in a repository with a tag for v1 and v2; no artefact is there."""
    (scripts / "rebuild.sh").write_text(REBUILD)
    (scripts / "rebuild.sh").chmod(0o755)
    git(scripts, "init", "--quiet")
    for version in ("v1", "v2"):
        (scripts / "code").write_text(f"code of {version}")
        git(scripts, "add", "code", "rebuild.sh")
        git(scripts, "commit", "--quiet", "-m", version)
        git(scripts, "tag", version)
    return scripts


def git(directory: Path, *words: str) -> str:
    who = {f"GIT_{r}_{w}": "ana@example.com" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(directory), *words], env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def rebuilding(directory: Path, **env: str) -> dict[str, object]:
    """Return the options of a service that is always built anew, from git."""
    return command_options(
        list=None,
        artefact=["sh", "-c", "exit 1", "{version}"],
        rebuild=["./rebuild.sh", "{version}", "{commit}"],
        env={"API_TOKEN": SECRET, "SERVICE": str(directory), **env},
    )


def release(version: str) -> Release:
    return Release(
        id=version, service="web", environment="production", version=version, deployed_at=datetime.now(UTC)
    )


class BuiltAnew(CommandPlatform):
    """The platform as a plan uses it: how each release is brought was asked before."""

    def observe(self, deadline_s: float) -> Workload:
        workload = super().observe(deadline_s)
        for found in (release("v1"), release("v2")):
            workload = self.with_source(workload, found, self.find_source(found, deadline_s))
        return workload


def built_anew(directory: Path, **env: str) -> BuiltAnew:
    return BuiltAnew(CommandOptions.model_validate(rebuilding(directory, **env)), site(directory))


def worktrees(directory: Path) -> list[str]:
    return git(directory, "worktree", "list", "--porcelain").split("\n\n")[1:]


class TestCommandBuiltAnew(PlatformContract):
    @pytest.fixture
    def stage(self, repository: Path) -> Iterator[Stage]:
        kept = command_stage(repository)
        yield replace(kept, platform=built_anew(repository))
        assert worktrees(repository) == []


@pytest.mark.parametrize("point", ["command.switch.before", "command.switch.after"])
def test_kill_9_never_builds_twice_and_leaves_no_worktree(repository: Path, point: str) -> None:
    options, platform = rebuilding(repository, SLOW="1"), built_anew(repository, SLOW="1")
    steps = (switch_to(platform, "v1"),)
    assert steps[0].params["commit"] == git(repository, "rev-parse", "v1")
    assert not carry_out_in_child(CommandPlatform, options, repository, steps, fault=point)
    assert carry_out_in_child(CommandPlatform, options, repository, steps)
    (built,) = (repository / "runs").read_text().splitlines()
    assert (repository / "running").read_text() == "v1\n"
    assert worktrees(repository) == [] and not Path(built).exists()


def test_what_a_build_prints_is_redacted_on_disk(repository: Path) -> None:
    (repository / "chatty").touch()
    platform = built_anew(repository)
    assert run_step(platform, switch_to(platform, "v1")).answer is Probed.DONE
    assert (repository / ".backout/command/log").read_text() == "built with ***\n"
    assert SECRET.encode() not in kept_by_backout(repository)


def test_a_worktree_without_room_is_told_and_nothing_was_deployed(repository: Path) -> None:
    # A limit on the size of a file does to git what a full disk does, on any machine.
    git(repository, "checkout", "--quiet", "v1")
    (repository / "large").write_bytes(os.urandom(3_000_000))
    git(repository, "add", "large")
    git(repository, "commit", "--quiet", "-m", "large")
    git(repository, "tag", "--force", "v1")
    (repository / "sh").mkdir()
    shim = repository / "sh" / "git"
    shim.write_text(f'#!/bin/bash\nulimit -f 1000\nexec {shutil.which("git")} "$@"\n')
    shim.chmod(0o755)
    platform = built_anew(repository, PATH=f"{shim.parent}:{os.environ['PATH']}")
    probe = run_step(platform, switch_to(platform, "v1"))
    assert probe.answer is Probed.NOT_DONE
    told = str(probe.evidence)
    assert "v2 runs" in told and "exit status 125" in told and "nothing was built or deployed" in told
    assert not (repository / "runs").exists() and worktrees(repository) == []


def test_a_build_that_is_told_to_end_takes_its_worktree_away(repository: Path) -> None:
    (repository / "rebuild.sh").write_text('#!/bin/sh\necho "$PWD" >> "$SERVICE/runs"\nexec sleep 300\n')
    git(repository, "commit", "--quiet", "-am", "hangs")
    git(repository, "tag", "--force", "v1")
    platform = built_anew(repository)
    spec = switch_to(platform, "v1")
    platform.step_kinds()[spec.kind].apply(spec, acting_on({"platform": platform}))
    wait_until((repository / "runs").exists)
    (build,) = [p for p in started_below(repository) if "worktree.py" in p.cmdline()[3]]
    build.terminate()
    wait_until(lambda: not platform.job.running())
    assert platform.job.exit() == 128 + signal.SIGTERM and worktrees(repository) == []


def test_a_build_of_another_version_is_not_overtaken(repository: Path) -> None:
    platform = built_anew(repository, SLOW="1")
    spec, other = switch_to(platform, "v1"), switch_to(platform, "v2")
    kind, acting = platform.step_kinds()[spec.kind], acting_on({"platform": platform})
    kind.apply(spec, acting)
    with pytest.raises(StepFailed, match="script for v1 still runs"):
        kind.apply(other, acting)
    kind.apply(spec, acting)
    assert drive(kind, spec, acting).answer is Probed.DONE
    assert len((repository / "runs").read_text().splitlines()) == 1 and worktrees(repository) == []


def test_what_a_person_types_builds_the_same(repository: Path) -> None:
    platform = built_anew(repository)
    spec = switch_to(platform, "v1")
    lines = platform.step_kinds()[spec.kind].by_hand(spec)
    subprocess.run(["sh", "-ec", "\n".join(lines)], env=platform.env(), check=True, capture_output=True)
    assert (repository / "running").read_text() == "v1\n" and worktrees(repository) == []


@pytest.mark.parametrize("name", ["", "precious", "backout-worktree-x", "backout-worktree-x/tree/.."])
def test_a_damaged_note_removes_nothing_of_others(repository: Path, name: str) -> None:
    kept = repository / name / "file"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("mine")
    platform = built_anew(repository)
    spec = switch_to(platform, "v1")
    assert run_step(platform, spec).answer is Probed.DONE
    note = repository / ".backout/command/started.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "worktree": str(repository / name)}))
    assert platform.left_behind() is None
    assert run_step(platform, switch_to(platform, "v2")).answer is Probed.DONE
    assert kept.read_text() == "mine"


def test_a_folder_that_the_commit_has_not_is_told(repository: Path) -> None:
    service = repository / "services" / "web"
    service.mkdir(parents=True)
    platform = BuiltAnew(
        CommandOptions.model_validate(
            {**rebuilding(repository), "cwd": "services/web", "probe": "../../probe.sh"}
        ),
        site(repository),
    )
    (service / "running").write_text("v2\n")
    probe = run_step(platform, switch_to(platform, "v1"))
    assert "has not the folder services/web/: nothing was built or deployed" in str(probe.evidence)
    assert worktrees(repository) == []


def test_a_commit_that_went_away_or_another_command_is_a_lost_race(repository: Path) -> None:
    platform = built_anew(repository)
    spec = switch_to(platform, "v1")
    kind, acting = platform.step_kinds()[spec.kind], acting_on({"platform": platform})
    kind.guard(spec, acting)
    gone = spec.model_copy(
        update={"params": {**spec.params, "command": ["./rebuild.sh", "v1", "0" * 40], "commit": "0" * 40}}
    )
    with pytest.raises(LostRace, match="Git has not the commit 0000"):
        kind.guard(gone, acting)
    other = spec.model_copy(update={"params": {**spec.params, "commit": "0" * 40}})
    with pytest.raises(LostRace, match="scripts changed"):
        kind.guard(other, acting)


def switch_to(platform: CommandPlatform, version: str) -> StepSpec:
    workload = platform.observe(5)
    return platform.switch(workload, Artefact(ref=version), from_version="v2", to_version=version)[0]


@pytest.mark.parametrize("point", ["command.switch.before", "command.switch.after"])
def test_kill_9_never_starts_a_second_copy_of_the_script(scripts: Path, point: str) -> None:
    options = command_options(env={"API_TOKEN": SECRET, "SLOW": "1"})
    platform = command_platform(scripts, env={"API_TOKEN": SECRET, "SLOW": "1"})
    steps = (switch_to(platform, "v1"),)
    assert not carry_out_in_child(CommandPlatform, options, scripts, steps, fault=point)
    assert carry_out_in_child(CommandPlatform, options, scripts, steps)
    assert (scripts / "runs").read_text() == "x\n"
    assert (scripts / "running").read_text() == "v1\n"


def kept_by_backout(directory: Path) -> bytes:
    files = [file for file in (directory / ".backout").rglob("*") if file.is_file()]
    assert directory / ".backout/command/log" in files
    return b"".join(file.read_bytes() for file in files)


HALVES = f"""#!/bin/sh
printf 'half a secret: %s' {SECRET[:9]}
touch begun
while [ ! -e go ]; do sleep 0.05; done
printf '%s, and a url: postgresql://app:pa' {SECRET[9:]}
sleep 0.2
echo 'ss-unknown@db/x'
echo "$API_TOKEN$API_TOKEN" >&2
echo "$1" > running
"""


@pytest.mark.parametrize("point", ["command.switch.after", None])
def test_what_a_script_prints_is_redacted_on_disk_also_after_kill_9(scripts: Path, point: str | None) -> None:
    (scripts / "deploy.sh").write_text(HALVES)
    platform, options = command_platform(scripts), command_options()
    (spec,) = platform.switch(platform.observe(5), Artefact(ref="v1"), from_version="v2", to_version="v1")
    if point:
        # The script outlives what started it, and prints the second half when nobody of backout is there.
        assert not carry_out_in_child(CommandPlatform, options, scripts, [spec], fault=point)
    else:
        platform.step_kinds()[spec.kind].apply(spec, acting_on({"platform": platform}))
    wait_until((scripts / "begun").exists)
    assert SECRET[:9].encode() not in kept_by_backout(scripts)
    (scripts / "go").touch()
    assert carry_out_in_child(CommandPlatform, options, scripts, [spec])
    assert (scripts / "running").read_text() == "v1\n"
    kept = kept_by_backout(scripts)
    assert SECRET.encode() not in kept and b"ss-unknown" not in kept
    log = (scripts / ".backout/command/log").read_text()
    assert log == "half a secret: ***, and a url: postgresql://app:***@db/x\n******\n"


def test_a_script_that_goes_on_after_its_run_was_killed_leaves_no_secret(scripts: Path) -> None:
    (scripts / "deploy.sh").write_text(
        '#!/bin/sh\ntouch begun\n'
        'while [ ! -e running.v1 ]; do echo "$API_TOKEN"; [ -e go ] && mv go running.v1; done\n'
        'echo "last: $API_TOKEN"\nsleep 300\n'
    )  # fmt: skip
    platform = command_platform(scripts)
    spec = switch_to(platform, "v1")
    assert not carry_out_in_child(
        CommandPlatform, command_options(), scripts, [spec], fault="command.switch.after"
    )
    (scripts / "go").touch()
    log = scripts / ".backout/command/log"
    wait_until(lambda: "last: ***" in log.read_text())
    assert SECRET.encode() not in kept_by_backout(scripts)
    # It is killed too, launcher and all, as by an operator who has had enough.
    for process in started_below(scripts):
        process.kill()
    wait_until(lambda: not platform.job.running())
    assert SECRET.encode() not in kept_by_backout(scripts)
    assert "exit status unknown" in str(run_probe(platform, spec).evidence)


def run_probe(platform: CommandPlatform, spec: StepSpec) -> Probe:
    return platform.step_kinds()[spec.kind].probe(spec, acting_on({"platform": platform}, step_name="run/0"))


def started_below(directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(directory):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_no_secret_stands_in_the_processes_that_watch_a_script(scripts: Path) -> None:
    (scripts / "deploy.sh").write_text("#!/bin/sh\ntouch begun\nsleep 300\n")
    platform = command_platform(scripts, deploy=["./deploy.sh", "{version}", SECRET])
    spec = switch_to(platform, "v1")
    platform.step_kinds()[spec.kind].apply(spec, acting_on({"platform": platform}))
    try:
        wait_until((scripts / "begun").exists)
        watching = [p for p in started_below(scripts) if "launcher.py" in " ".join(p.cmdline())]
        assert len(watching) == 2, "the launcher and the sieve"
        for process in watching:
            assert SECRET not in " ".join(process.cmdline()) and SECRET not in process.environ().values()
    finally:
        for process in started_below(scripts):
            process.kill()


def test_a_script_that_fails_is_told_with_its_last_lines_and_no_secret(scripts: Path) -> None:
    platform = command_platform(scripts)
    probe = run_step(platform, switch_to(platform, "bad"))
    while probe.in_progress:
        probe = run_step(platform, switch_to(platform, "bad"))
    text = str(probe.evidence)
    assert probe.answer is Probed.NOT_DONE
    assert "v2 runs" in text and "exit status 3" in text and "no such image, token ***" in text
    assert SECRET not in text


def test_without_a_probe_the_outcome_is_unknown(scripts: Path) -> None:
    platform = command_platform(scripts, probe=None)
    with pytest.raises(TargetUnreachable, match="no probe is declared"):
        platform.observe(5)
    known = command_platform(scripts)
    probe = run_step(platform, switch_to(known, "v1"))
    assert probe.answer is Probed.UNKNOWN and "exit status 0" in str(probe.evidence)
    assert (scripts / "running").read_text() == "v1\n"


def test_a_probe_that_hangs_is_ended_with_its_children(scripts: Path) -> None:
    (scripts / "probe.sh").write_text(
        "#!/bin/sh\necho $$ > probe.pid\nsleep 300 &\necho $! > child.pid\nwait\n"
    )
    platform = command_platform(scripts, probe_timeout_s=0.5)
    with pytest.raises(TargetUnreachable, match=r"no answer within 0\.5 s"):
        platform.observe(60)
    for name in ("probe.pid", "child.pid"):
        pid = int((scripts / name).read_text())
        wait_until(partial(is_gone, pid))


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_script_for_another_version_is_not_overtaken(scripts: Path) -> None:
    platform = command_platform(scripts, env={"API_TOKEN": SECRET, "SLOW": "2"})
    kind, acting = platform.step_kinds()["command.switch"], acting_on({"platform": platform})
    spec, other = switch_to(platform, "v1"), switch_to(platform, "v3")
    kind.apply(spec, acting)
    with pytest.raises(StepFailed, match="script for v1 still runs"):
        kind.apply(other, acting)
    assert drive(kind, spec, acting).answer is Probed.DONE
    assert (scripts / "runs").read_text() == "x\n"


def test_a_script_that_leaves_a_service_behind_is_over_all_the_same(scripts: Path) -> None:
    (scripts / "deploy.sh").write_text("#!/bin/sh\nsleep 300 &\necho $! > left.pid\necho $1 > running\n")
    platform = command_platform(scripts)
    try:
        assert run_step(platform, switch_to(platform, "v1")).answer is Probed.DONE
        assert Job(scripts / ".backout/command").exit() == 0
    finally:
        os.kill(int((scripts / "left.pid").read_text()), signal.SIGKILL)


def test_a_service_that_a_script_left_behind_can_go_on_printing(scripts: Path) -> None:
    service = (
        'while [ ! -e talk ]; do sleep 0.05; done; echo "serving with $API_TOKEN"; touch alive; sleep 300'
    )
    (scripts / "deploy.sh").write_text(
        f"#!/bin/sh\n({service}) &\necho $! > left.pid\necho $1 > running\necho last words\n"
    )
    platform = command_platform(scripts)
    try:
        assert run_step(platform, switch_to(platform, "v1")).answer is Probed.DONE
        log = scripts / ".backout/command/log"
        wait_until(lambda: not platform.job.running())
        assert log.read_text() == "last words\n", "all of it, when the script has ended"
        (scripts / "talk").touch()
        wait_until((scripts / "alive").exists)
        wait_until(lambda: log.read_text() == "last words\nserving with ***\n")
    finally:
        for process in started_below(scripts):
            process.kill()


def test_a_script_that_cannot_be_executed_is_named(scripts: Path) -> None:
    platform = command_platform(scripts, deploy="./gone.sh {version}")
    lines = {line.subject: line for line in platform.doctor()}
    assert lines["deploy"].ok is False and "./gone.sh" in str(lines["deploy"].evidence)
    assert lines["probe answers"].ok is True
    probe = run_step(platform, switch_to(platform, "v1"))
    assert probe.answer is Probed.NOT_DONE and "exit status 127" in str(probe.evidence)
