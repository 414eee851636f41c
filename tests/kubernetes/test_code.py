"""The code scenario on a real node, by the command line, with the documented Role."""

from __future__ import annotations

from pathlib import Path

import pytest

from backout.errors import UnknownVersion

from .proxy import FaultyProxy
from .service import KubeService

pytestmark = pytest.mark.slow


def test_back_to_the_release_before_and_forward_again(fresh: KubeService) -> None:
    cli = fresh.configure()
    fresh.recorded(cli)
    listed = cli("releases", "--json").ended(0).json["rows"]
    assert [(r["release"]["version"], r["current"]) for r in listed] == [("2.0.0", True), ("1.0.0", False)]
    runbook = cli("plan", "--scenario", "code", "--format", "md").ended(0).out
    assert f"-n {fresh.namespace} rollout undo deployment/collector --to-revision=" in runbook
    done = cli("run", "--yes").ended(0)
    assert fresh.served() == ["1.0.0"]
    assert "all of 1.0.0" in done.everything
    cli("verify").ended(0)
    cli(
        "run",
        "--to",
        "2.0.0",
        "--accept",
        "quarantined",
        "--accept",
        "known-bad",
        "--accept",
        "schema-unknown",
        "--yes",
    ).ended(0)
    assert fresh.served() == ["2.0.0"]


def test_without_any_record_history_tells(fresh: KubeService) -> None:
    cli = fresh.configure()
    listed = cli("releases", "--json").ended(0).json["rows"]
    assert [r["release"]["version"] for r in listed] == ["2.0.0", "1.0.0"]
    cli("run", "--yes").refused(4, what="schema", now="Nothing was changed", next="--accept schema-unknown")
    assert fresh.served() == ["2.0.0"]
    cli("run", "--yes", "--accept", "schema-unknown").ended(0)
    assert fresh.served() == ["1.0.0"]


def test_what_was_just_looked_at_is_not_asked_again_and_what_was_not_seen_is(
    service: KubeService, tmp_path: Path
) -> None:
    proxy = FaultyProxy(service.kubeconfig, tmp_path / "proxied")
    try:
        platform = service.platform(kubeconfig=str(tmp_path / "proxied"))
        platform.observe(10.0)
        asked = proxy.asked
        assert platform.identify("1.0.0").ref == service.refs["1.0.0"]
        assert proxy.asked == asked
        with pytest.raises(UnknownVersion):
            platform.identify("9.9.9")
        assert proxy.asked == 2 * asked
    finally:
        proxy.close()
