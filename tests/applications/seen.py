"""Everything that a server of MLflow tells, and everything that is in its tables."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from tests.applications.rest import Api, Json

_RUNS_AT_ONCE = 20
Told = dict[str, Any]
Rows = dict[str, Counter[str]]


def seen(api: Api) -> Told:
    """Return all that both releases' API tells: experiments, runs, every metric's history, models, versions, traces."""
    view = {"max_results": 1000, "view_type": "ALL"}
    experiments = _by(api.post("experiments/search", **view)["experiments"], "experiment_id")
    runs = api.post("runs/search", experiment_ids=[*experiments], run_view_type="ALL", max_results=1000)[
        "runs"
    ]
    models = api.get("registered-models/search?max_results=100").get("registered_models", [])
    versions = api.get("model-versions/search?max_results=1000").get("model_versions", [])
    asked = urlencode([("experiment_ids", one) for one in experiments] + [("max_results", "100")])
    traces = api.get(f"traces?{asked}")
    assert "next_page_token" not in traces, "ask for more pages"
    named = [api.get(f"registered-models/get?{urlencode({'name': one['name']})}") for one in models]
    return {
        "experiments": experiments,
        "runs": {one["info"]["run_id"]: one for one in _plain(runs)},
        "histories": _histories(api, runs),
        "models": _by([one["registered_model"] for one in named], "name"),
        "versions": {f"{one['name']} {one['version']}": one for one in _plain(versions)},
        "traces": _by(traces.get("traces", []), "request_id"),
    }


def _histories(api: Api, runs: list[Json]) -> Told:
    """Return every number that was logged, by metric and run."""
    told: dict[str, dict[str, list[str]]] = {}
    for key in sorted({metric["key"] for run in runs for metric in run["data"].get("metrics", [])}):
        those = [run["info"]["run_id"] for run in runs]
        found = told.setdefault(key, {})
        for number in range(0, len(those), _RUNS_AT_ONCE):
            asked = [("run_ids", one) for one in those[number : number + _RUNS_AT_ONCE]]
            query = urlencode([*asked, ("metric_key", key), ("max_results", "2500")])
            for one in api.get(f"metrics/get-history-bulk-interval?{query}").get("metrics", []):
                found.setdefault(one["run_id"], []).append(json.dumps(one, sort_keys=True))
    return {key: {run: sorted(values) for run, values in of.items()} for key, of in told.items()}


def _by(things: list[Json], name: str) -> Told:
    return {str(one[name]): one for one in _plain(things)}


def _plain(told: Any) -> Any:
    """Return it with its lists of keys as dictionaries, and other lists in an order of their own."""
    if isinstance(told, dict):
        return {key: _plain(value) for key, value in told.items()}
    if not isinstance(told, list):
        return told
    if told and all(isinstance(one, dict) and "key" in one for one in told):
        return {one["key"]: _plain({k: v for k, v in one.items() if k != "key"}) for one in told}
    return sorted(map(_plain, told), key=lambda one: json.dumps(one, sort_keys=True))


def lacking(earlier: Any, later: Any, at: str = "") -> list[str]:
    """Return where the second does not tell all that the first tells; it may tell more."""
    if isinstance(earlier, dict) and isinstance(later, dict):
        return [
            found
            for key, value in earlier.items()
            for found in (
                lacking(value, later[key], f"{at}/{key}")
                if key in later
                else [f"{at}/{key}: {value!r} is not told"]
            )
        ]
    return [] if earlier == later else [f"{at}: {str(earlier)[:200]!r}, later {str(later)[:200]!r}"]


def columns(url: str) -> dict[str, list[str]]:
    """Return an application's tables and their columns."""
    asked = (
        "SELECT table_name, array_agg(column_name::text ORDER BY column_name) FROM information_schema.columns"
        " WHERE table_schema = 'public' AND column_name NOT LIKE '\\_bo\\_%' GROUP BY 1"
    )
    with psycopg.connect(url) as connection:
        return dict(connection.execute(asked).fetchall())


def rows(url: str, wanted: dict[str, list[str]]) -> Rows:
    """Return how often each row is in each table, by the wanted columns, as JSON."""
    with psycopg.connect(url) as connection:
        return {
            table: Counter(as_row(found) for (found,) in connection.execute(_asked(table, names)))
            for table, names in wanted.items()
        }


def _asked(table: str, names: list[str]) -> sql.Composed:
    chosen = sql.SQL(", ").join(map(sql.Identifier, names))
    return sql.SQL("SELECT row_to_json(q) FROM (SELECT {} FROM {}) q").format(chosen, sql.Identifier(table))


def as_row(values: Json) -> str:
    return json.dumps(values, sort_keys=True)
