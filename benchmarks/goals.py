"""What each figure was meant to be. Chapters note their figures here, for the table on top of the results."""

from dataclasses import dataclass

_noted: list["Goal"] = []


@dataclass(frozen=True)
class Goal:
    """`figure` in the unit of `form`, a format such as "{:.0f} ms"."""

    what: str
    figure: float
    bound: float
    most: bool
    form: str

    @property
    def held(self) -> bool:
        return self.figure <= self.bound if self.most else self.figure >= self.bound

    def line(self) -> str:
        bound = f"{'≤' if self.most else '≥'} {self.form.format(self.bound)}"
        return f"| {self.what} | {bound} | {self.form.format(self.figure)} | {'yes' if self.held else 'no'} |"


def at_most(what: str, figure: float, bound: float, form: str = "{:.3f}") -> None:
    _noted.append(Goal(what, figure, bound, True, form))


def at_least(what: str, figure: float, bound: float, form: str = "{:.3f}") -> None:
    _noted.append(Goal(what, figure, bound, False, form))


def table() -> list[str]:
    return ["| what | goal | figure | held |", "|---|---|---|---|", *(goal.line() for goal in _noted)]
