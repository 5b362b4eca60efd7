"""Does a line look like a shell command, and is it one that we should run? Judged by its words alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_pipeline.plans.executables import AMBIGUOUS, KNOWN, PROSE_WORDS, SUFFICIENT

_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", re.S)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(?P<word>\w+)\1(?P<rest>[^\n]*)\n(?:.*?\n)??[ \t]*(?P=word)[ \t]*(?=\n|$)", re.S)
_CONTINUED = re.compile(r"[ \t]*\\\n[ \t]*")
_SEPARATOR = re.compile(r"(&&|\|\||;;?|\||(?<![<>&])&(?![>&\d])|\n)")
_PREFIX = re.compile(
    r"(?:\$\s+|!\s+|[({]\s*|[A-Za-z_]\w*=(?:\$\([^()]*\)|\S*)(?:\s+|$)|(?:sudo|time|nohup|exec|env|then|do|else|if|elif|while|until)\s+"
    r"|(?P<timeout>g?timeout(?:\s+-\S+)*\s+[\d.]+[smhd]?)\s+)"
)
_STRUCTURE = re.compile(
    r"(?:for\s+\w+\s+in\b|case\s+\S+\s+in\b|(?:then|do|done|fi|else|esac|\}|\))(?:\s|$)|[A-Za-z_]\w*\(\)\s*\{?)"
)
_ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Za-z_]\w*=")
_EVIDENCE = re.compile(r"-|.*[/*~$=\"'<>]|\.\.?$|.*\.\w|\d+$")
_TARGET = re.compile(r"[a-z][a-z0-9]*(?:[-_:][a-z0-9]+)+$")
_SELF_RUNNING = re.compile(r"(?:\.{1,2}/[\w.-]|(?:\S*/)?s?bin/\w)\S*$")

MUTATES_GIT = re.compile(
    r"""git\s+(?:-[Cc]\s+\S+\s+|--\S+\s+)*(?:
    (?:add|commit|push|pull|merge|rebase|reset|checkout|switch|restore|cherry-pick|revert|clean|rm|mv|am|update-ref|gc)(?![\w-])
    | apply(?!\s+--(?:check|stat))(?![\w-]) | stash(?!\s+(?:list|show))(?![\w-])
    | tag\s+(?!-l\b|--list|-n|--points-at|--contains)\S
    | branch\s+(?:-[dDmMcCfu]\b|--delete|--move|--force|[^-\s]) | worktree\s+(?:add|remove|prune|move)
    | remote\s+(?:add|remove|rename|set-url) | submodule\s+(?:add|update|deinit)
    | config\s+(?!--get|--list|-l\b)\S+\s+\S
    | filter-branch | filter-repo
    )""",
    re.X,
)


def mask_quotes(text: str) -> str:
    """The text with everything between quotes blackened: data there is nobody's command."""
    if "'" not in text and '"' not in text:
        return text
    return _QUOTED.sub(lambda match: match[0][0] + "_" * (len(match[0]) - 2) + match[0][-1], text)


def join_lines(script: str) -> str:
    """A script without heredoc bodies and with continued lines joined."""
    if "\n" not in script:
        return script
    return _CONTINUED.sub(" ", _HEREDOC.sub(r"<<\g<word>\g<rest>", script))


def split_statements(masked: str) -> Iterator[tuple[str, str]]:
    """Single commands with the separator that follows each."""
    parts = _SEPARATOR.split(masked)
    for number in range(0, len(parts), 2):
        if parts[number].strip():
            yield parts[number].strip(), parts[number + 1] if number + 1 < len(parts) else ""


def bare_statement(statement: str) -> tuple[str, bool]:
    """The statement without prompt, assignments and wrappers; and whether it has a time limit of its own."""
    limited = False
    while match := _PREFIX.match(statement):
        limited = limited or bool(match["timeout"])
        statement = statement[match.end() :]
    return statement, limited


def looks_like_command(text: str, *, explicit: bool = False) -> bool:
    """Whether one line is a shell command.

    Args:
        text: the line, without backticks around it.
        explicit: the plan says "Run:", so that an unknown program with a ``--flag`` is believed.
    """
    statements = [each for each, _ in split_statements(mask_quotes(join_lines(text)))]
    if not statements:
        return False
    if _ASSIGNMENT.match(statements[0]) or statements[0].split()[0] in ("cd", "set", "export", "source"):
        return _is_command(statements[0], explicit=explicit) or any(
            _is_command(each, explicit=explicit) for each in statements[1:]
        )
    return _is_command(statements[0], explicit=explicit)


def _is_command(statement: str, *, explicit: bool) -> bool:
    statement, _ = bare_statement(statement)
    words = statement.split()
    if not words or words[0] == "cd":
        return False
    first, following = words[0], words[1:]
    if first in ("[", "[["):
        return words[-1] in ("]", "]]")
    if any(word.strip(",.;:").lower() in PROSE_WORDS for word in following[:5]):
        return False
    if _SELF_RUNNING.match(first) or (first.endswith(".sh") and bool(following)):
        return True
    if first in AMBIGUOUS:
        return _has_evidence(first, following)
    if first in KNOWN:
        return bool(following) or first in SUFFICIENT
    return explicit and re.fullmatch(r"[a-z][\w.-]*", first) is not None and any(word[:2] == "--" for word in following)


def _has_evidence(first: str, following: list[str]) -> bool:
    if not following:
        return False
    if following[0].lower() in AMBIGUOUS[first]:
        return True
    if first in ("make", "just", "task") and _TARGET.match(following[0]):
        return True
    return any(_EVIDENCE.match(word) for word in following[:2])


def is_script(script: str, *, labelled: bool) -> bool:
    """Whether a fenced block is a script that checks something.

    Args:
        script: its text.
        labelled: whether its info string says that it is shell; otherwise half of it must look like commands.
    """
    lines = [line.strip() for line in mask_quotes(join_lines(script)).split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    commands = sum(1 for line in lines if _counts(line, explicit=labelled))
    return (
        commands > 0
        and commands * (3 if labelled else 2) >= len(lines)
        and any(_checks_something(line) for line in lines)
    )


def _counts(line: str, *, explicit: bool) -> bool:
    if _STRUCTURE.match(line) or looks_like_command(line, explicit=explicit):
        return True
    return explicit and bool(_ASSIGNMENT.match(line) or line.startswith(("cd ", "set -", "exit ")))


def _checks_something(line: str) -> bool:
    """Not only ``cd``, ``chmod`` and steps of git that commit."""
    return any(
        not MUTATES_GIT.match(each) and each.split()[0] not in ("cd", "chmod")
        for each in (bare_statement(statement)[0] for statement, _ in split_statements(line))
        if each
    )
