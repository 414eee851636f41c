"""The guard's statistics and decision: continue, back out, or cannot tell yet. Pure: no network, clock, file or randomness.

A reader of counters makes `Look`s; a `Watch` takes them one by one, is kept as JSON between them, and gives a `Verdict` at any moment.
"""

from backout.guard.looks import Arm, Durations, Errors, Look
from backout.guard.metrics import ErrorRate, Latency
from backout.guard.verdict import Finding, Say, Verdict
from backout.guard.watch import Watch

__all__ = ["Arm", "Durations", "ErrorRate", "Errors", "Finding", "Latency", "Look", "Say", "Verdict", "Watch"]
