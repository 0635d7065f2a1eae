"""All that a person writes of a run: the plan and its parts, the mock's behaviour, gates, limits of validity."""
