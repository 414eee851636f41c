"""`backout demo`: the main job on embedded defaults."""

from __future__ import annotations

from backout.cli.common import JsonOption, guarded, leave


@guarded
def command(as_json: JsonOption = False) -> None:
    """Watch a broken release being taken back, with clients that never stop.

    Needs nothing: starts its own PostgreSQL, service and front port, and ends them.

    Example: backout demo
    """
    from backout.demo.show import show

    leave(show(as_json=as_json))
