"""Our own rules find what they are there for."""

from pathlib import Path

import check_rules
import pytest

SERVER = "packages/server/src/orchestra/"


@pytest.fixture
def examine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Examine":
    monkeypatch.setattr(check_rules, "ROOT", tmp_path)
    return Examine(tmp_path)


class Examine:
    """Writes a file and returns what the rules say about it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __call__(self, path: str, text: str) -> list[str]:
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return [finding.message for finding in check_rules.examine(path)]


def test_a_commit_outside_the_database_module_is_found(examine: Examine) -> None:
    text = '"""Why."""\nawait_ = connection.commit()\n'
    assert examine(f"{SERVER}features/chat/service.py", text)
    assert not examine(f"{SERVER}foundation/database.py", text)


@pytest.mark.parametrize(
    "statement",
    ["SELECT 1", "  INSERT INTO t VALUES (1)", "UPDATE t SET a = 1", "WITH x AS (SELECT 1)"],
)
def test_sql_outside_a_repository_is_found(examine: Examine, statement: str) -> None:
    text = f'"""Why."""\nSQL = """{statement}"""\n'
    assert examine(f"{SERVER}features/chat/service.py", text)
    assert not examine(f"{SERVER}features/chat/repository.py", text)
    assert not examine(f"{SERVER}features/tasks/repository/claims.py", text)


def test_sql_inside_an_f_string_is_found(examine: Examine) -> None:
    text = '"""Why."""\nSQL = f"SELECT {columns} FROM t"\n'
    assert examine(f"{SERVER}features/chat/rest.py", text)


def test_prose_that_begins_like_sql_is_not_sql(examine: Examine) -> None:
    assert not examine(f"{SERVER}features/chat/rest.py", '"""Select what to show."""\n')


def test_a_file_over_the_limit_is_found(examine: Examine) -> None:
    assert examine("tests/long.py", '"""Why."""\n' + "x = 1\n" * check_rules.MAX_LINES)


def test_a_module_without_a_docstring_is_found(examine: Examine) -> None:
    assert examine(f"{SERVER}features/chat/rest.py", "x = 1\n")
    assert not examine("tests/test_x.py", "x = 1\n")


@pytest.mark.parametrize("call", ["time.sleep(1)", "page.wait_for_timeout(50)", "sleepy.sleep(n)"])
def test_a_test_that_sleeps_is_found(examine: Examine, call: str) -> None:
    assert examine("packages/sdk/tests/test_x.py", f"{call}\n")
    assert not examine("packages/sdk/tests/agent_for_tests.py", f"{call}\n")


def test_a_short_pause_between_two_looks_is_allowed(examine: Examine) -> None:
    assert not examine("packages/sdk/tests/test_x.py", "asyncio.sleep(0.05)\n")


def test_a_timer_of_a_task_is_not_a_sleep_of_its_test(examine: Examine) -> None:
    assert not examine("packages/sdk/tests/test_x.py", "ctx.sleep(3600)\n")


def test_two_locks_with_one_number_are_found() -> None:
    texts = {"a.py": "A_LOCK = 7_203\n", "b.py": "\nB_LOCK = 7203\nC_LOCK = 7204\n"}
    [finding] = check_rules.shared_locks(texts)
    assert (finding.path, finding.line) == ("b.py", 2)
