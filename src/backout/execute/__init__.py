"""Running plans: the journal, the run as a fold of its events, the lease, the runner, the release book."""
