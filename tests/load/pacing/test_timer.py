import json
import socket
import subprocess
import sys
import time

import gevent
import pytest
from gevent.event import Event
from gevent.socket import wait_read

from convload.load.pacing.timer import NEAR_S, Timer


def wake_after(delay_s: float, *, kernel: bool) -> float:
    """Returns how late a timer woke us."""
    woken = Event()
    timer = Timer(woken.set, kernel=kernel)
    due_s = time.monotonic() + delay_s
    timer.arm(due_s)
    assert woken.wait(5)
    late_s = time.monotonic() - due_s
    timer.close()
    return late_s


@pytest.mark.parametrize("kernel", [True, False])
def test_it_never_wakes_much_too_early_and_wakes_soon(kernel: bool) -> None:
    late_s = [wake_after(0.01, kernel=kernel) for _ in range(10)]

    assert min(late_s) > -0.002
    assert sorted(late_s)[2] < 0.02  # on a busy machine most may be late, whatever the timer does


def test_the_kernels_timer_is_never_early() -> None:
    assert min(wake_after(0.003, kernel=True) for _ in range(20)) >= 0


@pytest.mark.parametrize("kernel", [True, False])
def test_an_instant_that_has_passed_is_due_at_once(kernel: bool) -> None:
    assert wake_after(-10.0, kernel=kernel) < 11


@pytest.mark.parametrize("kernel", [True, False])
def test_a_new_instant_takes_the_place_of_the_old_one(kernel: bool) -> None:
    calls: list[float] = []
    timer = Timer(lambda: calls.append(time.monotonic()), kernel=kernel)
    began_s = time.monotonic()
    timer.arm(began_s + 0.02)
    timer.arm(began_s + 0.06)
    gevent.sleep(0.15)
    timer.close()

    assert len(calls) == 1
    assert calls[0] - began_s > 0.055


def test_it_says_whether_it_is_precise() -> None:
    coarse, precise = Timer(print, kernel=False), Timer(print)

    precise.close()
    coarse.close()

    assert (coarse.precise, precise.precise) == (False, True)


@pytest.mark.parametrize("kernel", [True, False])
def test_near_instants_in_a_row_are_never_early_and_keep_no_socket_waiting(kernel: bool) -> None:
    early_s: list[float] = []
    due_s, ends_s = 0.0, time.monotonic() + 5

    def on_due() -> None:
        early_s.append(due_s - time.monotonic())
        arm()

    def arm() -> None:
        nonlocal due_s
        due_s = time.monotonic() + NEAR_S / 2
        if due_s < ends_s:
            timer.arm(due_s)

    here, there = socket.socketpair()
    timer = Timer(on_due, kernel=kernel)
    arm()
    gevent.sleep(0.01)
    there.send(b"x")
    wait_read(here.fileno(), timeout=2)
    timer.close()
    here.close()
    there.close()

    assert len(early_s) > 2
    assert max(early_s) <= 0


def test_each_wake_up_is_measured_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "convload.load.pacing.timer", "20"]

    found = json.loads(subprocess.run(command, capture_output=True, timeout=30, check=True).stdout)

    assert len(found["lateness_us"]) == 20
    assert min(found["lateness_us"]) >= 0
    assert isinstance(found["precise"], bool)
