"""What can be set: :data:`OPTIONS` is the only list of it.

The command line, the ini file, the front matter and the README's table are made from it or tested against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_pipeline.values import Parse, author, choice, duration, fraction, names, number, rules, size, switch, text


@dataclass(frozen=True)
class Option:
    """One thing that can be set.

    Args:
        name: the field of :class:`Settings`; the ini key is ``pipeline_`` and this name.
        parse: checks a raw value.
        help: one line for ``--help`` and the README.
        flag: the command line option, or None where there is none.
        plan_key: the front-matter key, dotted inside a mapping (``limits.wall_time``); None: a plan may not set it.
        metavar: how the value is shown in ``--help``; "" for a switch.
        ini: whether the ini file may set it.
        sets: what the flag of a switch sets.
        bare: what the flag means without a value; "": it needs one.
    """

    name: str
    parse: Parse
    help: str
    flag: str | None = None
    plan_key: str | None = None
    metavar: str = ""
    ini: bool = True
    sets: bool = True
    bare: str = ""


OPTIONS: tuple[Option, ...] = (
    Option(
        "count",
        number(int, 1),
        "Run every plan N times; the criterion is N consecutive successful runs.",
        "--count",
        metavar="N",
        ini=False,
    ),
    Option(
        "repeat_scope",
        choice("function", "class", "module", "session"),
        "What is repeated as a block: task (function), batch (class), plan (module) or everything (session).",
        "--repeat-scope",
        metavar="SCOPE",
        ini=False,
    ),
    Option(
        "until_consecutive",
        number(int, 1),
        "Stop early, and green, once K runs in a row have succeeded.",
        "--until-consecutive",
        metavar="K",
    ),
    Option(
        "history",
        switch,
        "Tell the streak over the last sessions of the same plans, agent, model and repository.",
        "--history",
    ),
    Option(
        "count_history",
        number(int, 1),
        "The criterion is N consecutive successful runs, those of earlier sessions that can be compared included.",
        "--count-history",
        metavar="N",
    ),
    Option(
        "resume",
        text,
        "Go on with a session that did not come to its end, the latest one or that of an id; its options hold.",
        "--resume",
        metavar="SESSION",
        ini=False,
        bare="latest",
    ),
    Option(
        "fresh_failures",
        switch,
        "With --resume: try tasks again that have failed, as new attempts.",
        "--fresh-failures",
        ini=False,
    ),
    Option(
        "chaos",
        number(int, 0),
        "Inject faults into agents, git, forge, store, workers and clock by this seed; such a session proves nothing "
        "but that they are survived.",
        "--chaos",
        metavar="SEED",
        ini=False,
    ),
    Option(
        "chaos_rate",
        fraction,
        "With --chaos: probability of a fault at each seam of each task, from 0 to 1.",
        "--chaos-rate",
        metavar="P",
        ini=False,
    ),
    Option(
        "chaos_anywhere",
        switch,
        "With --chaos: allow it on a forge that is neither the embedded one nor a GitHub on the loopback interface.",
        "--chaos-anywhere",
        ini=False,
    ),
    Option(
        "agent",
        text,
        "Who does the tasks: claude, reference (replays the plan's own solutions), command, or a hook's.",
        "--agent",
        plan_key="agent",
        metavar="NAME",
    ),
    Option(
        "agent_command",
        text,
        "Command line of the command agent; it reads the prompt from stdin.",
        "--agent-command",
        metavar="COMMAND",
    ),
    Option(
        "claude_path",
        text,
        "The Claude CLI; default: claude on PATH, then the one in the installed claude-agent-sdk wheel.",
        "--claude-path",
        metavar="PATH",
    ),
    Option(
        "rehearse",
        switch,
        "Run the real Claude CLI against a scripted model that plays the plan's references: no account, no cost.",
        "--rehearse",
        ini=False,
    ),
    Option(
        "cassette",
        text,
        "With --rehearse: the model's answers come from this directory, recorded earlier.",
        "--cassette",
        metavar="DIR",
        ini=False,
    ),
    Option(
        "record_cassette",
        text,
        "Write what the live model answers to this directory, for --rehearse --cassette.",
        "--record-cassette",
        metavar="DIR",
        ini=False,
    ),
    Option("model", text, "Model that the agent is asked to use.", "--agent-model", plan_key="model", metavar="ID"),
    Option(
        "forge",
        text,
        "Where pull requests live: local (embedded), github, or a hook's.",
        "--forge",
        metavar="NAME",
    ),
    Option(
        "repo",
        text,
        "Target repository: a path relative to the current directory (in the ini file: to the rootdir), or for the "
        "forge github owner/name or a URL; default: the one that holds the plans, and its origin.",
        "--repo",
        metavar="REPOSITORY",
    ),
    Option(
        "github_api",
        text,
        "Where the REST interface of a GitHub Enterprise server begins; default: told from the repository's host.",
        "--github-api",
        metavar="URL",
    ),
    Option(
        "token_file",
        text,
        "File with the forge's token and nothing else (mode 600); default: GH_TOKEN, GITHUB_TOKEN, then gh auth token.",
        "--token-file",
        metavar="PATH",
    ),
    Option(
        "forge_pace",
        choice("careful", "documented", "off"),
        "How fast a GitHub is asked: careful (no block was ever reported), documented (GitHub's own limits) or off "
        "(a server without limits).",
        "--forge-pace",
        metavar="PACE",
    ),
    Option(
        "forge_time",
        duration,
        "Longest time that GitHub's limits may stretch a session to; a session that needs more does not begin.",
        "--forge-time",
        metavar="DURATION",
    ),
    Option(
        "base",
        text,
        "Commit or branch of the target repository that every run starts from; default: HEAD.",
        "--base-commit",
        plan_key="base",
        metavar="REVISION",
    ),
    Option(
        "merge_method",
        choice("merge", "squash", "rebase"),
        "How pull requests are merged: merge, squash or rebase.",
        "--merge-method",
        plan_key="merge_method",
        metavar="METHOD",
    ),
    Option(
        "auto_merge",
        switch,
        "Whether pull requests are merged; without it they stay open and dependants skip.",
        "--no-auto-merge",
        plan_key="auto_merge",
        sets=False,
    ),
    Option(
        "checks",
        choice("required", "all", "none"),
        "Which checks of a pull request must be green before it is merged: those that rules require, all, or none.",
        "--checks",
        plan_key="checks",
        metavar="RULE",
    ),
    Option(
        "checks_time",
        duration,
        "Wall-clock limit of the checks of one pull request.",
        "--checks-time",
        plan_key="limits.checks_time",
        metavar="DURATION",
    ),
    Option(
        "scope",
        choice("warn", "strict"),
        "What a change to a file that the task did not declare is: a warning (warn) or a failure (strict).",
        "--change-scope",
        plan_key="scope",
        metavar="RULE",
    ),
    Option(
        "vacuous_checks",
        choice("warn", "fail"),
        "What a verification is that passes before the agent has started: a warning (warn) or a failure (fail).",
        "--vacuous-checks",
        plan_key="vacuous_checks",
        metavar="RULE",
    ),
    Option(
        "collect",
        choice("named", "always"),
        "Whether plans are collected only where the command line names "
        "them or their directory (named), or in every pytest run (always).",
    ),
    Option(
        "keep_workspaces",
        choice("never", "failed", "always"),
        "Which workspaces stay after their task: never, failed or always.",
        "--keep-workspaces",
        metavar="WHICH",
    ),
    Option(
        "max_workspaces", number(int, 0), "How many workspaces are kept at most in one session; the first ones stay."
    ),
    Option("max_file_size", size, "Largest file that a task may commit.", plan_key="max_file_size"),
    Option("max_transcript", size, "Most that is kept of the output of one agent or command."),
    Option(
        "wall_time",
        duration,
        "Wall-clock limit of the agent in one task run.",
        "--agent-time",
        plan_key="limits.wall_time",
        metavar="DURATION",
    ),
    Option(
        "turns",
        number(int, 1),
        "Most model turns in one task run, for agents that count them.",
        "--agent-turns",
        plan_key="limits.turns",
        metavar="N",
    ),
    Option(
        "budget_usd",
        number(float, 0.01),
        "Most US dollars in one task run, for agents that count them.",
        "--agent-budget",
        plan_key="limits.budget_usd",
        metavar="USD",
    ),
    Option(
        "max_cost",
        number(float, 0.01),
        "Most US dollars in the whole session: once that is reached, no further task starts.",
        "--max-cost",
        metavar="USD",
    ),
    Option(
        "agent_retries",
        number(int, 0),
        "How often a task is tried again whose agent was unavailable (rate limit, overload, network).",
        "--agent-retries",
        plan_key="agent_retries",
        metavar="N",
    ),
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
    Option(
        "protected_paths",
        names,
        "Files that a task may change only if it declares them, because they steer later agents or CI.",
        plan_key="protected_paths",
    ),
    Option(
        "verification_time",
        duration,
        "Wall-clock limit of each verification command.",
        "--verification-time",
        plan_key="limits.verification_time",
        metavar="DURATION",
    ),
    Option("pass_environment", names, "Names of further environment variables that agents and verification see."),
    Option("prompt_template", text, "Jinja2 file that makes the prompt, relative to the rootdir."),
    Option("pull_request_title", text, "Jinja2 text that makes the title of a pull request."),
    Option(
        "pull_request_template", text, "Jinja2 file that makes the text of a pull request, relative to the rootdir."
    ),
    Option(
        "record_url", text, "Where the record will be, for links in pull requests; default: the run of GitHub Actions."
    ),
    Option("author", author, "Author of the commits, as NAME <MAIL>."),
    Option("state_dir", text, "Directory for store, embedded forge and transcripts, relative to the rootdir."),
    Option(
        "store",
        text,
        "SQLAlchemy URL of the store; default: state.db in the state directory.",
        "--pipeline-store",
        metavar="URL",
    ),
    Option(
        "live",
        choice("auto", "on", "off"),
        "Live status on a terminal: auto (not in CI), on (in CI too) or off; never in piped output, with -q or -s.",
        "--pipeline-live",
        metavar="WHEN",
    ),
)

BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
BY_PLAN_KEY: Mapping[str, Option] = {option.plan_key: option for option in OPTIONS if option.plan_key}
