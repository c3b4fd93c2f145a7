"""A client for the simulator's control API, for failure drills."""

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
    """Replace all simulated faults. Raises `SimulatorError`."""
    _request("PUT", api_url, "faults", json=faults)


def clear_faults(api_url: str) -> None:
    """Raises `SimulatorError`."""
    _request("DELETE", api_url, "faults")


def messages_sent_to(api_url: str, phone_number: str) -> list[dict[str, Any]]:
    """The texts sent to a phone number, with their receipts. Raises `SimulatorError`."""
    return list(_request("GET", api_url, "messages", params={"to": phone_number}).get("messages", []))


def _request(method: str, api_url: str, path: str, **options: Any) -> dict[str, Any]:
    try:
        response = requests.request(
            method, f"{api_url}/simulator/{path}", timeout=_TIMEOUT, allow_redirects=False, **options
        )
        response.raise_for_status()
        body = response.json()
    except (requests.RequestException, ValueError) as error:
        raise SimulatorError(f"The simulator did not answer ({type(error).__name__}).") from error
    if not isinstance(body, dict):
        raise SimulatorError("The server that answered is not the simulator.")
    return body
