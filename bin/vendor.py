"""`make vendor`: fetches the front-end files in vendor.lock and refuses any whose hash differs.

To change a version, edit the lock, run this, review the new files, and copy the hashes that it prints.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parent.parent / "portal/static/vendor"


class VendorError(Exception):
    """Nothing was written; the message says why."""


def integrity(algorithm: str, data: bytes) -> str:
    """A subresource integrity value: the algorithm, a hyphen and the digest in base64."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def verify_integrity(label: str, algorithm: str, data: bytes, expected: str) -> None:
    if (actual := integrity(algorithm, data)) != expected:
        raise VendorError(f"{label} does not match vendor.lock: expected {expected}, got {actual}")


def npm_pack(name: str, version: str, folder: Path) -> bytes:
    if not shutil.which("npm"):
        raise VendorError(
            "make vendor needs npm to fetch packages. Install Node.js first; the portal itself does not need it."
        )
    command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        reason = (run.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise VendorError(f"npm could not fetch {name}@{version}: {reason}")
    return (folder / run.stdout.split()[-1]).read_bytes()


def fetch(package: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """The verified files of a package by their names in the vendor folder."""
    name, version = package["name"], package["version"]
    tarball = npm_pack(name, version, folder)
    verify_integrity(f"{name}@{version}", "sha512", tarball, package["integrity"])
    archive = folder / "package.tgz"
    archive.write_bytes(tarball)
    files = {}
    with tarfile.open(archive) as packed:
        for file in package["file"]:
            member = packed.extractfile(f"package/{file['from']}")
            data = member.read() if member else b""
            verify_integrity(f"{file['from']} of {name}@{version}", "sha384", data, file["integrity"])
            files[file["to"]] = data
    return files


def main() -> int:
    lock = tomllib.loads((VENDOR / "vendor.lock").read_text())
    files: dict[str, bytes] = {}
    try:
        for package in lock["package"]:
            with tempfile.TemporaryDirectory() as folder:
                files |= fetch(package, Path(folder))
    except VendorError as error:
        print(error, file=sys.stderr)
        return 1
    for name, data in files.items():
        (VENDOR / name).write_bytes(data)
    print(f"{len(files)} files in portal/static/vendor match vendor.lock.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
