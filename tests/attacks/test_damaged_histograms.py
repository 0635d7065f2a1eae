"""A histogram of a run log is one that was measured, or it is refused: in bounded memory, with no endless figure."""

import binascii
import tracemalloc
import zlib

import numpy as np
import pytest

from convload.errors import RunLogError
from convload.results.histogram import Histogram

SOUND = Histogram.of(np.array([1500, 2500, 9_000_000])).encode()
BODY = SOUND.split(",", 3)[3]


def packed(raw: bytes) -> str:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return binascii.b2a_base64(deflate.compress(raw) + deflate.flush(), newline=False).decode()


DAMAGED = {
    "a maximum beyond any number": f"1500,{10**30},9004000,{BODY}",
    "a maximum that is in no bucket of it": f"1500,9900000,9904000,{BODY}",
    "a minimum above the maximum": f"9000001,9000000,9004000,{BODY}",
    "a minimum below zero": f"-1,9000000,9004000,{BODY}",
    "a sum that its values cannot have": f"1500,9000000,{10**12},{BODY}",
    "a sum below its values": f"1500,9000000,1,{BODY}",
    "counts beyond any number": f"0,1,{2**62},BQ{packed(bytes([0, 1]) + bytes(14) + bytes([127, 127]))}",
    "nothing between commas": ",,,",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_histogram_that_nobody_can_have_measured_is_refused(damage: str) -> None:
    with pytest.raises(RunLogError, match="a histogram of the run log is damaged"):
        Histogram.decode(DAMAGED[damage])


def test_a_histogram_that_inflates_without_end_takes_no_memory() -> None:
    text = f"0,0,0,BB{packed(bytes(60_000_000))}"
    tracemalloc.start()
    with pytest.raises(RunLogError):
        Histogram.decode(text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 20_000_000


def test_a_time_beyond_the_last_bucket_is_read_as_it_was_written() -> None:
    histogram = Histogram.of(np.array([5, 10**13]))

    assert Histogram.decode(histogram.encode()).max_us == 10**13
