"""The JSON part of scripts/docs-reference: what each verb prints with --json."""

from __future__ import annotations

from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERBS = {
    "backout": "overview", "backout init": "init", "backout doctor": "doctor", "backout record": "record",
    "backout releases": "releases", "backout plan": "plan", "backout run": "run", "backout status": "run",
    "backout resume": "run", "backout abort": "run", "backout hold": "run", "backout release-hold": "run",
    "backout verify": "verify", "backout watch": "watched", "backout history": "history", "backout report": "run", "backout demo": "demo",
    "backout backup create": "backup", "backout backup list": "backups", "backout backup verify": "reading",
    "backout backup restore": "restored", "backout backup drop": "beside",
    "backout canary start": "run", "backout canary next": "run", "backout canary pause": "canary", "backout canary retire": "run",
    "backout canary stop": "canary_stopped", "backout canary status": "canary_status",
    "backout data diff": "differences", "backout data bring": "brought",
    "backout check": "proof", "backout migrate": "migrated", "backout db history": "migrations", "backout db rollback": "way", "backout db redo": "way",
    "backout db status": "standing", "backout db blockers": "blockers",
    "backout db finish": "finished",
    "backout db finalize": "finalized", "backout db uninstall": "uninstalled",
    "backout db down-sql": "down_file", "backout db run-down": "down_run",
}  # fmt: skip


def json_page(made: str) -> str:
    """Return the page that says what each verb prints with --json."""
    lines = ["# JSON output", "", made]
    lines += [
        "Every verb takes `--json` and prints one document on standard output. Its schema (draft 2020-12):",
        "",
        "| verb | schema |",
        "| --- | --- |",
    ]
    lines += [f"| `{verb}` | [{name}](json/{name}.schema.json) |" for verb, name in VERBS.items()]
    lines += [
        "",
        "Of a whole history `backout check --all` prints [history_proof](json/history_proof.schema.json).",
        "Of several tables `backout data bring` prints [brought_tables](json/brought_tables.schema.json).",
        "",
        "Sentences are `{template, fields}`: fill the fields into the template (`str.format`), or translate the template.",
        "Times are UTC, ISO 8601. Digests are `sha256:…`. New fields may come; known ones keep their meaning.",
        "",
        "## Errors",
        "",
        'A command that fails prints `{"error": {code, exit_code, what, state, next_command}}`',
        "([schema](json/error.schema.json)); `code` is one of the [errors](errors.md). Usage mistakes that the",
        "command line itself finds (an unknown option) are plain text on standard error, exit 2.",
        "",
    ]
    return "\n".join(lines)


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of every document, by its name."""
    from backout.app.canary_stop import CanaryStopped
    from backout.app.data import BroughtTables, DataDifferences
    from backout.app.doctor import Diagnoses
    from backout.app.history import History
    from backout.app.plan import PlanFile
    from backout.app.prepare import Restored
    from backout.app.record import Recorded
    from backout.app.releases import Releases
    from backout.app.watch import Seen
    from backout.backup import Backup, BesideDatabase, Brought, Reading
    from backout.canary import Canary
    from backout.checks.base import Verification
    from backout.execute.run import Run
    from backout.migration import Finalized, Finished, Migrated, MigrationHistory, Uninstalled, WayTaken
    from backout.migration_down import DownFile, DownRun
    from backout.migration_proof import HistoryProof, MigrationProof
    from backout.migration_status import Blockers, MigrationStatus
    from backout.report.backups import Backups
    from backout.report.canary import CanaryStatus
    from backout.report.overview import Overview

    models = {"overview": Overview, "doctor": Diagnoses, "record": Recorded, "releases": Releases,
              "plan": PlanFile, "run": Run, "verify": Verification, "watched": Seen, "history": History,
              "backup": Backup, "backups": Backups, "reading": Reading, "restored": Restored, "beside": BesideDatabase,
              "canary": Canary, "canary_stopped": CanaryStopped, "canary_status": CanaryStatus,
              "differences": DataDifferences, "brought": Brought,
              "brought_tables": BroughtTables,
              "migrated": Migrated, "migrations": MigrationHistory, "way": WayTaken,
              "standing": MigrationStatus, "blockers": Blockers, "finalized": Finalized, "uninstalled": Uninstalled,
              "down_file": DownFile, "down_run": DownRun,
              "finished": Finished, "proof": MigrationProof, "history_proof": HistoryProof}  # fmt: skip
    made = {name: model.model_json_schema(mode="serialization") for name, model in models.items()}
    return {name: {"$schema": DIALECT, **schema} for name, schema in (made | by_hand()).items()}


def by_hand() -> dict[str, dict[str, Any]]:
    """Return the schemas of documents that no model stands for; tests/docs holds real output against them."""
    text, number, whole = {"type": "string"}, {"type": "number"}, {"type": "integer"}
    texts = {"type": "array", "items": text}
    fields = {"code": text, "exit_code": whole, "what": text, "state": text, "next_command": text}
    counts = {"type": "object", "additionalProperties": whole}
    bad = _object(version=text, seconds=number, requests_sent=whole, errors=whole)
    back = _object(
        seconds=number, requests_sent=whole, requests_failed=whole, failures={}, errors_of_the_bad_release=whole,
        longest_request_seconds=number, rows_acknowledged=whole, rows_lost=whole,
    )  # fmt: skip
    after = _object(requests_sent=whole, requests_failed=whole, answered_by=counts)
    return {
        "init": _object(path=text, evidence=texts),
        "error": _object(error=_object(**fields)),
        "demo": _object(
            exit_code_of_run=whole, bad_release=bad, way_back=back, afterwards=after, reports=texts,
            holds={"type": "boolean"}, broken=texts,
        ),
    }  # fmt: skip


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}
