"""Compares runs: two runs, repeated runs, two targets in one run, and the history of many."""
