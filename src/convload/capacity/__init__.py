"""Plans capacity: finds the load that a target carries, how sure that is, and how many instances a need takes."""
