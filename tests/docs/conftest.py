"""Where pages start from: real stages, each as far as its name says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from backout.demo.releases import BAD, GOOD
from backout.demo.stage import Stage

from . import console
from .console import Where, environment

_COMMAND_CONFIG = """\
service: shop
platform:
  kind: command
  deploy: bin/deploy {version}
  probe: bin/running-version
"""
# The sixth step (start) was applied; it waits until the release is ready, and holds no lock meanwhile.
_STANDS_STILL = "journal.step.applied.after:6"


@contextmanager
def good(directory: Path) -> Iterator[Where]:
    """5.3.0 runs and is recorded as good."""
    with Stage(directory, fsync=False) as stage:
        where = _where(stage)
        stage.deploy(GOOD)
        _quietly(where, "record")
        yield where


@contextmanager
def bad(directory: Path) -> Iterator[Where]:
    """As good; then 5.4.0 was deployed, and is recorded as bad."""
    with Stage(directory, fsync=False) as stage:
        where = _where(stage)
        stage.deploy(GOOD)
        _quietly(where, "record")
        stage.deploy(BAD)
        _quietly(where, "record", "--state", "bad")
        yield where


@contextmanager
def bare(directory: Path) -> Iterator[Where]:
    """5.3.0 runs; nobody has heard of backout; the reader is in the service's folder."""
    with Stage(directory, fsync=False) as stage:
        stage.config.unlink()
        (stage.root / "bin").symlink_to(stage.directory / "bin")
        stage.deploy(GOOD)
        yield _where(stage, stage.root)


