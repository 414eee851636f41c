"""MLflow's REST API of one server, asked as its users do."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 60
Json = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """One server.

    Args:
        base: Its address, as `http://127.0.0.1:5000`.
    """

    base: str

    def get(self, path: str) -> Json:
        return self._asked("GET", path, None)

    def post(self, path: str, **body: object) -> Json:
        return self._asked("POST", path, body)

    def patch(self, path: str, **body: object) -> Json:
        return self._asked("PATCH", path, body)

    def delete(self, path: str, **body: object) -> Json:
        return self._asked("DELETE", path, body)

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.base}/health", timeout=TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _asked(self, method: str, path: str, body: object) -> Json:
        version = "" if path.startswith("3.0/") else "2.0/mlflow/"
        request = urllib.request.Request(
            f"{self.base}/api/{version}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return dict(json.loads(answer.read() or b"{}"))
        except urllib.error.HTTPError as error:
            raise AssertionError(
                f"{method} {path} {body}: {error.code} {error.read().decode()[:1000]}"
            ) from error


def pairs(**values: object) -> list[Json]:
    """Return tags, parameters and the like as the API takes them; `__` in a name is a dot."""
    return [{"key": key.replace("__", "."), "value": str(value)} for key, value in values.items()]
