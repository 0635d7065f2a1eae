import json
import subprocess
import sys


def test_each_wake_up_is_measured_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "convload.load.pacing.wakeups", "20"]

    found = json.loads(subprocess.run(command, capture_output=True, timeout=30, check=True).stdout)

    assert len(found["lateness_us"]) == 20
    assert min(found["lateness_us"]) >= 0
    assert isinstance(found["precise"], bool)
