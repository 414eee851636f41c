"""The `sides` platform: two or more sides (blue and green, stable and canary) behind a router that divides requests."""

from backout.platforms.sides.options import SidesOptions
from backout.platforms.sides.platform import SidesPlatform

__all__ = ["SidesOptions", "SidesPlatform"]
