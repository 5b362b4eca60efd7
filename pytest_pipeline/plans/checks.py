"""A verification field: which of its items are commands, which we check ourselves, and which a person must judge."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_pipeline.plans.commands import is_script, looks_like_command, mask_quotes
from pytest_pipeline.plans.fences import Fence
from pytest_pipeline.plans.fields import Body, Field
from pytest_pipeline.plans.listing import Entry, read_entries
from pytest_pipeline.plans.model import Check, CommandCheck, ProseCheck, RefusedCheck
from pytest_pipeline.plans.predicates import read_predicate
from pytest_pipeline.plans.refusals import reason_to_refuse

_LONGEST = 4000  # characters of an item; a longer command belongs into a block
_SHELL = frozenset(("bash", "sh", "shell", "console", "zsh"))
_SPAN = re.compile(r"(?P<ticks>`+)[ ]?(?P<code>.+?)[ ]?(?P=ticks)(?!`)", re.S)
_RUN = re.compile(r"\**(?:run|command|cmd|execute|运行|実行)\**\s*[:：]\**\s*(?P<rest>.+)$", re.I | re.S)
_RESULT = re.compile(
    r"\s*(?:(?:still\s+|also\s+)?(?:passes|pass|succeeds|returns|shows|prints|exits|outputs|uses|completes)\b|—|–|->|→|=>|\(|-\s)",
    re.I,
)
_RUN_BEFORE = re.compile(r"(?:\b(?:run|runs|running|execute|executing|via|with)|[:：]\**)\s*$", re.I)
_JOINED = re.compile(r"(?:;|,?\s*\band\b|,)[^`]*$|.*;[^`]*$", re.I | re.S)
_ALTERNATIVE = re.compile(r"\bor\s*$", re.I)
_EXPECTED = re.compile(
    r"(?:^|(?<=[\s.;,(→—-]))\**(?:expected?(?:\s+(?:output|result))?|预期|期待)\**\s*[:：]\**\s*(?P<what>.*)$",
    re.I | re.S,
)
_OUTPUT_AHEAD = re.compile(r"(?:expect\w*|output|result|prints?|shows?|returns?|looks? like|see)\b[^.]*[:：]?$", re.I)
_FAILS = re.compile(
    r"\bFAIL(?:S|ED|URE)?\b|\b(?:expect(?:ed|s)?\s*(?:to)?|must|should|will)\s*[:：]?\s*fail|^\W*fails?\b|\bnon-?zero\b"
    r"|\bexit(?:s)?\b(?:\s+(?:with|code|status))*\s+(?:[2-9]|1\d)"
)
_NO_FAILURES = re.compile(r"\b(?:no|0|zero|without|any)\s+(?:test\s+)?fail\w*|\bnot?\s+fail\w*", re.I)
_ENDS_WITH_1 = re.compile(r"\bexit(?:s)?\b(?:\s+(?:with|code|status))*\s+1\b", re.I)
_NOTHING = re.compile(
    r"^\W*(?:(?:returns?|shows?|prints?|outputs?|finds?|produces?|has|gives?|yields?|must|should|return|be|find|is|\(?expect\w*:?)\s+)*"
    r"(?:nothing|empty|(?:no|zero|0)\s+(?:more\s+|remaining\s+|other\s+)?(?:matches|match|output|results?|hits|occurrences|references|lines|remaining)\b)",
    re.I,
)
_COUNT_ZERO = re.compile(
    r"^\W*(?:(?:returns?|shows?|prints?|outputs?|is|gives?|must|should|return|be)\s+)*(?:0|zero)\b(?!\s*(?:exit|status))",
    re.I,
)
_GREP = re.compile(r"(?:git\s+grep|[ef]?grep|rg|ag|ack)\b")


def read_verification(body: Body, source: Field) -> list[Check]:
    """The checks of one verification field, in document order."""
    checks: list[Check] = []
    label: Entry | None = None
    for entry in read_entries(body, source):
        if entry.fence is not None:
            if label is not None and checks and _is_label(label) and isinstance(checks[-1], ProseCheck):
                checks.pop()
            if label is None or not _announces_output(label.sentence):
                checks.extend(_read_fence(body, entry.fence, label))
            label = None
        else:
            found = read_item(entry.text, entry.line, checks)
            checks.extend(found)
            label = entry
    return checks


def _is_label(entry: Entry) -> bool:
    return entry.sentence.rstrip("*").endswith((":", "："))


def _announces_output(sentence: str) -> bool:
    return sentence.rstrip("*").endswith((":", "：")) and bool(_OUTPUT_AHEAD.search(sentence.rstrip("*:： ")))


def _read_fence(body: Body, fence: Fence, label: Entry | None) -> list[Check]:
    expectation = label.sentence if label is not None and _FAILS.search(label.sentence) else ""
    return read_script(fence.info, fence.content(body.lines), fence.first + 1, expectation)


def read_script(info: str, content: str, line: int, expectation: str = "") -> list[Check]:
    """A fenced block: one script, or output that shows what to expect, which is no check."""
    word = (info.split() or [""])[0].lower()
    if word and word not in _SHELL:
        return []
    prompted = [text.strip()[2:] for text in content.split("\n") if text.lstrip().startswith("$ ")]
    script = "\n".join(prompted) + "\n" if prompted else content
    if is_script(script, labelled=bool(word)):
        return [_command(script.strip("\n"), line, expectation)]
    reason = reason_to_refuse(script)
    return [RefusedCheck(script.strip("\n"), reason, line)] if word and reason else []


def read_item(text: str, line: int, before: list[Check] | None = None) -> list[Check]:
    """One list item or paragraph.

    Args:
        text: its lines.
        line: the number of the first one.
        before: the checks before it; an "Expected: ..." changes the last of them.
    """
    sentence = " ".join(text.split())
    if predicate := read_predicate(sentence, line):
        return [predicate]
    if len(text) > _LONGEST:
        return [ProseCheck(sentence, line)]
    command, expectation = _split_expectation(text.strip())
    if not command:
        return _expect_of(before if before is not None else [], expectation, sentence, line)
    if (run := _RUN.match(command)) and "`" not in run["rest"]:
        commands = [run["rest"]] if looks_like_command(run["rest"], explicit=True) else []
    else:
        commands = [] if "`" in command else _bare_commands(command)
    if commands:
        return [_command(_one_line(commands[0]), line, expectation)]
    found = list(_span_commands(command)) if "`" in command else []
    if not found:
        return [ProseCheck(sentence, line)] if sentence else []
    return [_command(each, line, expectation or trailing, text) for each, trailing in found]


def _split_expectation(text: str) -> tuple[str, str]:
    if "xpect" not in text and "预期" not in text and "期待" not in text:
        return text, ""
    outside = _SPAN.sub(lambda span: "_" * len(span[0]), mask_quotes(text))
    match = _EXPECTED.search(outside)
    if match is None:
        return text, ""
    what = text[match.start("what") :].strip().rstrip(")")
    return text[: match.start()].strip().rstrip("-—→(").strip(), what or "output"


def _expect_of(before: list[Check], expectation: str, sentence: str, line: int) -> list[Check]:
    """An expectation that stands alone belongs to the command before it."""
    last = before[-1] if before else None
    if isinstance(last, CommandCheck):
        before[-1] = _command(last.command, last.line, expectation)
        return []
    if isinstance(last, RefusedCheck):
        return []
    return [ProseCheck(sentence, line)]


def _bare_commands(text: str) -> list[str]:
    """Text without backticks is a sentence if it begins or ends like one."""
    if text.endswith((".", "。", "!", "?")) and not text.endswith((" .", "/...", "/.", " ..")):
        return []
    if text[:1].isupper() and not re.match(r"[A-Z_][A-Z0-9_]*=", text):
        return []
    return [text] if looks_like_command(text) else []


def _one_line(command: str) -> str:
    """A wrapped command on one line, without its prompt."""
    joined = re.sub(r"[ \t]*\\?\n[ \t]*", " ", command).strip()
    return joined[2:].lstrip() if joined.startswith("$ ") else joined


def _span_commands(text: str) -> Sequence[tuple[str, str]]:
    """Commands in code spans with what is said of each: the whole item, a label before it, or a result after it."""
    spans = list(_SPAN.finditer(text))
    if any(_ALTERNATIVE.search(text[: span.start()]) for span in spans[1:]):
        return []  # "`a` (if it exists) or `b`": a person must choose
    found: list[tuple[str, str]] = []
    position = 0
    for number, span in enumerate(spans):
        before, after = text[position : span.start()], text[span.end() :]
        until_next = after[: spans[number + 1].start() - span.end()] if number + 1 < len(spans) else after
        position = span.end()
        if not _is_called(before, after, first=number == 0, joined=bool(found)):
            continue
        explicit = bool(re.search(r"\b(?:run|command|execute)\s*[:：]?\**\s*$", before, re.I))
        code = _one_line(span["code"])
        if looks_like_command(code, explicit=explicit):
            found.append((code, until_next))
    return found


def _is_called(before: str, after: str, *, first: bool, joined: bool) -> bool:
    if joined:
        return bool(_JOINED.match(before.strip()) or _RUN_BEFORE.search(before))
    if _RUN_BEFORE.search(before):
        return True
    return first and not before.strip("*_ \t\n") and (not after.strip(" .*_;") or bool(_RESULT.match(after)))


def _command(command: str, line: int, expectation: str, said: str = "") -> Check:
    """A command with what is expected of it, unless it must not be run or its exit status cannot tell the result."""
    if reason := reason_to_refuse(command):
        return RefusedCheck(command, reason, line)
    if _FAILS.search(expectation) and not _NO_FAILURES.search(expectation):
        return ProseCheck(" ".join((said or f"{command} — expected: {expectation}").split()), line)
    return CommandCheck(command, line, 1 if _must_find_nothing(command, expectation) else 0)


def _must_find_nothing(command: str, expectation: str) -> bool:
    if not expectation:
        return False
    if _ENDS_WITH_1.search(expectation):
        return True
    last = re.split(r"&&|\|\||;|\||\n", mask_quotes(command).strip())[-1].strip()
    if not _GREP.match(last):
        return False
    if _NOTHING.match(expectation):
        return True
    counts = bool(re.search(r"\s(?:-[a-zA-Z]*c[a-zA-Z]*|--count)(?:\s|$)", last))
    return counts and bool(_COUNT_ZERO.match(expectation))
