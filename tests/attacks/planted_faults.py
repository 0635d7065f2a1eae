"""`planted_faults.py CORPUS SECONDS EXAMPLES SEED FAULT`: fuzzes a reader that has one fault, as `fuzz.one` would."""

import sys
from pathlib import Path

from fuzz import targets

targets.FOLDER = Path(sys.argv[1])
targets.HUNG_S = 0.5


def reader() -> targets.Target:
    """Reads numbers of one digit, and goes wrong by what it was told."""

    def read(data: bytes) -> str:
        if b"7" in data:
            match sys.argv[5]:
                case "unforeseen":
                    raise KeyError("seven")
                case "hangs":
                    while True:
                        pass
                case "swells":
                    bytearray(4 * 1024**3)
        return "sound"

    return read


targets.TARGETS["planted"] = reader

from fuzz import one  # noqa: E402 -- it takes both from there

sys.argv = ["fuzz.one", "planted", *sys.argv[2:5], sys.argv[5]]
one.main()
