"""`backout hold`: stop the harm at once."""

from __future__ import annotations

from backout.cli.common import ConfigOption, JsonOption, ReasonOption, YesOption, guarded, open_backout
from backout.cli.confirm import confirm
from backout.cli.outcome import say_apart, show_outcome
from backout.cli.progress import Progress, stop_safely
from backout.message import msg


@guarded
def command(
    reason: ReasonOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop the service at once by every means configured, and prove that no write arrives.

    Example: backout hold --reason "orders are charged twice"
    """
    from backout.app.run import Conduct

    with open_backout(config) as backout:
        parts = backout.parts
        names = ", ".join(m.name for m in parts.holds) or "nothing configured"
        question = msg(
            "{service} in {environment} stops: requests are kept away, writes are refused ({names})",
            service=parts.site.service,
            environment=parts.site.environment,
            names=names,
        )
        confirm(question, word=None, yes=yes, command="backout hold")
        conduct = Conduct(reason=reason, watch=Progress(dict(parts.kinds)), interrupt=stop_safely())
        try:
            run = backout.hold(conduct)
        finally:
            say_apart(parts)
    show_outcome(run, as_json=as_json)
