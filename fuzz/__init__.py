"""Fuzzing that lasts: hostile input for whatever reads what others wrote. `make fuzz SECONDS=60`; see README.md."""
