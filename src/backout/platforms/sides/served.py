"""What a side says of itself, asked past the router."""

from __future__ import annotations

import json

from backout.errors import TargetUnreachable
from backout.message import msg
from backout.platforms.sides.options import SideOptions
from backout.trust import authorities

_LONGEST = 200


def prepare() -> None:
    """Have what asking needs read once, before several ask at the same time. Idempotent."""
    authorities(environment=False)


def version_of(name: str, side: SideOptions, timeout_s: float) -> str:
    """Return the version that a side says it runs.

    Raises:
        TargetUnreachable: It does not answer, or not with a version.
    """
    status, body = _got(name, side.version_url, timeout_s)
    found = _version_in(body) if 200 <= status < 300 else None
    if found is None:
        raise TargetUnreachable(
            msg(
                "Side {side} tells no version: {url} answers {status}.",
                side=name,
                url=side.version_url,
                status=status,
            ),
            state=msg("Nothing was changed."),
            next_command=f"curl -isS {side.version_url}",
        )
    return found


def not_ready(name: str, side: SideOptions, timeout_s: float) -> str | None:
    """Return why a side cannot take requests; None: it says that it can."""
    try:
        status, _ = _got(name, side.ready_url or side.version_url, timeout_s)
    except TargetUnreachable as error:
        return str(error.what)
    return None if 200 <= status < 300 else f"{side.ready_url or side.version_url} answers {status}"


def _version_in(body: str) -> str | None:
    """Return it from text of one line, or from a JSON object or string."""
    text = body.strip()
    try:
        told = json.loads(text)
    except ValueError:
        told = text
    if isinstance(told, dict):
        told = told.get("version")
    if isinstance(told, int | float) and not isinstance(told, bool):
        told = text  # A bare number: as it stands there, 1.10 is no 1.1.
    if not isinstance(told, str) or not told or len(told) > _LONGEST or not told.isprintable():
        return None
    return told


def _got(name: str, url: str, timeout_s: float) -> tuple[int, str]:
    import httpx2

    try:
        answer = httpx2.get(url, timeout=timeout_s, trust_env=False, verify=authorities(environment=False))
        return answer.status_code, answer.text
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        raise TargetUnreachable(
            msg(
                "Side {side} does not answer at {url}: {why}.",
                side=name,
                url=url,
                why=str(error) or type(error).__name__,
            ),
            state=msg("Nothing was changed."),
            next_command=f"curl -isS {url}",
        ) from error
