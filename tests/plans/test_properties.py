"""What holds for every text: no crash, no phantom, and what is written is what is read."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.errors import PlanError
from pytest_pipeline.plans import looks_like_plan, parse_plan
from pytest_pipeline.plans.model import CommandCheck, Plan, ReferenceForm, Verb

_PIECES = st.sampled_from(
    [
        "## Batch 1: A", "### Task 1.1: x", "### Task 1.2: y ✅", "## Phase 2 (z)", "- [ ] **Task 3: t**",
        "- [x] Task 4: u", "**Files:**", "- Create: a.py", "- Rename: `a` -> `b`", "- Modify: `../x`",
        "**Verification:**", "- pytest", "- `npm run dev`", "Run: `grep x y` returns nothing", "Expected: FAIL",
        "```bash", "```", "````", "~~~", "```yaml pipeline", "model: x", "```yaml rehearsal", "trouble: drop",
        "**Depends on:** Task 1.1, Batch 1",
        "**Dependencies:** 1-9", "**Expect:** failure; a absent", "**Expect:**", "**Reference:**",
        "```python path=a.py", "`a.py`:", "<!-- c", "-->", "---", "***", "", "   ", "\t- x", "| a | b |", "> q",
        "**X:** y", "text", "**Status:** done", "**Commit:** `x`", "**Acceptance:** y", "# T", "#", "1. `", "- [",
        "**", "'", '"', "$(", "<<EOF", "{{x}}",
    ]
)  # fmt: skip
_LINES = st.lists(_PIECES | st.text(max_size=30), max_size=30).map("\n".join)


def _parse(text: str) -> Plan | None:
    try:
        return parse_plan(text, "p.md")
    except PlanError as error:
        lines = [each.line for each in error.diagnostics]
    assert lines
    assert all(1 <= line <= text.count("\n") + text.count("\r") + 1 for line in lines)
    return None


@given(st.text())
@settings(max_examples=150, deadline=None)
def test_no_text_crashes_the_reader(text: str) -> None:
    _parse(text)
    _parse(f"### Task 1: x\n{text}")


@given(_LINES)
@settings(max_examples=400, deadline=None)
def test_no_mixture_of_plan_lines_crashes_the_reader(text: str) -> None:
    plan = _parse(text)
    if plan is not None:
        assert looks_like_plan(text)
        ids = [(batch.number, task.id) for batch in plan.batches for task in batch.tasks]
        assert ids
        assert len(set(ids)) == len(ids)
        assert all(
            need.batch and (need.batch, need.task) in ids for b in plan.batches for t in b.tasks for need in t.needs
        )


@given(_LINES.filter(lambda text: "\r" not in text))
@settings(max_examples=150, deadline=None)
def test_line_ends_and_byte_order_mark_change_nothing(text: str) -> None:
    assert _parse("﻿" + text.removeprefix("﻿").replace("\n", "\r\n")) == _parse(text.removeprefix("﻿"))


@given(_LINES.filter(lambda text: "~~~" not in text and "\r" not in text))
@settings(max_examples=150, deadline=None)
def test_nothing_in_a_fence_becomes_structure(content: str) -> None:
    plan = _parse(f"### Task 1: x\n~~~~text\n{content}\n~~~~\n**Commit:** kept\n")
    if plan is None:
        assert "\0" in content
        return
    (batch,) = plan.batches
    (task,) = batch.tasks
    assert (task.commit_subject, task.files, task.verification, task.needs) == ("kept", (), (), ())
    assert content in task.prompt


_WORD = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
_SENTENCE = st.lists(_WORD, min_size=1, max_size=5).map(lambda words: " ".join(words).capitalize())
_PATH = st.lists(_WORD, min_size=1, max_size=3).map(lambda words: "dir/" + "/".join(words) + ".txt")
_CONTENT = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")), max_size=4)


@dataclass(frozen=True)
class _Sketch:
    """What a generated task says."""

    title: str
    prompt: str
    files: tuple[tuple[Verb, str], ...]
    commands: tuple[str, ...]
    criteria: tuple[str, ...]
    subject: str | None
    reference: tuple[tuple[str, str], ...]


_SKETCH = st.builds(
    _Sketch,
    title=_SENTENCE,
    prompt=_SENTENCE,
    files=st.lists(
        st.tuples(st.sampled_from([Verb.CREATE, Verb.MODIFY, Verb.DELETE, Verb.READ]), _PATH), max_size=3
    ).map(tuple),
    commands=st.lists(_PATH.map(lambda path: f"test -f {path}"), max_size=3).map(tuple),
    criteria=st.lists(_SENTENCE, max_size=3).map(tuple),
    subject=st.none() | _SENTENCE,
    reference=st.lists(
        st.tuples(_PATH, _CONTENT.map(lambda lines: "".join(f"{line}\n" for line in lines if "~~~" not in line))),
        max_size=2,
    ).map(tuple),
)


def _render(identifier: str, sketch: _Sketch) -> str:
    parts = [f"### Task {identifier}: {sketch.title}"]
    if sketch.files:
        parts += ["**Files:**", *(f"- {verb.value.capitalize()}: {path}" for verb, path in sketch.files)]
    parts += ["**Implementation:**", sketch.prompt]
    if sketch.commands:
        parts += ["**Verification:**", *(f"- {command}" for command in sketch.commands)]
    if sketch.criteria:
        parts += ["**Acceptance Criteria:**", *(f"- [ ] {each}" for each in sketch.criteria)]
    if sketch.subject:
        parts.append(f"**Commit:** {sketch.subject}")
    if sketch.reference:
        parts.append("**Reference:**")
        parts += [f"~~~~{path}\n{content}~~~~" for path, content in sketch.reference]
    return "\n".join(parts) + "\n"


@given(st.lists(st.lists(_SKETCH, min_size=1, max_size=3), min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_a_plan_that_is_written_out_is_read_back(batches: list[list[_Sketch]]) -> None:
    text = "# Title\n\n"
    for number, sketches in enumerate(batches, 1):
        text += f"## Batch {number}: B\n**Dependencies:** {number - 1 or 'None'}\n\n"
        text += "\n".join(_render(f"{number}.{place}", sketch) for place, sketch in enumerate(sketches, 1))
    plan = parse_plan(text, "p.md")
    assert plan is not None
    assert [batch.needs for batch in plan.batches] == [(), *((str(n),) for n in range(1, len(batches)))]
    read = [
        [
            _Sketch(
                task.title,
                task.prompt,
                tuple((file.verb, file.path) for file in task.files),
                tuple(check.command for check in task.verification if isinstance(check, CommandCheck)),
                tuple(check.text for check in task.acceptance),
                task.commit_subject,
                tuple((part.path, part.content) for part in task.reference if part.form is ReferenceForm.FILE),
            )
            for task in batch.tasks
        ]
        for batch in plan.batches
    ]
    assert read == batches
