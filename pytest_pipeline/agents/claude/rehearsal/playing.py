"""A scripted model that does a task by its reference solution, with the tools of the CLI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_pipeline.agents.base import SolutionPart
from pytest_pipeline.agents.claude.rehearsal.moves import Call, Calls, moves
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Json, text, tool_call
from pytest_pipeline.agents.workspace import Workspace
from pytest_pipeline.errors import PipelineError

_NO_REFERENCE = (
    "There is no reference solution for this task, so I change nothing. Write one under **Reference:** in the plan, "
    "or let a live model do the task."
)
_DONE = "The reference solution is in place."
_STUCK = "I stop here, because the reference solution does not go on: {reason}"
_FAILED = (
    "I stop here, because I could not {aim}. Mend the reference solution, or what the agent is allowed to do. "
    "The tool {tool} said: {said}"
)
_NOTHING_LEFT = "I have nothing more to do."
_MOST_SAID = 600  # characters


class Player:
    """Plays the parts in their order; stops at the first that cannot be done or whose tool call fails, and says so.

    Args:
        parts: the reference solution.
        workspace: the directory that the CLI works in.
        tokens: input tokens that each answer claims to have used; with 0 the CLI counts no cost.
    """

    def __init__(self, parts: Sequence[SolutionPart], workspace: Path, tokens: int = 0) -> None:
        self._steps = _steps(parts, Workspace(workspace))
        self._tokens = tokens
        self._said: dict[int, Answer] = {}
        self._calls: dict[object, Call] = {}

    def reply(self, asked: Asked) -> Answer:
        """The next calls, or the closing words; what was answered once is answered again."""
        if asked.turn not in self._said:
            self._said[asked.turn] = self._next(asked)
        return self._said[asked.turn]

    def complaint(self) -> str:
        """Nothing: what cannot be played is said in the conversation, and the task is judged by its workspace."""
        return ""

    def _next(self, asked: Asked) -> Answer:
        failure = self._failure(asked)
        if failure:
            self._steps = iter(())
        step = failure or next(self._steps, _NOTHING_LEFT)
        if isinstance(step, str):
            return Answer((text(step),), "end_turn", self._usage)
        blocks = [self._block(f"play_{asked.turn}_{number}", call) for number, call in enumerate(step)]
        return Answer(tuple(blocks), "tool_use", self._usage)

    def _block(self, number: str, call: Call) -> Json:
        block = tool_call(number, call.tool, call.arguments)
        self._calls[block["id"]] = call
        return block

    def _failure(self, asked: Asked) -> str:
        """What to say of the first call that failed; nothing when all went well."""
        for result in _results(asked.messages):
            call = self._calls.get(result.get("tool_use_id"))
            if call and result.get("is_error"):
                return _FAILED.format(aim=call.aim, tool=call.tool, said=_words(result.get("content")))
        return ""

    @property
    def _usage(self) -> dict[str, int]:
        return {"input_tokens": self._tokens}


def _steps(parts: Sequence[SolutionPart], workspace: Workspace) -> Iterator[Calls | str]:
    """Tool calls, and in the end what is said about them."""
    if not parts:
        yield _NO_REFERENCE
        return
    try:
        yield from moves(parts, workspace)
    except PipelineError as error:
        yield _STUCK.format(reason=error)
    else:
        yield _DONE


def _results(messages: Sequence[Json]) -> Iterator[Json]:
    """What came of the calls, in their order."""
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if isinstance(block, dict) and block.get("type") == "tool_result":
                yield block


def _words(content: object) -> str:
    """What a tool said: a text, or blocks of text."""
    blocks = content if isinstance(content, list) else [{"text": content}]
    said = "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict)).strip()
    return said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]} […]"
