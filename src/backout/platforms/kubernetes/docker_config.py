"""Who we are to a registry: what `docker login` wrote into the user's own config.json, or the helper that it names."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from backout.errors import CredentialsRefused
from backout.message import msg

_TOKEN = "<token>"
"""The name under which a helper gives an identity token. Source: github.com/docker/cli v28, credentials/native_store.go."""
_HUB = "https://index.docker.io/v1/"
"""What Docker calls its own registry in there. Source: github.com/docker/cli v28, registry.IndexServer."""
_NONE = "credentials not found in native keychain"
"""Source: github.com/docker/docker-credential-helpers v0.9, credentials/error.go."""


class Login(NamedTuple):
    """A name and its password; or an identity token."""

    user: str
    secret: str

    @property
    def is_token(self) -> bool:
        """Whether the secret is an identity token."""
        return self.user == _TOKEN

    @property
    def basic(self) -> str:
        """The header for name and password. Source: RFC 7617."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.secret}'.encode()).decode()}"


def login_of(registry: str, environ: Mapping[str, str], *, timeout_s: float) -> Login | None:
    """Return who we are to a registry; None: nobody.

    Source: github.com/docker/cli v28, cli/config/configfile/file.go: the registry's own helper, the helper of all, the file.

    Raises:
        CredentialsRefused: The configuration cannot be read, or its helper fails.
    """
    file = (
        Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "~")).expanduser() / ".docker")
        / "config.json"
    )
    server = _HUB if registry in ("docker.io", "index.docker.io") else registry
    try:
        whole: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        helper = (whole.get("credHelpers") or {}).get(server) or whole.get("credsStore")
        if helper:
            return _asked(f"docker-credential-{helper}", server, environ, timeout_s)
        return _read(whole.get("auths") or {}, server)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _refused(
            msg("{file} cannot be read: {why}", file=str(file), why=type(error).__name__)
        ) from None


def _read(auths: Mapping[str, Any], server: str) -> Login | None:
    """Return what the file itself says; an old `docker login` wrote the name as an address."""
    found = auths.get(server) or next((a for name, a in auths.items() if _host(name) == server), None) or {}
    if found.get("identitytoken"):
        return Login(_TOKEN, found["identitytoken"])
    user, colon, secret = base64.b64decode(found.get("auth") or "", validate=True).decode().partition(":")
    return Login(user, secret) if colon else None


def _host(name: str) -> str:
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _asked(helper: str, server: str, environ: Mapping[str, str], timeout_s: float) -> Login | None:
    """Ask a helper. Source: github.com/docker/docker-credential-helpers, README, "Development"."""
    try:
        done = subprocess.run(
            [helper, "get"],
            input=server,
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode == 0:
            told = json.loads(done.stdout)
            return Login(told["Username"], told["Secret"])
        why = " ".join((done.stdout + done.stderr).split())[-200:]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        why = type(error).__name__
    if _NONE in why:
        return None
    raise _refused(msg("{helper} gave no credential: {why}", helper=helper, why=why))


def _refused(what: Any) -> CredentialsRefused:
    return CredentialsRefused(what, state=msg("No image was resolved."), next_command="docker login")
