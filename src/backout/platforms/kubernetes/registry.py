"""Asks a registry which image a tag means now: one request without content, a few seconds at most, nothing needed of it.

Source: OCI Distribution Specification v1.1, "Checking if content exists in the registry"; distribution v2.8, "Token
Authentication Specification" and "Docker Registry v2 authentication using OAuth2".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from backout.errors import BackoutError
from backout.message import Message, msg
from backout.platforms.kubernetes.docker_config import Login, login_of
from backout.platforms.kubernetes.images import repository_of
from backout.platforms.kubernetes.template import tag_of
from backout.trust import authorities

if TYPE_CHECKING:
    import httpx2

    from backout.redact import Redactor

_DEADLINE_S = 3.0
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""An index first: a tag of several architectures has its digest, which is what nodes of any of them pull and tell."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HERE = re.compile(r"localhost|127(\.\d{1,3}){3}")
"""Whom Docker asks without TLS. Source: docs.docker.com, dockerd, "Insecure registries"."""
_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Source: github.com/containerd/containerd v1.6, remotes/docker, DefaultHost."""
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class _Refused(Exception):
    """The registry answered, and not with a digest; the message says what."""

    def __init__(self, why: Message) -> None:
        super().__init__(str(why))
        self.why = why


def digest_at_registry(image: str, environ: Mapping[str, str], redactor: Redactor) -> str | Message:
    """Return ``sha256:…`` of what an image's tag means now, or why it is not known; never takes long.

    Args:
        image: With a tag, or with none, which means `latest`.
        environ: Says where Docker's configuration is, and its helpers.
        redactor: Is told what it must cut out.
    """
    told: SimpleQueue[str | Message] = SimpleQueue()
    ask = threading.Thread(target=lambda: told.put(_told(image, environ, redactor)), daemon=True)
    ask.start()
    try:
        # A time-out of the client is for each read, and none of it for the name's address or a helper.
        return told.get(timeout=_DEADLINE_S)
    except Empty:
        return msg(
            "the registry {registry} did not answer in {seconds} s",
            registry=_registry_of(image),
            seconds=round(_DEADLINE_S),
        )


def _told(image: str, environ: Mapping[str, str], redactor: Redactor) -> str | Message:
    registry = _registry_of(image)
    try:
        return _asked(registry, image, environ, redactor)
    except _Refused as refused:
        return refused.why
    except BackoutError as error:
        return error.what
    except (
        Exception
    ) as error:  # Whatever is wrong with a registry must not stop an incident; what it is, is told.
        why = redactor.text(f"{type(error).__name__} {error}".strip())
        return msg("the registry {registry} cannot be asked: {why}", registry=registry, why=why)


def _asked(registry: str, image: str, environ: Mapping[str, str], redactor: Redactor) -> str:
    import httpx2

    here = _HERE.fullmatch(registry.partition(":")[0]) is not None
    name = repository_of(image).partition("/")[2]
    url = f"http{'' if here else 's'}://{_HUB.get(registry, registry)}/v2/{name}/manifests/{tag_of(image)}"
    accept = {"Accept": _ACCEPT}
    # No proxy stands between a machine and itself.
    with httpx2.Client(
        timeout=_DEADLINE_S,
        follow_redirects=True,
        trust_env=not here,
        verify=authorities(environment=not here),
    ) as client:
        answer = _checked(client.head(url, headers=accept), registry, here)
        if answer.status_code == 401:
            login = login_of(registry, environ, timeout_s=_DEADLINE_S)
            redactor.add(login.secret if login else None)
            who = _authorization(
                client, answer.headers.get("WWW-Authenticate", ""), login, registry, name, here
            )
            redactor.add(who.get("Authorization", "").rpartition(" ")[2])
            answer = _checked(client.head(url, headers=accept | who), registry, here)
    digest = str(answer.headers.get("Docker-Content-Digest", ""))
    if answer.status_code == 200 and _DIGEST.fullmatch(digest):
        return digest
    if answer.status_code == 404:
        raise _Refused(msg("the registry {registry} has no {image}", registry=registry, image=image))
    raise _Refused(
        msg("the registry {registry} told no digest ({status})", registry=registry, status=answer.status_code)
    )


def _authorization(
    client: httpx2.Client, challenge: str, login: Login | None, registry: str, name: str, here: bool
) -> dict[str, str]:
    """Return the header that answers a challenge; empty: we have nothing to answer with."""
    scheme, told = challenge.partition(" ")[0].lower(), dict(_CHALLENGE.findall(challenge))
    basic = {"Authorization": login.basic} if login is not None and not login.is_token else {}
    if scheme == "basic":
        return basic
    if scheme != "bearer" or "realm" not in told:
        return {}
    if not here and not told["realm"].startswith("https://"):
        raise _Refused(_without_tls(registry))
    asked = {"service": told.get("service", ""), "scope": told.get("scope", f"repository:{name}:pull")}
    if login is not None and login.is_token:
        grant = {"grant_type": "refresh_token", "client_id": "backout", "refresh_token": login.secret}
        answer = client.post(told["realm"], data=asked | grant)
    else:
        answer = client.get(told["realm"], params=asked, headers=basic)
    token = _checked(answer, registry, here).json() if answer.status_code == 200 else {}
    found = token.get("token") or token.get("access_token")
    if not found:
        raise _Refused(
            msg(
                "the registry {registry} gave no token ({status})",
                registry=registry,
                status=answer.status_code,
            )
        )
    return {"Authorization": f"Bearer {found}"}


def _checked(answer: httpx2.Response, registry: str, here: bool) -> httpx2.Response:
    """Return the answer, if nobody on the way could have made it up."""
    if not here and any(one.url.scheme != "https" for one in (*answer.history, answer)):
        raise _Refused(_without_tls(registry))
    return answer


def _without_tls(registry: str) -> Message:
    return msg("the registry {registry} leads to an address without TLS", registry=registry)


def _registry_of(image: str) -> str:
    return repository_of(image).partition("/")[0]
