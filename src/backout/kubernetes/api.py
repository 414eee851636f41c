"""The API server, asked and told in plain JSON: what a typed client does not know of an object must not get lost.

A typed model drops the fields that it does not know when an object is read and written back; a pod template of a
newer cluster would come back poorer (docs/adr/0012-kubernetes-in-plain-json.md). lightkube finds the cluster,
its certificates and credentials; httpx2 carries the requests.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from backout.errors import CredentialsRefused, LostRace, NotPossible, TargetUnreachable
from backout.kubernetes.answers import budgets_of, reason_of, told_to_wait_s
from backout.kubernetes.connection import Connection, client_parameters
from backout.kubernetes.paths import PATHS, group_of, plural
from backout.kubernetes.patience import Patience
from backout.message import msg

if TYPE_CHECKING:
    import httpx2

    from backout.clock import Clock

Object = dict[str, Any]

FIELD_MANAGER = "backout"
PATIENCE_S = 20.0
"""How long a request is tried again while the server does not answer, or is too busy: it may be restarting."""
_TRY_S, _GRACE_S = 5.0, 10.0
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_BUSY = (429, 500, 502, 503, 504)
_PAGE = 500
_WHOLE = "application/json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Source: kubernetes.io, "Kubernetes API Concepts", Metadata-only fetches."""


class Conflict(LostRace):
    """The object was changed by somebody else since it was read."""


class Budgeted(NotPossible):
    """A PodDisruptionBudget does not let a pod end now."""


