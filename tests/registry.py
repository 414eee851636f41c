"""A real registry (Debian's docker-registry), open, behind a password, or behind a server that gives tokens."""

from __future__ import annotations

import base64
import json
import tarfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx2
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.waiting import until

from backout.children import Children
from backout.embedded.server import free_port
from testbed.images import Image, Layer

USER, PASSWORD, IDENTITY_TOKEN = "reader", "correct-horse-9", "identity-token-7f3a"
_HTPASSWD = f"{USER}:$2b$04$p5nr1/O6j/aCioR0/1lLYOOjb1dHJvoMCPyUQj/UxWHa/Nq9tEaqi\n"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def small_image(repository: str, tag: str, content: str) -> Image:
    return Image(f"{repository}:{tag}", [Layer.of({"content": content.encode()})], {"Cmd": ["/none"]})


class Identity:
    """A key and its certificate for an address, signed by itself; `pem` is what trusts it."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir(exist_ok=True)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry of a test")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=12))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        ).sign(self.key, hashes.SHA256())
        self.der = made.public_bytes(serialization.Encoding.DER)
        self.pem, self.key_pem = folder / "certificate.pem", folder / "key.pem"
        self.pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        pkcs8 = serialization.PrivateFormat.PKCS8
        self.key_pem.write_bytes(self.key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))


class TokenServer:
    """Gives tokens for pulling: for `open/…` to anybody, for all else to the reader.

    Attributes:
        asked: How it was asked, in order: `anonymous`, `password`, `identity token`.
    """

    def __init__(self, folder: Path) -> None:
        self.identity, self.asked = Identity(folder, "127.0.0.1"), list[str]()
        handler = type("Handler", (_TokenHandler,), {"server_of_tokens": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def settings(self) -> dict[str, Any]:
        """What a registry is told of it."""
        realm = f"http://127.0.0.1:{self._http.server_port}/token"
        bundle = str(self.identity.pem)
        return {"token": {"realm": realm, "service": "tests", "issuer": "tests", "rootcertbundle": bundle}}

    def token(self, scope: str, known: bool) -> str:
        kind, name, actions = scope.split(":")
        granted = known or name.startswith("open/")
        access = [{"type": kind, "name": name, "actions": actions.split(",")}] if granted else []
        now = int(time.time())
        times = {"nbf": now - 60, "iat": now, "exp": now + 300}
        said = {"iss": "tests", "sub": USER, "aud": "tests", "jti": uuid4().hex, "access": access, **times}
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(self.identity.der).decode()]}
        text = f"{_url64(json.dumps(head).encode())}.{_url64(json.dumps(said).encode())}"
        signed = self.identity.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_url64(signed)}"


class _TokenHandler(BaseHTTPRequestHandler):
    server_of_tokens: TokenServer

    def do_GET(self) -> None:
        told = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        given = self.headers.get("Authorization")
        known = given == f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        self._answer(
            told["scope"], known, "password" if given else "anonymous", refused=bool(given) and not known
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        told = {name: values[0] for name, values in parse_qs(body).items()}
        known = told["grant_type"] == "refresh_token" and told["refresh_token"] == IDENTITY_TOKEN
        self._answer(told["scope"], known, "identity token", refused=not known)

    def _answer(self, scope: str, known: bool, how: str, *, refused: bool) -> None:
        self.server_of_tokens.asked.append(how)
        key = "access_token" if how == "identity token" else "token"
        body = json.dumps({} if refused else {key: self.server_of_tokens.token(scope, known)}).encode()
        self.send_response(401 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Registry:
    """Keeps its images below a folder.

    Args:
        auth: As the registry's own configuration says it; `password` and `TokenServer.settings` are such.
        tls: Who it is; None: it speaks plain HTTP.
    """

    def __init__(
        self, folder: Path, children: Children, *, address: str = "127.0.0.1",
        auth: Mapping[str, Any] | None = None, tls: Identity | None = None,
    ) -> None:  # fmt: skip
        self.name, self.port = f"registry-{uuid4().hex[:6]}", free_port()
        self.host = f"{address}:{self.port}"
        self.url = f"http{'s' if tls else ''}://{self.host}"
        self._verify = str(tls.pem) if tls else None
        http: dict[str, Any] = {"addr": self.host, "secret": "of a test"}
        http |= {"tls": {"certificate": str(tls.pem), "key": str(tls.key_pem)}} if tls else {}
        told: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(folder / self.name)}},
            "http": http,
        }
        told |= {"auth": dict(auth)} if auth else {}
        file = folder / f"{self.name}.yml"
        file.write_text(yaml.safe_dump(told))
        self._children = children
        children.start(self.name, ["docker-registry", "serve", str(file)], cwd=folder)
        until(self._answers)

    def stop(self) -> None:
        self._children.stop(self.name)

    def push(self, image: Image, *, token: str | None = None) -> str:
        """Bring an image to the registry, under its tag; returns its digest."""
        _, _, path = image.name.partition("/")
        name, _, tag = path.rpartition(":")
        blobs = _blobs(image.archive())
        manifest = blobs.pop(image.digest)
        for digest, blob in blobs.items():
            place = self._ask("POST", f"/v2/{name}/blobs/uploads/", token).headers["Location"]
            self._ask("PUT", f"{place}&digest={digest}", token, blob)
        return self._tag(name, tag, _MANIFEST, manifest, token)

    def push_list(self, name: str, tag: str, kind: str, images: list[Image]) -> str:
        """Give a tag to an index of images that were pushed; returns the index's digest."""
        entries = [
            {"mediaType": _MANIFEST, "digest": image.digest, "size": len(_blobs(image.archive())[image.digest]),
             "platform": {"os": "linux", "architecture": architecture}}
            for image, architecture in zip(images, ("amd64", "arm64"), strict=True)
        ]  # fmt: skip
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": entries}).encode()
        return self._tag(name, tag, kind, body, None)

    def _tag(self, name: str, tag: str, kind: str, body: bytes, token: str | None) -> str:
        answer = self._ask("PUT", f"/v2/{name}/manifests/{tag}", token, body, {"Content-Type": kind})
        assert answer.headers["Docker-Content-Digest"] == f"sha256:{sha256(body).hexdigest()}"
        return str(answer.headers["Docker-Content-Digest"])

    def _ask(
        self,
        method: str,
        url: str,
        token: str | None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        who = (
            f"Bearer {token}"
            if token
            else f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
        )
        with self._client() as client:
            answer = client.request(
                method, url, content=body, headers={"Authorization": who, **(headers or {})}
            )
        assert answer.status_code in (201, 202), answer.text
        return answer

    def _answers(self) -> bool:
        with suppress(httpx2.HTTPError), self._client() as client:
            return client.get("/v2/").status_code in (200, 401)
        return False

    def _client(self) -> httpx2.Client:
        import ssl

        verify = ssl.create_default_context(cafile=self._verify) if self._verify else True
        return httpx2.Client(base_url=self.url, verify=verify, trust_env=False, timeout=60.0)


def login(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    """Return what `docker login` writes for a registry."""
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def password(folder: Path) -> dict[str, Any]:
    """Return what a registry is told so that it asks for a password."""
    file = folder / "htpasswd"
    file.write_text(_HTPASSWD)
    return {"htpasswd": {"realm": "tests", "path": str(file)}}


def _blobs(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        files = [m for m in tar.getmembers() if m.isfile() and m.name.startswith("blobs/sha256/")]
        return {f"sha256:{m.name.rpartition('/')[2]}": tar.extractfile(m).read() for m in files}  # type: ignore[union-attr]


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
