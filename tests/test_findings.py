from __future__ import annotations

from pytest_pipeline.findings import Finding, Level


def test_only_a_failure_hinders() -> None:
    found = Finding.good("git", "It is there."), Finding.note("git", "It is old."), Finding.failed("git", "It is not.")
    assert [(each.level, each.ok) for each in found] == [(Level.OK, True), (Level.NOTE, True), (Level.FAILED, False)]


def test_a_finding_reads_as_its_sentences() -> None:
    assert str(Finding.failed("git", "There is no git.", "Install it.")) == "There is no git. Install it."
    assert str(Finding.good("git", "It is there.")) == "It is there."
    assert f"{Level.NOTE}" == "note"
