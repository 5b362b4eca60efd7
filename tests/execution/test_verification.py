from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_pipeline.execution.verification import CheckResult, VerificationReport, Verifier, judge_predicate, shorten
from pytest_pipeline.plans.model import (
    Check,
    CommandCheck,
    FileChange,
    Predicate,
    PredicateCheck,
    ProseCheck,
    RefusedCheck,
    Task,
    Verb,
)
from tests.execution.fake_tree import FakeTree


def task(*checks: Check, files: tuple[FileChange, ...] = ()) -> Task:
    return Task("1.1", "A task", "Do it.", 1, files=files, verification=checks)


def verified(
    directory: Path, *checks: Check, tree: FakeTree | None = None, timeout: float = 60.0
) -> VerificationReport:
    environment = {"PATH": os.environ["PATH"], "FLAVOUR": "plum"}
    verifier = Verifier(directory, environment, timeout, transcript=directory / "transcript.txt")
    return verifier.verify(task(*checks), tree or FakeTree())


def test_commands_run_by_a_shell_in_the_workspace_with_the_given_environment(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("plum")

    report = verified(tmp_path, CommandCheck('test "$(cat a.txt)" = "$FLAVOUR" && echo "got $FLAVOUR"', 1))

    assert report.passed, report
    assert report.results[0].tail.strip() == "got plum"
    assert "got plum" in (tmp_path / "transcript.txt").read_text()


def test_a_secret_of_the_environment_does_not_reach_the_transcript(tmp_path: Path) -> None:
    verifier = Verifier(tmp_path, {"MY_TOKEN": "sesame-open-wide"}, 60.0, transcript=tmp_path / "transcript.txt")

    report = verifier.verify(task(CommandCheck('echo "it is $MY_TOKEN"', 1)), FakeTree())

    told = (tmp_path / "transcript.txt").read_text() + report.results[0].tail
    assert "it is ***" in told
    assert "sesame" not in told


def test_a_fenced_block_is_one_script(tmp_path: Path) -> None:
    report = verified(tmp_path, CommandCheck("mkdir d\ncd d\nX=1\ntouch made-$X\n", 1))

    assert report.passed, report
    assert (tmp_path / "d/made-1").exists()


def test_an_exit_status_that_is_not_expected_fails_and_the_rest_is_not_run(tmp_path: Path) -> None:
    report = verified(
        tmp_path, CommandCheck("true", 1), CommandCheck("echo why; exit 4", 2), CommandCheck("touch late", 3)
    )

    assert not report.passed
    assert report.first_failure is report.results[1]
    assert report.results[1].detail == "`echo why; exit 4` ended with exit status 4; expected 0."
    assert "why" in report.results[1].tail
    assert report.own_checks == 3
    assert len(report.results) == 2
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize(("command", "passed"), [("exit 1", True), ("exit 0", False), ("exit 2", False)])
def test_a_check_may_pass_on_another_exit_status(tmp_path: Path, command: str, passed: bool) -> None:
    assert verified(tmp_path, CommandCheck(command, 1, passes_on=1)).passed is passed


def test_a_command_that_does_not_end_fails_by_its_own_limit(tmp_path: Path) -> None:
    report = verified(tmp_path, CommandCheck("sleep 300", 1), timeout=2.0)

    assert report.first_failure is not None
    assert report.first_failure.detail == "`sleep 300` did not end within 2 s."


def test_a_program_that_is_not_there_is_hinted_at(tmp_path: Path) -> None:
    report = verified(tmp_path, CommandCheck("no-such-program-anywhere", 1))

    assert report.first_failure is not None
    assert "127: the shell did not find a program" in report.first_failure.detail


def test_prose_and_refused_commands_are_never_run_and_never_passed(tmp_path: Path) -> None:
    prose, refused = ProseCheck("It looks nice", 1), RefusedCheck("touch late", "it never ends", 2)

    report = verified(tmp_path, prose, refused)

    assert report == VerificationReport((), own_checks=0, unjudged=(prose, refused))
    assert not (tmp_path / "late").exists()


def test_predicates_look_at_the_tree_and_not_at_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("/etc/passwd")
    check = PredicateCheck(Predicate.CONTENT_CONTAINS, "Content contains root", 1, ("a.txt",), "root")

    report = verified(tmp_path, check, tree=FakeTree(links={"a.txt": "/etc/passwd"}))

    assert not report.passed
    assert report.own_checks == 1


FILES = (
    FileChange(Verb.CREATE, "made.txt", 1),
    FileChange(Verb.CREATE, "made.json", 1),
    FileChange(Verb.TEST, "tests/", 1),
    FileChange(Verb.READ, "read.txt", 1),
    FileChange(Verb.DELETE, "gone.txt", 1),
)
TREE = FakeTree(
    {
        "made.txt": "hello\nworld",
        "made.json": '{"a": [1, 2.5]}',
        "tests/test_a.py": "\n\n\n",
        "bad.json": "{'a': 1}",
        "nan.json": "[NaN]",
        "deep.json": "[" * 100_000,
        "latin.json": b'"\xe4"',
        "empty": "",
    }
)


def asked(predicate: Predicate, *paths: str, argument: str = "", files: tuple[FileChange, ...] = FILES) -> CheckResult:
    return judge_predicate(PredicateCheck(predicate, "so", 1, paths, argument), task(files=files), TREE)


@pytest.mark.parametrize(
    ("predicate", "paths", "argument", "passed"),
    [
        (Predicate.FILES_EXIST, (), "", True),
        (Predicate.FILES_EXIST, ("made.txt", "tests"), "", True),
        (Predicate.FILES_EXIST, ("made.txt", "other.txt"), "", False),
        (Predicate.VALID_JSON, (), "", True),
        (Predicate.VALID_JSON, ("bad.json",), "", False),
        (Predicate.VALID_JSON, ("nan.json",), "", False),
        (Predicate.VALID_JSON, ("deep.json",), "", False),
        (Predicate.VALID_JSON, ("latin.json",), "", False),
        (Predicate.VALID_JSON, ("absent.json",), "", False),
        (Predicate.CONTENT_CONTAINS, (), "world", True),
        (Predicate.CONTENT_CONTAINS, (), "nowhere", False),
        (Predicate.CONTENT_CONTAINS, ("made.txt",), "hello", True),
        (Predicate.CONTENT_CONTAINS, ("made.txt", "made.json"), "hello", False),
        (Predicate.LINES_AT_LEAST, ("made.txt",), "2", True),
        (Predicate.LINES_AT_LEAST, ("made.txt",), "3", False),
        (Predicate.LINES_AT_LEAST, ("tests/test_a.py",), "3", True),
        (Predicate.LINES_AT_LEAST, ("empty",), "1", False),
        (Predicate.LINES_AT_LEAST, ("made.txt",), "many", False),
        (Predicate.WILL_FAIL, (), "", False),
    ],
)
def test_built_in_predicates(predicate: Predicate, paths: tuple[str, ...], argument: str, passed: bool) -> None:
    result = asked(predicate, *paths, argument=argument)

    assert result.passed is passed, result.detail


def test_a_predicate_without_any_file_to_ask_about_fails_and_says_so() -> None:
    for predicate in set(Predicate) - {Predicate.WILL_FAIL}:
        result = asked(predicate, argument="1", files=())

        assert not result.passed
        assert "name one in the plan" in result.detail


def test_the_single_declared_file_is_the_json_whatever_its_name() -> None:
    only = (FileChange(Verb.CREATE, "made.txt", 1),)

    assert "made.txt is no JSON" in asked(Predicate.VALID_JSON, files=only).detail


def test_a_declared_file_that_is_missing_is_named() -> None:
    files = (FileChange(Verb.CREATE, "made.txt", 1), FileChange(Verb.RENAME, "a", 1, "b"))

    assert asked(Predicate.FILES_EXIST, files=files).detail == "Expected “so”; b is not there."


def test_a_plan_that_says_this_will_fail_is_taken_at_its_word() -> None:
    assert asked(Predicate.WILL_FAIL).detail == "Expected “so”; the plan says that this fails."


def test_a_long_command_is_shown_by_its_beginning() -> None:
    assert shorten("one\ntwo") == "one…"
    assert shorten("x" * 101, width=10) == "x" * 9 + "…"
    assert shorten(" x ") == "x"
