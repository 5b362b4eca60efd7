"""``python -m pytest_pipeline COMMAND``: what is done around sessions, one module for each command."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from pytest_pipeline.errors import PipelineError, SettingsError

PROGRAM = "python -m pytest_pipeline"
FAILED, UNKNOWN, USAGE, INTERRUPTED = 1, 2, 4, 130
"""Exit codes: it could not be done; no such command; options or settings that cannot be used; Ctrl-C."""

COMMANDS: Mapping[str, str] = {
    "doctor": "Look whether a session could begin here: programs, agent, store, forge. Says how to mend what hinders.",
    "clean": "List what sessions left on the forge: branches and open pull requests. With --yes, remove it.",
    "sessions": "List the sessions in the store; `sessions show SESSION` tells one in full.",
    "junit": "Write the JUnit record of a session again from the store, also of one that was killed.",
    "verify": "Hold a record against git and the forge: every claim of it is confirmed, or named as a lie.",
}
"""Every command and what it does; each is the module of its name, whose ``main(arguments)`` returns an exit code."""


def main(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; what a user can mend is told in sentences, without a traceback.

    Args:
        arguments: the command's name, then its own arguments.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0 if arguments else UNKNOWN
    name, *rest = arguments
    if name not in COMMANDS:
        return _told(f"There is no command {name!r}.{_nearest(name)} `{PROGRAM}` alone lists them all.", UNKNOWN)
    try:
        return int(import_module(f"{__name__}.{name}").main(rest))
    except SettingsError as error:
        return _told(str(error), USAGE)
    except PipelineError as error:
        return _told(str(error), FAILED)
    except KeyboardInterrupt:
        return _told("Interrupted. What was done is done; run it again for the rest.", INTERRUPTED)


def _told(sentence: str, code: int) -> int:
    print(f"ERROR: {sentence}", file=sys.stderr)
    return code


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _help() -> str:
    longest = max(map(len, COMMANDS))
    lines = [f"  {name:{longest}}  {does}" for name, does in COMMANDS.items()]
    usage = f"usage: {PROGRAM} COMMAND [options]"
    return "\n".join([usage, "", "commands:", *lines, "", f"`{PROGRAM} COMMAND --help` lists a command's options."])
