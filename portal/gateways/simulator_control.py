"""The simulator's own JSON addresses, for failure drills. Where the gateway is Twilio itself nobody answers here."""

from typing import Any

import requests

_TIMEOUT = (2.0, 5.0)


class SimulatorError(Exception):
    """The simulator did not answer, or is not one."""


def is_simulator(api_url: str) -> bool:
    try:
        _request("GET", api_url, "faults")
    except SimulatorError:
        return False
    return True


def set_faults(api_url: str, faults: dict[str, Any]) -> None:
    """The whole of what goes wrong on purpose; what is not named works. Raises `SimulatorError`."""
    _request("PUT", api_url, "faults", json=faults)


def clear_faults(api_url: str) -> None:
    """Raises `SimulatorError`."""
    _request("DELETE", api_url, "faults")


def messages_sent_to(api_url: str, number: str) -> list[dict[str, Any]]:
    """What the phone with this number has been sent, and the receipts that followed. Raises `SimulatorError`."""
    found = _request("GET", api_url, "messages", params={"to": number})
    return list(found.get("messages", []))


def _request(method: str, api_url: str, place: str, **more: Any) -> dict[str, Any]:
    try:
        answer = requests.request(method, f"{api_url}/simulator/{place}", timeout=_TIMEOUT, **more)
        answer.raise_for_status()
        found = answer.json()
    except (requests.RequestException, ValueError) as error:
        raise SimulatorError(f"The simulator did not answer ({type(error).__name__}).") from error
    if not isinstance(found, dict):
        raise SimulatorError("What answered is not the simulator.")
    return found
