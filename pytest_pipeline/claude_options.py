"""What can be set of how the Claude CLI works, a part of :data:`~pytest_pipeline.options.OPTIONS`."""

from __future__ import annotations

from pytest_pipeline.option import Option
from pytest_pipeline.values import choice, rules, switch, text

OF_THE_CLAUDE_CLI: tuple[Option, ...] = (
    Option(
        "allowed_tools",
        rules,
        "Tools of the Claude CLI, each with or without a rule, for example Read,Edit,Bash(git *).",
        "--agent-tools",
        plan_key="allowed_tools",
        metavar="LIST",
    ),
    Option(
        "permission_mode",
        choice("acceptEdits", "manual", "dontAsk", "bypassPermissions"),
        "What the Claude CLI may do unasked: acceptEdits, manual, dontAsk or bypassPermissions.",
        "--agent-permission-mode",
        plan_key="permission_mode",
        metavar="MODE",
    ),
    Option(
        "effort",
        choice("low", "medium", "high", "xhigh", "max"),
        "How much the model thinks: low, medium, high, xhigh or max.",
        "--agent-effort",
        plan_key="effort",
        metavar="LEVEL",
    ),
    Option(
        "append_system_prompt",
        text,
        "Text that is added to the agent's system prompt.",
        "--append-system-prompt",
        plan_key="append_system_prompt",
        metavar="TEXT",
    ),
    Option(
        "project_instructions",
        switch,
        "Whether the repository's CLAUDE.md is added to the agent's system prompt.",
        plan_key="project_instructions",
    ),
)
