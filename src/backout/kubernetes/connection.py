"""How a cluster is reached and as whom: what lightkube makes of a kubeconfig, and what it passes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backout.errors import ConfigError, CredentialsRefused
from backout.message import Message, msg

if TYPE_CHECKING:
    from pathlib import Path

    from lightkube.config.kubeconfig import SingleConfig

_PROXIES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Connection:
    """A cluster, and who we are there.

    Attributes:
        single: What lightkube knows of them.
        cluster, user: All that the kubeconfig says of them; empty in a pod.
        file: The kubeconfig that is declared; None: kubectl finds the same one by itself.
    """

    single: SingleConfig
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    file: Path | None = None

    @property
    def kubectl(self) -> tuple[str, ...]:
        """The options by which kubectl asks the same cluster, whatever is current where it is typed; none in a pod."""
        which = ("--kubeconfig", str(self.file)) if self.file is not None else ()
        return (*which, "--context", self.context_name) if self.cluster else ()

    @property
    def context_name(self) -> str:
        """The context's name in the kubeconfig."""
        return self.single.context_name

    @property
    def namespace(self) -> str:
        """The context's namespace."""
        return self.single.namespace

    @property
    def server(self) -> str:
        """The API server's address."""
        return self.single.cluster.server


def client_parameters(connection: Connection) -> dict[str, Any]:
    """Return what the HTTP client is made with: address, proxy, certificates, credential.

    lightkube 1.0.1 passes over `tls-server-name`, `proxy-url` and `as`: it would ask another server than kubectl, or as somebody
    else. Source of the keys: kubernetes.io, "kubeconfig (v1)"; of the headers: kubernetes.io, "User impersonation".

    Raises:
        CredentialsRefused: A certificate is missing, or cannot be read as such.
        ConfigError: The kubeconfig wants what backout cannot do.
    """
    import ssl

    from lightkube.config.client_adapter import ConnectionParams
    from lightkube.core.exceptions import ConfigError as Refused

    try:
        parameters = ConnectionParams(trust_env=True, proxy=_proxy(connection)).httpx_params(
            connection.single
        )
    except (OSError, ValueError) as error:
        raise CredentialsRefused(
            msg("The kubeconfig's certificates cannot be used: {why}", why=str(error)),
            state=msg("No cluster was asked."),
            next_command="kubectl config view --minify",
        ) from None
    except Refused as error:
        raise _cannot(msg("The kubeconfig cannot be used: {why}", why=str(error))) from None
    # Hazard: Python 3.13 is strict about RFC 5280 by default, kubectl is not: clusters whose certificates lack an authority
    # key identifier or the CA's key usage (EKS, older GKE and MicroK8s) would not be reached. What signed is still checked.
    # Source: docs.python.org/3.13, ssl.create_default_context; github.com/kubernetes-client/python/issues/2394.
    parameters["verify"].verify_flags &= ~ssl.VERIFY_X509_STRICT
    parameters["headers"] = _as_whom(connection.user)
    if name := connection.cluster.get("tls-server-name"):
        # The name that is asked for, and that the certificate must have. Source: httpx, "Request extensions".
        parameters["event_hooks"] = {"request": [lambda r: r.extensions.update(sni_hostname=str(name))]}
    return parameters


def _proxy(connection: Connection) -> str | None:
    url = connection.cluster.get("proxy-url")
    scheme = str(url or "http:").partition(":")[0]
    if scheme not in _PROXIES:
        raise _cannot(
            msg("The kubeconfig's proxy-url is a proxy of the kind {kind}: backout can go through {known} alone",
                kind=scheme, known=" and ".join(_PROXIES))
        )  # fmt: skip
    return url or None


def _as_whom(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = {"Impersonate-User": "as", "Impersonate-Uid": "as-uid"}
    headers = [(header, str(user[key])) for header, key in named.items() if user.get(key)]
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    more = user.get("as-user-extra") or {}
    return headers + [
        (f"Impersonate-Extra-{key}", str(value)) for key, values in more.items() for value in values
    ]


def _cannot(what: Message) -> ConfigError:
    return ConfigError(what, state=msg("No cluster was asked."), next_command="kubectl config view --minify")
