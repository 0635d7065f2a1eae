"""What a plan will need of the machines that fire it, before anything is started."""

FILES_A_USER = 2
"""A connection to each of two services."""

FILES_OF_A_PROCESS = 256
"""What a worker has open besides: its code, logs, the channel to its coordinator."""


def files_needed(users: int, workers: int) -> int:
    """Returns the file descriptors that each of so many workers may need."""
    return FILES_A_USER * -(-users // workers) + FILES_OF_A_PROCESS


def users_within(files: int) -> int:
    """Returns how many users a worker may have that may open so many files; none where it is too few."""
    return max((files - FILES_OF_A_PROCESS) // FILES_A_USER, 0)
