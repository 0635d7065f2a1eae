"""A line that loses, doubles and delays what is sent, by a clock that is passed in."""

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convload.load.processes.line import RESEND_S, Line


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Pair:
    """Two ends and what is on its way between them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ways: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self.ends = (Line(self.ways[0].append, self.clock), Line(self.ways[1].append, self.clock))
        self.came: tuple[list[bytes], list[bytes]] = ([], [])

    def deliver(self, end: int) -> None:
        """Lets one message arrive that the other end has sent."""
        if (message := self.ends[end].take(self.ways[1 - end].popleft())) is not None:
            self.came[end].append(message)

    def settle(self) -> None:
        """Lets time pass without loss."""
        for _ in range(4):
            self.clock.now_s += 2 * RESEND_S
            for end in (0, 1):
                self.ends[end].repeat()
            while self.ways[0] or self.ways[1]:
                for end in (0, 1):
                    if self.ways[1 - end]:
                        self.deliver(end)


@given(st.integers(0, 2**32))
def test_every_message_arrives_once_and_in_turn_whatever_the_way_does(seed: int) -> None:
    chance, pair = random.Random(seed), Pair()
    sent: tuple[list[bytes], list[bytes]] = ([], [])
    for n in range(chance.randrange(60)):
        end = chance.randrange(2)
        sent[end].append(b"%d" % n)
        pair.ends[end].send(sent[end][-1])
        pair.clock.now_s += chance.choice([0.0, RESEND_S])
        pair.ends[end].repeat()
        for way in pair.ways:
            if way and chance.random() < 0.3:
                way.popleft()
            if way and chance.random() < 0.3:
                way.append(way[0])
            if len(way) > 1 and chance.random() < 0.1:
                way.rotate()
        for end in (0, 1):
            if pair.ways[1 - end] and chance.random() < 0.7:
                pair.deliver(end)
    pair.settle()

    assert pair.came == (sent[1], sent[0])


def test_what_was_answered_is_not_sent_again() -> None:
    pair = Pair()
    pair.ends[0].send(b"once")
    pair.settle()

    pair.clock.now_s += 10 * RESEND_S
    pair.ends[0].repeat()

    assert not pair.ways[0]


@pytest.mark.parametrize("received", [None, b"", b"short"])
def test_what_came_from_no_line_is_an_empty_message(received: bytes | None) -> None:
    assert Pair().ends[0].take(received) == b""
