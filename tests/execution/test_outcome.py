from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_pipeline.execution.outcome import Findings, judge, still_holds
from pytest_pipeline.plans.model import Condition, Expectation, FileChange, Relation, Task, Verb
from tests.execution.fake_tree import FakeTree, changes

Files = Mapping[str, str]


def task(*files: FileChange, expect: Expectation = Expectation.CHANGES, conditions: tuple[Condition, ...] = ()) -> Task:
    return Task("1.1", "A task", "Do it.", 1, files=files, expect=expect, conditions=conditions)


def file(verb: Verb, path: str, target: str | None = None) -> FileChange:
    return FileChange(verb, path, 1, target)


def judged(subject: Task, base: Files, new: Files, ignored: tuple[str, ...] = ()) -> Findings:
    old, now = FakeTree(base), FakeTree(new)
    return judge(subject, old, now, changes(old, now), ignored=ignored)


# Each verb, said a second time with the content of one path before and after (None: not there).
DEFINITIONS: dict[Verb, Callable[[str | None, str | None], bool]] = {
    Verb.CREATE: lambda before, after: before is None and after is not None,
    Verb.MODIFY: lambda before, after: before is not None and after is not None and before != after,
    Verb.CHANGE: lambda before, after: after is not None and before != after,
    Verb.DELETE: lambda before, after: before is not None and after is None,
    Verb.READ: lambda before, after: before == after,
    Verb.TEST: lambda before, after: after is not None,
}
PATHS = ("a.txt", "b.txt", "d/a.txt", "d/b.txt", "d/e/c.py")
TREES = st.dictionaries(st.sampled_from(PATHS), st.sampled_from(("1", "2")))


@given(base=TREES, new=TREES, path=st.sampled_from(PATHS), verb=st.sampled_from(sorted(DEFINITIONS)))
def test_a_verb_holds_exactly_when_its_definition_does(base: Files, new: Files, path: str, verb: Verb) -> None:
    findings = judged(task(file(verb, path), expect=Expectation.FAILURE), base, new)

    assert (findings.failures == ()) is DEFINITIONS[verb](base.get(path), new.get(path))


@given(
    base=TREES, new=TREES, declared=st.sampled_from(["d/", "d", "d/*", "d/**"]), verb=st.sampled_from(list(DEFINITIONS))
)
def test_of_a_directory_one_file_is_enough_but_reading_and_deleting_mean_all(
    base: Files, new: Files, declared: str, verb: Verb
) -> None:
    inside = [path for path in PATHS if path.startswith("d/")]
    each = [DEFINITIONS[verb](base.get(path), new.get(path)) for path in inside]
    expected = any(each)
    if verb is Verb.READ:
        expected = all(each)
    if verb is Verb.DELETE:
        expected = any(path in base for path in inside) and not any(path in new for path in inside)

    assert (judged(task(file(verb, declared), expect=Expectation.FAILURE), base, new).failures == ()) is expected


@given(base=TREES, new=TREES)
def test_undeclared_is_what_changed_and_is_not_named(base: Files, new: Files) -> None:
    findings = judged(task(file(Verb.CHANGE, "d/*.txt"), file(Verb.RENAME, "a.txt", "b.txt")), base, new)

    changed = {path for path in PATHS if base.get(path) != new.get(path)}
    assert set(findings.undeclared) == changed & {"d/e/c.py"}


@given(base=TREES, new=TREES)
def test_a_rename_takes_the_source_away_and_leaves_the_target(base: Files, new: Files) -> None:
    findings = judged(task(file(Verb.RENAME, "a.txt", "b.txt"), expect=Expectation.FAILURE), base, new)

    assert (findings.failures == ()) is ("a.txt" in base and "a.txt" not in new and "b.txt" in new)


@pytest.mark.parametrize(
    ("verb", "base", "new", "sentence"),
    [
        (Verb.CREATE, {}, {"x": ""}, "Expected f to be created; it is not there."),
        (Verb.CREATE, {"f": "1"}, {"f": "2"}, "Expected f to be created; it was there before the task."),
        (Verb.MODIFY, {"f": "1"}, {"f": "1"}, "Expected f to be modified; it was not changed."),
        (Verb.MODIFY, {"f": "1"}, {}, "Expected f to be modified; it is not there any more."),
        (Verb.MODIFY, {}, {"f": "1"}, "Expected f to be modified; it was not there before the task."),
        (Verb.CHANGE, {"f": "1"}, {"f": "1"}, "Expected f to be created or modified; it was not changed."),
        (Verb.DELETE, {"f": "1"}, {"f": "1"}, "Expected f to be deleted; it is still there."),
        (Verb.READ, {"f": "1"}, {"f": "2"}, "Expected f only to be read; it was changed."),
        (Verb.TEST, {}, {}, "Expected f to be there as a test; it is not there."),
    ],
)
def test_a_failure_says_what_was_expected_and_found(verb: Verb, base: Files, new: Files, sentence: str) -> None:
    assert judged(task(file(verb, "f"), expect=Expectation.FAILURE), base, new).failures == (sentence,)


def test_a_file_that_gitignore_keeps_out_is_told_so() -> None:
    (failure,) = judged(task(file(Verb.CREATE, "build/f")), {}, {"x": ""}, ("build/",)).failures

    assert "build/f to be created; it is not there." in failure
    assert ".gitignore keeps it out of the commit" in failure


