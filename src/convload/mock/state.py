"""The conversations of the mock and who may use them."""

import uuid

import msgspec

REMEMBERED = 262_144
"""Conversations kept, open or closed; an older one is forgotten, as if it had never been."""

_SHARDS = 256


class Conversation(msgspec.Struct, gc=False):
    """One conversation. `consumer` is an `lp_consumer_id`, empty where tokens are not looked at.

    `with_properties` says that what follows the create needs its Client-Properties too.
    """

    number: int
    id: str
    consumer: str
    is_open: bool = True
    next_sequence: int = 0
    with_properties: bool = False

    def take_sequence(self) -> int:
        """Returns the number of the next content or accept-status event, from 0."""
        sequence = self.next_sequence
        self.next_sequence += 1
        return sequence


class Conversations:
    """All conversations of one mock.

    Ids look like random UUIDs but count up in their last group: every id ever issued can be listed without
    keeping it, and leads to its conversation without a search. What is kept lies in structures that never have
    to be rebuilt as a whole, because that would stop the mock for milliseconds. With `one_open` a consumer may have
    only one open conversation.
    """

    def __init__(self, *, one_open: bool, remembered: int = REMEMBERED) -> None:
        self._one_open = one_open
        self._prefix = str(uuid.uuid4())[:24]
        self._ring: list[Conversation | None] = [None] * remembered
        self._open_of: list[dict[str, Conversation]] = [{} for _ in range(_SHARDS)]
        self.opened = 0
        self.closed = 0

    def open(self, consumer: str) -> Conversation | None:
        """Opens a conversation; None where the consumer has an open one already."""
        shard = self._open_of[hash(consumer) % _SHARDS]
        if self._one_open and consumer in shard:
            return None
        number = self.opened
        conversation = Conversation(number, self.id_of(number), consumer)
        place = number % len(self._ring)
        forgotten = self._ring[place]
        if forgotten is not None:
            self._release(forgotten)
        self._ring[place] = conversation
        if consumer:
            shard[consumer] = conversation
        self.opened = number + 1
        return conversation

    def find(self, conversation_id: str) -> Conversation | None:
        """Returns a conversation that is still remembered."""
        try:
            number = int(conversation_id[len(self._prefix) :], 16)
        except ValueError:
            return None
        conversation = self._ring[number % len(self._ring)]
        return conversation if conversation is not None and conversation.id == conversation_id else None

    def close(self, conversation: Conversation) -> None:
        """Closes an open conversation; its consumer may open another."""
        conversation.is_open = False
        self.closed += 1
        self._release(conversation)

    def id_of(self, number: int) -> str:
        """Returns the id of the conversation that was opened as the `number`-th, from 0."""
        return f"{self._prefix}{number:012x}"

    def _release(self, conversation: Conversation) -> None:
        shard = self._open_of[hash(conversation.consumer) % _SHARDS]
        if shard.get(conversation.consumer) is conversation:
            del shard[conversation.consumer]
