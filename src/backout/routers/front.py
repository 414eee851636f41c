"""The demo's front port as a router: held and released over its admin port."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from backout.document import Json, canonical_json
from backout.errors import BackoutError, NotPossible, StepFailed, TargetUnreachable
from backout.faults import fault_point
from backout.fields import HttpUrl, Seconds
from backout.message import Message, msg
from backout.observed import Answer, HoldFact
from backout.platforms.base import Detection, Diagnosis, Site
from backout.trust import authorities

_HOLDING = ("queue", "maintenance")
_MODES = ("pass", *_HOLDING)


class FrontOptions(BaseModel):
    """Options of the router `front`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin: HttpUrl = Field(
        pattern=r"^https?://[^/]+$", description="URL of the admin port, e.g. http://127.0.0.1:8081."
    )
    drain_timeout_s: Seconds = Field(
        default=30, gt=0, le=600, description="Seconds to wait for requests that are inside the service."
    )


class FrontRouter:
    """The front port, bound to its admin port; see `backout.routers.base.Router`."""

    kind: ClassVar[str] = "front"
    Options: ClassVar[type[BaseModel]] = FrontOptions

    def __init__(self, options: FrontOptions) -> None:
        self._options = options
        self._admin = options.admin

    @classmethod
    def create(cls, options: BaseModel, site: Site) -> FrontRouter:
        """Bind the router; touches nothing."""
        return cls(FrontOptions.model_validate(options.model_dump()))

    @classmethod
    def detect(cls, directory: Path) -> Detection | None:
        """Return None: only the demo has this router, and it writes its own configuration."""
        return None

    @property
    def name(self) -> str:
        """`router`."""
        return "router"

    def observe(self, deadline_s: float) -> HoldFact:
        """Return whether it holds now; unknown when the admin port does not say so clearly.

        It holds when no request is inside the service any more; a hold that is still draining is watched
        until the deadline, and is unknown past it.
        """
        deadline = time.monotonic() + deadline_s
        while True:
            try:
                state = self._state(max(0.05, deadline - time.monotonic()))
            except BackoutError:
                return HoldFact(name=self.name, modes=_HOLDING, held=Answer.UNKNOWN)
            mode = state["mode"]
            if mode not in _HOLDING:
                return HoldFact(name=self.name, modes=_HOLDING, held=Answer.NO, prior={"mode": mode})
            drained, late = state["in_flight"] == 0, time.monotonic() >= deadline
            if drained or late:
                held = Answer.YES if drained else Answer.UNKNOWN
                return HoldFact(name=self.name, modes=_HOLDING, held=held, mode=mode, prior={"mode": mode})
            time.sleep(0.02)

    def hold(self, mode: str) -> None:
        """Hold requests; returns when none is left inside the service.

        Idempotent: holding by the same mode again only waits for the same end.

        Raises:
            NotPossible: The router has no such mode.
            TargetUnreachable: The admin port did not answer.
            StepFailed: Requests are still inside the service after `drain_timeout_s`; the mode is in force.
        """
        if mode not in _HOLDING:
            raise self._error(NotPossible, msg("The router front cannot hold by {mode}.", mode=mode))
        fault_point("router.hold.before")
        self._set(mode, "held by backout")
        fault_point("router.hold.after")

    def release(self, prior: dict[str, Json]) -> None:
        """Put the prior mode back; empty: let through. Idempotent: it is absolute.

        Raises:
            NotPossible: `prior` names no mode.
            TargetUnreachable: The admin port did not answer.
        """
        mode = prior.get("mode") if prior else "pass"
        if not isinstance(mode, str) or mode not in _MODES:
            raise self._error(NotPossible, msg("It is not known which mode the router front was in before."))
        fault_point("router.release.before")
        self._set(mode, "released by backout")
        fault_point("router.release.after")

    def by_hand(self, mode: str | None, prior: dict[str, Json]) -> tuple[str, ...]:
        """Return the curl commands that hold by `mode`, or (None) put `prior` back."""
        body = canonical_json({"mode": mode or prior.get("mode", "pass"), "reason": "by hand"})
        return (
            f"curl -fsS -X PUT {self._admin}/mode -H 'Content-Type: application/json' -d '{body}'",
            self._look,
        )

    def doctor(self) -> Iterable[Diagnosis]:
        """Ask the admin port for its state."""
        try:
            state = self._state(2.0)
        except BackoutError as error:
            yield Diagnosis(subject="router front", ok=False, evidence=error.what, remedy=self._look)
            return
        evidence = msg("The admin port answers; the mode is {mode}.", mode=str(state["mode"]))
        yield Diagnosis(subject="router front", ok=True, evidence=evidence)

    @property
    def _look(self) -> str:
        return f"curl -fsS {self._admin}/state"

    def _state(self, timeout_s: float) -> dict[str, Any]:
        status, state = self._ask("GET", "/state", None, timeout_s)
        if status != 200 or state.get("mode") not in _MODES or "in_flight" not in state:
            what = msg("{admin} answers {status}, not as an admin port.", admin=self._admin, status=status)
            raise self._error(TargetUnreachable, what)
        return state

    def _set(self, mode: str, reason: str) -> None:
        drain_s = self._options.drain_timeout_s
        wanted = {"mode": mode, "reason": reason, "drain_s": drain_s}
        status, state = self._ask("PUT", "/mode", wanted, drain_s + 5)
        if status == 200 and state.get("mode") == mode:
            return
        why = str(state.get("error", "no reason given"))
        now = msg(
            "The router front is in mode {mode}, {inside} requests are inside the service, {waiting} wait.",
            mode=str(state.get("mode", "unknown")),
            inside=str(state.get("in_flight", "unknown")),
            waiting=str(state.get("waiting", "unknown")),
        )
        what = msg("The router front did not reach mode {mode}: {why}.", mode=mode, why=why)
        raise self._error(StepFailed, what, now)

    def _ask(self, method: str, path: str, body: object, timeout_s: float) -> tuple[int, dict[str, Any]]:
        import httpx2  # Lazy: costs more than the whole rest of this file.

        try:
            # The environment's proxy settings are for the internet, not for the admin port.
            with httpx2.Client(
                trust_env=False, timeout=timeout_s, verify=authorities(environment=False)
            ) as client:
                answer = client.request(method, self._admin + path, json=body)
                state = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            why = str(error) or type(error).__name__
            what = msg("The admin port {admin} did not answer: {why}.", admin=self._admin, why=why)
            raise self._error(TargetUnreachable, what) from error
        return answer.status_code, state if isinstance(state, dict) else {}

    def _error(self, kind: type[BackoutError], what: Message, state: Message | None = None) -> BackoutError:
        unsure = msg("Whether the router front holds requests now is not known.")
        return kind(what, state=state or unsure, next_command=self._look)
