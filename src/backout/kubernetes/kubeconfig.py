"""Which cluster, and as whom: the kubeconfig as kubectl reads it, or the pod's service account."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backout.errors import ConfigError, CredentialsRefused
from backout.kubernetes.connection import Connection
from backout.message import msg

if TYPE_CHECKING:
    from lightkube.config.kubeconfig import KubeConfig, SingleConfig

_PLUGIN_TIMEOUT_S = 20.0
# Hazard: msgspec 0.22.0, which lightkube reads kubeconfigs with, ends the process (SIGSEGV) when two threads convert to the
# same class for the first time at once: 2 of 40 processes with four threads did.
_ONE_AT_A_TIME = threading.Lock()
_LISTS = ("clusters", "contexts", "users")
_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
"""Keys of a kubeconfig that name files, relative to the kubeconfig's own folder."""

_TOLD = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
_EXTENSION = "client.authentication.k8s.io/exec"


def choose(kubeconfig: Path | None, context: str | None, environ: Mapping[str, str]) -> Connection:
    """Return the connection: the file that is named, else $KUBECONFIG, ~/.kube/config, the service account.

    An `exec` plugin is run, and its token or certificate stands in the answer.

    Raises:
        ConfigError: There is none of them, it cannot be read, or the context is not in it.
        CredentialsRefused: The plugin gave no credential.
    """
    # Hazard: the database is asked at the same time, and psycopg imports asyncio too. While one thread is half-way in
    # there, `import asyncio.subprocess` of lightkube goes on with that half (CPython 3.11): a NameError, now and then.
    importlib.import_module("asyncio")
    from lightkube.core.exceptions import ConfigError as Refused

    with _ONE_AT_A_TIME:
        config, whole = _found(kubeconfig, environ)
    try:
        single = config.get(context)
    except (Refused, KeyError) as error:
        raise _unusable(
            msg(
                "The kubeconfig has no usable context {context}: {why}. It has: {known}.",
                context=context or config.current_context or "(none is current)",
                why=str(error),
                known=", ".join(config.contexts) or "none",
            ),
            "kubectl config get-contexts",
        ) from None
    assert single is not None
    if single.user is None:
        raise _unusable(msg("The kubeconfig's context {context} names no user.", context=single.context_name))
    if not whole:  # the pod's service account
        return Connection(single, {}, {})
    cluster, user = (
        _named(whole, "cluster", single.context.cluster),
        _named(whole, "user", single.context.user),
    )
    return Connection(_with_plugin(single, cluster, user, environ), cluster, user, kubeconfig)


def _found(kubeconfig: Path | None, environ: Mapping[str, str]) -> tuple[KubeConfig, dict[str, Any]]:
    """Return the kubeconfig, and all that it says: lightkube's has less."""
    from lightkube.config.kubeconfig import KubeConfig
    from lightkube.core.exceptions import ConfigError as Refused

    named = [Path(p) for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    files = [kubeconfig] if kubeconfig is not None else named
    if not files:
        home = Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"
        if not home.is_file() and "KUBERNETES_SERVICE_HOST" in environ:
            try:
                return KubeConfig.from_service_account(), {}
            except Refused as error:
                raise _unusable(msg("The pod has no service account: {why}", why=str(error))) from None
        files = [home]
    whole = _merged([f for f in files if f.is_file() or len(files) == 1])
    return KubeConfig.from_dict(whole), whole


def _merged(files: list[Path]) -> dict[str, Any]:
    """Return several kubeconfigs as one: of two entries of a name the first stands.

    Source: kubernetes.io, "Organizing Cluster Access Using kubeconfig Files", merging.
    """
    whole: dict[str, Any] = {key: [] for key in _LISTS}
    for file in files:
        content = _read(file)
        whole.setdefault("current-context", content.get("current-context") or None)
        whole["current-context"] = whole["current-context"] or content.get("current-context") or None
        for key in _LISTS:
            there = {entry["name"] for entry in whole[key]}
            whole[key] += [e for e in content.get(key) or () if e["name"] not in there]
    return whole


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unusable(
            msg(
                "The kubeconfig {file} cannot be read: {why}",
                file=str(file),
                why=" ".join(str(error).split()),
            )
        ) from None
    if not isinstance(content, dict):
        raise _unusable(msg("{file} is no kubeconfig", file=str(file)))
    for kind in ("clusters", "users"):
        for entry in content.get(kind) or ():
            part = entry.get(kind[:-1]) or {}
            for key in _FILES:
                if part.get(key):
                    part[key] = str(file.parent / part[key])
            plugin = part.get("exec") or {}
            if "/" in str(plugin.get("command") or ""):  # else it is looked for in $PATH
                plugin["command"] = str(file.parent / plugin["command"])
    return content


def _with_plugin(
    single: SingleConfig, cluster: dict[str, Any], told: dict[str, Any], environ: Mapping[str, str]
) -> SingleConfig:
    """Run the `exec` plugin of the user, if there is one.

    Source: kubernetes.io, "Authenticating", client-go credential plugins; "Client Authentication (v1)", ExecCredential.
    lightkube 1.0.1 runs only v1beta1 ones, and tells them nothing of the cluster.
    """
    user = single.user
    if user is None or user.exec is None:
        return single
    from lightkube.config.models import User

    plugin = user.exec
    spec: dict[str, Any] = {"interactive": False}
    if told["exec"].get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(cluster)
    asked = {"apiVersion": plugin.apiVersion, "kind": "ExecCredential", "spec": spec}
    env = {**environ, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
    env |= {v.name: v.value for v in plugin.env or ()}
    command = [plugin.command, *(plugin.args or [])]
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PLUGIN_TIMEOUT_S
        )  # fmt: skip
        status = json.loads(done.stdout)["status"] if done.returncode == 0 else None
        why = " ".join(done.stderr.split())[-300:]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        status, why = None, type(error).__name__
    if not isinstance(status, dict) or not (status.get("token") or status.get("clientCertificateData")):
        raise CredentialsRefused(
            msg("The credential plugin {plugin} gave no credential: {why}", plugin=plugin.command, why=why),
            state=msg("Nothing was asked of the cluster."),
            next_command=f"kubectl --context {single.context_name} auth whoami",
        )
    own = User(token=status.get("token"))
    if status.get("clientCertificateData"):
        own.client_cert_data = _base64(status["clientCertificateData"])
        own.client_key_data = _base64(status.get("clientKeyData") or "")
    return single._replace(user=own)


def _named(whole: dict[str, Any], kind: str, name: str | None) -> dict[str, Any]:
    """Return what a kubeconfig says of a user or a cluster."""
    found: dict[str, Any] = next(entry[kind] for entry in whole[f"{kind}s"] if entry["name"] == name)
    return found


def _cluster_info(cluster: dict[str, Any]) -> dict[str, Any]:
    """Return what a plugin is told of the cluster; what is meant for it alone stands in an extension."""
    found = {key: cluster[key] for key in _TOLD if key in cluster}
    with suppress(OSError):  # who connects says what is wrong with the file
        if "certificate-authority" in cluster:
            text = Path(cluster["certificate-authority"]).read_text(encoding="utf-8")
            found["certificate-authority-data"] = _base64(text)
    own = [e["extension"] for e in cluster.get("extensions") or () if e["name"] == _EXTENSION]
    return found | ({"config": own[0]} if own else {})


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


def _unusable(what: Any, command: str = "kubectl config view --minify") -> ConfigError:
    return ConfigError(what, state=msg("No cluster was asked."), next_command=command)
