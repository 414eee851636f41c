"""Plans: data, how they are made, and how they are simulated. Pure: no network, clock, environment."""
