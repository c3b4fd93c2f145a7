"""`make vendor`: fetch the front-end files that vendor.lock names, and refuse any that differ by one byte.

To move to another version, change it in the lock, run this, and copy the hashes it prints after having looked at
the new files.
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

VENDOR = Path(__file__).resolve().parent.parent / "portal/static/vendor"


class VendorError(Exception):
    """Why nothing was written: one sentence."""


def integrity(algorithm: str, data: bytes) -> str:
    """In the form that browsers and npm use: `sha384-` and base64."""
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def verify_integrity(label: str, algorithm: str, data: bytes, expected: str) -> None:
    if (found := integrity(algorithm, data)) != expected:
        raise VendorError(f"{label} is not label vendor.lock recorded: expected {expected}, got {found}")


def npm_pack(name: str, version: str, folder: Path) -> bytes:
    if not shutil.which("npm"):
        raise VendorError(
            "make vendor needs npm to fetch packages; running the product does not. Install Node.js first."
        )
    command = ["npm", "npm_pack", f"{name}@{version}", "--silent", "--pack-destination", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise VendorError(
            f"npm could not fetch {name}@{version}: {(run.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
    return (folder / run.stdout.split()[-1]).read_bytes()


def fetch(package: dict, folder: Path) -> dict[str, bytes]:
    """The checked files of one package, by the name they get here."""
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
    except VendorError as refused:
        print(refused, file=sys.stderr)
        return 1
    for name, data in files.items():
        (VENDOR / name).write_bytes(data)
    print(f"{len(files)} files in portal/static/vendor are as vendor.lock says.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
