"""The owner signs in on a known device while 200 strangers guess: at the owner's account, and at 2,000 other names."""

import contextlib
import itertools
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import requests

from benchmarks import pages, polling, targets
from benchmarks.environment import create_quiet_app, environment_variables, serve_app, upgrade_tables
from benchmarks.searching.databases import ENGINES, postgresql_variables
from portal.core.extensions import db

GUESSERS, NAMES, SECONDS, PAUSE_SECONDS = 200, 2_000, 20, 1
_UNUSED_URL = "http://127.0.0.1:9"
_PROXY = {"PORTAL_TRUSTED_PROXIES": "1"}
"""Each stranger has an address of their own, which a proxy would pass on."""
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Flood:
    """What strangers were answered; how the owner fared; the memory of the web process before and at the end."""

    answers: Counter[int] = field(default_factory=Counter)
    owner_seconds: list[float] = field(default_factory=list)
    owner_refused: int = 0
    memory_mb: list[float] = field(default_factory=list)
    cpu_ms: float = 0
    """Of the web process, for each answer."""


def run() -> list[str]:
    lines = [
        f"{GUESSERS} strangers, each with an own address, send wrong passwords without a pause for {SECONDS} s. The "
        f"owner signs in every second on a device that is known. One web process.",
        "",
        "| database | guessed at | tries | answers | owner | longest | refused | memory | after | CPU of an answer |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for engine in ENGINES:
        with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder, contextlib.ExitStack() as stack:
            variables = {} if engine == "sqlite" else postgresql_variables(Path(folder), "sign_in", stack)
            url = stack.enter_context(_portal(Path(folder), variables | _PROXY))
            for label, names in (("one account", [pages.EMAIL]), (f"{NAMES:,} names", _names())):
                lines.append(_line(engine, label, _flood(url, names)))
    return lines


def _names() -> list[str]:
    return [f"nobody{number}@example.org" for number in range(NAMES)]


@contextlib.contextmanager
def _portal(folder: Path, variables: dict[str, str]) -> Iterator[str]:
    app = create_quiet_app(folder, _UNUSED_URL, variables)
    with app.app_context():
        upgrade_tables()
        pages.add_admin("user")
        db.session.remove()
    with serve_app(folder, environment_variables(_UNUSED_URL) | variables) as url:
        yield url


def _flood(url: str, names: list[str]) -> Flood:
    flood, stop, turns = Flood(), threading.Event(), itertools.count()
    device = pages.sign_in(url).cookies.get_dict()["device"]
    flood.memory_mb.append(_memory_mb(url))
    strangers = [
        threading.Thread(target=_guess, args=(url, names, number, turns, stop, flood)) for number in range(GUESSERS)
    ]
    for stranger in strangers:
        stranger.start()
    cpu_before, ends_at = polling.web_cpu_ms(url), time.monotonic() + SECONDS
    while time.monotonic() < ends_at:
        _sign_in_on(url, device, flood)
        time.sleep(PAUSE_SECONDS)
    stop.set()
    for stranger in strangers:
        stranger.join()
    flood.memory_mb.append(_memory_mb(url))
    flood.cpu_ms = (polling.web_cpu_ms(url) - cpu_before) / max(1, flood.answers.total())
    return flood


def _guess(url: str, names: list[str], number: int, turns: Iterator[int], stop: threading.Event, flood: Flood) -> None:
    session = requests.Session()
    session.headers["X-Forwarded-For"] = f"198.51.{100 + number // 250}.{number % 250 + 1}"
    token = _token(session, url)
    while not stop.is_set():
        form = {"email": names[next(turns) % len(names)], "password": "wrong horse battery", "csrf_token": token}
        with contextlib.suppress(requests.RequestException):
            answer = session.post(f"{url}/SignIn", data=form, allow_redirects=False, timeout=60)
            flood.answers[answer.status_code] += 1


def _sign_in_on(url: str, device: str, flood: Flood) -> None:
    session = requests.Session()
    session.cookies.set("device", device)
    session.headers["X-Forwarded-For"] = "203.0.113.7"
    form = {"email": pages.EMAIL, "password": pages.PASSWORD, "csrf_token": _token(session, url)}
    started = time.perf_counter()
    answer = session.post(f"{url}/SignIn", data=form, allow_redirects=False, timeout=60)
    flood.owner_seconds.append(time.perf_counter() - started)
    flood.owner_refused += answer.status_code != 302


def _token(session: requests.Session, url: str) -> str:
    found = _TOKEN.search(session.get(f"{url}/SignIn", timeout=60).text)
    return found[1] if found else ""


def _memory_mb(url: str) -> float:
    """Resident, of the processes that serve this address. Linux alone tells it."""
    address, total = url.removeprefix("http://").encode(), 0
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdecimal() and address in (folder / "cmdline").read_bytes().split(b"\0"):
                total += int((folder / "status").read_text().partition("VmRSS:")[2].split()[0])
    return total / 1024


def _line(engine: str, label: str, flood: Flood) -> str:
    longest, grown = max(flood.owner_seconds), flood.memory_mb[1] - flood.memory_mb[0]
    targets.at_most(f"sign-in during guesses at {label}, {engine}: the owner's longest wait", longest, 2, "{:.1f} s")
    targets.at_most(f"sign-in during guesses at {label}, {engine}: more memory", grown, 200, "{:.0f} MB")
    answers = ", ".join(f"{count:,} × {code}" for code, count in sorted(flood.answers.items()))
    return (
        f"| {engine} | {label} | {flood.answers.total():,} | {answers} | {median(flood.owner_seconds):.2f} s "
        f"| {longest:.2f} s | {flood.owner_refused} of {len(flood.owner_seconds)} | {flood.memory_mb[0]:.0f} MB "
        f"| {flood.memory_mb[1]:.0f} MB | {flood.cpu_ms:.1f} ms |"
    )
