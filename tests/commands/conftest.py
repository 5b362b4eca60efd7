from __future__ import annotations

import pytest_pipeline.commands.clean  # noqa: F401 - else pytester would forget it, and import it for every test
from tests.e2e.conftest import bare_project, project

__all__ = ["bare_project", "project"]
