"""How the proxy logs in to the real server: over TLS and without, by every password that PostgreSQL knows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg.conninfo import make_conninfo
from tests.services.reversible.conftest import in_background, proxied
from tests.services.reversible.recording import Recorded
from tests.waiting import until

from backout.databases.postgres.reversible.proxy.upstream import NotOpened, Upstream
from backout.embedded.binaries import account, system_binaries
from backout.embedded.server import free_port

pytestmark = pytest.mark.slow

_PASSWORD = "p'ä\\ss %:@/"
_HBA = """
local   all postgres            trust
local   all by_socket           scram-sha-256
hostssl all by_scram,by_tls 127.0.0.1/32 scram-sha-256
hostssl all by_certificate 127.0.0.1/32 cert
host    all by_scram_open 127.0.0.1/32 scram-sha-256
host    all by_md5        127.0.0.1/32 md5
host    all by_cleartext  127.0.0.1/32 password
host    all by_trust      127.0.0.1/32 trust
"""


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates for a test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._write(
            name, self._signed(self._name, self._key.public_key(), True), self._key
        ).certificate

    def sign(self, name: str, *names: x509.GeneralName) -> Signed:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        return self._write(name, self._signed(subject, key.public_key(), False, *names), key)

    def _signed(
        self, subject: x509.Name, key: Any, is_root: bool, *names: x509.GeneralName
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Signed:
        files = Signed(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files.key.write_bytes(key.private_bytes(*private))
        files.key.chmod(0o600)
        return files


@dataclass(frozen=True)
class Cluster:
    port: int
    sockets: Path
    ours: Authority
    other: Authority

    def conninfo(self, user: str, **more: Any) -> str:
        told = {"host": "127.0.0.1", "password": _PASSWORD, "dbname": "postgres"} | more
        return make_conninfo("", port=self.port, user=user, connect_timeout=10, **told)


@pytest.fixture(scope="module")
def cluster(
    require_service: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """The system's PostgreSQL, which has TLS, with one role for each way to log in."""
    require_service("postgres")
    who = account()
    binaries = system_binaries(who)
    assert binaries is not None
    home = Path(tempfile.mkdtemp(prefix="backout-tls-"))
    shutil.chown(home, who.uid, who.gid)
    files = tmp_path_factory.mktemp("certificates")
    ours, other = Authority(files, "ours"), Authority(files, "other")
    try:
        subprocess.run(
            [binaries.directory / "initdb", "-D", home / "data", "-U", "postgres", "--locale=C", "-EUTF8", "-N"],
            check=True, capture_output=True, cwd=home, **who.switch,
        )  # fmt: skip
        _certify(home / "data", who.uid, ours)
        port = free_port()
        with _serving(binaries.directory, home, port, who.switch):
            made = Cluster(port, home, ours, other)
            _make_roles(made)
            yield made
    finally:
        shutil.rmtree(home)


def _certify(data: Path, uid: int, ours: Authority) -> None:
    server = ours.sign("server", x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))
    for source, name in (
        (server.certificate, "server.crt"),
        (server.key, "server.key"),
        (ours.root, "root.crt"),
    ):
        shutil.copy(source, data / name)
        os.chown(data / name, uid, -1)
    (data / "server.key").chmod(0o600)
    (data / "pg_hba.conf").write_text(_HBA)


@contextmanager
def _serving(programs: Path, home: Path, port: int, switch: dict[str, Any]) -> Iterator[None]:
    settings = {
        "port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": home, "fsync": "off", "ssl": "on",
        "ssl_ca_file": "root.crt", "max_connections": 20,
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    argv = [programs / "postgres", "-D", home / "data", *options]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=home, **switch)
    try:
        until((home / f".s.PGSQL.{port}").exists, 20)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(20)


def _make_roles(cluster: Cluster) -> None:
    admin_at = cluster.conninfo("postgres", host=str(cluster.sockets))

    def is_up() -> bool:
        try:
            psycopg.connect(admin_at).close()
        except psycopg.OperationalError:
            return False
        return True

    until(is_up, 20)
    roles = [line.split()[2] for line in _HBA.strip().splitlines()[1:]]
    with psycopg.connect(admin_at, autocommit=True) as admin:
        for role in ",".join(roles).split(","):
            encryption = "md5" if role == "by_md5" else "scram-sha-256"
            admin.execute(f"SET password_encryption = '{encryption}'")
            admin.execute(
                psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    psycopg.sql.Identifier(role), _PASSWORD
                )
            )


def through(conninfo: str, told: Recorded) -> tuple[str, bool]:
    """Return as whom a client through the proxy is logged in, and whether the server sees TLS."""
    with proxied(conninfo, told) as proxy, psycopg.connect(proxy.environment()["DATABASE_URL"]) as connection:
        seen = "SELECT current_user::text, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())"
        row = connection.execute(seen).fetchone()
        assert row
        return row[0], row[1]


