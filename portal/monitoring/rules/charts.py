"""The geometry of charts. Widths are percentages and heights pixels, so that letters keep their size on every screen.

Every series has a panel of its own with its name, total and highest value beside it, so no color needs a legend.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.translation import format_number
from portal.core.translation import gettext as _

LEFT, PLOT_HEIGHT = 13.0, 72
"""Percent of the width to the left of the columns, for the scale; and pixels for the highest column."""
_LABEL_HEIGHT, _PANEL_GAP, _AXIS_HEIGHT = 36, 16, 22
_ROW_HEIGHT, _BAR_TOP = 46, 20
_MIN_HEIGHT = 2.0
"""So that one among thousands can still be seen."""
_COLUMN_SHARE = 0.72
_AXIS_LABELS = 4
_MAX_NAME_LENGTH = 26


@dataclass(frozen=True)
class Series:
    """A value for each day, and what the panel says about all of them. `limit` is a value not to be exceeded."""

    name: str
    values: tuple[float, ...]
    total: str
    tone: str = ""
    unit: str = ""
    limit: int | None = None
    limit_label: str = ""

    def label(self, value: float) -> str:
        return f"{value:.1f}{self.unit}" if self.unit else format_number(round(value))


@dataclass(frozen=True)
class ChartLabel:
    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Panel:
    """`columns` is the path of all columns, each one unit wide, in a picture that begins at `top_y`.

    `limit_y` is where the line of the limit is; None without one.
    """

    name: ChartLabel
    total: ChartLabel
    tone: str
    columns: str
    scale: tuple[ChartLabel, ...]
    labels: tuple[ChartLabel, ...]
    top_y: int
    limit_y: float | None


@dataclass(frozen=True)
class ColumnChart:
    """Panels beneath each other over the same days. `summary` says in words what is to be seen."""

    panels: tuple[Panel, ...]
    axis: tuple[ChartLabel, ...]
    days: int
    height: int
    summary: str


@dataclass(frozen=True)
class Bar:
    """`share` of the longest bar, in percent."""

    name: ChartLabel
    value: ChartLabel
    y: float
    share: float


@dataclass(frozen=True)
class BarChart:
    bars: tuple[Bar, ...]
    height: int
    summary: str


def column_chart(days: Sequence[str], series: Sequence[Series]) -> ColumnChart:
    """`days` are the labels of the values of every series."""
    step = _LABEL_HEIGHT + PLOT_HEIGHT + _PANEL_GAP
    bottom = len(series) * step - _PANEL_GAP
    return ColumnChart(
        panels=tuple(_panel(index * step, one) for index, one in enumerate(series)),
        axis=_axis(days, bottom + _AXIS_HEIGHT - 6),
        days=len(days),
        height=bottom + _AXIS_HEIGHT,
        summary=" ".join(_describe(one, days) for one in series),
    )


def bar_chart(rows: Sequence[tuple[str, float, str]]) -> BarChart:
    """`rows` are a name, a value and the value as text."""
    longest = max((value for _name, value, _text in rows), default=0) or 1
    bars = tuple(_bar(index, *row, longest) for index, row in enumerate(rows))
    summary = " ".join(_("%(name)s: %(value)s.", name=name, value=text) for name, _value, text in rows)
    return BarChart(bars, len(bars) * _ROW_HEIGHT, summary)


def scale_top(largest: float) -> int:
    """The end of a scale: 1, 2 or 5 and zeros, at least as large."""
    power = 1
    while 5 * power < largest:
        power *= 10
    return next(step * power for step in (1, 2, 5) if step * power >= largest)


def column_height(value: float, top: int) -> float:
    return round(max(value / top * PLOT_HEIGHT, _MIN_HEIGHT), 1) if value else 0.0


def _panel(start_y: int, series: Series) -> Panel:
    top, top_y = scale_top(max(*series.values, series.limit or 0)), start_y + _LABEL_HEIGHT
    heights = [column_height(value, top) for value in series.values]
    limit_y = None if series.limit is None else top_y + PLOT_HEIGHT - series.limit / top * PLOT_HEIGHT
    labels = [_peak_label(series, max(heights), top_y)] if any(heights) else []
    if limit_y is not None:
        labels.append(ChartLabel(LEFT, limit_y - 4, series.limit_label))
    return Panel(
        name=ChartLabel(0, start_y + 13, series.name),
        total=ChartLabel(100, start_y + 13, series.total, "end"),
        tone=series.tone,
        columns="".join(
            f"M{index + (1 - _COLUMN_SHARE) / 2:.2f} {PLOT_HEIGHT}v-{height:g}h{_COLUMN_SHARE}v{height:g}z"
            for index, height in enumerate(heights)
            if height
        ),
        scale=tuple(
            ChartLabel(LEFT - 1.5, y, f"{format_number(value)}{series.unit}", "end")
            for value, y in ((top, top_y + 4), (0, top_y + PLOT_HEIGHT))
        ),
        labels=tuple(labels),
        top_y=top_y,
        limit_y=limit_y,
    )


def _peak_label(series: Series, height: float, top_y: int) -> ChartLabel:
    """The highest value, above its column; at the edges not in the middle, so that nothing is cut off."""
    highest, step = max(series.values), (100 - LEFT) / len(series.values)
    start = LEFT + series.values.index(highest) * step
    anchor = "start" if start + step / 2 < LEFT + 8 else "end" if start + step / 2 > 92 else "middle"
    x = {"start": start, "middle": start + step / 2, "end": start + step}[anchor]
    return ChartLabel(round(x, 2), round(top_y + PLOT_HEIGHT - height - 4, 1), series.label(highest), anchor)


def _axis(days: Sequence[str], y: int) -> tuple[ChartLabel, ...]:
    """The first and the last day, and some between them."""
    last, count, step = len(days) - 1, min(_AXIS_LABELS, len(days)), (100 - LEFT) / len(days)
    first_label, *others = (round(number * last / max(count - 1, 1)) for number in range(count))
    between = [ChartLabel(round(LEFT + (index + 0.5) * step, 2), y, days[index], "middle") for index in others[:-1]]
    end = [ChartLabel(100, y, days[last], "end")] if others else []
    return (ChartLabel(LEFT, y, days[first_label]), *between, *end)


def _describe(series: Series, days: Sequence[str]) -> str:
    highest = max(series.values)
    if not highest:
        return _("%(name)s: none.", name=series.name)
    day = days[series.values.index(highest)]
    values = {"name": series.name, "total": series.total, "value": series.label(highest), "day": day}
    return _("%(name)s: %(total)s, at most %(value)s on %(day)s.", **values)


def _bar(index: int, name: str, value: float, text: str, longest: float) -> Bar:
    y = index * _ROW_HEIGHT
    short = name if len(name) <= _MAX_NAME_LENGTH else f"{name[: _MAX_NAME_LENGTH - 1].rstrip()}…"
    share = round(max(value / longest * 100, 0.5 if value else 0), 2)
    return Bar(ChartLabel(0, y + 13, short), ChartLabel(100, y + 13, text, "end"), y + _BAR_TOP, share)
