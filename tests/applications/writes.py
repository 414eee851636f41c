"""What users of MLflow write: new things, and changes of what others wrote."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.applications.rest import Api, pairs


@dataclass
class Made:
    """What one server's users wrote.

    Attributes:
        who: Whose it is.
        experiment: One that has everything below.
        spare: Experiments that somebody may delete.
        runs: Runs; each who changes things deletes the last one.
        traces: Traces, likewise.
        model: What the registered model is called now.
        versions: Its versions, likewise.
    """

    who: str
    experiment: str
    spare: list[str]
    runs: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    model: str = ""
    versions: list[str] = field(default_factory=list)


def write(api: Api, who: str) -> Made:
    """Write some of everything that both releases have."""
    tags = pairs(owner=who, note="n" * 4900, empty="")
    experiment = api.post("experiments/create", name=f"{who} ✓", tags=tags)["experiment_id"]
    spare = [api.post("experiments/create", name=f"{who} spare {n}")["experiment_id"] for n in range(5)]
    made = Made(who, experiment, spare)
    api.post("experiments/delete", experiment_id=spare.pop())
    for number in range(6):
        made.runs.append(_run(api, made, number))
    api.post("runs/delete", run_id=made.runs.pop())
    _model(api, made)
    for number in range(5):
        made.traces.append(_trace(api, made, number))
    api.post("traces/delete-traces", experiment_id=experiment, request_ids=[made.traces.pop()])
    return made


def _run(api: Api, made: Made, number: int) -> str:
    started = api.post(
        "runs/create",
        experiment_id=made.experiment,
        run_name=f"{made.who} {number}",
        start_time=1_700_000_000_000 + number,
        tags=pairs(kind="training", mlflow__user=made.who),
    )
    run = str(started["run"]["info"]["run_id"])
    steps = [{"key": "loss", "value": 1 / (n + 3), "timestamp": n, "step": n} for n in range(8)]
    odd = [("nan", "NaN"), ("up", "Infinity"), ("down", "-Infinity"), ("zero", 0)]
    api.post(
        "runs/log-batch",
        run_id=run,
        metrics=steps + [{"key": key, "value": value, "timestamp": 1, "step": 0} for key, value in odd],
        params=pairs(rate=0.1, long="p" * 5900),
        tags=pairs(big="ü" * 4900, number=number),
    )
    api.post(
        "runs/log-inputs",
        run_id=run,
        datasets=[{"tags": pairs(context="train"), "dataset": _data(made, number)}],
    )
    api.post("runs/update", run_id=run, status="FINISHED", end_time=1_700_000_100_000)
    return run


def _data(made: Made, number: int) -> dict[str, str]:
    return {
        "name": f"data {number % 2}",
        "digest": made.who[:30],
        "source_type": "local",
        "source": "s" * 3000,
        "schema": '{"columns": []}',
        "profile": "{}",
    }


def _model(api: Api, made: Made) -> None:
    first = f"{made.who} model"
    api.post("registered-models/create", name=first, description="one", tags=pairs(task="text", stays="yes"))
    artifacts = api.get(f"runs/get?run_id={made.runs[0]}")["run"]["info"]["artifact_uri"]
    for number in range(5):
        version = api.post(
            "model-versions/create",
            name=first,
            source=f"{artifacts}/{number}",
            run_id=made.runs[0],
            description=f"version {number}",
            tags=pairs(number=number, long="v" * 4900),
        )
        made.versions.append(version["model_version"]["version"])
    api.post(
        "model-versions/transition-stage",
        name=first,
        version="2",
        stage="Production",
        archive_existing_versions=False,
    )
    for alias, version in (("best", "2"), ("next", "3"), ("old", "1")):
        api.post("registered-models/alias", name=first, alias=alias, version=version)
    api.delete("model-versions/delete", name=first, version=made.versions.pop())
    made.model = f"{made.who} model renamed"
    api.post("registered-models/rename", name=first, new_name=made.model)
    api.post("registered-models/create", name=f"{made.who} gone", tags=pairs(a="b"))
    api.delete("registered-models/delete", name=f"{made.who} gone")


def _trace(api: Api, made: Made, number: int) -> str:
    started = api.post(
        "traces",
        experiment_id=made.experiment,
        timestamp_ms=1_700_000_000_000 + number,
        request_metadata=pairs(
            mlflow__trace__session=f"{made.who} session",
            mlflow__trace__tokenUsage='{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}',
            ours="kept",
        ),
        tags=pairs(mlflow__traceName=f"{made.who} trace {number}", customer="c"),
    )
    trace = str(started["trace_info"]["request_id"])
    ended = {
        "timestamp_ms": 1_700_000_000_900,
        "status": "OK",
        "request_metadata": pairs(ended="yes"),
        "tags": [],
    }
    api.patch(f"traces/{trace}", **ended)
    return trace


def change(api: Api, made: Made, who: str) -> None:
    """Change and delete some of everything that somebody wrote; may be done several times."""
    api.post("experiments/update", experiment_id=made.experiment, new_name=f"{made.who} ✓ by {who}")
    api.post("experiments/set-experiment-tag", experiment_id=made.experiment, key="owner", value=who)
    api.post("experiments/delete", experiment_id=made.spare.pop())
    _change_runs(api, made, who)
    _change_model(api, made, who)
    trace, deleted = made.traces[0], made.traces.pop()
    api.patch(f"traces/{trace}/tags", key="customer", value=who)
    api.patch(f"traces/{trace}/tags", key=f"by {who}", value="new")
    api.post("traces/delete-traces", experiment_id=made.experiment, request_ids=[deleted])


def _change_runs(api: Api, made: Made, who: str) -> None:
    run, deleted = made.runs[0], made.runs.pop()
    api.post("runs/update", run_id=run, status="FAILED", run_name=f"renamed by {who}")
    api.post("runs/log-metric", run_id=run, key="loss", value=0.001, timestamp=99, step=99)
    api.post("runs/log-parameter", run_id=run, key=f"by {who}", value="1")
    api.post("runs/set-tag", run_id=run, key="kind", value=who)
    api.post("runs/set-tag", run_id=run, key=f"by {who}", value="x")
    api.post("runs/delete-tag", run_id=made.runs[1], key="number")
    api.post("runs/set-tag", run_id=made.runs[1], key="number", value=f"again {who}")
    api.post("runs/delete", run_id=deleted)
    api.post("runs/delete", run_id=made.runs[1])
    api.post("runs/restore", run_id=made.runs[1])


def _change_model(api: Api, made: Made, who: str) -> None:
    name, deleted = made.model, made.versions.pop()
    api.patch("registered-models/update", name=name, description=f"by {who}")
    api.post("registered-models/set-tag", name=name, key="task", value=who)
    api.delete("registered-models/delete-tag", name=name, key="task")
    api.post("registered-models/set-tag", name=name, key=f"by {who}", value="t")
    api.patch("model-versions/update", name=name, version="1", description=f"by {who}")
    api.post("model-versions/set-tag", name=name, version="1", key="number", value=who)
    api.delete("model-versions/delete-tag", name=name, version="1", key="number")
    api.post("model-versions/set-tag", name=name, version="1", key=f"by {who}", value="t")
    api.delete("model-versions/delete", name=name, version=deleted)
    api.post("registered-models/alias", name=name, alias="best", version="1")
    api.delete(f"registered-models/alias?name={name.replace(' ', '%20')}&alias=old", name=name, alias="old")
    api.post("registered-models/alias", name=name, alias=f"by-{who.replace(' ', '-')}", version="1")
    made.model = f"{made.who} model by {who}"
    api.post("registered-models/rename", name=name, new_name=made.model)


def write_new(api: Api, made: Made) -> str:
    """Write what only the later release has room for; return the trace that has an assessment and a span's name."""
    experiment, run, trace = made.experiment, made.runs[0], made.traces[1]
    api.post("experiments/set-experiment-tag", experiment_id=experiment, key="too long", value="e" * 7000)
    api.post("runs/set-tag", run_id=run, key="too long", value="t" * 7000)
    api.post(
        "logged-models", experiment_id=experiment, name="logged", source_run_id=run,
        params=pairs(a=1), tags=pairs(b=2),
    )  # fmt: skip
    at = "2026-01-01T00:00:00Z"
    for name in ("good", "short"):
        assessment = {
            "assessment_name": name, "trace_id": trace, "feedback": {"value": True},
            "source": {"source_type": "HUMAN", "source_id": "somebody"}, "create_time": at, "last_update_time": at,
        }  # fmt: skip
        api.post(f"3.0/mlflow/traces/{trace}/assessments", assessment=assessment)
    api.post("3.0/mlflow/datasets/create", name="evaluation", experiment_ids=[experiment], tags='{"a": "b"}')
    return trace
