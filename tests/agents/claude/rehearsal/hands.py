"""Hands in the place of the CLI: they carry a player's calls out, as the CLI's tools were seen to."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pytest_pipeline.agents.claude.rehearsal.playing import Player
from pytest_pipeline.agents.claude.rehearsal.script import Answer, Asked, Json

BLANKS = "\t\x0b\x0c \xa0\u2003\u2028\u3000\ufeff"
"""Some of what JavaScript takes for blanks."""


class Hands:
    """Asks a player, and does what it asks for."""

    def __init__(self, player: Player, workspace: Path) -> None:
        self.player, self.workspace = player, workspace
        self.messages: list[Json] = [{"role": "user", "content": "Do it."}]
        self.calls: list[Json] = []
        self.last_words = ""

    def ask(self) -> Answer:
        turn = sum(message["role"] == "assistant" for message in self.messages)
        answer = self.player.reply(Asked(turn, self.messages, {}))
        assert self.player.reply(Asked(turn, self.messages, {})) is answer
        return answer

    def play(self) -> None:
        """To the end."""
        for _ in range(1000):
            answer = self.ask()
            if answer.stop_reason == "end_turn":
                self.last_words = str(answer.content[0]["text"])
                return
            self.take(answer, [self.carry_out(call) for call in answer.content])
        raise AssertionError("the player does not come to an end")

    def take(self, answer: Answer, results: Sequence[str | None]) -> None:
        """Tell the player what came of its calls; None: all went well."""
        self.messages.append({"role": "assistant", "content": list(answer.content)})
        blocks = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": said or "fine", "is_error": said is not None}
            for call, said in zip(answer.content, results, strict=True)
        ]
        self.messages.append({"role": "user", "content": blocks})
        self.messages.append({"role": "system", "content": [{"type": "text", "text": "Go on."}]})

    @property
    def tools(self) -> list[object]:
        return [call["name"] for call in self.calls]

    def carry_out(self, call: Json) -> str | None:
        self.calls.append(call)
        arguments = call["input"]
        assert isinstance(arguments, dict)
        if call["name"] == "Bash":
            return self.run(arguments["command"])
        place = Path(arguments["file_path"])
        assert place.is_relative_to(self.workspace.resolve())
        if call["name"] == "Read":
            assert place.read_text(encoding="utf-8").count("\n") + 1 >= arguments["offset"] >= 1
            return None
        return self.write(place, arguments) if call["name"] == "Write" else self.edit(place, arguments)

    def run(self, command: str) -> str | None:
        assert len(command.encode()) < 128 * 1024
        assert not re.search(r"[\0-\x08\x0b-\x1f\x7f-\x9f]", command), "the CLI refuses hidden characters"
        ended = subprocess.run(
            ("/bin/sh", "-c", command),
            cwd=self.workspace,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        said = f"Exit code {ended.returncode}\n{(ended.stdout + ended.stderr).decode()}"
        return said if ended.returncode else None

    def write(self, place: Path, arguments: dict[str, str]) -> str | None:
        before = place.read_bytes() if place.is_file() else b""
        assert before.decode("utf-8").startswith(("\ufeff", "\ufffe")) is False
        assert b"\0" not in before
        written = exact(arguments["content"])
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(written.encode())
        except OSError as error:
            return str(error)
        return None

    def edit(self, place: Path, arguments: dict[str, str]) -> str | None:
        text = place.read_bytes().decode("utf-8")
        old, new = arguments["old_string"], exact(arguments["new_string"])
        assert "\r" not in text
        assert text.count(old) == 1
        assert old not in ("", new)
        assert new or old.endswith("\n")
        place.write_bytes(text.replace(old, new).encode())
        return None


def exact(text: str) -> str:
    """The text, if the CLI's tools leave it as it is."""
    stripped = re.sub(rf"[{BLANKS}]+(?=\r?\n|\r|$)", "", text)
    assert stripped == text
    assert not re.search(r"\\u[0-9a-fA-F]{4}", text)
    return text
