"""Errors that an action raises when it refuses."""


class ActionRefused(Exception):
    """The action changed nothing; `message` tells a person why, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidInput(ActionRefused):
    """`errors` has a sentence for each invalid field, `errors_by_key` for each key of one that is JSON."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = self.errors_by_key = errors


class NumberUnconfirmed(InvalidInput):
    """A person must check and confirm the digits of `phone_number` (E.164); `errors` say why."""

    def __init__(self, errors: dict[str, str], phone_number: str) -> None:
        super().__init__(errors)
        self.phone_number = phone_number


def invalid_input(errors: dict[str, str], unconfirmed_number: str = "") -> InvalidInput:
    """The error to raise. `unconfirmed_number` is a phone number that is valid once a person confirms it."""
    return NumberUnconfirmed(errors, unconfirmed_number) if unconfirmed_number else InvalidInput(errors)


class Busy(ActionRefused):
    """The process is at its concurrency limit; a retry may succeed in a moment."""
