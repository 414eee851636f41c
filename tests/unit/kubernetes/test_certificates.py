"""The API server's certificate is checked as kubectl checks it, whichever Python this is."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backout.clock import SystemClock
from backout.errors import CredentialsRefused, TargetUnreachable
from backout.kubernetes.api import Api
from backout.kubernetes.kubeconfig import choose

Open = Callable[..., Api]


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"kind": "Pod"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def signed(folder: Path, address: str) -> tuple[Path, Path]:
    """Write a CA as EKS makes it, with nothing but its basic constraints, and a server's certificate and key."""
    folder.mkdir()
    now = datetime.now(UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kube-apiserver")])

    def made(subject: x509.Name, of: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(ca_name, subject, of.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca, server = folder / "ca.crt", folder / "server.pem"
    ca.write_bytes(made(ca_name, ca_key, x509.BasicConstraints(ca=True, path_length=None)))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server.write_bytes(made(name, key, names) + private)
    return ca, server


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Path], Open]]:
    """Serves with a certificate; returns what makes an Api that trusts a CA."""
    servers: list[HTTPServer] = []

    def served(certificate: Path) -> Open:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = HTTPServer(("127.0.0.1", 0), Answers)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()

        def opened(ca: Path, **told: str) -> Api:
            cluster = {"server": f"https://127.0.0.1:{server.server_port}", "certificate-authority": str(ca)}
            cluster |= told
            file = tmp_path / "kubeconfig"
            file.write_text(
                json.dumps(
                    {
                        "clusters": [{"name": "c", "cluster": cluster}],
                        "users": [{"name": "u", "user": {"token": "t"}}],
                        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                        "current-context": "x",
                    }
                )
            )
            return Api(lambda: choose(file, None, {}), None, SystemClock())

        return opened

    yield served
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_cluster_whose_certificates_name_no_key_is_reached(
    tmp_path: Path, serve: Callable[[Path], Open]
) -> None:
    ca, certificate = signed(tmp_path / "eks", "127.0.0.1")
    assert serve(certificate)(ca).get("Pod", "web-1", patience_s=5) == {"kind": "Pod"}


def test_who_signed_and_for_what_address_is_checked_all_the_same(
    tmp_path: Path, serve: Callable[[Path], Open]
) -> None:
    ca, certificate = signed(tmp_path / "own", "127.0.0.1")
    other, elsewhere = signed(tmp_path / "other", "127.0.0.2")
    with pytest.raises(TargetUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
        serve(certificate)(other).get("Pod", "web-1", patience_s=0.2)
    with pytest.raises(TargetUnreachable, match="IP address mismatch"):
        serve(elsewhere)(other).get("Pod", "web-1", patience_s=0.2)
    ca.write_text("rubbish")
    with pytest.raises(CredentialsRefused, match="certificates cannot be used"):
        serve(certificate)(ca).get("Pod", "web-1", patience_s=0.2)


def test_the_name_that_the_kubeconfig_tells_is_the_one_that_the_certificate_must_have(
    tmp_path: Path, serve: Callable[[Path], Open]
) -> None:
    ca, certificate = signed(tmp_path / "own", "127.0.0.2")
    opened = serve(certificate)
    assert opened(ca, **{"tls-server-name": "127.0.0.2"}).get("Pod", "web-1", patience_s=5) == {"kind": "Pod"}
    with pytest.raises(TargetUnreachable, match="IP address mismatch"):
        opened(ca, **{"tls-server-name": "127.0.0.1"}).get("Pod", "web-1", patience_s=0.2)
