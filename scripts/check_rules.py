"""Rules of ours that no linter knows, read from the syntax tree.

1. Only `foundation/database.py` commits.
2. SQL stands in a feature's repository (and in migrations, the database module and the engines).
3. A module of a package opens with a docstring that says why it exists.
4. A Python file has at most 400 lines.
5. A test waits for a condition, it never sleeps.
6. Every PostgreSQL advisory lock (`…_LOCK = number`) has a number of its own.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER = "packages/server/src/orchestra/"
MAX_LINES = 400
# A bounded loop that looks again may pause this long between two looks.
MAX_POLL_SECONDS = 0.1

SQL = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s"
    r"|TRUNCATE\s|LOCK\s+TABLE\s|LISTEN\s|NOTIFY\s|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|DATABASE)\s)"
)
SQL_HAS_ITS_PLACE = re.compile(
    rf"^{SERVER}(features/\w+/repository(\.py|/)|migrations/|engines/|foundation/database\.py)"
)
LOCK = re.compile(r"^(\w+_LOCK) = ([\d_]+)$", re.MULTILINE)
GENERATED = re.compile(r"_pb2(_grpc)?\.py$")


@dataclass(frozen=True, slots=True)
class Finding:
    path: str
    line: int
    message: str


def main() -> int:
    files = _python_files()
    findings = [finding for path in files for finding in examine(path)]
    findings += shared_locks({path: (ROOT / path).read_text() for path in files})
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.message}")
    return 1 if findings else 0


def examine(path: str) -> list[Finding]:
    """What a file of the repository breaks; `path` is relative to its root."""
    text = (ROOT / path).read_text()
    tree = ast.parse(text, path)
    return [*_size(path, text), *_docstring(path, tree), *_calls(path, tree), *_sql(path, tree)]


def shared_locks(texts: dict[str, str]) -> list[Finding]:
    """Locks that have the number of another: who waits for one would wait for both."""
    owners: dict[str, str] = {}
    findings: list[Finding] = []
    for path, text in texts.items():
        for match in LOCK.finditer(text):
            owner = f"{match[1]} in {path}"
            if (other := owners.setdefault(match[2].replace("_", ""), owner)) != owner:
                line = text.count("\n", 0, match.start()) + 1
                findings.append(Finding(path, line, f"{match[1]} has the number of {other}"))
    return findings


def _python_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    present = (path for path in listed.stdout.splitlines() if (ROOT / path).is_file())
    return [path for path in present if not GENERATED.search(path)]


def _size(path: str, text: str) -> Iterator[Finding]:
    lines = text.count("\n")
    if lines > MAX_LINES and "/migrations/versions/" not in path:
        yield Finding(path, lines, f"{lines} lines; split it before {MAX_LINES}")


def _docstring(path: str, tree: ast.Module) -> Iterator[Finding]:
    if "/src/" in path and tree.body and ast.get_docstring(tree) is None:
        yield Finding(path, 1, "opens without a docstring that says why it exists")


def _calls(path: str, tree: ast.Module) -> Iterator[Finding]:
    is_test = "/tests/" in f"/{path}" and Path(path).name.startswith("test_")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "commit" and path != f"{SERVER}foundation/database.py":
            yield Finding(path, node.lineno, "only foundation/database.py commits")
        if is_test and _sleeps(node, node.func):
            yield Finding(path, node.lineno, "a test waits for a condition, it never sleeps")


def _sleeps(call: ast.Call, function: ast.Attribute) -> bool:
    if function.attr == "wait_for_timeout":
        return True
    if function.attr != "sleep":
        return False
    if isinstance(function.value, ast.Name) and function.value.id == "ctx":
        return False  # a timer of a task, which is what is tested
    pause = call.args[0] if call.args else None
    is_poll = isinstance(pause, ast.Constant) and isinstance(pause.value, int | float)
    return not (is_poll and float(pause.value) <= MAX_POLL_SECONDS)  # type: ignore[union-attr, arg-type]


def _sql(path: str, tree: ast.Module) -> Iterator[Finding]:
    if not path.startswith(SERVER) or SQL_HAS_ITS_PLACE.match(path):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            yield Finding(path, node.lineno, "SQL belongs into the feature's repository.py")


if __name__ == "__main__":
    sys.exit(main())
