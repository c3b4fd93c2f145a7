"""`make audit-dependencies`: asks OSV, the public database of vulnerabilities, about every component of the SBOM.

Uses the standard library only. Ends with 0 if none is known, 1 if some are, and 2 if the database gave no answer: an
audit that could not be made must not look like a clean one.
"""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from sbom import ROOT, bill_of_materials

_OSV_URL = "https://api.osv.dev/v1/querybatch"
_ADVISORY_URL = "https://osv.dev/vulnerability/"
_TIMEOUT_SECONDS = 30


class NoAnswer(Exception):
    """The message says why."""


def known_vulnerabilities(url: str, purls: list[str]) -> dict[str, list[str]]:
    """The ids of the advisories for each component that has any. Raises `NoAnswer`."""
    body = json.dumps({"queries": [{"package": {"purl": purl}} for purl in purls]}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})  # noqa: S310  ours
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310  our own address
            results: list[dict[str, Any]] = json.load(response)["results"]
        found = {
            purl: [advisory["id"] for advisory in result.get("vulns", ())]
            for purl, result in zip(purls, results, strict=True)
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    return {purl: ids for purl, ids in found.items() if ids}


def audit(url: str, root: Path) -> int:
    purls = [component["purl"] for component in bill_of_materials(root)["components"]]
    try:
        found = known_vulnerabilities(url, purls)
    except NoAnswer as error:
        print(f"Nothing was audited: {url} gave no answer ({error}). Run it where the internet is.", file=sys.stderr)
        return 2
    for purl, ids in found.items():
        print(f"{purl}: {', '.join(_ADVISORY_URL + id for id in ids)}", file=sys.stderr)
    if not found:
        print(f"None of the {len(purls)} components has a published vulnerability.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1] if len(sys.argv) > 1 else _OSV_URL, ROOT))
