"""Asks a Prometheus server one question at a time: what a query gives at a moment.

Source: Prometheus 2.42 documentation, "HTTP API": instant queries. What only seems to speak it (Thanos, Mimir, VictoriaMetrics) answers alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backout.message import Message, msg
from backout.redact import Redactor
from backout.trust import authorities

HTTP_TIMEOUT_S = 10.0
_SHOWN_CHARS = 200


class NoFigure(Exception):
    """There is no figure; the message says why."""

    def __init__(self, why: Message) -> None:
        super().__init__(str(why))
        self.why = why


class NoAnswer(NoFigure):
    """It was not told whether there is a figure: asked again, there may be one."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a query gave.

    Attributes:
        kind: `vector` or `scalar`.
        series: Labels and figure of each series; a scalar is one without labels.
    """

    kind: str
    series: tuple[tuple[Mapping[str, str], float], ...]

    @property
    def figure(self) -> float:
        """The one figure; raises `NoFigure` where there are none or several, or it is no number."""
        if not self.series:
            raise NoFigure(msg("The query gives no series (`or vector(0)` if none means 0)"))
        if len(self.series) > 1:
            raise NoFigure(msg("The query gives {series} series, one is needed", series=len(self.series)))
        figure = self.series[0][1]
        if not math.isfinite(figure):
            raise NoFigure(msg("The query gives {figure}", figure=str(figure)))
        return figure


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One server.

    Attributes:
        url: Where it answers, without /api.
        headers: Sent with each question; may be secret.
        redactor: Cuts secrets out of what it says.
    """

    url: str
    headers: Mapping[str, str]
    redactor: Redactor

    def ask(self, query: str, at: datetime, *, lookback_s: float, deadline_s: float) -> Answered:
        """Return what a query gives at a moment.

        Args:
            query: PromQL.
            at: The moment.
            lookback_s: Older samples do not count, on servers that know `lookback_delta`; 2.42 ignores it.
            deadline_s: Seconds from now; 10 at most.

        Raises:
            NoAnswer: It did not answer, or refused to.
            NoFigure: It did not answer with figures.
        """
        import httpx2

        if deadline_s <= 0:
            raise NoAnswer(msg("No time was left to ask Prometheus"))
        params = {
            "query": query,
            "time": f"{at.timestamp():.3f}",
            "lookback_delta": f"{lookback_s:g}s",
        }
        try:
            response = httpx2.get(
                f"{self.url.rstrip('/')}/api/v1/query",
                params=params,
                headers=dict(self.headers),
                timeout=min(HTTP_TIMEOUT_S, deadline_s),
                verify=authorities(),
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            told = self.redactor.text(f"{type(error).__name__}: {error}")
            raise NoAnswer(msg("Prometheus did not answer: {error}", error=told)) from None
        return self._read(response)

    def _read(self, response: Any) -> Answered:
        try:
            answer = response.json()
            data = answer["data"] if answer.get("status") == "success" else None
        except (ValueError, KeyError, AttributeError, TypeError):
            answer, data = {}, None
        if not isinstance(data, dict):
            error = answer.get("error") if isinstance(answer, dict) else None
            told = self.redactor.text(str(error or response.text))[:_SHOWN_CHARS]
            raise NoAnswer(
                msg("Prometheus answered {status}: {error}", status=response.status_code, error=told)
            )
        kind = str(data.get("resultType"))
        result: Any = data.get("result")
        try:
            if kind == "vector":
                return Answered(kind, tuple((dict(one["metric"]), float(one["value"][1])) for one in result))
            if kind == "scalar":
                return Answered(kind, (({}, float(result[1])),))
        except (TypeError, KeyError, IndexError, ValueError):
            pass
        raise NoFigure(msg("The query gives a {kind}, a figure is needed", kind=kind))
