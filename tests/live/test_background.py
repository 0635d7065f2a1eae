import os
import threading

from convload.live import background


def test_a_thread_that_shows_a_run_gives_way_and_the_others_do_not() -> None:
    found: list[int] = []
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    background.start(lambda: found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())), "shows").join()

    assert found == [max(background.NICENESS, before)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
