"""Generic steps, by name; an adapter's own steps live in its folder."""

from __future__ import annotations

from backout.plan.base import StepKind
from backout.steps.automation import Pause, Resume
from backout.steps.canary import CanaryNote
from backout.steps.evidence import SaveEvidence
from backout.steps.guard import Guard
from backout.steps.hold import Hold, ReleaseHold
from backout.steps.migrations import Finish, MakeAgain, TakeBack
from backout.steps.migrations_prepared import Prepare, Unprepare
from backout.steps.no_writes import NoWrites
from backout.steps.own_restore import RestoreByScript
from backout.steps.quarantine import Quarantine, Unquarantine
from backout.steps.reconnect import Reconnect
from backout.steps.restore import CheckRestored, DropBeside, ReadBackup, RestoreBeside
from backout.steps.rows import CountLive
from backout.steps.safety import SafetyBackup
from backout.steps.swap import CompareData, CountRows, SwapData
from backout.steps.switch import SwitchData
from backout.steps.tables import CheckTables, RestoreTables
from backout.steps.verify import Verify


def generic_step_kinds() -> dict[str, StepKind]:
    """Return the steps that need no adapter of their own, by name."""
    kinds: tuple[StepKind, ...] = (
        Guard(),
        SaveEvidence(),
        Hold(),
        ReleaseHold(),
        NoWrites(),
        Pause(),
        Resume(),
        CanaryNote(),
        Quarantine(),
        Unquarantine(),
        Verify(),
        ReadBackup(),
        RestoreBeside(),
        DropBeside(),
        CheckRestored(),
        CountRows(),
        SwapData(),
        SwitchData(),
        Reconnect(),
        CompareData(),
        SafetyBackup(),
        CountLive(),
        RestoreByScript(),
        CheckTables(),
        RestoreTables(),
        Prepare(),
        Unprepare(),
        TakeBack(),
        MakeAgain(),
        Finish(),
    )
    return {kind.kind: kind for kind in kinds}
