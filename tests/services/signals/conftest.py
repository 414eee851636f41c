"""The Prometheus of the checks."""

from tests.services.checks.conftest import prometheus as prometheus
