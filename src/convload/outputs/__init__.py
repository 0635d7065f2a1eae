"""Gives figures to other programs: scrapes, pushes, files."""
