"""Evidence of the bad release, as files beside the journal: readable by their owner alone, and redacted."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path

from backout.clock import Clock
from backout.document import Json
from backout.errors import BackoutError
from backout.redact import Redactor
from backout.steps.evidence import HasEvidence

_TAIL_LINES, _TAIL_CHARACTERS = 5, 1_000
_MOST_CHARACTERS = 2_000_000
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


class Evidence:
    """Asks every source that has some, side by side.

    Args:
        sources: By name; what has no evidence is not asked.
        directory: The journal's folder.
    """

    def __init__(
        self, sources: Mapping[str, object], directory: Path, redactor: Redactor, clock: Clock
    ) -> None:
        self._sources, self._directory = sources, directory
        self._redactor, self._clock = redactor, clock

    def save(self, step: str, deadline_s: float) -> dict[str, Json]:
        """Save what comes in time below ``evidence/RUN`` in the state folder; never raises."""
        folder = self._directory / "evidence" / step.partition("/")[0]
        saving: list[_Saving] = []
        for name, source in self._sources.items():
            if isinstance(source, HasEvidence):
                saving.append(_Saving(name, source, folder, self._redactor, deadline_s))
                saving[-1].start()
        ends_s = self._clock.monotonic_s() + deadline_s
        files: dict[str, Json] = {}
        unsaved: list[Json] = []
        for one in saving:
            one.join(max(0.0, ends_s - self._clock.monotonic_s()))
            files |= dict(one.files)  # what came so far, also of a source that still talks
            if one.trouble or one.is_alive():
                unsaved.append(f"{one.name}: {one.trouble or 'did not come to its end in time'}")
        return {"folder": str(folder), "files": files, "unsaved": unsaved}


class _Saving(threading.Thread):
    """One source. A daemon: a source that never ends cannot keep the process alive."""

    def __init__(
        self, name: str, source: HasEvidence, folder: Path, redactor: Redactor, deadline_s: float
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._source, self._folder, self._redactor, self._deadline_s = source, folder, redactor, deadline_s
        self.files: dict[str, Json] = {}
        self.trouble: str | None = None

    def run(self) -> None:
        try:
            for name, text in self._source.evidence(self._deadline_s):
                self.files[name] = self._write(name, self._redactor.text(text[-_MOST_CHARACTERS:]))
        except BackoutError as error:
            self.trouble = str(error.what)
        except Exception as error:  # Evidence must not stop a way back, whatever happens to it.
            self.trouble = type(error).__name__

    def _write(self, name: str, text: str) -> Json:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._folder / f"{_PLAIN.sub('-', name)}.txt"
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        tail = "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])[-_TAIL_CHARACTERS:]
        return {"file": str(file), "bytes": len(text.encode()), "tail": tail}
