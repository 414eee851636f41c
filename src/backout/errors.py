"""Exit codes and errors: every error says what failed, what state things are in now, and what to type next.

The tree is split by what the caller can do about it, one base class for each exit code; a subclass
names one fact. ``docs/reference/errors.md`` is tested against this file.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from backout.message import Message


class ExitCode(IntEnum):
    """What the process tells the shell; part of the API (docs/reference/exit-codes.md)."""

    DONE = 0
    """Done and proven; also: the target is current and proven, nothing to do."""
    BUG = 1
    """A bug in backout."""
    USAGE = 2
    """Usage, configuration, or unknown version."""
    NOT_POSSIBLE = 3
    """Not possible now: something a rollback needs does not work."""
    NEEDS_APPROVAL = 4
    """Needs an approval or a named acceptance."""
    STOPPED = 5
    """Stopped safely; resumable."""
    PROOF_FAILED = 6
    """Done, but the proof failed."""
    OUTCOME_UNKNOWN = 7
    """Outcome unknown, or the journal was tampered with: a human must look."""
    REFUSED = 8
    """Refused: would lose data, or is not reversible."""
    INCONCLUSIVE = 9
    """Done, proof inconclusive: more requests or seconds are needed."""
    INTERRUPTED = 130
    """Interrupted; resumable."""


class BackoutError(Exception):
    """Base of every error a user can meet.

    Args:
        what: What failed, naming the subject.
        state: The state things are in now.
        next_command: The next command to type.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(self, what: Message, *, state: Message, next_command: str) -> None:
        super().__init__(str(what))
        self.what = what
        self.state = state
        self.next_command = next_command

    @property
    def code(self) -> str:
        """The stable kebab-case name of this kind of error."""
        name = type(self).__name__
        return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


# --- 2: usage -----------------------------------------------------------------------------------


class UsageError(BackoutError):
    """The command, the configuration or a name in it is wrong; nothing was touched."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """The configuration cannot be used; the line, the key and what was expected are named."""


class UnknownVersion(UsageError):
    """No release of that version is known; near ones are suggested."""


class UnknownRun(UsageError):
    """No run of that name is in the journal."""


class UnknownBackup(UsageError):
    """There is no backup of that name; near ones are suggested."""


# --- 3: not possible now ------------------------------------------------------------------------


class NotPossible(BackoutError):
    """Something that a rollback needs does not work now; nothing was changed."""

    exit_code = ExitCode.NOT_POSSIBLE


class TargetUnreachable(NotPossible):
    """The platform, router or database did not answer."""


class CredentialsRefused(NotPossible):
    """The credentials were refused: expired, revoked or wrong."""


class StoreUnreadable(NotPossible):
    """The state file is corrupt, or cannot be opened."""


class StoreTooNew(NotPossible):
    """The state file was written by a newer backout."""


class RunInProgress(NotPossible):
    """Another run acts on this environment."""


class NothingToGoBackTo(NotPossible):
    """There is no earlier release that the platform can still run."""


class NoBackup(NotPossible):
    """No backup fits: the wanted time, the wanted schema, or whole at all; each that was passed over has its reason."""


class BackupUnusable(NotPossible):
    """A backup cannot be restored: damaged, incomplete, of something else, or it would leave the new database."""


class CannotAssess(NotPossible):
    """What has to be known before a plan can be made could not be observed."""


# --- 4: needs approval --------------------------------------------------------------------------


class NeedsApproval(BackoutError):
    """A person has to decide first: the missing acceptance or approval is named."""

    exit_code = ExitCode.NEEDS_APPROVAL


class NeedsAcceptance(NeedsApproval):
    """A risk has to be accepted by name (`--accept NAME`)."""


class LossAboveCeiling(NeedsApproval):
    """More rows would be left behind than was approved."""


class PlanExpired(NeedsApproval):
    """The plan is older than its expiry; a new one has to be made and looked at."""


# --- 5: stopped safely --------------------------------------------------------------------------


class Stopped(BackoutError):
    """The run stopped between steps; nothing is half done that `resume` would not finish."""

    exit_code = ExitCode.STOPPED


class StepFailed(Stopped):
    """A step did not reach its end in time or was refused by its target."""


class LostRace(Stopped):
    """Somebody else changed the target meanwhile; nothing was overwritten."""


class LeaseLost(Stopped):
    """Another operator took this environment over; this process stopped acting."""


class StoreFull(Stopped):
    """The journal could not be written (disk full, file gone read-only); nothing more was done."""


# --- 6, 7, 8, 9, 130 ----------------------------------------------------------------------------


class ProofFailed(BackoutError):
    """The release was taken back, but a check says that it does not work."""

    exit_code = ExitCode.PROOF_FAILED


class OutcomeUnknown(BackoutError):
    """What a step did cannot be told; a human must look."""

    exit_code = ExitCode.OUTCOME_UNKNOWN


class JournalTampered(OutcomeUnknown):
    """An event of the journal was changed, removed or put in."""


class Refused(BackoutError):
    """Would lose data, or cannot be taken back."""

    exit_code = ExitCode.REFUSED


class Quarantined(Refused):
    """The release was backed out before; it is refused unless it is named on purpose."""


class Inconclusive(BackoutError):
    """Done, and nothing speaks against it, but the proof needs more evidence."""

    exit_code = ExitCode.INCONCLUSIVE


class Interrupted(BackoutError):
    """A person stopped the run; `resume` goes on."""

    exit_code = ExitCode.INTERRUPTED
