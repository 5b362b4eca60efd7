"""Trouble on demand: how the scripted model of a rehearsal misbehaves in one task."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class TroubleKind(str, enum.Enum):
    """What goes wrong; the values are the words of a plan's ``yaml rehearsal`` block."""

    STATUS = "status"  # the API answers with an HTTP error; a plan writes its number
    DROP = "drop"  # the connection is closed in the middle of an answer
    STALL = "stall"  # an answer stops in the middle, the connection stays open
    SILENCE = "silence"  # not one byte of an answer comes
    MALFORMED = "malformed"  # the events of an answer are no JSON
    NOTHING = "nothing"  # the model says that all is done and does nothing
    ENDLESS_TOOL = "endless-tool"  # it runs a command that never ends
    WRITE_OUTSIDE = "write-outside"  # it writes outside of its workspace
    GIT_PUSH = "git-push"  # it commits and pushes by itself
    EDIT_SETTINGS = "edit-settings"  # it writes .claude/settings.json, besides its task
    DAEMON = "daemon"  # it leaves a process behind that would do the work later
    FLOOD = "flood"  # it writes without end
    EXPENSIVE = "expensive"  # it does its task, and claims to have used many tokens

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a plan asks for.

    Args:
        kind: what goes wrong.
        line: where the plan says so.
        status: the HTTP status of :attr:`TroubleKind.STATUS`.
        retry_after: seconds that its ``retry-after`` header asks to wait; None: there is no such header.
        times: how many answers go wrong before the model does its task; None: all.
        tokens: input tokens that each answer claims to have used.
        ends: how the agent must end: ok, failed, timeout, budget, turns or unavailable; None: in any way.
    """

    kind: TroubleKind
    line: int = 0
    status: int = 0
    retry_after: float | None = None
    times: int | None = None
    tokens: int = 0
    ends: str | None = None
