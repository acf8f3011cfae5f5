"""`make sbom`: what is installed for running, as a CycloneDX bill of materials.

The same requirements give the same bytes, wherever and whenever it is made.
"""

import json
import tomllib
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from supply_chain.installed import ROOT, Part, jars, packages


def sbom() -> str:
    """The bill of materials, as JSON.

    Raises:
        LicenceError: something's licence isn't known, or isn't allowed.
        ValueError: what was made breaks the schema.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    parts = sorted([*packages(), *jars()], key=lambda each: each.purl)
    made = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SchemaVersion.V1_6.to_version(),
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
        "components": [_component(each) for each in parts],
        "dependencies": [{"ref": project["name"], "dependsOn": [each.purl for each in parts]}],
    }
    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise ValueError(f"the bill of materials breaks its schema: {wrong}")
    return text


def _component(part: Part) -> dict[str, Any]:
    *group, name = part.name.split(":")
    hashes = [{"alg": "SHA-256", "content": each} for each in part.sums]
    files = {
        "type": "distribution",
        "url": part.purl,
        "comment": "one of these files, by what it is installed on",
        "hashes": hashes,
    }
    return {
        "bom-ref": part.purl,
        "type": "library",
        **({"group": group[0]} if group else {}),
        "name": name,
        "version": part.version,
        "purl": part.purl,
        "licenses": [{"expression": part.licence}],
        # A package's version has several files, so the sums aren't the component's own.
        **({"hashes": hashes} if group else {"externalReferences": [files]}),
    }


if __name__ == "__main__":
    (ROOT / "sbom.json").write_text(sbom())