@contextmanager
def wedged(directory: Path) -> Iterator[Where]:
    """As bad; a colleague's run stands still in the middle, and holds the lease."""
    with ExitStack() as closing:
        where = closing.enter_context(bad(directory))
        log = where.directory / "points"
        colleague = subprocess.Popen(
            [sys.executable, "-m", "backout", "run", "--yes"],
            cwd=where.directory,
            env={**where.environ, "BACKOUT_FAULT_LOG": str(log)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline_s = time.monotonic() + 30
        while not (log.exists() and f"{_STANDS_STILL}\n" in log.read_text()):
            assert time.monotonic() < deadline_s and colleague.poll() is None, "the run did not get that far"
            time.sleep(0.005)
        os.kill(colleague.pid, signal.SIGSTOP)
        try:
            yield where
        finally:
            os.kill(colleague.pid, signal.SIGCONT)
            code = colleague.wait(30)
        # The laptop wakes up: its process must not act any more, nor change how the run ended.
        assert code == 5, f"the process that was taken over ended with {code}"
        _quietly(where, "status")


@contextmanager
def scripts(directory: Path) -> Iterator[Where]:
    """A service that only its own scripts know; 5.4.0 runs. Its answer to what runs is lost when `gone` is there."""
    programs = {
        "deploy": 'test -e breaks && touch gone\necho "$1" > running\n',
        "running-version": "test ! -e gone && cat running\n",
        "versions": "echo 5.4.0\necho 5.3.0\n",
    }
    (directory / "bin").mkdir(parents=True)
    for name, text in programs.items():
        path = directory / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    (directory / "backout.yaml").write_text(_COMMAND_CONFIG)
    environ = environment({k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}, directory)
    where = Where(directory, environ, {str(directory): "/home/ana/shop"})
    for version in (GOOD, BAD):
        subprocess.run(["bin/deploy", version], cwd=directory, check=True)
        _quietly(where, "record", "--no-checks")
    yield where


@contextmanager
def repository(directory: Path) -> Iterator[Where]:
    """A service in a repository with a tag for each release; 5.4.0 runs, and what 5.3.0 was made of is gone."""
    programs = {
        "deploy": 'cat "images/$1" > running\n',
        "build-and-deploy": 'mkdir -p "$SHOP/images"\necho "$1" > "$SHOP/images/$1"\ncd "$SHOP" && bin/deploy "$1"\n',
        "running-version": "cat running\n",
    }
    (directory / "bin").mkdir(parents=True)
    (directory / "images").mkdir()
    for name, text in programs.items():
        path = directory / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    page = (console.ROOT / "docs/how-to/redeploy-from-git.md").read_text()
    (directory / "backout.yaml").write_text(
        next(one.text for one in console.actions(page) if isinstance(one, console.File))
    )
    (directory / ".gitignore").write_text(".backout/\nbackout.yaml\nimages/\nrunning\n")
    known = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    environ = environment({**known, "SHOP": str(directory)}, directory)
    # The same commits everywhere, so that the page can show their names.
    who = {f"GIT_{r}_{w}": "ana@example.com" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}
    dates = {f"GIT_{r}_DATE": "2026-01-01T12:00:00Z" for r in ("AUTHOR", "COMMITTER")}
    where = Where(directory, environ, {str(directory): "/home/ana/shop"})

    def git(*words: str) -> None:
        command = ["git", "-C", str(directory), *words]
        plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(command, env={**environ, **who, **dates, **plain}, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch=main")
    for version, files in ((GOOD, {}), (BAD, {"migrations/0007_totals.sql": "…", "requirements.lock": "…"})):
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        git("add", "--all")
        git("commit", "--quiet", "--message", f"Release {version}")
        git("tag", version)
        (directory / "images" / version).write_text(f"{version}\n")
        subprocess.run(["bin/deploy", version], cwd=directory, check=True)
        _quietly(where, "record", "--state", "good" if version == GOOD else "bad")
    (directory / "images" / GOOD).unlink()
    yield where


@contextmanager
def kubernetes(directory: Path) -> Iterator[Where]:
    """1.0.0 runs as pods; the reader has kubectl, and may do what the documented Role allows."""
    from tests.kubernetes.service import VERSIONS
    from tests.kubernetes.stage import service_on_the_node

    with service_on_the_node(directory, replicas=2) as service:
        service.set_version("1.0.0")
        service.rolled_out()
        programs = {version: service.json_patch(version) for version in VERSIONS}
        (directory / "bin").mkdir()
        for version, patch in programs.items():
            (directory / "bin" / version).write_text(patch)
        deploy = directory / "bin" / "deploy"
        kubectl = f"{service.node.home.program('kubectl')} --kubeconfig={service.node.kubeconfig}"
        deploy.write_text(
            f'#!/bin/sh\n{kubectl} -n {service.namespace} patch deployment/collector -p "$(cat bin/$1)" >/dev/null\n'
            f"{kubectl} -n {service.namespace} rollout status deployment/collector >/dev/null\n"
            # `rollout status` does not wait for pods that end; backout counts them, as they may still act.
            f"while {kubectl} -n {service.namespace} get pod -o name"
            ' -l "app=collector,app.kubernetes.io/version!=$1" | grep -q .; do sleep 0.2; done\n'
        )
        deploy.chmod(0o755)
        environ = environment({"PATH": os.environ["PATH"], "HOME": str(directory)}, directory)
        environ |= {
            "KUBECONFIG": str(service.kubeconfig),
            "DATABASE_URL": service.database.url,
            "FRONT": service.url,
        }
        shown = {str(directory): "/home/ana/collector", service.namespace: "shop", "--context testbed": "--context prod",
                 "context testbed": "context prod", service.node.url: "https://10.0.0.1:6443", service.url: "http://10.0.0.8"}  # fmt: skip
        yield Where(directory, environ, shown)


@contextmanager
def canary(directory: Path) -> Iterator[Where]:
    """5.3.0 is on blue behind a HAProxy and gets all requests, 5.4.0 on green and gets none."""
    with sides(directory, releases=(("blue", "green"),)) as where:
        yield where


@contextmanager
def sides(
    directory: Path, releases: tuple[tuple[str, str], ...] = (("blue", "green"), ("green", "blue"))
) -> Iterator[Where]:
    """5.3.0 is on blue, 5.4.0 on green behind a HAProxy, which gets all requests; both are recorded."""
    from tests import sides as services
    from tests.haproxy import haproxy

    directory.mkdir(parents=True)
    with services.sides("blue", "green") as running:
        running["blue"].version, running["green"].version = GOOD, BAD
        with haproxy(directory, {f"{name}1": one.port for name, one in running.items()}) as proxy:
            urls = {name.upper(): f"http://127.0.0.1:{one.port}" for name, one in running.items()}
            urls["FRONT"] = f"http://127.0.0.1:{proxy.port}"
            urls["SOCKET"] = str(proxy.socket)
            environ = environment(
                {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}, directory
            )
            shown = {str(directory): "/home/ana/shop", urls["FRONT"]: "http://shop.example", urls["SOCKET"]: "/run/haproxy/admin.sock",
                     urls["BLUE"]: "http://10.0.0.1:8000", urls["GREEN"]: "http://10.0.0.2:8000"}  # fmt: skip
            where = Where(directory, environ | urls, shown)
            page = (console.ROOT / "docs/how-to/platforms/blue-green.md").read_text()
            (directory / "backout.yaml").write_text(
                next(one.text for one in console.actions(page) if isinstance(one, console.File))
            )
            router = proxy.router({"blue": ("blue1",), "green": ("green1",)})
            for side, other in releases:
                router.shift({side: 100, other: 0})
                _quietly(where, "record")
            yield where


STAGES: dict[str, Callable[[Path], object]] = {
    f.__name__: f for f in (good, bad, bare, wedged, scripts, repository, kubernetes, sides, canary)
}


@pytest.fixture
def stage_named(tmp_path: Path, require_service: Callable[[str], None]) -> Iterator[Callable[[str], Where]]:
    """Return a function that sets a stage up; it is gone after the test."""
    with ExitStack() as closing:

        def set_up(name: str) -> Where:
            if name == "kubernetes":
                require_service("kubernetes")
            elif name in ("sides", "canary"):
                require_service("haproxy")
            elif name not in ("scripts", "repository"):
                require_service("postgres")
            tmp_path.chmod(0o755)
            return closing.enter_context(STAGES[name](tmp_path / "stage"))  # type: ignore[arg-type]

        yield set_up


def _where(stage: Stage, directory: Path | None = None) -> Where:
    environ = environment(stage.environ(), stage.directory)
    ports = {"PORT": str(stage.port), "FRONT": stage.front_url, "FRONT_ADMIN": stage.admin_url}
    shown_as = {
        str(stage.root): "/srv/collector",
        str(stage.directory): "/home/ana/collector",
        str(Path(sys.executable).parent): "/opt/venv/bin",
    }
    return Where(directory or stage.directory, {**environ, **ports}, shown_as)


def _quietly(where: Where, *words: str) -> None:
    command = [sys.executable, "-m", "backout", *words]
    done = subprocess.run(
        command, cwd=where.directory, env=where.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
