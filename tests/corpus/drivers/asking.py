"""Tells a program that stays (`serving.py`) to run a step in the database that DATABASE_URL names; ends as that ended.

Only the standard library, and little of it: this is started for every run of every migration.
"""

import json
import os
import socket
import sys

_, path, what, step = sys.argv
with socket.socket(socket.AF_UNIX) as door:
    door.connect(path)
    with door.makefile("rw") as talk:
        talk.write(json.dumps({"what": what, "step": step, "url": os.environ["DATABASE_URL"]}) + "\n")
        talk.flush()
        told = json.loads(talk.readline() or '{"status": 1, "said": "the program that stays has ended"}')
sys.stdout.write(told["said"])
sys.exit(told["status"])
