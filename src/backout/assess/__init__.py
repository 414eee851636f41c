"""Assessment: what the facts mean for the way back. Pure: no network, clock, environment."""
