"""Runs a task's own checks: commands in the workspace, built-in predicates on the tree that is to be committed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pytest_pipeline.execution.paths import made_paths, matching
from pytest_pipeline.host.git import Tree
from pytest_pipeline.host.process import Command, Completed, run
from pytest_pipeline.host.redaction import Redactor
from pytest_pipeline.plans.model import Check, CommandCheck, Predicate, PredicateCheck, Task


@dataclass(frozen=True)
class CheckResult:
    """How one check went; ``detail`` is a sentence, ``tail`` the last lines that a command printed."""

    check: CommandCheck | PredicateCheck
    passed: bool
    detail: str
    tail: str = ""


@dataclass(frozen=True)
class VerificationReport:
    """How the checks of a task went.

    Args:
        results: the checks that were run, in order; the last one is the failed one where one failed.
        own_checks: how many commands and predicates the task has; 0: it is judged by its files alone.
        unjudged: prose and refused commands, which nobody ran; never counted as passed.
    """

    results: tuple[CheckResult, ...]
    own_checks: int
    unjudged: tuple[Check, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check of the task's own passed; true also where it has none."""
        return self.first_failure is None

    @property
    def first_failure(self) -> CheckResult | None:
        """The check that ended the verification."""
        return next((each for each in self.results if not each.passed), None)


@dataclass(frozen=True)
class Verifier:
    """Where and how commands are run.

    Args:
        directory: their working directory, the workspace.
        environment: their whole environment.
        timeout: wall-clock limit of each command, in seconds.
        transcript: file that what they print is appended to.
        transcript_limit: most bytes of it.
    """

    directory: Path
    environment: Mapping[str, str]
    timeout: float
    transcript: Path | None = None
    transcript_limit: int = 20 * 1024**2

    def verify(self, task: Task, tree: Tree) -> VerificationReport:
        """Run the checks in their order and stop at the first that fails.

        Args:
            task: whose checks.
            tree: what predicates look at; the workspace is not asked, since a symlink in it may lead anywhere.

        Raises:
            HostError: a shell cannot be started here.
        """
        own = [check for check in task.verification if isinstance(check, (CommandCheck, PredicateCheck))]
        unjudged = tuple(check for check in task.verification if not isinstance(check, (CommandCheck, PredicateCheck)))
        results: list[CheckResult] = []
        for check in own:
            results.append(self._run(check) if isinstance(check, CommandCheck) else judge_predicate(check, task, tree))
            if not results[-1].passed:
                break
        return VerificationReport(tuple(results), len(own), unjudged)

    def _run(self, check: CommandCheck) -> CheckResult:
        completed = run(
            Command(
                ("/bin/sh", "-c", check.command),
                cwd=self.directory,
                environment=self.environment,
                timeout=self.timeout,
                transcript=self.transcript,
                transcript_limit=self.transcript_limit,
                redactor=Redactor.for_child(self.environment),
            )
        )
        passed = not completed.timed_out and completed.exit_code == check.passes_on
        return CheckResult(check, passed, self._detail(check, completed), completed.tail)

    def _detail(self, check: CommandCheck, completed: Completed) -> str:
        shown = shorten(check.command)
        if completed.timed_out:
            return f"`{shown}` did not end within {self.timeout:g} s."
        if completed.exit_code < 0:
            return f"`{shown}` was ended by signal {-completed.exit_code}."
        ended = f"`{shown}` ended with exit status {completed.exit_code}"
        if completed.exit_code == check.passes_on:
            return f"{ended}."
        hint = " (127: the shell did not find a program)" if completed.exit_code == 127 else ""
        return f"{ended}{hint}; expected {check.passes_on}."


def shorten(command: str, width: int = 100) -> str:
    """The first line of a command or script, for a sentence."""
    first, *more = command.strip().splitlines() or [""]
    return first[: width - 1] + "…" if more or len(first) > width else first


