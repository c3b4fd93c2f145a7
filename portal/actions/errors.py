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
