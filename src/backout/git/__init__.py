"""What git knows of versions: tags, commits, what lies between two, and their files. The repository is only read."""
