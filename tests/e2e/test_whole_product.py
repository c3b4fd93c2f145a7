"""The product as a whole: `portal up`, real processes, seen from outside only."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import parts
from commanded import Commands
from e2e_product import Product, started

RATE = {"FromNumber": parts.FROM, "SegmentsPerSecond": 12}


def test_whatever_is_stopped_in_the_middle_of_a_send_nothing_is_lost_and_nothing_comes_twice(
    tmp_path: Path, commands: Commands, start_for_all: Callable[[Path], Product]
) -> None:
    """First a worker, beside a second portal on the same folder; then all of it. One story: each start costs.

    The portal that starts again is the one that the journeys find.
    """
    with started(tmp_path, commands) as product:
        a_worker_is_stopped_and_everybody_is_reached_once(product)
        second = product.command("sends", "create", "payment-received", "--all", "--data", "amount=$1.00")
        product.process.send_signal(signal.SIGINT)
        assert product.process.wait(40) == 0
    assert processes_of(tmp_path) == []
    product = start_for_all(tmp_path)
    parts.wait_for(lambda: len(notifications(product)) >= 80, "every mail", 60)
    found = notifications(product)
    assert len(found) == len({mail["message_id"] for mail in found}) == 80
    product.command("sends", "wait", second, "--timeout", "100")
    assert max(Counter((text["to"], text["body"]) for text in texts(product)).values()) == 1


def a_worker_is_stopped_and_everybody_is_reached_once(product: Product) -> None:
    product.command("config", "set", "SmsGatewaySettings", json.dumps(RATE))
    send = product.command("sends", "create", "audit-selected", "--all", "--data", "due_date=Friday")
    parts.wait_for(lambda: len(texts(product)) >= 5, "the first texts")
    _stop_the_sms_worker(product.instance)
    _start_a_second_portal(product.instance)
    product.command("sends", "wait", send, "--timeout", "60")
    report = json.loads(product.command("sends", "show", send, "--json"))
    assert report["recipients"] == 40
    assert sum(report["counts"]["email"].values()) == report["counts"]["email"]["mailed"] == 40
    reached = Counter(text["to"] for text in texts(product))
    assert (len(reached), set(reached.values())) == (25, {1})
    mails = notifications(product)
    assert len(mails) == len({mail["message_id"] for mail in mails}) == 40


def texts(product: Product) -> list[dict[str, str]]:
    return parts.get_json(f"{product.outside}/simulator/messages")["messages"]


def notifications(product: Product) -> list[dict[str, Any]]:
    """All mails but the one that asks somebody to check a number that cannot receive texts."""
    mails = parts.get_json(f"{product.outside}/simulator/mail")["mail"]
    return [mail for mail in mails if not mail["subject"].startswith("Please check")]


def processes_of(instance: Path) -> list[str]:
    """Command lines of processes that carry this instance in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes()
            if str(instance).encode() in environ and int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def _start_a_second_portal(instance: Path) -> None:
    env = {**os.environ, "PORTAL_INSTANCE": str(instance)}
    second = parts.portal_command("up", "--port", str(parts.free_port()))
    done = subprocess.run(second, env=env, cwd=parts.ROOT, text=True, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1


def _stop_the_sms_worker(instance: Path) -> None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().split("\0")
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if command[-3:-1] == ["worker", "sms"] and str(instance).encode() in environ:
            os.kill(int(folder.name), signal.SIGTERM)
            return
    raise AssertionError("there is no sms worker")
