"""Solutions that are hard to play exactly, and some that cannot be played to their end."""

from __future__ import annotations

from pytest_pipeline.agents.base import SolutionPart
from tests.agents.claude.rehearsal.solutions import Before, file, patch, shell, unified

EVERY_BLANK = "\t\x0b\x0c \xa0\u1680\u2003\u202f\u205f\u3000\u2028\u2029\ufeff\x1c\x85\u180e\u200b"
CONTENTS = (
    *("", "\n", "\n\n\n", "no end", "\n  indented\n", "a\r\nb\r\n", "a\r\nb\nc", "a\rb\r", "a\r\r\n", "\ta\n\tb\n"),
    *(
        "\ufeffa\n",
        "a\ufeffb",
        "a\0b\n",
        "latin \udce4\n",
        "\x1b[31m\x07\x08\x7f\n",
        "a\u2028b\u2029c\n",
        "\ufffd\uffff\n",
    ),
    *(
        "e\u0301 \U0001f600\n",
        "\\u00e9 \\ud83d\\ude00\n",
        "\\\\u00e9\n",
        "\\n \\t \\x41 \\U0001f600 \\u{e9}\n",
        "%s %% %d\n",
    ),
    *(
        "$HOME `x` $(x) ${x} !! 'q' \"d\" \\\n",
        "<n> </antml> <function_results> &amp; &#65;\n",
        "\u201ca\u201d \u2018b\u2019\n",
    ),
    *(f"a{blank}\nb{blank}{blank}\r\n c{blank}" for blank in EVERY_BLANK),
    *(
        "x" * 300_000 + "\n",
        "-n\n",
        "--\n",
        "{\n",
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}\n',
    ),
)
NAMES = (
    *(
        "-x",
        "a b",
        " lead",
        "trail\xa0",
        "tab\tx",
        "line\nfeed",
        "ü",
        "e\u0301",
        "q'q",
        'q"q',
        "$HOME",
        "`x`",
    ),
    *("*", "[a]", "~", "a\\b", "%41", "\U0001f600", "a#b", "a&b;c|d", "!x", "{a,b}", "\x01c", "\u202ax", "a\u2028b"),
    *("A" * 255, "é" * 127, "latin-\udce4", "-d/-f", "d e/f g", "ipynb.ipynb", "image.png", "program.exe", "page.md"),
)
OLD = {
    "crlf.txt": b"o\r\np\r\n",
    "mixed.txt": b"o\r\np\n",
    "utf16.txt": "o\np\n".encode("utf-16"),
    "mark.txt": b"\xef\xbb\xbfo\n",
    "latin.txt": b"\xe4\n",
    "binary.bin": b"\0\1\2",
    "picture.png": b"\x89PNG\r\n\x1a\n",
    "same.txt": b"new\nlines\n",
    "empty.txt": b"",
    "run.sh": b"#!/bin/sh\n",
    "note.ipynb": b"no notebook\n",
}
LINES = [f"line {number}\n" for number in range(60)]
TEXT = "".join(LINES)


def changed(*numbers: int, by: str = "changed\n") -> str:
    return "".join(by if number in numbers else line for number, line in enumerate(LINES))


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def move(source: str, target: str, hunk: str = "") -> SolutionPart:
    names = f"--- a/{source}\n+++ b/{target}\n" if hunk else ""
    return patch(f"diff --git a/{source} b/{target}\nrename from {source}\nrename to {target}\n{names}{hunk}")


def set_mode(path: str, old: str, new: str, hunk: str = "") -> SolutionPart:
    names = f"--- a/{path}\n+++ b/{path}\n" if hunk else ""
    return patch(f"diff --git a/{path} b/{path}\nold mode {old}\nnew mode {new}\n{names}{hunk}")


CREATES_RUN = "diff --git a/run b/run\nnew file mode 100755\n--- /dev/null\n+++ b/run\n@@ -0,0 +1 @@\n+true\n"
COPIES_KEPT = "diff --git a/kept b/copy\nsimilarity index 100%\ncopy from kept\ncopy to copy\n"

