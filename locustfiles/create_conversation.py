"""Consumers that create conversations, one after the other.

`convload run` uses this file unless the plan names another. It also runs under Locust itself:
`locust -f create_conversation.py --headless -u 50 -t 20s -H http://127.0.0.1:PORT`.
"""

from convload import ConversationUser, task


class CreateConversation(ConversationUser):
    """Opens a conversation with the next payload of the mix, and ends it."""

    @task
    def create(self) -> None:
        """Holds one conversation."""
        conversation = self.create_conversation()
        self.end_conversation(conversation)
