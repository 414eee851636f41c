"""TLS in both directions: a certificate of the proxy's own for the client, and what libpq would ask of the server."""

from __future__ import annotations

import hashlib
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate that nobody has signed: clients that insist on TLS get it, and 127.0.0.1 needs no more.

    Attributes:
        context: For the server's side of TLS.
        digest: What a client binds its password to. Source: RFC 5929, section 4.1 (SHA-256 here).
    """

    context: ssl.SSLContext
    digest: bytes


def own_certificate() -> OwnCertificate:
    """Make a certificate; its key is never on disk longer than this takes."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Python's ssl reads certificates from files only; this one is made with mode 0600.
    with tempfile.NamedTemporaryFile(prefix="backout-") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return OwnCertificate(context, hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).digest())


def client_context(parameters: Mapping[str, str]) -> ssl.SSLContext:
    """Return how libpq would speak TLS with these parameters.

    Source: PostgreSQL 18 documentation, 32.1.2 "Parameter Key Words" and 32.19 "SSL Support".

    Raises:
        OSError: A certificate or key cannot be read.
    """
    mode = parameters.get("sslmode", "prefer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    roots = parameters.get("sslrootcert") or _usual("root.crt")
    # A root certificate that is there makes `require` check what signed the server's.
    if mode in ("verify-ca", "verify-full") or (mode == "require" and roots):
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = mode == "verify-full"
        if roots == "system":
            context.load_default_certs()
        elif roots:
            context.load_verify_locations(roots)
    certificate = parameters.get("sslcert") or _usual("postgresql.crt")
    if certificate:
        key = parameters.get("sslkey") or _usual("postgresql.key")
        context.load_cert_chain(certificate, key, parameters.get("sslpassword", ""))
    return context


def _usual(name: str) -> str | None:
    try:
        path = Path("~/.postgresql").expanduser() / name
        return str(path) if path.exists() else None
    except (OSError, RuntimeError):
        return None