SOLUTIONS = {
    "any content": (Before(), tuple(file(f"content-{number}", text) for number, text in enumerate(CONTENTS))),
    "any content in Markdown": (Before(), tuple(file(f"{n}.md", text) for n, text in enumerate(CONTENTS))),
    "any name": (Before(), tuple(file(f"names/{name}", text) for name in NAMES for text in ("plain\n", "blank \n"))),
    "over what is there": (
        Before(OLD, executable=("run.sh",), links={"link.txt": "crlf.txt"}),
        tuple(file(name, text) for name in (*OLD, "link.txt") for text in ("new\nlines\n", "a\r\nb \n", "no end")),
    ),
    "large": (Before(), (file("text.txt", "a line of text, ä\n" * 60_000),)),
    "large and printed": (Before(), (file("text.txt", "ä%' \n" * 200_000),)),
    "edits": (
        Before({"a.txt": TEXT.encode(), "ü '$x/b.py": TEXT.encode(), "late.txt": b"a\n"}),
        (
            patch(unified("a.txt", TEXT, changed(3, 20, 40)) + unified("ü '$x/b.py", TEXT, changed(7, by=""))),
            patch(unified("a.txt", changed(3, 20, 40), changed(3, 20, 59, by="\u201cq\u201d\tä\n"))),
            shell("printf 'b\\n' >> a.txt; printf 'b\\n' >> late.txt"),
            patch(unified("late.txt", "a\nb\n", "a\nc\nb") ),
            file("a.txt", "over all\n"),
        ),
    ),
    "hunks that are not edits": (
        Before({"crlf.txt": crlf(TEXT).encode(), "twice.txt": b"x\ny\n" * 30, "latin.txt": b"\xe4\nb\n"}),
        (
            patch(unified("crlf.txt", crlf(TEXT), crlf(changed(9)))),
            patch("--- a/twice.txt\n+++ b/twice.txt\n@@ -31,2 +31,2 @@\n x\n-y\n+z\n"),
            patch(unified("latin.txt", "\udce4\nb\n", "\udce4\nb \n")),
            patch("--- a/twice.txt\n+++ b/twice.txt\n@@ -0,0 +1 @@\n+first\\u0041\n"),
        ),
    ),
    "modes, moves and deletions": (
        Before(
            {"old/deep/a.sh": b"\xe4 \n", "old/deep/b": b"b\n", "c/d/e": b"e\n", "gone": b"x\n", "kept": b"k \n"},
            executable=("old/deep/a.sh",),
        ),
        (
            move("old/deep/a.sh", "new/place/a.sh"),
            patch(COPIES_KEPT),
            move("old/deep/b", "old/b", "@@ -1 +1 @@\n-b\n+c\n"),
            move("c/d/e", "c/e/f"),
            move("c/e/f", "c/e/g/f"),
            set_mode("kept", "100644", "100755"),
            patch(CREATES_RUN),
            set_mode("run", "100755", "100644", "@@ -1 +1 @@\n-true\n+false\n"),
            patch(unified("gone", "x\n", "")),
        ),
    ),
    "the last file": (Before({"a/b/c": b"c\n"}), (patch(unified("a/b/c", "c\n", "")),)),
    "links": (
        Before({"d/a.txt": b"a\n"}, links={"link.txt": "d/a.txt", "dir": "d"}),
        (
            file("dir/b.txt", "b\n"),
            patch(unified("link.txt", "a\n", "c\n")),
            move("link.txt", "moved.txt"),
            patch(unified("dir/b.txt", "b\n", "")),
        ),
    ),
    "scripts": (
        Before(),
        (
            shell("cd /; echo far away\n"),
            shell("mkdir -p 'a b'\ncd 'a b'\npwd | sed 's:.*/::' > \"it's $(basename \"$PWD\")\"\n"),
            shell("cat > here <<'EOF'\n$HOME `x` $(y)  \n\ttab\nEOF\n"),
            shell("printf 'a\r\n\x01\x1b\x7f' > control; echo \u00e4\xa0\u2028 > 'unicode \u00e4'"),
            shell("sleep 2; echo slept > slept"),
            shell('x={a,b}; set -- 1 2; echo "$x $# $0 !!" \\\n  \'# no comment\' > words # a comment'),
            shell("cat > stdin; echo $? >> stdin; umask > umask"),
            shell("seq 20000; seq 20000 >&2; echo loud > loud"),
            shell("true " + "x" * 90_000 + "; echo long > long"),
        ),
    ),
    "nothing": (Before({"a.txt": b"a\n"}), (shell("true"),)),
}  # fmt: skip
REFUSED: dict[str, tuple[tuple[SolutionPart, ...], str]] = {
    "a diff that does not apply": (
        (file("a.txt", "a\n"), patch(unified("a.txt", "b\n", "c\n"))),
        "does not apply to a.txt",
    ),
    "the second file of a diff": (
        (file("a.txt", "a\n"), patch(unified("a.txt", "a\n", "b\n") + unified("absent.txt", "b\n", "c\n"))),
        "absent.txt cannot be used",
    ),
    "a script that fails": (
        (file("a.txt", "a\n"), shell("echo b > b.txt\nfalse\necho c > c.txt")),
        "shell block that is part 2",
    ),
    "a file where a directory should be": ((file("a", ""), file("a/b", "x\n")), "could not write a/b"),
    "the same, printed": ((file("a", ""), file("a/b", "x \n")), "could not write a/b with printf"),
    "a directory where a file should be": ((file("a/b", ""), file("a", "x\n")), "could not write a."),
    "a path that leads outside": ((file("a.txt", "a\n"), file("../b.txt", "x\n")), "leads out of the workspace"),
}
