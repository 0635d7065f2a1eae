"""Consumers that say something after the create: an example of a file of your own."""

from convload import ConversationUser, task


class Chat(ConversationUser):
    """Opens a conversation, writes up to two messages, and ends it."""

    @task(3)
    def one_question(self) -> None:
        """Most consumers ask one thing."""
        conversation = self.create_conversation()
        if conversation is not None:
            self.send_message(conversation, "Where is my order?")
        self.end_conversation(conversation)

    @task(1)
    def question_and_thanks(self) -> None:
        """Some are polite."""
        conversation = self.create_conversation()
        if conversation is not None:
            self.send_message(conversation, "Can I change my delivery address?")
            self.send_message(conversation, "Thank you!")
        self.end_conversation(conversation)
