"""What proves that a release serves well. A plain table: a kind of check is one file and one line here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from backout.checks.base import Check
from backout.checks.command import CommandCheck, CommandOptions
from backout.checks.http import HttpCheck, HttpOptions
from backout.checks.probes import ProbesCheck, ProbesOptions
from backout.checks.prometheus import PrometheusCheck, PrometheusOptions
from backout.checks.sql import SqlCheck, SqlOptions
from backout.platforms.base import Site

CheckOptions = Annotated[
    HttpOptions | ProbesOptions | CommandOptions | SqlOptions | PrometheusOptions, Field(discriminator="kind")
]


def make_check(options: CheckOptions, site: Site) -> Check:
    """Return the check that these options declare; touches nothing, tells its secrets to the redactor."""
    match options:
        case HttpOptions():
            site.redactor.add(*(value.get_secret_value() for value in options.headers.values()))
            return HttpCheck(options)
        case PrometheusOptions():
            site.redactor.add(*(value.get_secret_value() for value in options.headers.values()))
            return PrometheusCheck(options)
        case ProbesOptions():
            return ProbesCheck(options)
        case CommandOptions():
            return CommandCheck(options, site.directory, site.environ)
        case SqlOptions():
            return SqlCheck(options)
