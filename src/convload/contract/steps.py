"""The calls of a conversation as a run names them: its steps."""

CREATE = "conversation.create"
FIRST, RETRY = ATTEMPTS = ("conversation.create.first", "conversation.create.retry")
"""The first attempts alone and the later ones, where there is a retry policy; CREATE is then the whole, from when it
was due to the last answer. A retry belongs to the phase in which its conversation was due; its times are its own."""

SEND = "conversation.send"
CLOSE = "conversation.close"
APP_TOKEN = "token.app"  # noqa: S105 -- the name of a step
CONSUMER_TOKEN = "token.consumer"  # noqa: S105 -- the name of a step

STEPS = (CREATE, *ATTEMPTS, SEND, CLOSE, APP_TOKEN, CONSUMER_TOKEN)
"""The order in which reports list steps; others follow by name."""


def place_of(step: str) -> tuple[int, str]:
    """Returns what steps are sorted by."""
    return (STEPS.index(step) if step in STEPS else len(STEPS), step)
