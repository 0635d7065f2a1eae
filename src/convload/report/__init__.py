"""Renders the conclusion of a run for people and pipelines; reads a run folder, never a run."""