class Api:
    """One namespace of one cluster. Connects on first use; threads may share it.

    Args:
        connect: Returns whom to ask, and as whom; asked again when the credential was refused.
        namespace: Namespace of the objects; None: the context's.
    """

    def __init__(self, connect: Callable[[], Connection], namespace: str | None, clock: Clock) -> None:
        self._connect, self._namespace, self._clock = connect, namespace, clock
        self.server_now: datetime | None = None
        """The time as the API server's newest answer told it."""
        self._config: Connection | None = None
        self._client: httpx2.Client | None = None
        self._opening, self._shaken_s, self.patience = threading.RLock(), float("-inf"), Patience(clock)

    # --- where --------------------------------------------------------------------------------------

    @property
    def config(self) -> Connection:
        """The connection that is used."""
        with self._opening:  # one plugin, one client, however many threads ask first
            self._config = self._config or self._connect()
            return self._config

    @property
    def namespace(self) -> str:
        """The namespace of every object."""
        return self._namespace or self.config.namespace

    def kubectl(self, *words: str) -> str:
        """Return a command that a person types, for this cluster and namespace."""
        import shlex

        return shlex.join(["kubectl", *self.config.kubectl, "-n", self.namespace, *words])

    # --- reading ------------------------------------------------------------------------------------

    def get(self, kind: str, name: str, *, patience_s: float = PATIENCE_S) -> Object | None:
        """Return the object, or None if there is none; raises as `request` does."""
        try:
            return self._json(self.request("GET", self._path(kind, name), patience_s=patience_s))
        except _Missing:
            return None

    def list(
        self, kind: str, labels: str | None = None, fields: str | None = None, *,
        patience_s: float = PATIENCE_S, only_metadata: bool = False,
    ) -> list[Object]:  # fmt: skip
        """Return the objects of a kind by label and field selector, in pages; or nothing but their metadata."""
        params = {"limit": str(_PAGE)}
        params |= {"labelSelector": labels} if labels else {}
        params |= {"fieldSelector": fields} if fields else {}
        found: list[Object] = []
        while True:
            accept = _METADATA if only_metadata else _WHOLE
            answer = self._json(
                self.request("GET", self._path(kind), params=params, accept=accept, patience_s=patience_s)
            )
            found += answer.get("items") or []
            more = (answer.get("metadata") or {}).get("continue")
            if not more:
                return found
            params["continue"] = more

    def log(
        self, pod: str, container: str, *, lines: int, previous: bool = False, patience_s: float = 3.0
    ) -> str:
        """Return the last lines that a container wrote; raises as `request` does."""
        params = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        return self.request("GET", f"{self._path('Pod', pod)}/log", params=params, patience_s=patience_s).text

    def may(self, verb: str, kind: str, *, subresource: str = "", name: str = "") -> bool:
        """Return whether we may do that here, as the server itself says (SelfSubjectAccessReview)."""
        about = {"verb": verb, "resource": plural(kind), "group": group_of(kind), "namespace": self.namespace}
        about |= {"subresource": subresource} if subresource else {}
        about |= {"name": name} if name else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": about},
        }
        path = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._json(self.request("POST", path, body=review, patience_s=3.0))
        return bool((answer.get("status") or {}).get("allowed"))

    # --- writing ------------------------------------------------------------------------------------

    def create(
        self, kind: str, body: Object, *, dry_run: bool = False, patience_s: float = PATIENCE_S
    ) -> Object | None:
        """Create an object, or by a dry run only see whether it could be; returns None where the name is taken."""
        path = PATHS[kind]
        whole = {"apiVersion": path.partition("/")[2], "kind": kind} | body
        params = _MANAGED | ({"dryRun": "All"} if dry_run else {})
        try:
            return self._json(
                self.request("POST", self._path(kind), body=whole, params=params, patience_s=patience_s)
            )
        except Conflict:
            return None

    def replace(self, kind: str, body: Object, *, patience_s: float = PATIENCE_S) -> Object:
        """Write an object that was read; its `resourceVersion` is compared by the server.

        Raises:
            Conflict: It was changed since.
        """
        whole = {"apiVersion": PATHS[kind].partition("/")[2], "kind": kind} | body
        path = self._path(kind, body["metadata"]["name"])
        return self._json(self.request("PUT", path, body=whole, params=_MANAGED, patience_s=patience_s))

    def patch(self, kind: str, name: str, body: Object, *, manager: str = FIELD_MANAGER) -> Object:
        """Merge into an object (RFC 7386); with a `resourceVersion` in it the server compares that.

        Args:
            kind: Of the object.
            name: Of the object.
            body: What changes; null takes a key away.
            manager: As whom the server notes who changed it (`managedFields`).

        Raises:
            Conflict: It was changed since.
        """
        return self._json(
            self.request(
                "PATCH",
                self._path(kind, name),
                body=body,
                params={"fieldManager": manager},
                content_type="application/merge-patch+json",
            )
        )

    def evict(self, pod: str, *, uid: str) -> None:
        """End that very pod, if the PodDisruptionBudgets allow it now. Gone already is done.

        Raises:
            Budgeted: They do not.
        """
        name = {"metadata": {"name": pod}, "deleteOptions": {"preconditions": {"uid": uid}}}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", **name}
        try:
            self.request("POST", f"{self._path('Pod', pod)}/eviction", body=body)
        except (_Missing, Conflict):
            return

    def delete(self, kind: str, name: str, *, uid: str | None = None) -> None:
        """Delete an object; with a uid only that very one. Gone already is done."""
        body = {"preconditions": {"uid": uid}} if uid else {}
        try:
            self.request("DELETE", self._path(kind, name), body=body)
        except (_Missing, Conflict):
            return

    # --- requests -----------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        accept: str = _WHOLE,
        patience_s: float = PATIENCE_S,
    ) -> httpx2.Response:
        """Send a request, and again while the server does not answer or is too busy.

        Every write carries what it expects (a resourceVersion, a uid, a name that must be free), so sending it
        twice does nothing twice.

        Raises:
            TargetUnreachable: No answer within the patience.
            CredentialsRefused: Who we are, or what we may do, was refused.
            Conflict: What was expected is not so.
            Budgeted: A PodDisruptionBudget forbids the eviction that was asked for.
            NotPossible: The server refused it, and says why.
        """
        import httpx2

        ends_s = self.patience.end_s(patience_s)
        wait_s, renewed, doubted = _FIRST_WAIT_S, False, False
        while True:
            try:
                response = self._open().request(
                    method,
                    path,
                    content=None if body is None else json.dumps(body),
                    params=dict(params or {}),
                    headers={"Content-Type": content_type, "Accept": accept},
                    timeout=self.patience.try_s(min(_TRY_S, patience_s)),
                )
            except httpx2.HTTPError as error:
                why, self._shaken_s = f"{type(error).__name__} {error}".strip(), self._clock.monotonic_s()
            else:
                if response.status_code == 401 and not renewed:
                    renewed = True
                    with self._opening:  # a token may have run out: the plugin or the file has a new one
                        self._client = self._config = None  # other threads may be using it: it is not closed
                    continue
                # One that has just started does not know the roles yet: seen on 1.35.4 for a moment.
                shaken = self._clock.monotonic_s() < self._shaken_s + _GRACE_S
                if response.status_code == 403 and not shaken and not doubted:
                    doubted = True  # it may have started anew between two requests, and nobody has seen that
                    if self._starts():
                        self._shaken_s = self._clock.monotonic_s()
                    continue
                busy = (*_BUSY, *((401, 403) if shaken else ()))
                if response.status_code not in busy or budgets_of(response):
                    return self._judged(method, path, response)
                why = f"{response.status_code} {reason_of(response)}"
                wait_s = max(wait_s, min(told_to_wait_s(response), _LONGEST_WAIT_S))
            if self._clock.monotonic_s() + wait_s >= ends_s:
                raise self._unreachable(why)
            self._clock.wait(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _starts(self) -> bool:
        """Return whether the API server says that it is not ready: everybody may ask that, whatever it knows of roles.

        Source: Kubernetes 1.35 documentation, "Kubernetes API health endpoints"; kube-apiserver, `--authorization-always-allow-paths`.
        """
        import httpx2

        try:
            return self._open().get("readyz", timeout=self.patience.try_s(_TRY_S)).status_code >= 500
        except httpx2.HTTPError:
            return True

    def _open(self) -> httpx2.Client:
        import httpx2

        with self._opening:
            if self._client is None:
                self._client = httpx2.Client(**client_parameters(self.config))
                weakref.finalize(self, self._client.close)  # nobody closes a platform
            return self._client

    def _judged(self, method: str, path: str, response: httpx2.Response) -> httpx2.Response:
        with suppress(KeyError, ValueError, TypeError):
            self.server_now = parsedate_to_datetime(response.headers["Date"])
        status, why = response.status_code, reason_of(response)
        if status < 300:
            return response
        nothing = msg("Nothing was changed by this request.")
        if status == 404:
            what = msg("The cluster has no {path}", path=path)
            raise _Missing(what, state=nothing, next_command=self.kubectl("get", "all"))
        if status == 409:
            raise Conflict(
                msg("Somebody else changed {path} meanwhile: {why}", path=path, why=why),
                state=nothing,
                next_command="backout plan",
            )
        if status in (401, 403):
            command = self.kubectl("auth", "can-i", "--list") if status == 403 else "kubectl auth whoami"
            raise CredentialsRefused(
                msg("The cluster refuses {method} {path}: {why}", method=method, path=path, why=why),
                state=nothing,
                next_command=command,
            )
        if budgets := budgets_of(response):
            raise Budgeted(
                msg("{why} {budgets}", why=why, budgets=budgets),
                state=nothing,
                next_command=self.kubectl("get", "poddisruptionbudgets"),
            )
        raise NotPossible(
            msg("The cluster refuses {method} {path}: {status} {why}", method=method, path=path, status=status, why=why),
            state=nothing,
            next_command="backout doctor",
        )  # fmt: skip

    def _unreachable(self, why: str) -> TargetUnreachable:
        return TargetUnreachable(
            msg("The API server {server} does not answer: {why}", server=self.config.server, why=why),
            state=msg("What the cluster did is not known until it answers again."),
            next_command=self.kubectl("get", "pods"),
        )

    def _path(self, kind: str, name: str | None = None) -> str:
        base = f"{PATHS[kind]}/namespaces/{self.namespace}/{plural(kind)}"
        return base if name is None else f"{base}/{name}"

    def _json(self, response: httpx2.Response) -> Object:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._unreachable("its answer is not JSON: something else stands in front of it")
        return answer


_MANAGED = {"fieldManager": FIELD_MANAGER}


class _Missing(NotPossible):
    """There is no such object."""
