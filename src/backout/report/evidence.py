"""The part of a report that says what was saved of the bad release."""

from __future__ import annotations

from backout.execute.run import Run
from backout.report.markup import block, code, escape, say, table


def evidence_section(run: Run) -> list[str]:
    """Return what was saved, with the last lines of each log; nothing where the plan saves none."""
    found = [
        progress.receipt.data
        for progress in run.steps
        if run.plan.step(progress.key).spec.kind == "evidence.save" and progress.receipt is not None
    ]
    if not found:
        return []
    files, unsaved = found[-1].get("files"), found[-1].get("unsaved")
    pieces = {n: f for n, f in files.items() if isinstance(f, dict)} if isinstance(files, dict) else {}
    rows = [[escape(name), str(f.get("bytes")), code(str(f.get("file")))] for name, f in pieces.items()]
    lines = [f"## {say('Evidence')}", ""]
    lines += table([say("What"), say("Bytes"), say("Saved as")], rows) if rows else [say("None."), ""]
    for name, piece in pieces.items():
        if name.endswith(" log"):
            lines += [say("Last lines of {name}:", name=name), "", *block([str(piece.get("tail"))])]
    for text in unsaved if isinstance(unsaved, list) else ():
        lines += [say("Not saved: {what}", what=str(text)), ""]
    return lines
