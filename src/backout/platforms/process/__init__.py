"""The `process` platform: release folders, a `current` link and one process, as Capistrano leaves them."""

from backout.platforms.process.options import ProcessOptions
from backout.platforms.process.platform import ProcessPlatform

__all__ = ["ProcessOptions", "ProcessPlatform"]
