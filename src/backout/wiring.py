"""Configuration → adapters → parts: the only place that joins things."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backout.app.emergency_places import journal_apart, left_behind
from backout.app.parts import Parts
from backout.assess.allowed import Allowed, Vouched
from backout.checks import secrets_of
from backout.clock import SystemClock
from backout.config.load import Loaded, find_config, load_config, load_for_requests
from backout.errors import BackoutError, ConfigError, UsageError
from backout.holds.command import CommandHold
from backout.message import msg
from backout.platforms.abilities import BringsHolds, StandsBehind
from backout.platforms.base import Site
from backout.redact import Redactor
from backout.signals.options import secrets_of as hidden_in

if TYPE_CHECKING:
    from backout.config.model import HoldSection, RestoreSection
    from backout.databases.base import Database
    from backout.holds.base import HoldMeans
    from backout.platforms.base import Platform
    from backout.restores.switch import OwnSwitch
    from backout.routers.base import Router


def from_config(
    path: str | Path | None, environ: Mapping[str, str] | None = None, *, look_only: bool = False
) -> Parts:
    """Return the parts that a configuration names; touches no target, and with `look_only` nothing at all.

    Raises:
        ConfigError: With every mistake in it.
    """
    environ = os.environ if environ is None else environ
    file = find_config(Path(path) if path is not None else None, environ, Path.cwd())
    parts = _parts(load_config(file, environ), environ)
    parts.look_only = look_only
    left = [] if look_only else list(left_behind(parts))
    if left:
        from backout.app.emergency import merge_emergencies

        with suppress(BackoutError):  # The state file cannot be used now: whoever needs it says so.
            merge_emergencies(parts, left)
    return parts


def for_requests(path: str | Path | None, environ: Mapping[str, str] | None = None) -> Parts:
    """Return parts that only look, from a configuration of which platform and router have to be right; touches no target.

    Raises:
        ConfigError: Platform or router cannot be told.
    """
    try:
        return from_config(path, environ, look_only=True)
    except ConfigError:
        environ = os.environ if environ is None else environ
        file = find_config(Path(path) if path is not None else None, environ, Path.cwd())
        parts = _parts(load_for_requests(file, environ), environ)
        parts.look_only = True
        return parts


def for_emergency(path: str | Path | None, root: str | Path | None) -> Parts:
    """Return parts that need nothing but the platform; a readable configuration adds router and checks.

    Raises:
        UsageError: No platform can be found without a configuration.
    """
    if root is None:
        try:
            file = find_config(Path(path) if path is not None else None, os.environ, Path.cwd())
            return _for_emergency(_parts(load_config(file, os.environ), os.environ))
        except (ConfigError, OSError):
            root = Path.cwd()
    return _for_emergency(_without_config(Path(root)))


def actor() -> str:
    """Return the operating system's user and host: unverified."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _parts(loaded: Loaded, environ: Mapping[str, str]) -> Parts:
    config = loaded.config
    site = Site(
        service=config.service,
        environment=config.environment,
        directory=loaded.path.parent,
        environ=environ,
        clock=SystemClock(),
        redactor=loaded.redactor,
        lock_budget_ms=config.migrations.lock_budget_ms,
    )
    platform = loaded.platform.adapter.create(loaded.platform.options, site)
    router = loaded.router.adapter.create(loaded.router.options, site) if loaded.router else None
    if isinstance(platform, StandsBehind):
        platform.behind(router)
    database = loaded.database.adapter.create(loaded.database.options, site) if loaded.database else None
    backups = loaded.backups.adapter.create(loaded.backups.options, site) if loaded.backups else None
    switch = _switch(config.restore, site, database)
    # The checks themselves are made when they are run; what they keep secret is cut out from now on.
    site.redactor.add(*(secret for options in config.checks for secret in secrets_of(options)))
    site.redactor.add(*(secret for options in config.guard.metrics for secret in hidden_in(options)))
    policy = config.policy
    return Parts(
        site=site,
        platform=platform,
        router=router,
        database=database,
        make_holds=partial(_holds, config.hold, site, platform, router, database),
        declared_checks=config.checks,
        allowed=Allowed(
            min_version=policy.min_version,
            vouched=tuple(Vouched(v.version, v.works_with_schema_of) for v in policy.compatible),
            unpacked_bytes=config.restore.unpacked_bytes,
            own_script=config.restore.command is not None,
            own_switch=config.restore.switch is not None,
        ),
        plan_expires_s=policy.plan_expires_s,
        state_directory=loaded.state_directory,
        actor=actor(),
        confirm=config.confirm,
        config_path=loaded.path,
        config_digest=loaded.digest,
        backups=backups,
        restore=config.restore,
        guard=config.guard,
        switch=switch,
        canary_steps=config.canary.steps,
    )


def _switch(section: RestoreSection, site: Site, database: object) -> OwnSwitch | None:
    """Return the declared switch; the database then is the one that its probe names, whatever the address says."""
    if section.switch is None:
        return None
    from backout.databases.restores import Switchable
    from backout.restores.switch import OwnSwitch

    if not isinstance(database, Switchable):
        raise ConfigError(
            msg(
                "restore.switch is declared, and the service cannot be switched to another database of this kind."
            ),
            state=msg("Nothing was touched."),
            next_command="backout doctor   # after taking restore.switch out of backout.yaml",
        )
    switch = OwnSwitch(section.switch, site)
    server = section.switch.server
    database.follow(switch.used, server.get_secret_value() if server is not None else None)
    return switch


def _holds(
    section: HoldSection, site: Site, platform: Platform, router: Router | None, database: Database | None
) -> tuple[HoldMeans, ...]:
    means: list[HoldMeans] = list(_without_more(platform, router))
    means += [CommandHold(options, site) for options in section.commands]
    if database is not None and section.database:
        means.append(database.hold_means())
    return tuple(means)


def _without_more(platform: Platform, router: Router | None) -> tuple[HoldMeans, ...]:
    """Return the means that need nothing but the router and the platform's API."""
    brought = platform.hold_means() if isinstance(platform, BringsHolds) else ()
    return ((router,) if router is not None else ()) + brought


def _for_emergency(parts: Parts) -> Parts:
    """Journal elsewhere, and leave out what an emergency must not depend on."""
    parts.emergency = True
    names = ["database"] if parts.database is not None else []
    kept = _without_more(parts.platform, parts.router)
    names += [means.name for means in parts.holds if means.name not in {k.name for k in kept}]
    parts.left_out = tuple(dict.fromkeys(names))
    parts.database = None
    parts.backups = None
    parts.holds = kept
    journal_apart(parts, msg("An emergency does without the state file."))
    return parts


def _without_config(root: Path) -> Parts:
    from backout.platforms.process import ProcessPlatform

    site = Site(
        service=root.resolve().name,
        environment="production",
        directory=root,
        environ=os.environ,
        clock=SystemClock(),
        redactor=Redactor(),
    )
    platform = ProcessPlatform.from_root(root, site)
    if platform is None:
        raise UsageError(
            msg("There is no configuration, and no releases/ with a current link in {root}.", root=str(root)),
            state=msg("Nothing was changed."),
            next_command="backout run --emergency --scenario code --root /path/to/the/service",
        )
    return Parts(
        site=platform.site,
        platform=platform,
        router=None,
        database=None,
        make_holds=tuple,
        declared_checks=(),
        allowed=Allowed(),
        plan_expires_s=1800.0,
        state_directory=root,
        actor=actor(),
    )
