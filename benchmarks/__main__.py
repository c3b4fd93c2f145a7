"""`make bench`: runs everything and writes benchmarks/RESULTS.md."""

import platform
from pathlib import Path

from benchmarks import pace, throughput
from benchmarks.stage import LATENCY_MS


def main() -> None:
    lines = [
        "# Results",
        "",
        f"One run on {platform.machine()}, Python {platform.python_version()}, SQLite; the simulator on the "
        f"same machine answers after {LATENCY_MS} ms. Read the ratios, not the absolute figures.",
        "",
        "## Pace",
        "",
        *pace.run(),
        "",
        "## Without a limit",
        "",
        *throughput.run(),
        "",
    ]
    text = "\n".join(lines)
    (Path(__file__).parent / "RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
