"""`backout verify`: prove what runs now."""

from __future__ import annotations

from backout.cli.common import ConfigOption, JsonOption, guarded, leave, open_backout, out_json
from backout.errors import ExitCode


@guarded
def command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Run every check on what runs now; goes on where a proof was inconclusive.

    Example: backout verify
    """
    from backout.checks.base import Outcome

    with open_backout(config) as backout:
        found = backout.verify()
    if as_json:
        out_json(found)
    else:
        from backout.cli.screen import show_results

        show_results(found.results)
    if found.outcome is not Outcome.PASS:
        leave(ExitCode.PROOF_FAILED if found.outcome is Outcome.FAIL else ExitCode.INCONCLUSIVE)
