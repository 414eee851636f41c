"""`backout doctor`: does what a rollback would need work now?"""

from __future__ import annotations

from backout.cli.common import ConfigOption, JsonOption, guarded, leave, open_backout, out, out_json
from backout.errors import ExitCode

_MARKS = {True: "ok  ", False: "FAIL", None: "?   "}


@guarded
def command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check that what a rollback would need works now; touches nothing.

    Example: backout doctor
    """
    with open_backout(config, look_only=True) as backout:
        found = backout.doctor()
    if as_json:
        out_json(found)
    else:
        for line in found.lines:
            out(f"{_MARKS[line.ok]}  {line.subject}: {line.evidence}")
            if line.remedy and not line.ok:
                out(f"        → {line.remedy}")
    if not found.healthy:
        leave(ExitCode.NOT_POSSIBLE)
