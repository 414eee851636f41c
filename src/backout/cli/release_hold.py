"""`backout release-hold`: let go, exactly as it was before."""

from __future__ import annotations

from backout.cli.common import ConfigOption, JsonOption, ReasonOption, guarded, open_backout
from backout.cli.outcome import say_apart, show_outcome
from backout.cli.progress import Progress, stop_safely


@guarded
def command(reason: ReasonOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let requests and writes through again, exactly as before the hold.

    Example: backout release-hold
    """
    from backout.app.run import Conduct

    with open_backout(config) as backout:
        conduct = Conduct(reason=reason, watch=Progress(dict(backout.parts.kinds)), interrupt=stop_safely())
        try:
            run = backout.release_hold(conduct)
        finally:
            say_apart(backout.parts)
    show_outcome(run, as_json=as_json)
