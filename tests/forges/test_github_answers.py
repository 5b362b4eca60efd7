from __future__ import annotations

import re

import pytest

from pytest_pipeline.forges.github import texts
from pytest_pipeline.forges.github.answers import (
    Answer,
    Creation,
    Merging,
    Update,
    creation,
    deleted,
    merging,
    read_errors,
    refusal,
    update,
)


def test_errors_are_read_whatever_shape_they_have() -> None:
    body = {
        "message": "Validation Failed",
        "errors": [{"field": "head", "code": "invalid"}, {"code": "custom", "message": "No commits."}, "plain"],
    }
    assert read_errors(body) == ("Validation Failed", ("head invalid", "No commits.", "plain"))
    assert read_errors({"message": "x", "errors": "one sentence"}) == ("x", ("one sentence",))
    assert read_errors(["a", "list"]) == ("", ())
    assert Answer(422, message="Validation Failed", errors=("No commits.",)).text == "Validation Failed; No commits"


@pytest.mark.parametrize(
    ("answer", "limited"),
    [
        (Answer(422, message="Validation Failed", errors=("No commits between main and abuse-reports",)), False),
        (Answer(429), True),
        (Answer(403, {"retry-after": "3"}), True),
        (Answer(403, {"x-ratelimit-remaining": "0"}), True),
        (Answer(403, {"x-ratelimit-remaining": "7"}, message="You have exceeded a secondary rate limit."), True),
        (Answer(403, message="You have triggered an abuse detection mechanism."), True),
        (Answer(403, {"x-ratelimit-remaining": "7"}, message="Resource not accessible"), False),
        (Answer(422, message="Validation Failed", errors=("was submitted too quickly",)), True),
        (Answer(422, message="Validation Failed", errors=("base invalid",)), False),
        (Answer(502, message="rate limit"), False),
    ],
)
def test_a_limit_is_told_from_a_refusal(answer: Answer, limited: bool) -> None:
    assert answer.limited is limited


@pytest.mark.parametrize(
    ("status", "message", "meaning"),
    [
        (201, "", Creation.MADE),
        (0, "", Creation.UNCERTAIN),
        (502, "A pull request already exists for o:b.", Creation.UNCERTAIN),
        (422, "A pull request already exists for o:b.", Creation.EXISTS),
        (422, "head invalid", Creation.NOT_VISIBLE),
        (422, "No commits between base and head", Creation.NOT_VISIBLE),
        (422, "Head sha can't be blank, Base sha can't be blank", Creation.NOT_VISIBLE),
        (422, "base invalid", Creation.REFUSED),
        (422, "The b branch has no history in common with main", Creation.REFUSED),
        (403, "Resource not accessible", Creation.REFUSED),
        (307, "Moved Temporarily", Creation.REFUSED),
    ],
)
def test_an_answer_to_a_creation_is_told_by_its_sentence(status: int, message: str, meaning: Creation) -> None:
    assert creation(Answer(status, errors=(message,))) is meaning


@pytest.mark.parametrize(
    ("status", "message", "meaning"),
    [
        (200, "Pull Request successfully merged", Merging.DONE),
        (405, "Base branch was modified. Review and try the merge again.", Merging.AGAIN),
        (405, "Merge already in progress", Merging.AGAIN),
        (405, "Pull Request is not mergeable", Merging.NOT_MERGEABLE),
        (405, "Head branch is not up to date with the base branch.", Merging.BEHIND),
        (405, "Head branch is out of date. Review and try the merge again.", Merging.BEHIND),
        (405, "This branch is out-of-date with the base branch", Merging.BEHIND),
        (405, "The head is behind the base", Merging.BEHIND),
        (405, "Squash merges are not allowed on this repository.", Merging.METHOD),
        (405, "Merge commits are not allowed on this repository.", Merging.METHOD),
        (405, "Changes must be made through the merge queue", Merging.QUEUE),
        (405, 'Required status check "tests" is expected.', Merging.CHECKS),
        (405, "2 of 3 required status checks are expected.", Merging.CHECKS),
        (405, "At least 1 approving review is required by reviewers with write access.", Merging.REFUSED),
        (405, "Pull Request is still a draft", Merging.REFUSED),
        (409, "Head branch was modified. Review and try the merge again.", Merging.HEAD_MOVED),
        (500, "", Merging.UNCERTAIN),
        (0, "", Merging.UNCERTAIN),
        (404, "Not Found", Merging.REFUSED),
    ],
)
def test_an_answer_to_a_merge_is_told_by_its_sentence(status: int, message: str, meaning: Merging) -> None:
    assert merging(Answer(status, message=message)) is meaning


