"""Runs a user's migration command behind the proxy as it is, and journals what backout would have said of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from backout.databases.postgres.reversible import journal
from backout.databases.postgres.reversible.alone import alone
from backout.databases.postgres.reversible.command import USUAL, Launch, Ran, environment, in_transaction
from backout.databases.postgres.reversible.effects.base import Operation
from backout.databases.postgres.reversible.journal import Entry
from backout.databases.postgres.reversible.link import DirectLink, scalar
from backout.databases.postgres.reversible.observer import Observed, Observer
from backout.databases.postgres.reversible.past import Stands, history_moved, schema_moved
from backout.databases.postgres.reversible.proxy.keeper import NOT_COMMITTED, Veto
from backout.databases.postgres.reversible.proxy.server import Proxy
from backout.databases.postgres.reversible.proxy.upstream import Upstream
from backout.databases.postgres.reversible.words import sentence
from backout.migration import WouldRefuse

_KEPT = "observed.kept"


def observe_command(
    link: DirectLink,
    upstream: Upstream,
    argv: Sequence[str],
    *,
    told: str,
    release: str | None,
    answers: Mapping[str, str],
    variables: Sequence[str] = (),
    accept: Collection[str] = (),
    launch: Launch = USUAL,
) -> Ran:
    """Run a command behind the proxy, where nothing is rewritten or refused; arguments and errors as of `run_command`."""
    alone(link)
    in_transaction(link, journal.install)
    began_at = scalar(link, "SELECT pg_catalog.clock_timestamp()::text") or ""
    before, observed = Stands.now(link), Observed(dict(answers), accept=accept)
    try:
        with Proxy(upstream, lambda: Observer(observed)) as proxy:
            status = launch.run(argv, environment(proxy, variables))
    finally:
        # Also after an interrupt: what it had committed before must not be missing in the journal.
        seen = _seen(observed)
        number = (
            in_transaction(link, lambda one: journal.observe(one, release, told, began_at, seen))
            if seen
            else None
        )
    after = Stands.now(link)
    unseen = schema_moved(before, after, observed.meanwhile) or (
        not seen and history_moved(before, after, ())
    )
    found = [f"{type(bug).__name__}: {bug}" for bug in proxy.failures]
    entries = [Entry(0, number or 0, 0, kind, told_, "observed") for kind, told_ in seen if kind == _KEPT]
    refused = tuple(map(_would_refuse, observed.refused))
    return Ran(number, status, proxy.connections, entries, unseen, found, refused=refused)


def _seen(observed: Observed) -> list[tuple[str, Operation]]:
    """Return what is journalled of it: texts alone, as no way back is built of them."""
    kept = [(_KEPT, {"called": sentence(Entry(0, 0, 0, *one, "observed"))}) for one in observed.kept]
    told = map(_would_refuse, observed.refused)
    return kept + [
        ("observed.refused", {"called": one.what, "why": one.why, "answer": one.answer}) for one in told
    ]


def _would_refuse(veto: Veto) -> WouldRefuse:
    why = veto.detail.replace(NOT_COMMITTED, "").strip()
    return WouldRefuse(what=veto.message, why=why, answer=veto.hint or None)
