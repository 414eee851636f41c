"""What proves that a release serves well. A plain table: a kind of check is one file, its options, one case here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backout.checks.options import (
    CheckOptions,
    CommandOptions,
    HttpOptions,
    ProbesOptions,
    PrometheusOptions,
    SqlOptions,
    secrets_of,
)

if TYPE_CHECKING:
    from backout.checks.base import Check
    from backout.platforms.base import Site

__all__ = ["CheckOptions", "make_check", "secrets_of"]


def make_check(options: CheckOptions, site: Site) -> Check:
    """Return the check that these options declare; touches nothing, tells its secrets to the redactor."""
    site.redactor.add(*secrets_of(options))
    match options:
        case HttpOptions():
            from backout.checks.http import HttpCheck

            return HttpCheck(options)
        case PrometheusOptions():
            from backout.checks.prometheus import PrometheusCheck

            return PrometheusCheck(options)
        case ProbesOptions():
            from backout.checks.probes import ProbesCheck

            return ProbesCheck(options)
        case CommandOptions():
            from backout.checks.command import CommandCheck

            return CommandCheck(options, site.directory, site.environ)
        case SqlOptions():
            from backout.checks.sql import SqlCheck

            return SqlCheck(options)
