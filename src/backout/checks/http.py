"""`http`: one request, and what its answer says of health, database and version."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any, Literal

from backout.checks.base import CheckResult, Outcome, Subject, note
from backout.checks.options import HttpOptions
from backout.document import Json
from backout.message import Message, msg
from backout.redact import MASK, Redactor
from backout.trust import authorities

_MAX_BODY_BYTES = 1_000_000
_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Any
    body: bytes

    def json(self) -> Json:
        try:
            parsed: Json = json.loads(self.body)
        except ValueError:
            return None
        return parsed


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """One request. No answer, another status or other JSON is a failure; nothing is tried twice."""

    options: HttpOptions

    @property
    def name(self) -> str:
        """The declared name."""
        return self.options.name

    def run(self, subject: Subject, deadline_s: float) -> tuple[CheckResult, ...]:
        """Ask once, and tell what the answer proves.

        Args:
            subject: What is looked at.
            deadline_s: Seconds from now that the whole answer may take.
        """
        timeout_s = min(self.options.timeout_s, deadline_s)
        answer = self._ask(subject, timeout_s)
        if isinstance(answer, str):
            text = subject.redactor.text(answer)
            evidence = msg("{url} did not answer: {error}", url=self._shown_url(subject), error=text)
            return (self._result(Outcome.FAIL, evidence), *self._untold_database())
        results = [self._health(answer, subject)]
        results += self._database(answer)
        results += self._version(answer, subject)
        return tuple(results)

    def by_hand(self, redactor: Redactor) -> tuple[str, ...]:
        """Return a line of curl; the values of headers are left out."""
        options = self.options
        words = ["curl", "-sS", "-m", f"{options.timeout_s:g}"]
        words += ["-I"] if options.method == "HEAD" else ["-i"]
        words += ["-X", options.method] if options.method not in ("GET", "HEAD") else []
        for name in options.headers:
            words += ["-H", f"{name}: {MASK}"]
        words.append(redactor.text(options.url))
        return (*map(note, self._expected(redactor)), shlex.join(words))

    def _expected(self, redactor: Redactor) -> list[Message]:
        options = self.options
        lines = [msg("Expected: status {status}.", status=options.expect_status)]
        if options.expect_json is not None:
            wanted = json.dumps(redactor.json(options.expect_json), ensure_ascii=False)
            exactly = msg("Expected: the answer is {wanted}.", wanted=wanted)
            among = msg("Expected: in the answer is {wanted}.", wanted=wanted)
            lines.append(exactly if options.exact else among)
        if options.version_header is not None:
            lines.append(msg("Expected: the header {name} names the release.", name=options.version_header))
        if options.version_json is not None:
            lines.append(
                msg("Expected: {place} in the answer names the release.", place=options.version_json)
            )
        if options.headers:
            lines.append(msg("Put the secrets of the headers in for {mask}.", mask=MASK))
        return lines

    def _ask(self, subject: Subject, timeout_s: float) -> _Answer | str:
        import httpx2

        headers = {name: value.get_secret_value() for name, value in self.options.headers.items()}
        ends_at_s = subject.clock.monotonic_s() + timeout_s
        body = bytearray()
        try:
            with (
                httpx2.Client(timeout=timeout_s, verify=authorities()) as client,
                client.stream(self.options.method, self.options.url, headers=headers) as response,
            ):
                for chunk in response.iter_bytes():
                    body += chunk
                    # The client's own time-out is for each read; a slow trickle would outlast it.
                    if subject.clock.monotonic_s() > ends_at_s:
                        return f"still answering after {timeout_s:g} s"
                    if len(body) > _MAX_BODY_BYTES:
                        break
                return _Answer(response.status_code, response.headers, bytes(body))
        except httpx2.TimeoutException:
            return f"no answer in {timeout_s:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return f"{type(error).__name__}: {error}"

    def _health(self, answer: _Answer, subject: Subject) -> CheckResult:
        url = self._shown_url(subject)
        if answer.status != self.options.expect_status:
            evidence = msg(
                "{url} answered {status}, expected {expected}",
                url=url, status=answer.status, expected=self.options.expect_status,
            )  # fmt: skip
            return self._result(Outcome.FAIL, evidence)
        expected = self.options.expect_json
        if expected is not None and not matches(answer.json(), expected, exact=self.options.exact):
            got = subject.redactor.text(answer.body.decode(errors="replace"))[:_SHOWN_CHARS]
            evidence = msg(
                "{url} answered {got}, expected {expected}", url=url, got=got, expected=json.dumps(expected)
            )
            return self._result(Outcome.FAIL, evidence)
        return self._result(
            Outcome.PASS, msg("{url} answered {status} as expected", url=url, status=answer.status)
        )

    def _database(self, answer: _Answer) -> tuple[CheckResult, ...]:
        expected = self.options.expect_json
        if not isinstance(expected, dict) or "database" not in expected:
            return ()
        got = answer.json()
        if not isinstance(got, dict) or "database" not in got:
            return self._untold_database()
        same = got["database"] == expected["database"]
        shown = json.dumps(got["database"])[:_SHOWN_CHARS]
        evidence = msg("The service says of its database: {got}", got=shown)
        return (self._result(Outcome.PASS if same else Outcome.FAIL, evidence, "database"),)

    def _untold_database(self) -> tuple[CheckResult, ...]:
        if not isinstance(self.options.expect_json, dict) or "database" not in self.options.expect_json:
            return ()
        evidence = msg("The answer does not say whether the database is connected")
        return (self._result(Outcome.INCONCLUSIVE, evidence, "database"),)

    def _version(self, answer: _Answer, subject: Subject) -> tuple[CheckResult, ...]:
        """Compare the served version where both are known; else the artefact's identity stands for it."""
        served = self._served_version(answer)
        if served is None or subject.version is None:
            return ()
        same = served.removeprefix("v") == subject.version.removeprefix("v")
        shown = subject.redactor.text(served)[:_SHOWN_CHARS]
        evidence = msg(
            "The service says it is {served}, expected {version}", served=shown, version=subject.version
        )
        return (self._result(Outcome.PASS if same else Outcome.FAIL, evidence, "version"),)

    def _served_version(self, answer: _Answer) -> str | None:
        if self.options.version_header is not None:
            value = answer.headers.get(self.options.version_header)
            return None if value is None else str(value)
        found: Json = answer.json() if self.options.version_json is not None else None
        for key in (self.options.version_json or "").split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return str(found) if isinstance(found, str | int | float) else None

    def _shown_url(self, subject: Subject) -> str:
        return subject.redactor.text(self.options.url)

    def _result(
        self, outcome: Outcome, evidence: Any, proves: Literal["database", "version"] | None = None
    ) -> CheckResult:
        return CheckResult(
            name=self.name, proves=proves or self.options.proves, outcome=outcome, evidence=evidence
        )


def matches(got: Json, expected: Json, *, exact: bool) -> bool:
    """Return whether an answer is the expected one, or (not exact) holds every key of it."""
    if exact or not isinstance(expected, dict):
        return got == expected and isinstance(got, bool) == isinstance(expected, bool)
    if not isinstance(got, dict):
        return False
    return all(key in got and matches(got[key], value, exact=False) for key, value in expected.items())
