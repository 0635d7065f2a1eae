"""Writes documents as Markdown, for a pull request or a job summary; text from elsewhere in them is escaped."""

import re
from collections.abc import Iterable, Sequence

from convload.report import document as doc

# What CommonMark or GitHub may read as markup; an underscore inside a word is none.
_ACTIVE = re.compile(r"([\\`*{}\[\]<>#!~&@]|(?<![^\W_])_|_(?![^\W_])|(?<=\w):(?=//))")


def render(document: doc.Document) -> str:
    """Returns the whole text."""
    sections = [_section(section) for section in document.sections]
    return "\n\n".join([f"# {plain(document.title)}", plain(document.statement), *filter(None, sections)]) + "\n"


def plain(text: str) -> str:
    """Escapes text so that it is read as itself."""
    return _ACTIVE.sub(r"\\\1", doc.visible(text))


def code(text: str) -> str:
    """Puts text into a code span that it cannot leave; nothing for no text."""
    if not text:
        return ""
    shown = doc.brief(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    # Spaces keep a backtick at the edge apart from the fence; Markdown takes one off each side again.
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _section(section: doc.Section) -> str:
    blocks = [_block(block) for block in section.for_medium(doc.MARKDOWN)]
    if not blocks:
        return ""
    return "\n\n".join([*([f"## {_words(section.title)}"] if section.title else []), *blocks])


def _block(block: doc.Block) -> str:
    match block:
        case doc.Table():
            columns, rows = block.for_medium(doc.MARKDOWN)
            heads = [f"{column.clock} {column.head_on(doc.MARKDOWN)}".strip() for column in columns]
            return _table(heads, [[_words(cell) for cell in row] for row in rows])
        case doc.Remark():
            return _words(block.words)
        case doc.Bullets():
            return "\n".join(f"- {_words(item)}" for item in block.items)
        case doc.Facts():
            facts = [fact for group in block.groups.values() for fact in group.items()]
            return _table(["", "measured"], [[plain(name), plain(value)] for name, value in facts])
        case doc.Diagram():
            return f"{block.caption}\n\n```mermaid\n{block.source}\n```"
        case _:
            raise NotImplementedError(type(block).__name__)


def _words(words: doc.Words) -> str:
    return "".join(_part(part) for part in doc.parts(words))


def _part(part: doc.Part) -> str:
    if isinstance(part, doc.Code | doc.Command):
        return code(part.text)
    if isinstance(part, doc.Mark):
        return f"**{plain(part.text)}**" if part.tone == "warning" else plain(part.text)
    if isinstance(part, doc.Link):
        return plain(f"{part.text} {part.url}")
    return plain(part if isinstance(part, str) else part.text)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    # A bar ends a cell even inside a code span, unless it is escaped.
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
