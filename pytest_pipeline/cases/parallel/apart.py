"""Workers that xdist starts in a directory of their own, on this machine or another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from execnet import XSpec


def is_apart(spec: XSpec) -> bool:
    """Whether a worker shares no directory with us: it is not started as a process of ours, wherever it then is."""
    return not spec.popen or bool(spec.via)


def refuse_unsent(config: pytest.Config, specs: Sequence[XSpec]) -> None:
    """Refuse arguments that workers in directories of their own could not find; xdist would end with a traceback.

    Args:
        config: the controller's configuration.
        specs: its workers.

    Raises:
        pytest.UsageError: a path is named that is not sent to them.
    """
    if all(spec.popen and not spec.chdir for spec in specs):
        return
    sent = [Path(root).resolve() for root in (*config.getoption("rsyncdir", []), *config.getini("rsyncdirs"))]
    for argument in map(str, config.invocation_params.args):
        path = Path(argument.partition("::")[0])
        if _is_there(path) and not any(path.is_relative_to(root) for root in sent):
            raise pytest.UsageError(
                f"{argument} is not sent to the workers of --tx. Write it as a whole path, below a directory of "
                f"--rsyncdir: {path.resolve()} --rsyncdir={config.rootpath}"
            )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name
        return False
