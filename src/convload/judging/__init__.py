"""What follows from a run: bounds, gates, validity, likeness to a baseline, the verdict."""
