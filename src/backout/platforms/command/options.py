"""What a person configures for the `command` platform."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from backout.fields import Declared, Seconds
from backout.words import Words
from backout.words import filled as _fill


class CommandOptions(Declared):
    """Your own scripts; relative programs with a slash start at `cwd`."""

    deploy: Words = Field(description="Brings any version: `{version}` stands for it. A list or one string.")
    rollback: Words | None = Field(
        default=None,
        description="Used instead of `deploy` for going back; `{version}` stands for the target.",
    )
    probe: Words | None = Field(
        default=None,
        description="Prints the running version as its last line. Without it a run ends as outcome unknown.",
    )
    artefact: Words | None = Field(
        default=None,
        description="Exits with 0 while what `deploy` needs for `{version}` is still there; else `rebuild` is used.",
    )
    rebuild: Words | None = Field(
        default=None,
        description="Builds and deploys a version whose artefact is gone, in a clean worktree of its git commit. `{version}` "
        "and `{commit}` stand for it.",
    )
    list: Words | None = Field(
        default=None, description="Prints the versions that can be brought, newest first, one a line."
    )
    timeout_s: Seconds = Field(default=600.0, gt=0, description="Seconds that a script may take.")
    probe_timeout_s: Seconds = Field(default=10.0, gt=0, description="Seconds that a probe may take.")
    cwd: str = Field(default=".", description="Folder that the commands start in.")
    env: dict[str, str] = Field(default={}, description="Added to the environment; values may be ${NAME}.")

    @field_validator("deploy", "rollback", "artefact")
    @classmethod
    def _names_version(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        # "One back" means something else when it is run twice; a target has to be named.
        if value is not None and not any("{version}" in word for word in value):
            raise ValueError(
                "must contain {version}: a script that goes 'one back' cannot be repeated safely"
            )
        return value

    @model_validator(mode="after")
    def _rebuilds_what_is_gone(self) -> CommandOptions:
        if (self.artefact is None) != (self.rebuild is None):
            raise ValueError(
                "artefact and rebuild belong together: the one tells whether the other is needed "
                "(artefact: [sh, -c, exit 1, '{version}'] rebuilds always)"
            )
        if self.rebuild is not None and self.list is not None:
            raise ValueError(
                "rebuild brings what git knows: take list out, which names what alone can be brought"
            )
        return self


def filled(command: tuple[str, ...], version: str, commit: str | None = None) -> list[str]:
    """Return the command for a version, and for the commit that it is built from."""
    return _fill(command, {"version": version} | ({} if commit is None else {"commit": commit}))