@pytest.mark.parametrize("role", ["by_scram", "by_scram_open", "by_md5", "by_cleartext", "by_trust"])
@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require"])
def test_every_way_to_log_in(cluster: Cluster, told: Recorded, role: str, mode: str) -> None:
    if role == "by_scram" and mode == "disable":
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
            Upstream.of(cluster.conninfo(role, sslmode=mode))
        return
    encrypted = mode in ("prefer", "require") or role == "by_scram"
    assert through(cluster.conninfo(role, sslmode=mode), told) == (role, encrypted)


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_passwords_are_bound_to_the_channel(cluster: Cluster, told: Recorded, binding: str) -> None:
    conninfo = cluster.conninfo("by_tls", sslmode="require", channel_binding=binding)
    assert through(conninfo, told) == ("by_tls", True)


def test_a_unix_socket(cluster: Cluster, told: Recorded) -> None:
    assert through(cluster.conninfo("by_socket", host=str(cluster.sockets)), told) == ("by_socket", False)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_the_servers_certificate_is_checked(cluster: Cluster, told: Recorded, mode: str) -> None:
    conninfo = cluster.conninfo("by_tls", sslmode=mode, sslrootcert=str(cluster.ours.root))
    assert through(conninfo, told) == ("by_tls", True)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_another_authority_is_refused(cluster: Cluster, mode: str) -> None:
    """Also by the proxy's own sessions, whatever libpq found when the proxy was made."""
    wrong = {"sslmode": mode, "sslrootcert": str(cluster.other.root)}
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        Upstream.of(cluster.conninfo("by_tls", **wrong))
    found = Upstream.of(cluster.conninfo("by_tls", sslmode="require"))
    changed = _changed(found, wrong)
    with pytest.raises(NotOpened, match="certificate verify failed"):
        changed.open({})


def test_another_host_name_is_refused_by_verify_full_alone(cluster: Cluster) -> None:
    found = Upstream.of(cluster.conninfo("by_tls", sslmode="require"))
    checked = {"sslmode": "verify-full", "sslrootcert": str(cluster.ours.root)}
    with pytest.raises(NotOpened, match=r"certificate verify failed.*(Hostname mismatch|not valid for)"):
        _changed(found, checked, host="elsewhere.example").open({})
    _changed(found, checked | {"sslmode": "verify-ca"}, host="elsewhere.example").open({}).sock.close()


def test_a_certificate_of_the_client(cluster: Cluster, told: Recorded) -> None:
    mine = cluster.ours.sign("by_certificate")
    keys = {"sslcert": str(mine.certificate), "sslkey": str(mine.key)}
    assert through(cluster.conninfo("by_certificate", sslmode="require", **keys), told) == (
        "by_certificate",
        True,
    )


def test_the_environment_a_password_file_and_a_service_lead_there_too(
    cluster: Cluster, told: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    escaped = _PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    (tmp_path / "pass").write_text(f"127.0.0.1:{cluster.port}:*:by_md5:{escaped}\n")
    (tmp_path / "pass").chmod(0o600)
    (tmp_path / "services").write_text(
        f"[mine]\nhost=127.0.0.1\nport={cluster.port}\ndbname=postgres\nuser=by_md5\n"
    )
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "mine")
    assert through("", told) == ("by_md5", True)
    monkeypatch.delenv("PGSERVICE")
    for name, value in {
        "PGHOST": "127.0.0.1",
        "PGPORT": cluster.port,
        "PGUSER": "by_md5",
        "PGDATABASE": "postgres",
    }.items():
        monkeypatch.setenv(name, str(value))
    assert through("", told) == ("by_md5", True)


def test_cancels_go_the_same_way(cluster: Cluster, told: Recorded) -> None:
    conninfo = cluster.conninfo("by_tls", sslmode="verify-full", sslrootcert=str(cluster.ours.root))
    admin_at = cluster.conninfo("postgres", host=str(cluster.sockets))
    with proxied(conninfo, told) as proxy, psycopg.connect(proxy.environment()["DATABASE_URL"]) as connection:
        with in_background(lambda: connection.execute("SELECT pg_sleep(60)")) as raised:
            with psycopg.connect(admin_at, autocommit=True) as admin:
                asleep = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
                until(lambda: admin.execute(asleep).fetchall())
            connection.cancel_safe(timeout=10)
        assert [type(error) for error in raised] == [psycopg.errors.QueryCanceled]


def _changed(found: Upstream, parameters: dict[str, str], host: str | None = None) -> Upstream:
    return Upstream(
        host=host or found.host, address=found.address, port=found.port, user=found.user, database=found.database,
        password=found.password, parameters={**found.parameters, **parameters}, tls=found.tls,
    )  # fmt: skip
