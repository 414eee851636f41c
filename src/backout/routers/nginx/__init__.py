"""The `nginx` router: a file that nginx.conf includes, tested, loaded by a reload, and read back from what runs."""

from backout.routers.nginx.options import NginxOptions
from backout.routers.nginx.router import NginxRouter

__all__ = ["NginxOptions", "NginxRouter"]
