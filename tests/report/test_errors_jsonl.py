import json

from convload.comparison.conclusion import Conclusion
from convload.report.data_files import errors_jsonl as render


def test_every_line_is_a_sample_with_all_that_shows_its_payload_again(conclusion: Conclusion) -> None:
    samples = [json.loads(line) for line in render(conclusion).splitlines()]

    assert len(samples) == len(conclusion.samples)
    assert {"t_s", "step", "variant", "outcome", "detail", "index", "worker"} == samples[0].keys()
    assert {sample["detail"] for sample in samples} == {sample.detail for sample in conclusion.samples}


def test_a_terminal_shows_it_and_never_obeys_it(conclusion: Conclusion) -> None:
    text = render(conclusion)

    assert text.isascii()
    assert "\x1b" not in text