def test_a_name_with_brackets_is_that_file_before_it_is_a_glob() -> None:
    assert judged(task(file(Verb.MODIFY, "app/[id].ts")), {"app/[id].ts": "1"}, {"app/[id].ts": "2"}).failures == ()
    assert (
        judged(
            task(file(Verb.MODIFY, "app/[id].ts")),
            {"app/[id].ts": "1", "app/i.ts": "1"},
            {"app/[id].ts": "1", "app/i.ts": "2"},
        ).failures
        != ()
    )


def test_two_stars_mean_any_depth_also_none() -> None:
    declared = task(file(Verb.CREATE, "src/**/*.py"))

    assert judged(declared, {}, {"src/a.py": ""}).failures == ()
    assert judged(declared, {}, {"src/b/c/a.py": ""}).failures == ()
    assert judged(declared, {}, {"src/a.txt": ""}).failures != ()


def test_no_change_where_changes_are_expected_is_the_agents_failure() -> None:
    findings = judged(task(), {"f": "1"}, {"f": "1"})

    assert findings.idle
    assert findings.failures == ("Expected the agent to change files; it changed nothing.",)


def test_any_change_where_none_is_expected_is_a_failure_that_names_it() -> None:
    findings = judged(task(file(Verb.READ, "f"), expect=Expectation.NO_CHANGES), {"f": "1"}, {"f": "1", "new": ""})

    assert not findings.idle
    assert findings.failures == ("Expected the agent to change nothing; it changed new.",)
    assert judged(task(expect=Expectation.NO_CHANGES), {"f": "1"}, {"f": "1"}).failures == ()


def test_a_task_that_names_no_file_has_no_undeclared_ones() -> None:
    assert judged(task(), {}, {"f": ""}) == Findings((), ())


@pytest.mark.parametrize(
    ("relation", "argument", "content", "holds"),
    [
        (Relation.CONTAINS, "a.c", "xa.cx", True),
        (Relation.CONTAINS, "a.c", "abc", False),
        (Relation.CONTAINS, "a", None, False),
        (Relation.MATCHES, "^b.$", "a\nbc\n", True),
        (Relation.MATCHES, "^c$", "a\nbc\n", False),
        (Relation.MATCHES, "(", "(", False),
        (Relation.ABSENT, "", None, True),
        (Relation.ABSENT, "", "", False),
    ],
)
def test_conditions_are_asked_of_the_new_tree(
    relation: Relation, argument: str, content: str | None, holds: bool
) -> None:
    new = {"other": "1"} | ({} if content is None else {"f": content})

    findings = judged(task(conditions=(Condition(relation, "f", 1, argument),)), {}, new)

    assert (findings.failures == ()) is holds, findings


BASE = {"kept": "0", "changed": "0", "gone": "0", "seen": "0"}
MERGED = {"kept": "0", "changed": "1", "made": "1", "seen": "0", "d/x": "1"}
WORK = task(
    file(Verb.CREATE, "made"),
    file(Verb.MODIFY, "changed"),
    file(Verb.DELETE, "gone"),
    file(Verb.READ, "seen"),
    file(Verb.CREATE, "d/"),
    conditions=(Condition(Relation.CONTAINS, "changed", 1, "1"),),
)


def lost(final: Files, *superseded: str) -> tuple[str, ...]:
    return still_holds(WORK, FakeTree(BASE), FakeTree(MERGED), FakeTree(final), superseded)


def test_a_final_tree_that_keeps_what_the_task_did_holds() -> None:
    assert lost(MERGED | {"later": "2", "seen": "2", "kept": "2", "d/y": "2"}) == ()


@pytest.mark.parametrize(
    ("final", "sentence"),
    [
        (MERGED | {"made": "2"}, "Expected made to stay as the task left it; it was overwritten."),
        (MERGED | {"gone": "2"}, "Expected gone to stay as the task left it; it is there again."),
        (MERGED | {"gone": "0"}, "Expected gone to stay as the task left it; it was reverted to what it was before."),
        (
            {k: v for k, v in MERGED.items() if k != "made"},
            "Expected made to stay as the task left it; it was reverted to what it was before.",
        ),
        (MERGED | {"d/x": "2"}, "Expected d/x to stay as the task left it; it was overwritten."),
    ],
)
def test_what_became_of_a_path_is_told_by_name(final: Files, sentence: str) -> None:
    assert lost(final) == (sentence,)


def test_a_reverted_merge_is_told_for_every_path_and_condition() -> None:
    assert lost(BASE) == (
        *(
            f"Expected {path} to stay as the task left it; it was reverted to what it was before."
            for path in ("made", "changed", "gone", "d/x")
        ),
        "Expected changed to contain '1'; it does not.",
    )


def test_a_modified_file_that_was_deleted_is_gone() -> None:
    final = {path: text for path, text in MERGED.items() if path != "changed"}

    assert "Expected changed to stay as the task left it; it is gone." in lost(final)


def test_what_a_later_task_declares_is_not_this_ones_to_keep() -> None:
    assert lost({}, "made", "chang*", "gone", "d/") == ()
