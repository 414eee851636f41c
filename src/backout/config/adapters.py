"""Finding adapters by name: entry points, looked up only when a section asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import Any, Protocol

from backout.errors import ConfigError
from backout.message import msg

PLATFORMS = "backout.platforms"
ROUTERS = "backout.routers"
DATABASES = "backout.databases"
BACKUPS = "backout.backups"

SECTION_GROUPS: Mapping[str, str] = {"platform": PLATFORMS, "router": ROUTERS, "database": DATABASES}
"""Sections of the configuration that name an adapter, and the entry points that it is looked up in."""


class Loadable(Protocol):
    """What an `EntryPoint` is to us."""

    def load(self) -> Any:
        """Import and return the adapter's class."""
        ...


Registry = Mapping[str, Mapping[str, Loadable]]
"""Adapters by group and kind; tests and third parties may hand in their own."""


class UnknownAdapter(LookupError):
    """No adapter of that kind is installed.

    Attributes:
        known: Kinds that are.
    """

    def __init__(self, kind: str, known: tuple[str, ...]) -> None:
        super().__init__(kind)
        self.known = known


def adapter_names(group: str, registry: Registry | None = None) -> tuple[str, ...]:
    """Return the kinds that are installed in a group, in alphabetical order."""
    return tuple(sorted(_installed(group) if registry is None else registry.get(group, {})))


def load_adapter(group: str, kind: str, registry: Registry | None = None) -> Any:
    """Import and return one adapter's class.

    Args:
        group: One of `PLATFORMS`, `ROUTERS`, `DATABASES`, `BACKUPS`.
        kind: The name in the configuration.
        registry: Where to look instead of the installed entry points.

    Raises:
        UnknownAdapter: Nothing of that kind is installed.
        ConfigError: It is installed, but cannot be imported.
    """
    found = (_own(group) if registry is None else registry.get(group, {})).get(kind)
    if found is None and registry is None:
        found = _installed(group).get(kind)
    if found is None:
        raise UnknownAdapter(kind, adapter_names(group, registry))
    try:
        return found.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            msg(
                "The adapter {kind} ({group}) is installed but cannot be loaded: {error}",
                kind=kind,
                group=group,
                error=str(error),
            ),
            state=msg("Nothing was touched."),
            next_command="backout doctor",
        ) from error


def _own(group: str) -> dict[str, EntryPoint]:
    """Return the adapters that backout ships: found without looking through every installed package."""
    try:
        return {e.name: e for e in distribution("backout").entry_points if e.group == group}
    except PackageNotFoundError:
        return {}


def _installed(group: str) -> dict[str, EntryPoint]:
    # Own adapters win: a package must not replace them by taking their name.
    return {e.name: e for e in entry_points(group=group)} | _own(group)
