"""Target and result of each measurement. Benchmarks record theirs here for the summary table of the results."""

from dataclasses import dataclass

_recorded: list["Target"] = []


@dataclass(frozen=True)
class Target:
    """`value` and `bound` are in the unit of `number_format`, a format such as "{:.0f} ms"."""

    label: str
    value: float
    bound: float
    is_upper_bound: bool
    number_format: str

    @property
    def is_met(self) -> bool:
        return self.value <= self.bound if self.is_upper_bound else self.value >= self.bound

    def line(self) -> str:
        bound, value = self.number_format.format(self.bound), self.number_format.format(self.value)
        sign, verdict = "≤" if self.is_upper_bound else "≥", "yes" if self.is_met else "no"
        return f"| {self.label} | {sign} {bound} | {value} | {verdict} |"


def at_most(label: str, value: float, bound: float, number_format: str = "{:.3f}") -> None:
    _recorded.append(Target(label, value, bound, True, number_format))


def at_least(label: str, value: float, bound: float, number_format: str = "{:.3f}") -> None:
    _recorded.append(Target(label, value, bound, False, number_format))


def table() -> list[str]:
    return ["| measurement | target | result | met |", "|---|---|---|---|", *(target.line() for target in _recorded)]
