"""How an action says no."""


class Refused(Exception):
    """The action did nothing; `sentence` names the rule and the way out, for a person."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Invalid(Refused):
    """What was typed does not do: one sentence for each field concerned."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class Unconfirmed(Invalid):
    """A person must look at the digits of `number` (E.164) and confirm it; `errors` say why."""

    def __init__(self, errors: dict[str, str], number: str) -> None:
        super().__init__(errors)
        self.number = number


def invalid(errors: dict[str, str], unsure: str = "") -> Invalid:
    """What to raise: `unsure` is a number that would do once it is confirmed."""
    return Unconfirmed(errors, unsure) if unsure else Invalid(errors)


class Busy(Refused):
    """The process has as much to do as it takes on at once; the same may work in a moment."""
