"""What people read: plans, runs, history and releases as text. Pure: no clock, no files, no network."""
