"""``python -m pytest_pipeline COMMAND``."""

from __future__ import annotations

import sys

from pytest_pipeline.commands import main

if __name__ == "__main__":
    sys.dont_write_bytecode = True  # a command looks at a project and leaves no trace of that in it
    sys.exit(main(sys.argv[1:]))
