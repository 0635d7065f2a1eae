"""Reads a pool: one value a line."""

import orjson

from convload.payloads.positions import Mistakes


def read_pool(text: str) -> tuple[tuple[str, ...], Mistakes]:
    """Returns the values of a pool file, and its mistakes by line.

    Blank lines and lines that begin with `#` are skipped; space around a value is dropped. A line that begins
    with a double quote is a JSON string: the way to write line breaks, outer space, or a `#` in front.
    """
    values: list[str] = []
    mistakes: Mistakes = []
    for number, line in enumerate(text.split("\n"), 1):
        value = line.strip()
        if value.startswith('"'):
            try:
                values.append(orjson.loads(value))
            except orjson.JSONDecodeError as error:
                what = f"begins with a quote and is no JSON string: {error.msg}, column {error.colno}"
                mistakes.append((str(number), what))
        elif value and not value.startswith("#"):
            values.append(value)
    if not values and not mistakes:
        mistakes.append(("1", "holds no value"))
    return tuple(values), mistakes
