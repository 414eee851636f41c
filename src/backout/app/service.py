"""The running service, for the step that waits until it reaches its database again."""

from __future__ import annotations

from backout.app.parts import Parts
from backout.databases.restores import Switchable
from backout.errors import StepFailed
from backout.message import msg
from backout.plan.base import Acting, Probed
from backout.plan.model import StepSpec
from backout.platforms.abilities import Restarts

_POLL_S = 0.05


class RunningService:
    """Asks the service whether it is ready, and restarts it by the platform's steps."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def reaches_database(self, deadline_s: float) -> bool | None:
        """Return whether the service itself, past any router that may hold, says that it is ready; None: none tells.

        One that was switched to another database and still has sessions in the old one does not.
        """
        platform = self._parts.platform
        ready = platform.ready(deadline_s) if isinstance(platform, Restarts) else None
        # Asked afterwards: saying that it is ready, it has opened a session.
        return False if self._left_behind(deadline_s) else ready

    def _left_behind(self, deadline_s: float) -> bool:
        database: object = self._parts.database
        if self._parts.switch is None or not isinstance(database, Switchable):
            return False
        return bool(database.left_behind(deadline_s))

    def carry_out(self, spec: StepSpec, acting: Acting) -> None:
        """Carry one step out to its end; raises what the step raises, and `StepFailed` at its deadline."""
        kind, clock = self._parts.kinds[spec.kind], acting.clock
        deadline_s = clock.monotonic_s() + spec.timeout_s
        while True:
            probe = kind.probe(spec, acting)
            if probe.answer is Probed.DONE:
                return
            if clock.monotonic_s() > deadline_s:
                raise StepFailed(
                    probe.evidence,
                    state=msg("The service was being restarted."),
                    next_command="backout resume",
                )
            if not probe.in_progress:
                kind.apply(spec, acting)
            clock.wait(_POLL_S)
