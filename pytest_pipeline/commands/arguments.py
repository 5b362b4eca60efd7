"""A command's own options, told apart from those that are pytest's."""

from __future__ import annotations

import argparse
from typing import NoReturn

from pytest_pipeline.commands import PROGRAM
from pytest_pipeline.errors import SettingsError

_PYTESTS = (
    "Besides these it takes the options that a test run takes, for example --forge NAME, --repo REPOSITORY, -c FILE or "
    "-o NAME=VALUE (`pytest --help` lists them), and reads the same ini file and the same conftest.py."
)


class Parser(argparse.ArgumentParser):
    """Parses a command's own options; use its ``parse_known_args`` and hand what it leaves to pytest.

    Args:
        command: the command's name.
        does: what it does, for ``--help``.
        words: what stands before its options, for ``--help``.
    """

    def __init__(self, command: str, does: str, *, words: str = "") -> None:
        # No abbreviations: what is pytest's might be the beginning of one of ours.
        name = f"{PROGRAM} {command}"
        usage = f"{name} {words} [options]" if words else None
        super().__init__(prog=name, usage=usage, description=does, epilog=_PYTESTS, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Tell in one sentence what argparse would tell with the whole usage.

        Raises:
            SettingsError: always.
        """
        raise SettingsError(f"{message[0].upper()}{message[1:]}. `{self.prog} --help` lists the options.")
