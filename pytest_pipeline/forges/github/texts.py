"""Title and body of a pull request as GitHub takes them, with the line by which the pull request is known as ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST_TITLE = 256  # characters
LONGEST_BODY = 65_536  # characters
_CUT = "\n\n... (cut: GitHub takes no longer text)\n"
_MARKER = re.compile(r"^<!-- pytest-pipeline: (?P<branch>\S+) -->$", re.MULTILINE)


def marker(branch: str) -> str:
    """The line, not shown by GitHub, that says which branch of ours a pull request belongs to."""
    return f"<!-- pytest-pipeline: {branch} -->"


def marked_branch(body: str | None) -> str | None:
    """The branch that the last marker of a body names, or None where there is none."""
    found = _MARKER.findall((body or "").replace("\r\n", "\n"))
    return found[-1] if found else None


def title(text: str) -> str:
    """A title on one line that is not too long; never empty."""
    line = " ".join(text.split()) or "Untitled"
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 3].rstrip()}..."


def body(text: str, branch: str) -> str:
    """A body that ends in the marker and is not too long; what others wrote as a marker is taken out."""
    plain = _MARKER.sub("", text).rstrip()
    end = f"\n\n{marker(branch)}\n"
    room = LONGEST_BODY - len(end)
    if len(plain) > room:
        plain = plain[: room - len(_CUT)].rstrip() + _CUT.rstrip()
    return plain + end


def commit_parts(message: str) -> Mapping[str, str]:
    """A commit message as the merge call takes it: first line and rest."""
    subject, _, rest = message.strip().partition("\n")
    return {"commit_title": subject, "commit_message": rest.strip()}
