"""The `haproxy` router: servers of one backend by HAProxy's runtime API, kept over reloads by its server state file."""

from backout.routers.haproxy.options import HaproxyOptions
from backout.routers.haproxy.router import HaproxyRouter

__all__ = ["HaproxyOptions", "HaproxyRouter"]
