"""Makes text from elsewhere (answers, errors, addresses) safe to show: it is data in every format."""

LONGEST = 300


def visible(text: str) -> str:
    """Writes each character that does not print as its escape: controls, line breaks, marks of direction.

    What is left fits into XML and into one line, and no terminal obeys it.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def brief(text: str, longest: int = LONGEST) -> str:
    """Makes text visible and cuts it, with a mark that it was cut."""
    shown = visible(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
