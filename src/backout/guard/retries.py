"""One request counts once, however often its client asks again. For readers that see ids, as of an access log.

Retries of a failed request fail together, and the evidence takes each for a request of its own: at three tries for each
failure a false alarm is not 1 in 100 any more (docs/guard.md). Allowing more (`worse_by`) does not mend that.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import blake2b
from typing import Self

from pydantic import Field, model_validator

from backout.document import Document

KEPT = 100_000
"""So many ids are remembered; a retry that comes after so many others counts as a request."""
_BYTES = 6
"""Of a digest: that a new id has the digest of one of 100,000 others has the chance 4 in 10,000 million."""


class State(Document):
    """What `FirstTries` remembers, oldest first: digests, from which no id can be read.

    Attributes:
        seen: They in a row, in base64: 8 characters each, 800 kB of 100,000.
        kept: How many are remembered.
    """

    seen: str = ""
    kept: int = Field(default=KEPT, gt=0)

    @model_validator(mode="after")
    def _whole_digests(self) -> Self:
        if len(b64decode(self.seen, validate=True)) % _BYTES:
            raise ValueError("digests of 6 bytes")
        return self


class FirstTries:
    """Tells the first try of each request from its retries, in bounded memory.

    A try counts when it is the first one with its id, in whichever arm it was: what it came to is the outcome. Retries may be
    sent elsewhere, and to count the last one would be to ask whether the *other* arm works.

    Args:
        state: What an earlier one remembered.
    """

    def __init__(self, state: State | None = None) -> None:
        state = state or State()
        self._kept = state.kept
        seen = b64decode(state.seen)
        self._seen: dict[bytes, None] = dict.fromkeys(
            seen[at : at + _BYTES] for at in range(0, len(seen), _BYTES)
        )

    def is_first(self, request_id: str) -> bool:
        """Tell whether this id was not seen before, and remember it."""
        digest = blake2b(request_id.encode(errors="surrogatepass"), digest_size=_BYTES).digest()
        if digest in self._seen:
            return False
        self._seen[digest] = None
        if len(self._seen) > self._kept:
            del self._seen[next(iter(self._seen))]
        return True

    def only_first(self, request_ids: Iterable[str]) -> list[bool]:
        """Tell it of several, in their order."""
        return [self.is_first(one) for one in request_ids]

    @property
    def state(self) -> State:
        """What has to be kept for another one to go on."""
        return State(seen=b64encode(b"".join(self._seen)).decode(), kept=self._kept)
