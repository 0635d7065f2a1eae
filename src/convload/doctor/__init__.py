"""Examines this machine: what it can generate, what limits it, whether a target can be reached."""
