"""The player without the CLI: its calls are carried out here, as the CLI's tools were seen to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_pipeline.agents.base import AgentStatus, SolutionPart
from pytest_pipeline.agents.claude.rehearsal.playing import Player
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Json
from tests.agents.claude.rehearsal.hands import BLANKS, Hands
from tests.agents.claude.rehearsal.repertoire import SOLUTIONS
from tests.agents.claude.rehearsal.solutions import Before, file, patch, replay, shell, tree, unified


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    place = tmp_path / "workspace"
    place.mkdir()
    return place


def play(workspace: Path, *parts: SolutionPart) -> Hands:
    hands = Hands(Player(parts, workspace), workspace)
    hands.play()
    return hands


def test_without_a_reference_the_model_says_so_and_does_nothing(workspace: Path) -> None:
    hands = play(workspace)

    assert hands.tools == []
    assert "no reference solution" in hands.last_words
    assert "**Reference:**" in hands.last_words


def test_parts_are_played_one_after_the_other_and_an_end_is_said(workspace: Path) -> None:
    hands = play(workspace, file("a.txt", "a\n"), shell("cp a.txt b.txt"), file("c/d.txt", ""))

    assert hands.tools == ["Write", "Bash", "Write"]
    assert "in place" in hands.last_words
    assert {name: held[2] for name, held in tree(workspace).items()} == {
        "a.txt": b"a\n",
        "b.txt": b"a\n",
        "c": b"",
        "c/d.txt": b"",
    }


def test_what_was_answered_once_is_answered_again_whatever_has_changed_since(workspace: Path) -> None:
    (workspace / "a.txt").write_text("one\n")
    player = Player((patch(unified("a.txt", "one\n", "two\n")), file("b.txt", "")), workspace)
    hands = Hands(player, workspace)
    first = hands.ask()
    (workspace / "a.txt").unlink()

    assert player.reply(Asked(0, hands.messages, {})) is first
    hands.take(first, [None, None])
    assert hands.ask() is not first
    assert player.reply(Asked(0, hands.messages, {})) is first


def test_no_two_calls_of_a_conversation_have_the_same_id(workspace: Path) -> None:
    (workspace / "a.txt").write_text("1\n2\n")
    hands = play(workspace, patch(unified("a.txt", "1\n2\n", "3\n2\n")), file("b", "x"), shell("true"))

    assert len({call["id"] for call in hands.calls}) == len(hands.calls) == 4


def test_the_workspace_is_looked_at_when_it_is_a_parts_turn(workspace: Path) -> None:
    hands = play(workspace, shell("printf 'one\\n' > a.txt"), patch(unified("a.txt", "one\n", "two\n")))

    assert hands.tools == ["Bash", "Read", "Edit"]
    assert (workspace / "a.txt").read_text() == "two\n"


@pytest.mark.parametrize(
    "content",
    [
        "x",
        "",
        "a\r\nb\rc",
        "\ta\n",
        "a\0b",
        "\ufeffa\n",
        "x" * 300_000,
        "a\u2028b",
        "\\n \\x41 \\u{e9}",
        "é\U0001f600\n",
    ],
)
def test_content_that_write_leaves_alone_is_written_with_it(workspace: Path, content: str) -> None:
    assert play(workspace, file("a.txt", content)).tools == ["Write"]


@pytest.mark.parametrize(
    "content", [f"a{blank}\nb" for blank in BLANKS] + ["a ", "a \r\n", " \n", "\\u00e9", "a\udcff"]
)
def test_content_that_write_would_change_is_printed(workspace: Path, content: str) -> None:
    assert play(workspace, file("a.txt", content)).tools == ["Bash"]
    assert (workspace / "a.txt").read_bytes() == content.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", ["a ", "a\xa0", "n" * 240, "\udce4"])
def test_a_name_that_write_does_not_take_is_printed_to(workspace: Path, name: str) -> None:
    assert play(workspace, file(name, "a\n")).tools == ["Bash"]
    assert os.listdir(workspace) == [name]


@pytest.mark.parametrize("before", [b"\xef\xbb\xbfa\n", "a\n".encode("utf-16"), b"\xe4\n", b"\0"])
def test_a_file_that_write_refuses_or_whose_mark_it_keeps_is_printed_over(workspace: Path, before: bytes) -> None:
    (workspace / "a.txt").write_bytes(before)

    assert play(workspace, file("a.txt", "b\n")).tools == ["Bash"]
    assert (workspace / "a.txt").read_bytes() == b"b\n"


def test_large_content_is_printed_in_pieces(workspace: Path) -> None:
    content = "blank \n" + "ä%'\\-" * 40_000

    hands = play(workspace, file("a.txt", content))

    assert len(hands.calls) > 3
    assert (workspace / "a.txt").read_bytes() == content.encode()


def numbered(count: int, *changed: int) -> str:
    return "".join(f"line {number}{' is new' if number in changed else ''}\n" for number in range(count))


def test_the_hunks_of_a_diff_are_edits_after_the_file_was_read(workspace: Path) -> None:
    (workspace / "a.txt").write_text(numbered(40))

    hands = play(workspace, patch(unified("a.txt", numbered(40), numbered(40, 10, 30))))

    assert hands.tools == ["Read", "Edit", "Edit"]
    assert hands.calls[0]["input"] == {"file_path": str(workspace.resolve() / "a.txt"), "offset": 8, "limit": 7}
    assert (workspace / "a.txt").read_text() == numbered(40, 10, 30)


@pytest.mark.parametrize(
    ("old", "new", "tool"),
    [
        ("x\nx\n", "y\nx\n", "Write"),  # the old text is there twice
        ("a\n", "a\nb\n", "Write"),  # there is no old text
        ("a\r\nb\n", "a\r\nc\n", "Write"),
        ("a\nb\n", "a\nb \n", "Bash"),
        ("a\n", "\\u0041\n", "Bash"),
        ("a\nb", "a\n", "Write"),  # the line feed before would go as well
        ("\ufeffa\n", "\ufeffb\n", "Bash"),
    ],
)
def test_a_diff_that_edit_would_not_do_exactly_is_written_whole(workspace: Path, old: str, new: str, tool: str) -> None:
    (workspace / "a.txt").write_bytes(old.encode())

    hands = play(workspace, patch(unified("a.txt", old, new, context=0)))

    assert hands.tools == [tool]
    assert (workspace / "a.txt").read_bytes() == new.encode()


def test_an_empty_file_is_written_and_not_edited(workspace: Path) -> None:
    (workspace / "a.txt").touch()

    assert play(workspace, patch("--- a/a.txt\n+++ b/a.txt\n@@ -0,0 +1 @@\n+a\n")).tools == ["Write"]


def test_a_file_that_read_refuses_by_its_name_is_written_whole(workspace: Path) -> None:
    (workspace / "a.DAT").write_text("a\n")

    assert play(workspace, patch(unified("a.DAT", "a\n", "b\n"))).tools == ["Write"]


def test_a_file_whose_name_edit_does_not_take_is_printed_to(workspace: Path) -> None:
    (workspace / ("n" * 240)).write_text("a\n")

    assert play(workspace, patch(unified("n" * 240, "a\n", "b\n"))).tools == ["Bash"]


@pytest.mark.parametrize("name", SOLUTIONS)
def test_a_hard_solution_leaves_what_the_reference_agent_leaves(tmp_path: Path, name: str) -> None:
    before, parts = SOLUTIONS[name]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for place in (ours, theirs):
        place.mkdir()
        before.lay(place)
    replay(parts, theirs, tmp_path)

    hands = play(ours, *parts)

    assert "in place" in hands.last_words
    assert tree(ours) == tree(theirs)


def test_a_call_that_failed_is_told_and_nothing_comes_after_it(workspace: Path) -> None:
    hands = play(workspace, shell("echo before > a.txt\n(echo the reason; exit 3)\ntouch late"), file("late.txt", ""))

    assert hands.tools == ["Bash"]
    assert "could not run the shell block that is part 1" in hands.last_words
    assert "the reason" in hands.last_words
    assert os.listdir(workspace) == ["a.txt"]
    hands.messages.append({"role": "assistant", "content": [{"type": "text", "text": hands.last_words}]})
    assert hands.ask().stop_reason == "end_turn"


def test_the_first_failed_call_of_an_answer_is_told(workspace: Path) -> None:
    (workspace / "a.txt").write_text("a\nb\n")
    hands = Hands(Player((patch(unified("a.txt", "a\nb\n", "a\nc\n")),), workspace), workspace)
    answer = hands.ask()
    hands.take(answer, ["cannot be read", "cannot be edited"])

    last = str(hands.ask().content[0]["text"])
    assert "could not read a.txt." in last
    assert "The tool Read said: cannot be read" in last


def test_the_failed_call_of_another_script_is_not_the_players(workspace: Path) -> None:
    hands = Hands(Player((file("a.txt", "a\n"), file("b.txt", "b\n")), workspace), workspace)
    other: Json = {"type": "tool_use", "id": "toolu_other", "name": "Bash", "input": {}}
    hands.take(Answer((other,), "tool_use"), ["denied"])
    hands.play()

    assert hands.tools == ["Write", "Write"]


def test_a_tool_may_say_why_in_blocks_and_at_any_length(workspace: Path) -> None:
    hands = Hands(Player((shell("true"),), workspace), workspace)
    call = hands.ask().content[0]
    said = [{"type": "text", "text": "the reason " + "x" * 5000}, {"type": "image"}]
    result = {"type": "tool_result", "tool_use_id": call["id"], "is_error": True, "content": said}
    hands.messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]

    last = str(hands.ask().content[0]["text"])
    assert "said: the reason xxx" in last
    assert len(last) < 1000


def test_what_write_has_changed_unseen_is_printed(workspace: Path) -> None:
    hands = Hands(Player((file("a.txt", "a\n"), file("b.txt", "b\n")), workspace), workspace)
    answer = hands.ask()
    (workspace / "a.txt").write_text("something else\n")
    hands.take(answer, [None])
    hands.play()

    assert hands.tools == ["Bash", "Write"]
    assert (workspace / "a.txt").read_text() == "a\n"


def test_what_is_not_there_after_all_is_told(workspace: Path) -> None:
    hands = Hands(Player((file("a.txt", "a\n"),), workspace), workspace)
    for tool in ("Write", "Bash"):
        answer = hands.ask()
        assert answer.content[0]["name"] == tool
        hands.take(answer, [None])

    assert "a.txt does not hold what it should" in str(hands.ask().content[0]["text"])


MAKES_LINK = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+x\n"
IMPOSSIBLE = {
    "does not apply": (
        patch(unified("a.txt", "other\n", "new\n")),
        "Hunk 1 (@@ -1,1 +1,1 @@) of the diff does not",
    ),
    "no diff": (patch("nothing\n"), "The diff"),
    "absent": (patch(unified("absent.txt", "a\n", "b\n")), "absent.txt cannot be used: No such file"),
    "there": (patch(unified("a.txt", "", "b\n")), "creates a.txt, which is there already"),
    "left": (patch("--- a/a.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"), "deletes a.txt, but not all of its lines"),
    "link": (
        patch(MAKES_LINK),
        "git mode 120000",
    ),
    "outside": (file("../out.txt", ""), "leads out of the workspace"),
    "absolute": (file("/out.txt", ""), "leads out of the workspace"),
    "through a link": (file("outside/out.txt", ""), "leads out of the workspace"),
    "git": (file(".git/config", ""), "git's own directory"),
    "delete outside": (patch(unified("outside/victim.txt", "whole\n", "")), "leads out of the workspace"),
    "NUL": (file("a\0b", ""), "cannot be used as a path"),
    "surrogate": (file("b.txt", "\ud800"), "cannot be encoded"),
    "pipe": (patch(unified("pipe", "a\n", "b\n")), "no plain file"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_part_that_cannot_be_done_is_told_and_nothing_comes_after_it(workspace: Path, case: str) -> None:
    part, reason = IMPOSSIBLE[case]
    Before({"a.txt": b"a\nb\n", "../outside/victim.txt": b"whole\n"}, links={"outside": "../outside"}).lay(workspace)
    os.mkfifo(workspace / "pipe")

    hands = play(workspace, file("early.txt", ""), part, file("late.txt", ""))

    assert hands.tools == ["Write"]
    assert reason in hands.last_words
    assert sorted(os.listdir(workspace)) == ["a.txt", "early.txt", "outside", "pipe"]
    assert os.listdir(workspace.parent / "outside") == ["victim.txt"]


def test_the_patches_before_the_one_that_does_not_apply_are_done(workspace: Path) -> None:
    hands = play(workspace, patch(unified("new.txt", "", "a\n") + unified("absent.txt", "a\n", "b\n")))

    assert hands.tools == ["Write"]
    assert "absent.txt" in hands.last_words


def test_each_answer_claims_the_tokens_that_it_is_told_to(workspace: Path) -> None:
    player = Player((file("a.txt", ""),), workspace, tokens=7)
    hands = Hands(player, workspace)
    first = hands.ask()
    hands.take(first, [None])

    assert [dict(answer.usage) for answer in (first, hands.ask())] == [{"input_tokens": 7}] * 2
    assert sum(Player((), workspace).reply(Asked(0, (), {})).usage.values()) == 0


NAMES = st.sampled_from(["a.txt", "d/a.txt", "d/e/b.txt", "ü ´$x.txt", "-r", "q'\"`.md", "n.ipynb", "t ", "d"])
WORDS = st.text(alphabet="ab \t\r\n\\%'-\ufeff\u2028\xa0é\0\udcff", max_size=12) | st.just("\\u00e9\n")
TEXTS = st.lists(WORDS, max_size=4).map("\n".join)
SCRIPTS = st.sampled_from(
    ["mkdir -p d/e; printf 'x ' > d/e/s", "rm -rf d", "chmod +x a.txt", "printf '\r' > cr\r\n", "false"]
)


@st.composite
def patches(draw: st.DrawFn) -> SolutionPart:
    name, old, new = draw(NAMES.filter(str.strip)), draw(TEXTS), draw(TEXTS)
    old, new = (text.replace("\udcff", "").replace("\0", "") for text in (old, new))
    if draw(st.booleans()):
        return patch(f"diff --git a/{name} b/moved/{name}\nrename from {name}\nrename to moved/{name}\n")
    return patch(unified(name, old, new if new != old else f"{new}!", context=draw(st.integers(0, 3))))


PARTS = st.lists(st.builds(file, NAMES, TEXTS) | patches() | st.builds(shell, SCRIPTS), min_size=1, max_size=5)


@given(st.dictionaries(NAMES.filter(lambda name: name != "d"), TEXTS, max_size=4), PARTS)
@settings(max_examples=150, deadline=None)
def test_any_solution_leaves_what_the_reference_agent_leaves(before: dict[str, str], parts: list[SolutionPart]) -> None:
    with tempfile.TemporaryDirectory() as place:
        ours, theirs = Path(place, "ours"), Path(place, "theirs")
        for workspace in (ours, theirs):
            workspace.mkdir()
            Before({name: text.encode("utf-8", "surrogateescape") for name, text in before.items()}).lay(workspace)
        result = replay(tuple(parts), theirs, Path(place))

        hands = play(ours, *parts)

        assert tree(ours) == tree(theirs)
        assert ("in place" in hands.last_words) == (result.status is AgentStatus.OK), (hands.last_words, result)
