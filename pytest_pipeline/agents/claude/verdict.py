"""How a run of the Claude CLI ended: neither its exit code nor its own word alone is a verdict."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass

from pytest_pipeline.agents.base import AgentResult, AgentStatus, Limits
from pytest_pipeline.agents.claude.activity import clean
from pytest_pipeline.agents.claude.events import Ended
from pytest_pipeline.agents.claude.stream import Summary, refused
from pytest_pipeline.host.process import Completed

_WORDS = 300
_STDERR_LINES = 3
_NAMES = 5
_INTERRUPTED = ("aborted_tools", "aborted_streaming")
_TOO_MUCH = ("prompt_too_long", "blocking_limit", "image_error")
_NO_LOGIN = (
    "The Claude CLI is not logged in. Set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN, or log in once with `claude`, "
    "and run again."
)


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: AgentStatus
    message: str
    retryable: bool = False


def judge(summary: Summary, completed: Completed, limits: Limits, *, hung: bool = False) -> AgentResult:
    """The result of a task run.

    It is a success only where the exit code is 0 and the last result says that it is no error and completed.

    Args:
        summary: what the stream said.
        completed: how the process ended.
        limits: bounds of the task run, named in the message where one was reached.
        hung: whether the driver ended it because it did not end by itself after its result.
    """
    verdict = _verdict(summary, completed, limits, hung)
    return AgentResult(
        verdict.status,
        verdict.message,
        output=completed.tail or (summary.result.text if summary.result else ""),
        cost_usd=summary.cost,
        turns=summary.turns,
        tokens=summary.tokens,
        model=summary.model,
        session_id=summary.session_id,
        survivors=completed.survivors,
        truncated=completed.truncated,
        cost_estimated=summary.cost_estimated,
        denied=summary.denied,
        retryable=verdict.retryable,
    )


def _verdict(summary: Summary, completed: Completed, limits: Limits, hung: bool) -> _Verdict:
    result = summary.result
    if completed.timed_out:
        return _Verdict(AgentStatus.TIMEOUT, _late(summary, limits))
    if completed.exit_code == 0 and _succeeded(summary):
        return _Verdict(AgentStatus.OK, f"The Claude CLI ended after {completed.elapsed:.1f} s{_denials(summary)}.")
    if summary.doomed:
        return _Verdict(AgentStatus.UNAVAILABLE, summary.doomed)
    if hung:
        return _failed(
            "The Claude CLI had given its result, but did not end, and was ended. Look in its transcript what it "
            "waited for."
        )
    if result is None:
        return _failed(_without_result(completed))
    if result.is_error:
        return _unsuccessful(result, summary, limits)
    return _failed(_doubtful(result, summary, completed))


def _succeeded(summary: Summary) -> bool:
    result = summary.result
    return (
        result is not None and summary.finished and result.is_error is False and result.terminal_reason == "completed"
    )


def _unsuccessful(result: Ended, summary: Summary, limits: Limits) -> _Verdict:
    """The verdict on a result that says that it is an error."""
    reason = result.terminal_reason
    if reason == "max_turns":
        return _Verdict(AgentStatus.TURNS, _out_of_turns(limits))
    if reason == "budget_exhausted":
        return _Verdict(AgentStatus.BUDGET, _out_of_budget(summary, limits))
    if reason == "api_error":
        return _api_failed(result, summary)
    if reason in _TOO_MUCH:
        return _failed(f"The task is too large for the model: {_quoted(result)}. Shorten it, or split it.")
    if result.stopped_by_permission_check:
        return _failed(
            f"The Claude CLI gave up because nothing was permitted{_denials(summary)}. Choose another permission_mode, "
            "or permit the tools with allowed_tools."
        )
    if reason in _INTERRUPTED:
        return _failed("The Claude CLI was interrupted before the task was done. Run the task again.")
    return _failed(f"The Claude CLI ended with an error: {_quoted(result)}. Look at its transcript.")


def _api_failed(result: Ended, summary: Summary) -> _Verdict:
    """The verdict where the API failed for good."""
    status = result.status
    if "max_output_tokens" in (result.error, summary.error):
        return _failed(f"The model's answers were too long: {_quoted(result)}. Split the task.")
    refusal = _refusal(result, summary)
    if refusal:
        return _Verdict(AgentStatus.UNAVAILABLE, refusal)
    if status is None and summary.error == "invalid_request":
        return _failed(f"The model did not take the task: {_quoted(result)}. Put it in other words.")
    if status is None or status in (408, 409, 429) or status >= 500:
        return _Verdict(AgentStatus.UNAVAILABLE, _out_of_reach(result), retryable=True)
    return _failed(f"The API rejected the request (status {status}): {_quoted(result)}. Mend what it names.")


def _refusal(result: Ended, summary: Summary) -> str:
    """Why the API lets nobody in who asks like this, or nothing; another try would not help."""
    status, error = result.status, summary.error
    if status == 402 or error == "billing_error":
        return f"The API wants to be paid: {_quoted(result)}. Look at the account's credit and billing, and run again."
    if status in (401, 403):
        return refused(status)
    if status is None and error == "authentication_failed":
        return _NO_LOGIN
    if status == 404 or error == "model_not_found":
        return f"The model was not found: {_quoted(result)}. Give the full id of a model that the account may use."
    return ""


def _out_of_reach(result: Ended) -> str:
    """What is wrong with an API that may work again later."""
    words = _quoted(result)
    if result.status == 429:
        return (
            f"The API takes no more requests for now (status 429): {words}. Wait, run fewer tasks at once, or set "
            "agent_retries."
        )
    if result.status is not None:
        return f"The API is out of order (status {result.status}): {words}. Run again later, or set agent_retries."
    if result.error == "connection_failed":
        return f"The API could not be reached: {words}. Check the network and ANTHROPIC_BASE_URL, or set agent_retries."
    return f"The API gave no usable answer: {words}. Run again later, or set agent_retries."


def _out_of_turns(limits: Limits) -> str:
    most = "" if limits.turns is None else f" ({limits.turns})"
    return f"The agent used up its turns{most}. Raise limits.turns, or split the task."


def _out_of_budget(summary: Summary, limits: Limits) -> str:
    most = "" if limits.budget_usd is None else f" of {limits.budget_usd:g} USD"
    cost = "" if summary.cost is None else f", it cost {summary.cost:.2f} USD"
    return f"The agent used up its budget{most}{cost}. Raise limits.budget_usd, or split the task."


def _late(summary: Summary, limits: Limits) -> str:
    api = ""
    if summary.retry:
        status = summary.retry.status
        api = f"; the API had just {f'answered {status}' if status else 'failed'}, and the CLI waited to ask again"
    return f"The agent did not end within {limits.wall_time:g} s{api}. Raise limits.wall_time, or split the task."


def _without_result(completed: Completed) -> str:
    """What is known of a run that ended without a result; its exit code may be 0 all the same."""
    code = completed.exit_code
    ended_by = _signal(-code if code < 0 else code - 128)
    if ended_by:
        return (
            f"The Claude CLI was ended by signal {ended_by} before it gave a result. Look what on this machine ended "
            "it, for example for want of memory, and run again."
        )
    if code == 0:
        return "The Claude CLI ended without a result, as it does when it is interrupted. Run the task again."
    lines = completed.tail.strip().splitlines()[-_STDERR_LINES:]
    said = clean(" ".join(lines), _WORDS) or "it said nothing"
    return f"The Claude CLI ended with exit status {code} and without a result: {said} Correct that, and run again."


def _doubtful(result: Ended, summary: Summary, completed: Completed) -> str:
    """Why a result that says nothing of an error is no success."""
    if completed.exit_code:
        return (
            f"The Claude CLI's result was a success, but its exit status {completed.exit_code} was not: something "
            "ended it while it still worked. Look at its transcript, and run again."
        )
    if not summary.finished:
        return "The Claude CLI went on after its result, and ended without another. Run the task again."
    return (
        f"The Claude CLI's result does not say that the task was completed: {_quoted(result)}. Look at its transcript; "
        "a prompt that begins with / is taken for a command of the CLI."
    )


def _failed(message: str) -> _Verdict:
    return _Verdict(AgentStatus.FAILED, message)


def _quoted(result: Ended) -> str:
    words = clean(result.text or result.subtype, _WORDS).replace('"', "'").rstrip(".")
    return f'"{words}"' if words else "it does not say why"


def _denials(summary: Summary) -> str:
    """Says which tools were denied, and how often."""
    if not summary.denied:
        return ""
    counts = Counter(clean(name) for name in summary.denied).most_common()
    named = [name if count == 1 else f"{name} ×{count}" for name, count in counts[:_NAMES]]
    more = [f"{len(counts) - _NAMES} more"] if len(counts) > _NAMES else []
    return f"; denied: {', '.join(named + more)}"


def _signal(number: int) -> str:
    """A signal's number and name; nothing where there is no such signal."""
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return ""