class _NotMetError(Exception):
    """A predicate that does not hold; its text is what was found."""


def judge_predicate(check: PredicateCheck, task: Task, tree: Tree) -> CheckResult:
    """Ask a tree whether a built-in check holds."""
    try:
        detail = _PREDICATES[check.predicate](check, task, tree)
    except _NotMetError as finding:
        return CheckResult(check, False, f"Expected “{check.text}”; {finding}.")
    return CheckResult(check, True, detail)


def _files_exist(check: PredicateCheck, task: Task, tree: Tree) -> str:
    paths = _subjects(check, task)
    missing = [path for path in paths if not matching(path, tree.entries())]
    if missing:
        raise _NotMetError(f"{', '.join(missing)} is not there")
    return f"{', '.join(paths)} is there."


def _valid_json(check: PredicateCheck, task: Task, tree: Tree) -> str:
    paths = _subjects(check, task)
    if not check.paths and len(paths) > 1:
        paths = tuple(path for path in paths if path.endswith(".json")) or _no_subject("no declared file ends in .json")
    for path, content in _contents(paths, tree):
        try:
            json.loads(content, parse_constant=_refuse_constant, parse_int=float)
        except (ValueError, RecursionError) as error:
            raise _NotMetError(f"{path} is no JSON ({error})") from None
    return f"{', '.join(paths)} is valid JSON."


def _content_contains(check: PredicateCheck, task: Task, tree: Tree) -> str:
    wanted = check.argument.encode()
    paths = _subjects(check, task)
    if check.paths:
        lacking = [path for path, content in _contents(paths, tree) if wanted not in content]
        if lacking:
            raise _NotMetError(f"{', '.join(lacking)} does not contain {check.argument!r}")
        return f"{', '.join(paths)} contains {check.argument!r}."
    there = (path for path in paths if matching(path, tree.entries()))
    if not any(wanted in content for _, content in _contents(tuple(there), tree)):
        raise _NotMetError(f"none of {', '.join(paths)} contains {check.argument!r}")
    return f"{check.argument!r} is in {', '.join(paths)}."


def _lines_at_least(check: PredicateCheck, task: Task, tree: Tree) -> str:
    if not check.argument.isdecimal():
        raise _NotMetError(f"{check.argument!r} is no number of lines; correct the plan")
    paths = _subjects(check, task)
    for path, content in _contents(paths, tree):
        lines = content.count(b"\n") + (content[-1:] not in (b"", b"\n"))
        if lines < int(check.argument):
            raise _NotMetError(f"{path} has {lines}")
    return f"{', '.join(paths)} has at least {check.argument} lines."


def _will_fail(check: PredicateCheck, task: Task, tree: Tree) -> str:
    del check, task, tree
    raise _NotMetError("the plan says that this fails")


_PREDICATES: dict[Predicate, Callable[[PredicateCheck, Task, Tree], str]] = {
    Predicate.FILES_EXIST: _files_exist,
    Predicate.VALID_JSON: _valid_json,
    Predicate.CONTENT_CONTAINS: _content_contains,
    Predicate.LINES_AT_LEAST: _lines_at_least,
    Predicate.WILL_FAIL: _will_fail,
}


def _subjects(check: PredicateCheck, task: Task) -> tuple[str, ...]:
    return check.paths or made_paths(task.files) or _no_subject("the plan names no file that it is about")


def _no_subject(finding: str) -> NoReturn:
    raise _NotMetError(f"{finding}; name one in the plan")


def _contents(paths: tuple[str, ...], tree: Tree) -> list[tuple[str, bytes]]:
    """Every file that the paths mean, with its content."""
    contents = []
    for declared in paths:
        found = [
            (path, content) for path in matching(declared, tree.entries()) if (content := tree.read(path)) is not None
        ]
        if not found:
            raise _NotMetError(f"{declared} is not there as a file")
        contents += found
    return contents


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not part of JSON")
