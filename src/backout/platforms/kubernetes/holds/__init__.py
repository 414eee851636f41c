"""Means of holding that the cluster brings: serving pods, the Service's selector, crons, jobs and workers."""
