"""Removing what somebody who is not trusted has left."""

from __future__ import annotations

import os
import shutil
import stat

from pytest_pipeline.errors import HostError
from pytest_pipeline.host.process import capture


def remove(path: str) -> None:
    """Remove whatever lies there, however deep and whatever its permissions; a symlink is never followed.

    Raises:
        HostError: it is still there.
    """
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        _remove_by_force(path)


def _remove_by_force(path: str) -> None:
    """The tools of the system know no limit of depth; neither of them follows a symlink on its way down."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    capture(("chmod", "-R", "u+rwX", "--", path), environment=environment)
    removed = capture(("rm", "-rf", "--", path), environment=environment)
    if removed.exit_code != 0:
        raise HostError(f"{path} cannot be removed: {removed.stderr.strip()}. Remove it by hand, then run again.")
