"""Where backups lie: `base.py` is what a store is, the other files are the kinds there are."""
