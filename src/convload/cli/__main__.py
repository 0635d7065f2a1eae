"""Lets `python -m convload.cli` stand for the console script."""

from convload.cli import main

main()
