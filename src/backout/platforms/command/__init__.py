"""The `command` platform: the user's own deploy and rollback scripts, with a declared probe."""

from backout.platforms.command.options import CommandOptions
from backout.platforms.command.platform import CommandPlatform

__all__ = ["CommandOptions", "CommandPlatform"]
