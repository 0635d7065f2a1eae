"""The Grafana dashboard asks for what a scrape tells, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

from tests.run_logs import Make

from convload.outputs.scrape import Exposition
from convload.results.progress import Progress

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "convload.json"
OF_PROMETHEUS = {"job", "le"}


def told(make: Make) -> tuple[set[str], set[str]]:
    """Returns the names and labels of a scrape."""
    log, progress = make.opened(lambda *_: {"failed": 1}), Progress()
    for record in [log.manifest, *log.records]:
        progress._take(record)
    samples = [
        (family.name + suffix, labels)
        for family in Exposition(progress).families()
        for suffix, labels, _ in family.samples
    ]
    return {name for name, _ in samples}, {label for _, labels in samples for label in labels}


def queries() -> list[str]:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    variables = [one["query"]["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    return variables + [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_every_metric_and_label_of_the_dashboard_is_told_in_a_scrape(make: Make) -> None:
    names, labels = told(make)

    asked = {name for text in queries() for name in re.findall(r"convload_\w+", text)}
    groups = [group for text in queries() for group in re.findall(r"by \(([^)]*)\)", text)]
    by = {word.strip() for group in groups for word in group.split(",")}
    chosen = {label for text in queries() for label in re.findall(r"(\w+)(?:=~|!=|=)\"", text)}
    assert len(asked) > 8
    assert asked - names == set()
    assert (by | chosen) - labels - OF_PROMETHEUS == set()


def test_panels_have_numbers_and_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(x, y) for panel in panels for x, y in cells(panel["gridPos"])]
    assert len(places) == len(set(places))


def cells(place: dict[str, int]) -> list[tuple[int, int]]:
    across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    assert across[-1] < 24, "Grafana has 24 columns"
    return [(x, y) for x in across for y in down]
