"""A store that fails in the middle of a session: one sentence, no traceback, no verdict that nobody can prove."""

from __future__ import annotations

import pytest

from .conftest import Project, batch, task

CONFTEST = """
    from pytest_pipeline.errors import StoreError
    from pytest_pipeline.record.store import Store

    def fail(*arguments, **named):
        raise StoreError("The store cannot be written: the disk is full. Free space and run again.")

    Store.{method} = fail
"""


@pytest.mark.parametrize(
    "method", ["admit_run", "admit_attempt", "begin_step", "finish_attempt", "finish_run", "close_session"]
)
def test_it_is_told_in_one_sentence(project: Project, method: str) -> None:
    project.write("conftest.py", CONFTEST.format(method=method))
    project.plan(batch("1", task("1.1"), task("1.2")))

    result = project.run_apart("plans")

    told = result.text + result.errors
    assert "The store cannot be written: the disk is full. Free space and run again." in told
    assert "INTERNALERROR" not in told
    assert "Traceback" not in told
    assert result.code != 0
    assert "criterion met" not in told
