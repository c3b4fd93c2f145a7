"""How an action says no."""


class ActionRefused(Exception):
    """The action did nothing; `sentence` names the rule and the way out, for a person."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.message = sentence


class InvalidInput(ActionRefused):
    """What was typed does not do: one sentence for each field concerned."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class NumberUnconfirmed(InvalidInput):
    """A person must look at the digits of `number` (E.164) and confirm it; `errors` say why."""

    def __init__(self, errors: dict[str, str], number: str) -> None:
        super().__init__(errors)
        self.phone_number = number


def invalid_input(errors: dict[str, str], unconfirmed_number: str = "") -> InvalidInput:
    """What to raise: `unsure` is a number that would do once it is confirmed."""
    return NumberUnconfirmed(errors, unconfirmed_number) if unconfirmed_number else InvalidInput(errors)


class Busy(ActionRefused):
    """The process has as much to do as it takes on at once; the same may work in a moment."""
