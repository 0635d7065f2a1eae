import uuid

from hypothesis import given
from hypothesis import strategies as st

from convload.mock.state import Conversation, Conversations


def opened(conversations: Conversations, consumer: str = "") -> Conversation:
    conversation = conversations.open(consumer)
    assert conversation is not None
    return conversation


def test_ids_are_lower_case_random_uuids_and_all_different() -> None:
    conversations = Conversations(one_open=True)
    ids = [opened(conversations).id for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert {uuid.UUID(one).version for one in ids} == {4}
    assert all(str(uuid.UUID(one)) == one for one in ids)
    assert ids == [conversations.id_of(number) for number in range(1000)]


def test_two_mocks_never_give_the_same_id() -> None:
    assert Conversations(one_open=True).id_of(0) != Conversations(one_open=True).id_of(0)


def test_a_consumer_has_one_open_conversation_at_a_time() -> None:
    conversations = Conversations(one_open=True)
    first = opened(conversations, "Ada")

    assert conversations.open("Ada") is None
    assert conversations.open("Bob") is not None
    conversations.close(first)
    assert conversations.open("Ada") is not None
    assert (conversations.opened, conversations.closed) == (3, 1)


def test_the_rule_can_be_off_and_has_no_hold_on_nobody() -> None:
    free = Conversations(one_open=False)
    assert free.open("Ada")
    assert free.open("Ada")

    ruled = Conversations(one_open=True)
    assert ruled.open("")
    assert ruled.open("")


def test_closing_an_old_conversation_leaves_the_newer_one_of_its_consumer_open() -> None:
    conversations = Conversations(one_open=True, remembered=2)
    old = opened(conversations, "Ada")
    opened(conversations, "x")
    opened(conversations, "y")  # forgets Ada's, so she may open again
    opened(conversations, "Ada")
    conversations.close(old)

    assert conversations.open("Ada") is None


def test_foreign_ids_are_not_found() -> None:
    conversations = Conversations(one_open=True)
    mine = opened(conversations)

    assert conversations.find(mine.id) is mine
    for other in (
        "",
        "x",
        mine.id.upper(),
        mine.id[:-1],
        mine.id + "0",
        str(uuid.uuid4()),
        mine.id[:24] + "+00000000000",
    ):
        assert conversations.find(other) is None


Steps = st.lists(st.tuples(st.sampled_from("oc"), st.sampled_from(["", "Ada", "Bob", "Cy"])), max_size=60)


@given(Steps, st.integers(1, 5))
def test_only_so_many_conversations_are_kept_and_those_are_right(steps: list[tuple[str, str]], kept: int) -> None:
    conversations = Conversations(one_open=True, remembered=kept)
    model: list[Conversation] = []
    for step, consumer in steps:
        recent = model[-kept:]
        mine = [one for one in recent if one.consumer == consumer and one.is_open]
        if step == "o":
            conversation = conversations.open(consumer)
            assert (conversation is None) == bool(consumer and mine)
            model += [conversation] if conversation else []
        elif mine:
            conversations.close(mine[-1])

    assert [conversations.find(one.id) is one for one in model] == [
        position >= len(model) - kept for position in range(len(model))
    ]
    assert conversations.opened == len(model)
