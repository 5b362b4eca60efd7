"""What a JUnit record claims, read without believing any of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from pytest_pipeline.errors import SettingsError
from pytest_pipeline.record.junit import PREFIX
from pytest_pipeline.record.model import FINAL_STATE, Outcome, TaskRunKey
from pytest_pipeline.record.rebuilding import Rebuilt

_ELEMENTS = ("failure", "error", "skipped")
_NEEDED = ("session", "run", "plan", "batch", "task", "outcome")


@dataclass(frozen=True)
class Claim:
    """One test case.

    Args:
        key: the item and its run.
        attempt: number of the attempt; 0: none was made.
        outcome: what the property says.
        shown: what the elements of JUnit say: ``passed``, ``failure``, ``error`` or ``skipped``.
        facts: all its properties, without their prefix.
    """

    key: TaskRunKey
    attempt: int
    outcome: Outcome
    shown: str
    facts: Mapping[str, str]

    @property
    def is_final_state(self) -> bool:
        """Whether it is about the end of a plan in a run."""
        return self.key.task == FINAL_STATE and not self.key.batch

    def __str__(self) -> str:
        return name_of(self.key)


@dataclass(frozen=True)
class Record:
    """The record of one session.

    Args:
        session: id of the session.
        facts: the properties of the suite, without their prefix.
        claims: the test cases of plans, in their order.
        faults: sentences about what contradicts itself already as it is read.
    """

    session: str
    facts: Mapping[str, str]
    claims: tuple[Claim, ...]
    faults: tuple[str, ...] = ()

    @property
    def decided(self) -> Mapping[TaskRunKey, Claim]:
        """The test case that decides for each item: that of the last attempt."""
        return {each.key: each for each in sorted(self.claims, key=lambda claim: claim.attempt)}


def name_of(key: TaskRunKey) -> str:
    """An item in a run, for messages."""
    if key.task == FINAL_STATE and not key.batch:
        return f"the final state of {key.plan} in run {key.run}"
    return f"task {key.task} of batch {key.batch} of {key.plan} in run {key.run}"


def record_of(rebuilt: Rebuilt) -> Record:
    """What the store claims of a session."""
    claims = []
    for case in rebuilt.cases:
        facts = _named(case.properties)
        shown = "passed"
        if case.reported is not None and case.reported.outcome != "passed":
            shown = "skipped" if case.reported.outcome == "skipped" else "failure"
        claims.append(Claim(case.key, int(facts.get("attempt", 0)), Outcome(facts["outcome"]), shown, facts))
    return Record(rebuilt.session.id, _named(rebuilt.properties), tuple(claims))


def read_record(text: bytes) -> Record:
    """Read JUnit XML.

    Args:
        text: the whole file.

    Raises:
        SettingsError: it is no JUnit XML of exactly one session of ours.
    """
    if b"<!DOCTYPE" in text:  # no entity without one
        raise SettingsError("The record has a document type, which no JUnit record has. Name a file of --junitxml.")
    try:
        tree = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise SettingsError(f"The record is no XML ({error}). Name a file that --junitxml has written.") from None
    suites = [(suite, _properties(suite)) for suite in tree.iter("testsuite")]
    ours = [(suite, facts) for suite, facts in suites if "session" in facts]
    if len(ours) != 1:
        raise SettingsError(
            f"The record holds {len(ours) or 'no'} sessions of plans; verify takes one. Name a file that --junitxml "
            "has written, as it was written."
        )
    suite, facts = ours[0]
    reading = _Reading(facts["session"])
    claims = tuple(reading.claims(suite))
    return Record(facts["session"], facts, claims, (*reading.faults, *_totals(suite)))


class _Reading:
    def __init__(self, session: str) -> None:
        self._session = session
        self.faults: list[str] = []

    def claims(self, suite: ElementTree.Element) -> Iterator[Claim]:
        for case in suite.iter("testcase"):
            facts = _properties(case)
            if facts:  # others are ordinary tests
                yield from self._claim(f"{case.get('classname')} {case.get('name')}", case, facts)

    def _claim(self, name: str, case: ElementTree.Element, facts: Mapping[str, str]) -> Iterator[Claim]:
        missing = [each for each in _NEEDED if each not in facts]
        if missing:
            self.faults.append(f"The test case {name} does not say its {', '.join(missing)}.")
            return
        if facts["session"] != self._session:
            self.faults.append(
                f"The test case {name} is of session {facts['session']}; the record is of {self._session}."
            )
        numbers = [facts["run"], facts.get("attempt", "0")]
        if not all(each.isascii() and each.isdecimal() and len(each) < 6 for each in numbers):
            self.faults.append(f"The test case {name} has a run or an attempt that is no number.")
            return
        try:
            outcome = Outcome(facts["outcome"])
        except ValueError:
            self.faults.append(f"The test case {name} has the outcome {facts['outcome']!r}, which there is not.")
            return
        key = TaskRunKey(self._session, int(facts["run"]), facts["plan"], facts["batch"], facts["task"])
        shown = next((each for each in _ELEMENTS if case.find(each) is not None), "passed")
        yield Claim(key, int(numbers[1]), outcome, shown, facts)


def _totals(suite: ElementTree.Element) -> Iterator[str]:
    found = Counter(each.tag for case in suite.iter("testcase") for each in case)
    for total, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        if suite.get(total) != str(found[tag]):
            yield f"The suite says {suite.get(total)} {total}; its test cases have {found[tag]}."


def _properties(element: ElementTree.Element) -> dict[str, str]:
    found = element.findall("properties/property")
    return _named(tuple((each.get("name", ""), each.get("value", "")) for each in found))


def _named(properties: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {name.removeprefix(PREFIX): value for name, value in properties if name.startswith(PREFIX)}
