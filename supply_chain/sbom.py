"""`make sbom`: what is installed for running, as a CycloneDX bill of materials.

The same requirements give the same bytes, wherever and whenever it is made.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply_chain.installed import REQUIREMENTS, ROOT, Part, jars, packages
from transport.local_broker.jars import recorded_jars

FILE = ROOT / "sbom.json"
_SCHEMA = SchemaVersion.V1_6


def sbom() -> str:
    """The bill of materials, as JSON.

    Raises:
        LicenceError: something's licence isn't known, or isn't allowed.
        ValueError: what was made breaks the schema.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    licences = {f"{part.name}@{part.version}": part.licence for part in packages()}
    components = [_package(each, licences) for each in _of_requirements()]
    sums = {jar.coordinate: jar.sha256 for jar in recorded_jars()}
    components += [_jar(part, sums[f"{part.name}:{part.version}"]) for part in jars()]
    made = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": _SCHEMA.to_version(),
        "version": 1,
        "metadata": {
            "component": {
                "bom-ref": project["name"],
                "type": "application",
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": sorted(components, key=lambda each: each["bom-ref"]),
        "dependencies": [
            {
                "ref": project["name"],
                "dependsOn": sorted(each["bom-ref"] for each in components),
            }
        ],
    }
    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    wrong = JsonStrictValidator(_SCHEMA).validate_str(text)
    if wrong is not None:
        raise ValueError(f"the bill of materials breaks its schema: {wrong}")
    return text


def _of_requirements() -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(REQUIREMENTS)]
    done = subprocess.run(
        # Not validated here: what is made of it is.
        [
            *command,
            "--no-validate",
            "--output-reproducible",
            "--sv",
            _SCHEMA.to_version(),
            "--of",
            "JSON",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)["components"]
    return found


def _package(found: dict[str, Any], licences: dict[str, str]) -> dict[str, Any]:
    """A package: its lines in the requirements and a registry's address are left out."""
    name, version = found["name"].lower(), found["version"]
    sums = {
        each["content"]: each
        for reference in found["externalReferences"]
        for each in reference.get("hashes", ())
    }
    return {
        "bom-ref": found["purl"],
        "type": "library",
        "name": name,
        "version": version,
        "purl": found["purl"],
        "licenses": [{"expression": licences[f"{name}@{version}"]}],
        # A version has several files, so the sums aren't the component's own.
        "externalReferences": [
            {
                "type": "distribution",
                "url": found["purl"],
                "comment": "one of these files, by what it is installed on",
                "hashes": [sums[each] for each in sorted(sums)],
            }
        ],
    }


def _jar(part: Part, sha256: str) -> dict[str, Any]:
    group, artifact = part.name.split(":")
    purl = f"pkg:maven/{group}/{artifact}@{part.version}"
    return {
        "bom-ref": purl,
        "type": "library",
        "group": group,
        "name": artifact,
        "version": part.version,
        "purl": purl,
        "licenses": [{"expression": part.licence}],
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }


def write(file: Path = FILE) -> None:
    """Write the bill of materials to a file."""
    file.write_text(sbom())


if __name__ == "__main__":
    write()
