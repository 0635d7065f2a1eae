"""The processes of a load: coordinator, workers, and what they say to each other."""
