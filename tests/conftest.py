"""What all tests share: a clean environment, and services that are there, left out by name, or a failure."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# CI looks at the same examples each time; a person's runs go on searching.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

SERVICES = ("postgres", "pgbouncer", "prometheus", "go", "node", "tmpfs")
KEPT = ("BACKOUT_CRASH_RANDOM", "BACKOUT_CRASH_SEED")
"""Settings of the tests themselves."""
_LEFT_OUT = pytest.StashKey[dict[str, int]]()
_SKIP = pytest.StashKey[frozenset[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Read BACKOUT_SKIP; then clear what could point a test at a real service or database."""
    named = frozenset(name.strip() for name in os.environ.get("BACKOUT_SKIP", "").split(",") if name.strip())
    if unknown := sorted(named.difference(SERVICES)):
        raise pytest.UsageError(f"BACKOUT_SKIP names {', '.join(unknown)}; it knows: {', '.join(SERVICES)}")
    config.stash[_SKIP] = named
    config.stash[_LEFT_OUT] = {}
    # A shell that starts CI in the background has SIGINT ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [n for n in os.environ if n.startswith(("BACKOUT_", "PG")) and n not in KEPT]:
        del os.environ[name]


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
    if service == "go":
        return bool(shutil.which("go") or Path("/usr/local/go/bin/go").exists())
    if service == "tmpfs":
        return _may_mount()
    return shutil.which(service) is not None


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
            left_out = pytestconfig.stash[_LEFT_OUT]
            left_out[service] = left_out.get(service, 0) + 1
            pytest.skip(f"{service} is left out by BACKOUT_SKIP")
        if not _find(service):
            pytest.fail(
                f"{service} is missing; scripts/test-setup installs it, BACKOUT_SKIP={service} leaves it out",
                pytrace=False,
            )

    return require


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say as the very last line what was left out."""
    if config.stash.get(_SKIP, None) is None or hasattr(config, "workerinput"):
        return
    left_out, named = config.stash[_LEFT_OUT], config.stash[_SKIP]
    told = [f"{service} ({left_out.get(service, 0)} tests)" for service in sorted(named)]
    print(f"Left out: {', '.join(told) or 'nothing'}.")  # noqa: T201
