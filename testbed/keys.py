"""Keys and tokens of one node, made anew at each start."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

from testbed.errors import TestbedFailed
from testbed.home import Home
from testbed.versions import GATEWAY


def make(home: Home) -> str:
    """Make the key that signs service accounts' tokens and the one the API server shows the kubelet.

    Returns:
        The administrator's token, which the API server's list of tokens now has.
    """
    folder = home.run / "keys"
    folder.mkdir(mode=0o700)
    _openssl("genrsa", "-out", str(folder / "sa.key"), "2048")
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365", "-subj", "/CN=kube-apiserver"),
        *("-keyout", str(folder / "kubelet-client.key"), "-out", str(folder / "kubelet-client.crt")),
    )
    token = secrets.token_hex(24)
    _write_private(folder / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
    return token


def write_kubeconfig(
    home: Home, to: Path, *, port: int, token: str, user: str = "admin", namespace: str = "default"
) -> None:
    """Write a kubeconfig for whoever has the token; the API server's certificate has to be there."""
    cluster = {
        "server": f"https://{GATEWAY}:{port}",
        "certificate-authority": str(home.run / "apiserver" / "apiserver.crt"),
    }
    context = {"cluster": "testbed", "user": user, "namespace": namespace}
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": context}],
        "current-context": "testbed",
    }
    _write_private(to, json.dumps(config, indent=1))


def _write_private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedFailed(f"openssl {arguments[0]}: {done.stderr.strip()[-500:]}")