@pytest.mark.parametrize(
    ("status", "message", "meaning"),
    [
        (202, "Updating pull request branch.", Update.BEGUN),
        (422, "There are no new commits on the base branch.", Update.AGAIN),
        (422, "expected head sha didn't match current head ref.", Update.AGAIN),
        (422, "merge conflict between base and head", Update.REFUSED),
        (403, "expected head sha", Update.REFUSED),
        (404, "Not Found", Update.REFUSED),
        (502, "", Update.AGAIN),
        (0, "", Update.AGAIN),
    ],
)
def test_an_answer_to_an_update_is_told_by_its_sentence(status: int, message: str, meaning: Update) -> None:
    assert update(Answer(status, message=message)) is meaning


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        (Answer(204), True),
        (Answer(404, message="Not Found"), True),
        (Answer(422, message="Reference does not exist"), True),
        (Answer(422, message="Cannot delete a protected branch"), False),
        (Answer(502), False),
        (Answer(0), False),
    ],
)
def test_a_branch_is_gone_by_three_answers(answer: Answer, gone: bool) -> None:
    assert deleted(answer) is gone


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (Answer(401, message="Bad credentials"), "neither expired nor revoked"),
        (Answer(403, {"x-accepted-github-permissions": "contents=write"}, message="No"), r"\(contents=write\)"),
        (Answer(403, message="No"), "contents: write and pull requests: write"),
        (Answer(404, message="Not Found"), "may not see it"),
        (Answer(307), "has moved"),
        (Answer(502), "githubstatus.com"),
        (Answer(429), "fewer tasks"),
        (Answer(405, message="Repository rule violations found"), "rules of the repository"),
        (Answer(422, message="base invalid"), "Mend what GitHub says"),
    ],
)
def test_a_refusal_says_what_to_do(answer: Answer, remedy: str) -> None:
    said = refusal("open it", answer)
    assert said.startswith("GitHub did not open it (")
    assert said.endswith(".")
    assert re.search(remedy, said)


# --- texts ------------------------------------------------------------------------------------------------------------


def test_a_title_is_one_line_and_not_too_long() -> None:
    assert texts.title("Add\n  a file ") == "Add a file"
    assert texts.title(" \n") == "Untitled"
    assert texts.title("x" * 256) == "x" * 256
    cut = texts.title("x" * 257)
    assert (len(cut), cut[-4:]) == (256, "x...")


def test_a_body_ends_in_the_marker_and_is_not_too_long() -> None:
    body = texts.body("What it does.\n", "pipeline/s/run-01/1-1")
    assert body == "What it does.\n\n<!-- pytest-pipeline: pipeline/s/run-01/1-1 -->\n"
    assert texts.marked_branch(body.replace("\n", "\r\n")) == "pipeline/s/run-01/1-1"
    long = texts.body("ü" * 70_000, "b")
    assert len(long) <= texts.LONGEST_BODY
    assert len(long) > texts.LONGEST_BODY - 10
    assert "(cut: GitHub takes no longer text)" in long
    assert texts.marked_branch(long) == "b"


def test_a_marker_that_was_in_the_text_does_not_count() -> None:
    body = texts.body(f"Text\n{texts.marker('other')}\nmore", "mine")
    assert "other" not in body
    assert texts.marked_branch(body) == "mine"
    assert texts.marked_branch("no marker") is None
    assert texts.marked_branch(None) is None


def test_a_commit_message_is_handed_over_in_two_parts() -> None:
    parts = texts.commit_parts("Subject\n\nBody\n\nTrailer: 1\n")
    assert parts == {"commit_title": "Subject", "commit_message": "Body\n\nTrailer: 1"}
    assert texts.commit_parts("Subject") == {"commit_title": "Subject", "commit_message": ""}
