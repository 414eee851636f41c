"""`backout init`: look around and write a commented configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backout.cli.common import JsonOption, err, guarded, out, out_json


@guarded
def command(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Where to look.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace a backout.yaml that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look around and write a commented backout.yaml; never a secret in it.

    Example: backout init
    """
    from backout import Backout
    from backout.app.init import write_init

    found = Backout.init(directory)
    path = write_init(found, force=force)
    if as_json:
        evidence = [str(line) for line in found.evidence]
        out_json({"path": str(path), "evidence": evidence, "missing": list(found.missing)})
        return
    for line in found.evidence:
        err(f"  {line}")
    out(f"wrote {path}")
    if found.missing:
        out(f"next   fill in {', '.join(found.missing)}; then: backout doctor")
    else:
        out("next   look it over, then: backout doctor")
