"""Plays cassettes back: the answers that a live model once gave, as long as what it is asked still fits them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

from pytest_pipeline.agents.base import AgentRequest
from pytest_pipeline.agents.claude.rehearsal.cassette import Cassette, Exchange, find, holds_any, load, record_again
from pytest_pipeline.agents.claude.rehearsal.conversation import aftermath, fingerprint
from pytest_pipeline.agents.claude.rehearsal.places import Places, through_content
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Fault, Script
from pytest_pipeline.errors import SettingsError
from pytest_pipeline.trouble import TroubleKind


def player_for(directory: Path) -> Callable[[AgentRequest], Script]:
    """Who plays the model in a task run, by the cassettes of a directory.

    A task run gets the cassette of its own run, else that of the lowest run that was recorded.

    Raises:
        SettingsError: there is no cassette at all.
    """
    if not directory.is_dir() or not holds_any(directory):
        what = "holds no cassette" if directory.is_dir() else "is no directory"
        raise SettingsError(
            f"--cassette {directory} {what}. Name the directory of your cassettes, or record them first with "
            f"`--agent claude --record-cassette {directory}` and without --rehearse."
        )
    return lambda request: _script(directory, request)


def _script(directory: Path, request: AgentRequest) -> Script:
    path = find(directory, request.case, request.run)
    if path is None:
        return _Refusal(
            f"There is no cassette for the task {request.case} in {directory}. Record it with `--agent claude "
            f"--record-cassette {directory}`; a task run that is stopped before the model has finished leaves none."
        )
    try:
        cassette = load(path)
    except SettingsError as error:
        return _Refusal(str(error))
    places = Places.of(request)
    if cassette.prompt_sha256 != places.prompt_hash(request.prompt):
        return _Refusal(
            f"The prompt of this task no longer matches its cassette {path}: the task, its plan or the prompt "
            f"template has changed since it was recorded. {record_again(directory)}"
        )
    return CassettePlayer(cassette, places, path, record_again(directory))


class _Refusal:
    """Answers nothing, and says why."""

    def __init__(self, complaint: str) -> None:
        self._complaint = complaint

    def reply(self, asked: Asked) -> Fault:
        return _fault(self._complaint)

    def complaint(self) -> str:
        return self._complaint


class CassettePlayer:
    """The :class:`~pytest_pipeline.agents.claude.rehearsal.script.Script` of one cassette.

    Args:
        cassette: what was recorded.
        places: of this task run.
        path: the cassette's file, for complaints.
        advice: what to do when it does not fit.
    """

    def __init__(self, cassette: Cassette, places: Places, path: Path, advice: str) -> None:
        self._cassette = cassette
        self._places = places
        self._path = path
        self._advice = advice
        self._played: dict[str, Answer] = {}
        self._complaint = ""

    def reply(self, asked: Asked) -> Answer | Fault:
        """The next answer, or the same one again when the request is a repeated one."""
        known = fingerprint(asked.messages)
        if known not in self._played and not self._complaint:
            difference = self._difference(asked)
            if difference:
                self._complaint = f"{self._path}: in answer {len(self._played) + 1}, {difference}. {self._advice}"
            else:
                self._played[known] = self._answer(self._cassette.exchanges[len(self._played)])
        return self._played[known] if known in self._played else _fault(self._complaint)

    def complaint(self) -> str:
        """Where the recording and this task run went apart; or nothing."""
        return self._complaint

    def _difference(self, asked: Asked) -> str:
        """Why the next recorded answer is none to what is asked; or nothing."""
        exchanges = self._cassette.exchanges
        position = len(self._played)
        if position >= len(exchanges):
            return f"the model is asked more than when it was recorded, where it ended after {len(exchanges)}"
        recorded, now = exchanges[position], aftermath(asked.messages)
        for before, after in zip_longest(recorded.aftermath, now, fillvalue=""):
            if before != after:
                return _told_apart(before, after)
        if recorded.turn != asked.turn:
            return f"the conversation holds {asked.turn} answers, not {recorded.turn} as when it was recorded"
        return ""

    def _answer(self, exchange: Exchange) -> Answer:
        content = through_content(exchange.content, self._places.restore)
        return Answer(tuple(content), exchange.stop_reason, exchange.usage, exchange.model)


def _told_apart(before: str, after: str) -> str:
    tool, _, went = after.partition(" ")
    then = before.partition(" ")
    if tool == then[0]:
        return f"the tool {tool} {went} where it {then[2]} when it was recorded"
    return f"the CLI tells of {after or 'no tool'} where it told of {before or 'no tool'} when it was recorded"


def _fault(complaint: str) -> Fault:
    return Fault(TroubleKind.STATUS, status=400, message=complaint, retry=False)
