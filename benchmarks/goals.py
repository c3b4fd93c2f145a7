"""What each figure was meant to be. Chapters note their figures here, for the table on top of the results."""

from dataclasses import dataclass

_recorded: list["Target"] = []


@dataclass(frozen=True)
class Target:
    """`value` in the unit of `number_format`, a format such as "{:.0f} ms"."""

    label: str
    value: float
    bound: float
    is_upper_bound: bool
    number_format: str

    @property
    def is_met(self) -> bool:
        return self.value <= self.bound if self.is_upper_bound else self.value >= self.bound

    def line(self) -> str:
        bound = f"{'≤' if self.is_upper_bound else '≥'} {self.number_format.format(self.bound)}"
        return (
            f"| {self.label} | {bound} | {self.number_format.format(self.value)} | {'yes' if self.is_met else 'no'} |"
        )


def at_most(what: str, figure: float, bound: float, form: str = "{:.3f}") -> None:
    _recorded.append(Target(what, figure, bound, True, form))


def at_least(what: str, figure: float, bound: float, form: str = "{:.3f}") -> None:
    _recorded.append(Target(what, figure, bound, False, form))


def table() -> list[str]:
    return ["| what | goal | figure | held |", "|---|---|---|---|", *(goal.line() for goal in _recorded)]
