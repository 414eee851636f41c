"""What all tests share: a clean environment, and services that are there, left out by name, or a failure."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from . import in_memory

# CI looks at the same examples each time; a person's runs go on searching.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

SERVICES = (
    "postgres",
    "pgbouncer",
    "prometheus",
    "docker-registry",
    "haproxy",
    "nginx",
    "go",
    "node",
    "java",
    "mlflow",
    "tmpfs",
    "kubernetes",
)
KEPT = (
    "BACKOUT_CRASH_RANDOM",
    "BACKOUT_CRASH_SEED",
    "BACKOUT_TESTBED_HOME",
    "BACKOUT_TEST_KUBECONFIG",
    "BACKOUT_TEST_IMAGES",
)
"""Settings of the tests themselves."""
NODE_TOOLS = Path(__file__).parent / "services/reversible/node"
JAVA_TOOLS = Path(__file__).parent / "services/reversible/java"
MLFLOW = Path(__file__).parent / "applications/mlflow"
LONGEST_FIRST = (
    "applications",
    "crash/test_run.py",
    "crash",
    "services/test_wheel.py",
    "stories",
    "applications",
    "docs",
    "contract",
    "services",
)
"""Files and folders of tests; all others are quick."""
_SKIP = pytest.StashKey[frozenset[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Read BACKOUT_SKIP; put files into memory; clear what could point a test at a real service or database."""
    told = getattr(config, "workerinput", os.environ).get("BACKOUT_SKIP", "")
    named = frozenset(name.strip() for name in told.split(",") if name.strip())
    if unknown := sorted(named.difference(SERVICES)):
        raise pytest.UsageError(f"BACKOUT_SKIP names {', '.join(unknown)}; it knows: {', '.join(SERVICES)}")
    config.stash[_SKIP] = named
    in_memory.use()
    # A shell that starts CI in the background has SIGINT ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [n for n in os.environ if n.startswith(("BACKOUT_", "PG")) and n not in KEPT]:
        del os.environ[name]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker what is left out: its environment does not, see above."""
    node.workerinput["BACKOUT_SKIP"] = ",".join(node.config.stash[_SKIP])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many `-n auto` means: one more than cores, because a test waits for a quarter of its time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand tests out so that each file's shared services are started once."""
    from .scheduling import scheduler

    return scheduler(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes longest come first, so that no worker is left with it at the end."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    file = item.path.relative_to(Path(__file__).parent)
    names = (str(path) for path in (file, *file.parents))
    return next((LONGEST_FIRST.index(name) for name in names if name in LONGEST_FIRST), len(LONGEST_FIRST))


@pytest.fixture(autouse=True)
def _clean_environment() -> Iterator[None]:
    """Leave no variable of one test to the next."""
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before):
        if name.startswith(("BACKOUT_", "PG")):
            del os.environ[name]


def _find(service: str) -> bool:
    if service == "postgres":
        return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))
    if service == "pgbouncer":
        return bool(shutil.which("pgbouncer") or Path("/usr/sbin/pgbouncer").exists())
    if service == "haproxy":
        return bool(shutil.which("haproxy") or Path("/usr/sbin/haproxy").exists()) and bool(
            shutil.which("socat")
        )
    if service == "nginx":
        return bool(shutil.which("nginx") or Path("/usr/sbin/nginx").exists())
    if service == "go":
        return bool(shutil.which("go") or Path("/usr/local/go/bin/go").exists())
    if service == "node":
        return bool(shutil.which("node")) and (NODE_TOOLS / "node_modules/.set-up").exists()
    if service == "java":
        return bool(shutil.which("java")) and (JAVA_TOOLS / "lib/.set-up").exists()
    if service == "mlflow":
        return all((MLFLOW / release / ".set-up").exists() for release in ("old", "new"))
    if service == "tmpfs":
        return _may_mount()
    if service == "kubernetes":
        return _has_node()
    return shutil.which(service) is not None


def _has_node() -> bool:
    """Whether the node of `testbed` can be started without building anything."""
    from testbed.build import is_built
    from testbed.home import Home

    return os.geteuid() == 0 and shutil.which("containerd") is not None and is_built(Home.default())


def _may_mount() -> bool:
    """Whether a small disk of its own can be had: Linux, and CAP_SYS_ADMIN (bit 21)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> 21 & 1)


@pytest.fixture(scope="session")
def require_service(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return a function that fails the test if a service is missing, unless BACKOUT_SKIP names it: then it skips."""

    def require(service: str) -> None:
        assert service in SERVICES, f"add {service} to SERVICES here and in scripts/test-setup"
        if service in pytestconfig.stash[_SKIP]:
            pytest.skip(_left_out(service))
        if not _find(service):
            pytest.fail(
                f"{service} is missing; scripts/test-setup installs it, BACKOUT_SKIP={service} leaves it out",
                pytrace=False,
            )

    return require


def _left_out(service: str) -> str:
    return f"{service} is left out by BACKOUT_SKIP"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests of the crash suite counted, in whichever process each ran."""
    reports = _reports(terminalreporter, "teardown")
    if counted := [value for r in reports for name, value in r.user_properties if name == "crash"]:
        from .crash.totals import added_up

        terminalreporter.section("crash suite")
        for line in added_up(counted).lines():
            terminalreporter.line(line)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say as the very last line what was left out."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if config.stash.get(_SKIP, None) is None or reporter is None or hasattr(config, "workerinput"):
        return
    reasons = [str(r.longrepr) for when in ("setup", "call") for r in _reports(reporter, when) if r.skipped]
    told = [
        f"{name} ({sum(_left_out(name) in reason for reason in reasons)} tests)"
        for name in sorted(config.stash[_SKIP])
    ]
    print(f"Left out: {', '.join(told) or 'nothing'}.")  # noqa: T201


def _reports(reporter: pytest.TerminalReporter, when: str) -> list[pytest.TestReport]:
    every = [report for reports in reporter.stats.values() for report in reports]
    return [r for r in every if isinstance(r, pytest.TestReport) and r.when == when]
