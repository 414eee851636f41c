"""Carries a platform's steps out in a process of its own, so that a fault point can end it anywhere."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from backout.clock import SystemClock
from backout.plan.base import Probed
from backout.plan.model import StepSpec
from backout.platforms.base import Platform, Site
from backout.redact import Redactor
from backout.testing.steps import acting_on, drive

_TIMEOUT_S = 120.0


def carry_out_in_child(
    platform: type[Platform],
    options: Mapping[str, object],
    directory: Path,
    specs: Iterable[StepSpec],
    *,
    fault: str | None = None,
    fault_log: Path | None = None,
) -> bool:
    """Carry the steps out in a new process.

    Args:
        platform: The adapter's class.
        options: Its options, as in the configuration.
        directory: Where relative paths start.
        specs: The steps, in order; step names are ``run/0``, ``run/1``, …
        fault: Name of the fault point at which the process ends itself by SIGKILL.
        fault_log: Gets the names of the fault points passed.

    Returns:
        True if all steps are done, False if the fault point ended the process.

    Raises:
        AssertionError: A step failed; the message holds the process's own words.
    """
    told = {
        "platform": [platform.__module__, platform.__qualname__],
        "options": dict(options),
        "directory": str(directory),
        "specs": [spec.model_dump(mode="json") for spec in specs],
    }
    env = {k: v for k, v in os.environ.items() if not k.startswith("BACKOUT_FAULT")}
    env |= {"BACKOUT_FAULT": fault} if fault else {}
    env |= {"BACKOUT_FAULT_LOG": str(fault_log)} if fault_log else {}
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(told)],
        env=env, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode == 0


def main(text: str) -> None:
    """Run as that process."""
    told = json.loads(text)
    module, name = told["platform"]
    adapter = getattr(importlib.import_module(module), name)
    directory = Path(told["directory"])
    site = Site("web", "production", directory, os.environ, SystemClock(), Redactor())
    platform = adapter.create(adapter.Options.model_validate(told["options"]), site)
    for number, data in enumerate(told["specs"]):
        spec = StepSpec.model_validate(data)
        acting = acting_on({"platform": platform}, step_name=f"run/{number}")
        probe = drive(platform.step_kinds()[spec.kind], spec, acting)
        assert probe.answer is Probed.DONE, f"{spec.kind}: {probe.evidence}"


if __name__ == "__main__":
    main(sys.argv[1])
