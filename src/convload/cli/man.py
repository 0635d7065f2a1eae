"""The manual page, made from the commands themselves."""

import re

import click

from convload import __version__


def page(group: click.Group) -> str:
    """Returns `convload.1` in roff: the command, then each verb and what is below it."""
    context = click.Context(group, info_name="convload")
    title = f'.TH CONVLOAD 1 "" "convload {__version__}" "Load tests"'
    summary = _text((group.help or "").partition("\n")[0])
    lines = [title, ".SH NAME", f"convload \\- {summary}", ".SH SYNOPSIS", ".B convload", "VERB [OPTIONS] [ARGUMENTS]"]
    lines += [".SH DESCRIPTION", *_paragraphs(group.help), ".SH COMMANDS"]
    return "\n".join([*lines, *_below(group, context)]) + "\n"


def _below(group: click.Group, context: click.Context) -> list[str]:
    lines = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            inner = click.Context(command, info_name=name, parent=context)
            lines += _command(command, inner)
            lines += _below(command, inner) if isinstance(command, click.Group) else []
    return lines


def _command(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f".SS {_text(usage)}", *_paragraphs(command.help)]
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
            lines += [".TP", f".B {_text(record[0])}", _text(record[1])]
    return [*lines, *_paragraphs(command.epilog)]


def _paragraphs(text: str | None) -> list[str]:
    """Returns help as roff; a paragraph behind click's mark keeps its lines."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", (text or "").strip()):
        if paragraph.startswith("\b"):
            lines += [".PP", ".nf", *map(_text, paragraph.removeprefix("\b").strip("\n").splitlines()), ".fi"]
        elif paragraph:
            lines += [".PP", _text(" ".join(paragraph.split()))]
    return lines


def _text(text: str) -> str:
    """Escapes what roff would obey."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in {".", "'"} else escaped
