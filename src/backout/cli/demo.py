"""`backout demo`: the main job on embedded defaults."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from backout.cli.common import JsonOption, guarded, leave


class DemoScenario(StrEnum):
    """How far back the demo goes."""

    CODE = "code"
    SCHEMA = "schema"
    DATA = "data"
    FULL = "full"


@guarded
def command(
    scenario: Annotated[
        DemoScenario,
        typer.Option("--scenario", help="What goes back: the code, the schema with it, the data, or all."),
    ] = DemoScenario.CODE,
    as_json: JsonOption = False,
) -> None:
    """Watch a broken release being taken back, with clients that never stop.

    Needs nothing: starts its own PostgreSQL, service and front port, and ends them.

    Example: backout demo --scenario full
    """
    from backout.demo.show import show
    from backout.plan.model import Scenario

    leave(show(as_json=as_json, scenario=Scenario(scenario.value)))
