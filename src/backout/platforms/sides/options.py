"""What a person configures for the `sides` platform."""

from __future__ import annotations

from pydantic import Field, model_validator

from backout.fields import Declared, HttpUrl, Name, Seconds
from backout.words import Words


class SideOptions(Declared):
    """One side, reached past the router."""

    version_url: HttpUrl = Field(
        description="Answers with the version that runs there: as text, or as JSON with `version`."
    )
    ready_url: HttpUrl | None = Field(
        default=None, description="Answers 2xx when the side can take requests; default: the version URL."
    )
    start: Words | None = Field(
        default=None,
        description="Starts the side with all that acts on it; harmless when it runs. Needed with stop.",
    )
    stop: Words | None = Field(
        default=None,
        description="Stops the side with all that acts on it (workers, crons); harmless when it is stopped.",
    )
    installed: Words | None = Field(
        default=None,
        description="Prints the version that start would start, as its last line; asked where the side does not answer.",
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> SideOptions:
        told = [one is not None for one in (self.start, self.stop, self.installed)]
        if any(told) and not all(told):
            raise ValueError("start, stop and installed belong together")
        return self


class SidesOptions(Declared):
    """The sides of one service; the router that divides requests between them stands under `router`."""

    sides: dict[Name, SideOptions] = Field(
        description="The router's names of the sides, and where each answers by itself.", min_length=2
    )
    ready_timeout_s: Seconds = Field(
        default=10,
        gt=0,
        le=600,
        description="Seconds that a side may take to be ready, before it gets requests.",
    )
    drain_timeout_s: Seconds = Field(
        default=30,
        ge=0,
        le=3600,
        description="Seconds for requests and open connections (WebSockets) of the side that gets no more; then they are ended.",
    )
    keep_warm_s: float = Field(
        default=3600,
        ge=0,
        le=2_592_000,
        description="Seconds for which a side that lost its requests is kept running, so that going back takes seconds; before that "
        "`backout canary retire` asks for a name.",
    )
    timeout_s: Seconds = Field(
        default=3, gt=0, le=60, description="Seconds to wait for one answer of a side."
    )
    command_timeout_s: Seconds = Field(
        default=60, gt=0, le=3600, description="Seconds that a side's start and stop may take."
    )
