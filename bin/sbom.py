"""`make sbom`: the software bill of materials, CycloneDX in JSON, from the lock files alone. Uses the standard library.

Components are the packages of requirements.txt and the front-end files of vendor.lock, with their versions and hashes.
The same lock files give the same bytes.
"""

import base64
import json
import re
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PACKAGE = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^ +# +(?:via )?(?!via$)([\w.-]+)$", re.MULTILINE)
_NAMESPACE = uuid.UUID("6f0a2a0c-5d0e-4f0b-9a35-1c8f3f1c7c52")


def python_packages(lock: str) -> list[dict[str, Any]]:
    """A lock file is a list of blocks: a version, the hashes of its files, and what needs it."""
    starts = [match.start() for match in _PACKAGE.finditer(lock)]
    blocks = [lock[start:end] for start, end in zip(starts, [*starts[1:], len(lock)], strict=True)]
    return [_python_package(*_PACKAGE.findall(block)[0], block) for block in blocks]


def _python_package(name: str, version: str, block: str) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(block)]
    return _component("pypi", name, version, hashes)


def front_end_packages(lock: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        _component("npm", package["name"], package["version"], [_integrity_hash(package["integrity"])])
        for package in lock["package"]
    ]


def _component(registry: str, name: str, version: str, hashes: list[dict[str, str]]) -> dict[str, Any]:
    purl = f"pkg:{registry}/{name.replace('@', '%40')}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": hashes}


def _integrity_hash(integrity: str) -> dict[str, str]:
    algorithm, _, digest = integrity.partition("-")
    return {"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}


def needs(lock: str, packages: list[dict[str, Any]], product: str) -> list[dict[str, Any]]:
    """Which component needs which, as the comments of the lock file say."""
    references = {package["name"]: package["bom-ref"] for package in packages}
    edges: dict[str, list[str]] = {reference: [] for reference in (product, *references.values())}
    blocks = _PACKAGE.split(lock)[1:]
    for name, block in zip(blocks[::3], blocks[2::3], strict=True):
        for parent in _VIA.findall(block):
            edges[references[parent]].append(references[name])
        if "-r requirements.in" in block:
            edges[product].append(references[name])
    return [{"ref": reference, "dependsOn": sorted(children)} for reference, children in edges.items()]


def bill_of_materials(root: Path) -> dict[str, Any]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    product = f"pkg:generic/{project['name']}@{project['version']}"
    lock = (root / "requirements.txt").read_text()
    python = python_packages(lock)
    front_end = front_end_packages(tomllib.loads((root / "portal/static/vendor/vendor.lock").read_text()))
    dependencies = needs(lock, python, product)
    dependencies[0]["dependsOn"] += [package["bom-ref"] for package in front_end]
    content = {
        "metadata": {"component": {"type": "application", "bom-ref": product, "purl": product, **_named(project)}},
        "components": [*python, *front_end],
        "dependencies": dependencies,
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(content, sort_keys=True))
    header = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1}
    return {**header, **content}


def _named(project: dict[str, Any]) -> dict[str, str]:
    return {key: project[key] for key in ("name", "version", "description")}


def main() -> int:
    text = json.dumps(bill_of_materials(ROOT), indent=2, ensure_ascii=False) + "\n"
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
