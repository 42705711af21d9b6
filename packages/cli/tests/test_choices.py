"""What is said of words that cannot be meant: ids that are none, states that there are not."""

import pytest
from contract_server import Api, Run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("task", "get", "abc"), "abc is not a task's id"),
        (("task", "why", "0190a0a0"), "0190a0a0 is not a task's id"),
        (("task", "bulk", "cancel", "--id", "abc", "--yes"), "abc is not a task's id"),
        (("task", "bulk", "cancel", "--user", "alice", "--yes"), "alice is not a user's id"),
        (("task", "bulk", "cancel", "--agent", "abc", "--yes"), "abc is not an agent's id"),
        (("approvals", "get", "abc"), "abc is not an approval's id"),
        (("approvals", "list", "--task", "abc"), "abc is not a task's id"),
        (("workflow", "replay", "news", "abc"), "abc is not a run's id"),
        (("queue", "unlimit", "abc"), "abc is not a limit's id"),
        (("dead", "replay", "abc"), "abc is neither a group nor a task's id"),
        (("approvals", "list", "--state", "nope"), "'open', 'approved'"),
        (("agents", "list", "--status", "nope"), "'never_connected'"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_and_nobody_is_asked(
    api: Api, run: Run, words: tuple[str, ...], said: str
) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.split())
    assert api.requests == []
