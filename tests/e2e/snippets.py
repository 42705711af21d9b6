"""Code blocks of the documents. `<!-- snippet: name -->` before a block gives it a name."""

import re
from dataclasses import dataclass
from pathlib import Path

from e2e.product import ROOT

BLOCK = re.compile(
    r"^(?:<!-- snippet: (?P<name>[\w-]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
RUNNABLE = frozenset({"bash", "sh", "python", "console"})


@dataclass(frozen=True, slots=True)
class Block:
    """`shown` is the text of a plain block right after this one: what it prints."""

    name: str | None
    language: str
    text: str
    shown: str | None


def blocks_of(document: str) -> list[Block]:
    """The runnable blocks of a document of the repository, in order."""
    matches = list(BLOCK.finditer((ROOT / document).read_text()))
    blocks: list[Block] = []
    for number, match in enumerate(matches):
        following = matches[number + 1] if number + 1 < len(matches) else None
        if match["language"] not in RUNNABLE:
            continue
        is_output = following is not None and following["language"] == ""
        shown = following["text"] if following is not None and is_output else None
        blocks.append(Block(match["name"], match["language"], match["text"], shown))
    return blocks


def snippets(*documents: str) -> dict[str, Block]:
    """The named blocks of some documents, by name."""
    return {
        block.name: block for document in documents for block in blocks_of(document) if block.name
    }


def documents() -> list[str]:
    """Every document for users that may hold snippets."""
    how_to = sorted((ROOT / "docs" / "how-to").glob("*.md"))
    return ["README.md", *(str(path.relative_to(ROOT)) for path in how_to)]


def sandbox(directory: Path, data_dir: Path) -> Path:
    """A directory as a reader has it after `make up`: the instance is in `.orchestra`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ".orchestra").symlink_to(data_dir)
    return directory
