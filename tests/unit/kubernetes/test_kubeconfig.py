"""Whom to ask and as whom is found as kubectl finds it; what is missing is named with the next command."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from backout.clock import SystemClock
from backout.errors import ConfigError, CredentialsRefused
from backout.kubernetes.api import Api
from backout.kubernetes.connection import client_parameters
from backout.kubernetes.kubeconfig import choose


def write(path: Path, *contexts: str, current: str | None = None, user: dict[str, Any] | None = None) -> Path:
    """Write a kubeconfig whose contexts each have a cluster and a user of the same name."""
    told: dict[str, Any] = {
        "clusters": [{"name": c, "cluster": {"server": f"https://{c}:6443"}} for c in contexts],
        "contexts": [
            {"name": c, "context": {"cluster": c, "user": c, "namespace": f"ns-{c}"}} for c in contexts
        ],
        "users": [{"name": c, "user": user or {"token": f"token-of-{c}"}} for c in contexts],
    }
    if current:
        told["current-context"] = current
    path.write_text(yaml.safe_dump(told))
    return path


def test_the_context_that_is_named_else_the_current_one(tmp_path: Path) -> None:
    file = write(tmp_path / "config", "staging", "prod", current="staging")
    assert choose(file, None, {}).server == "https://staging:6443"
    chosen = choose(file, "prod", {})
    assert (chosen.context_name, chosen.namespace) == ("prod", "ns-prod")
    assert chosen.single.user is not None and chosen.single.user.token == "token-of-prod"


def test_what_is_typed_goes_to_the_same_cluster_whatever_is_current_in_that_shell(tmp_path: Path) -> None:
    """Also where all clusters are called alike (k3s calls each context `default`), and where a file of its own is declared."""
    file = write(tmp_path / "config", "default", "prod", current="prod")

    def typed(kubeconfig: Path | None, context: str | None) -> str:
        environ = {"KUBECONFIG": str(file)}
        return Api(lambda: choose(kubeconfig, context, environ), None, SystemClock()).kubectl("get", "pods")

    assert typed(None, "default") == "kubectl --context default -n ns-default get pods"
    assert typed(None, None) == "kubectl --context prod -n ns-prod get pods"
    assert typed(file, None) == f"kubectl --kubeconfig {file} --context prod -n ns-prod get pods"


@pytest.mark.parametrize(("context", "named"), [("prd", "prd"), (None, "none is current")])
def test_a_context_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, context: str | None, named: str
) -> None:
    file = write(tmp_path / "config", "staging", "prod")
    with pytest.raises(ConfigError, match=f"{named}.*staging, prod") as caught:
        choose(file, context, {})
    assert caught.value.next_command == "kubectl config get-contexts"


def test_several_files_are_one_and_the_first_of_a_name_stands(tmp_path: Path) -> None:
    first = write(tmp_path / "a", "prod")
    second = write(tmp_path / "b", "prod", "staging", current="staging", user={"token": "second"})
    environ = {"KUBECONFIG": f"{first}:{tmp_path / 'not-there'}:{second}"}
    assert choose(None, None, environ).context_name == "staging"
    prod = choose(None, "prod", environ)
    assert prod.single.user is not None and prod.single.user.token == "token-of-prod"


def test_files_beside_a_kubeconfig_are_found_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    file = write(folder / "config", "prod", current="prod", user={"client-certificate": "tls/me.crt"})
    chosen = choose(file, None, {})
    assert chosen.single.user is not None and chosen.single.user.client_cert == str(folder / "tls/me.crt")


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "cannot be read"), ("a: [", "cannot be read"), ("- a list", "is no kubeconfig")],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        choose(file, None, {})
    assert str(file) in str(caught.value.what)


def test_home_is_where_it_is_looked_for_last(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", "prod", current="prod")
    assert choose(None, None, {"HOME": str(tmp_path)}).context_name == "prod"


PLUGIN = """
import json, os, sys
asked = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
status = {"token": f"{asked['apiVersion']} {os.environ['EXTRA']}"} if sys.argv[1] == "good" else {}
print(json.dumps({"kind": "ExecCredential", "status": status}))
sys.exit("no browser here" if sys.argv[1] == "fails" else 0)
"""


def plugin(tmp_path: Path, how: str) -> Path:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(tmp_path / "plugin.py"), how],
        "env": [{"name": "EXTRA", "value": "as declared"}],
    }
    return write(tmp_path / "config", "prod", current="prod", user={"exec": told})


def test_a_plugin_gives_the_token(tmp_path: Path) -> None:
    chosen = choose(plugin(tmp_path, "good"), None, {})
    assert chosen.single.user is not None
    assert chosen.single.user.token == "client.authentication.k8s.io/v1 as declared"


@pytest.mark.parametrize("how", ["fails", "empty"])
def test_a_plugin_without_a_credential_is_named(tmp_path: Path, how: str) -> None:
    with pytest.raises(CredentialsRefused, match="gave no credential") as caught:
        choose(plugin(tmp_path, how), None, {})
    assert ("no browser here" in str(caught.value.what)) is (how == "fails")
    assert caught.value.next_command == "kubectl --context prod auth whoami"


def test_a_plugin_that_is_not_there_is_named(tmp_path: Path) -> None:
    told = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}
    with pytest.raises(CredentialsRefused, match="no-such-plugin"):
        choose(write(tmp_path / "config", "prod", current="prod", user={"exec": told}), None, {})


def test_a_certificate_of_a_plugin_is_taken(tmp_path: Path) -> None:
    status = {"clientCertificateData": "PEM", "clientKeyData": "KEY"}
    (tmp_path / "plugin.py").write_text(f"print('''{json.dumps({'status': status})}''')")
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(tmp_path / "plugin.py")],
    }
    chosen = choose(write(tmp_path / "config", "prod", current="prod", user={"exec": told}), None, {})
    assert chosen.single.user is not None and chosen.single.user.client_cert_data == "UEVN"


TELLS_BACK = """#!/bin/sh
printf '{"status": {"token": "%s"}}' "$(printf %s "$KUBERNETES_EXEC_INFO" | base64 -w0)"
"""


@pytest.mark.parametrize("wanted", [True, False])
def test_a_plugin_beside_the_kubeconfig_is_told_of_the_cluster_if_it_wants(
    tmp_path: Path, wanted: bool
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "plugin"
    program.write_text(TELLS_BACK)
    program.chmod(0o755)
    told = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./bin/plugin"}
    file = write(
        tmp_path / "config", "prod", current="prod", user={"exec": told | {"provideClusterInfo": wanted}}
    )
    whole = yaml.safe_load(file.read_text())
    (tmp_path / "ca.crt").write_text("PEM")
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "shop"}}
    whole["clusters"][0]["cluster"] |= {"certificate-authority": "ca.crt", "extensions": [extension]}
    file.write_text(yaml.safe_dump(whole))
    chosen = choose(file, None, {"PATH": "/usr/bin:/bin"})
    assert chosen.single.user is not None and chosen.single.user.token is not None
    spec = json.loads(base64.b64decode(chosen.single.user.token))["spec"]
    assert spec.get("cluster") == (
        {
            "server": "https://prod:6443",
            "certificate-authority-data": base64.b64encode(b"PEM").decode(),
            "config": {"audience": "shop"},
        }
        if wanted
        else None
    )


def test_as_whom_one_acts_is_told_as_kubectl_tells_it(tmp_path: Path) -> None:
    user = {
        "token": "t",
        "as": "oncall",
        "as-uid": "7",
        "as-groups": ["ops", "readers"],
        "as-user-extra": {"reason": ["incident"]},
    }
    chosen = choose(write(tmp_path / "config", "prod", current="prod", user=user), None, {})
    assert client_parameters(chosen)["headers"] == [
        ("Impersonate-User", "oncall"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Group", "readers"),
        ("Impersonate-Extra-reason", "incident"),
    ]


def with_cluster(file: Path, **more: str) -> Path:
    whole = yaml.safe_load(file.read_text())
    whole["clusters"][0]["cluster"] |= more
    file.write_text(yaml.safe_dump(whole))
    return file


def test_what_backout_cannot_do_is_refused_and_named(tmp_path: Path) -> None:
    file = with_cluster(
        write(tmp_path / "a", "prod", current="prod"), **{"proxy-url": "socks5://me:secret@127.0.0.1:1080"}
    )
    with pytest.raises(ConfigError, match="proxy-url is a proxy of the kind socks5") as caught:
        client_parameters(choose(file, None, {}))
    assert caught.value.next_command == "kubectl config view --minify"
    assert "secret" not in str(caught.value.what)

    file = write(tmp_path / "b", "prod", current="prod", user={"auth-provider": {"name": "gcp"}})
    with pytest.raises(ConfigError, match="auth-provider not supported"):
        client_parameters(choose(file, None, {}))

    whole = yaml.safe_load(write(tmp_path / "c", "prod", current="prod").read_text())
    del whole["contexts"][0]["context"]["user"]
    (tmp_path / "c").write_text(yaml.safe_dump(whole))
    with pytest.raises(ConfigError, match="context prod names no user"):
        choose(tmp_path / "c", None, {})
