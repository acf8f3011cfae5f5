"""The `docker compose` commands that README.md and docs/ tell people to give."""

import re
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```", re.M | re.S)
PROMPT = re.compile(r"^\$ (.*?)(?:\s{2,}#.*)?$", re.M)
INLINE = re.compile(r"`([^`\n]*docker compose [a-z]+ [^`\n]+)`")
"""With something after the subcommand: by its name alone it is spoken of, and not to be given."""


def documented(tree: Path) -> list[str]:
    """The commands in the order in which a file has them; what ends the stack is last.

    What another file said already is not said again.
    """
    found: list[str] = []
    for file in (*sorted((tree / "docs").glob("*.md")), tree / "README.md"):
        text = file.read_text(encoding="utf-8")
        blocks = "\n".join(BLOCK.findall(text))
        prose = BLOCK.sub("", text)
        given = (*PROMPT.findall(blocks), *INLINE.findall(prose))
        known = set(found)
        found += [each for each in given if "docker compose " in each and each not in known]
    return sorted(found, key=lambda command: "docker compose down" in command)
