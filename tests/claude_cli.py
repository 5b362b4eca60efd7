"""The real Claude CLI, for the tests that drive it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def claude_cli() -> Path:
    """The binary in the wheel claude-agent-sdk; never another one that this machine may have."""
    package = importlib.util.find_spec("claude_agent_sdk")
    if package is None or package.origin is None:
        pytest.skip("the wheel claude-agent-sdk, which brings the Claude CLI, is not installed")
    binary = Path(package.origin).with_name("_bundled") / "claude"
    if not binary.exists():
        pytest.skip("the wheel claude-agent-sdk has no Claude CLI for this platform")
    return binary
