"""Asking a person before anything is changed."""

from __future__ import annotations

import sys

from backout.errors import Interrupted, NeedsApproval
from backout.message import Message, msg


def confirm(question: Message, *, word: str | None, yes: bool, command: str) -> None:
    """Ask, and return if the answer is right.

    Args:
        question: What is about to happen.
        word: What has to be typed; None: y or yes.
        yes: Whether the answer was given on the command line.
        command: The command to type where nobody can be asked.

    Raises:
        NeedsApproval: The answer was no, or nobody can be asked.
        Interrupted: Ctrl-C instead of an answer.
    """
    if yes:
        return
    state = msg("Nothing was changed.")
    if not sys.stdin.isatty():
        raise NeedsApproval(
            msg("Nobody can be asked here: {question}", question=str(question)),
            state=state,
            next_command=f"{command} --yes",
        )
    wanted = msg("Type {word} to go on: ", word=word) if word else msg("Go on? [y/N] ")
    answer = _ask(f"{str(question).rstrip('.')}. {wanted}", command)
    if answer != word if word else answer.lower() not in ("y", "yes"):
        raise NeedsApproval(msg("Not confirmed."), state=state, next_command=command)


def ask_reason(reason: str | None, *, command: str) -> str:
    """Return the reason, asking for it if it is missing.

    Raises:
        NeedsApproval: None was given and nobody can be asked.
    """
    if reason:
        return reason
    if sys.stdin.isatty():
        answer = _ask("Why? (for the journal) ", command)
        if answer:
            return answer
    raise NeedsApproval(
        msg("A reason is needed."),
        state=msg("Nothing was changed."),
        next_command=f"{command} --reason 'what happened'",
    )


def _ask(question: str, command: str) -> str:
    """Return what a person types.

    Raises:
        Interrupted: Ctrl-C instead of an answer.
    """
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise Interrupted(
            msg("Interrupted before it began."), state=msg("Nothing was changed."), next_command=command
        ) from None
