"""The geometry of charts: what a picture shows is what the numbers say."""

import re

import pytest

from portal.monitoring.rules.charts import LEFT, PLOT_HEIGHT, Series, bar_chart, column_chart, scale_top

DAYS = ["Nov 1", "Nov 2", "Nov 3", "Nov 4", "Nov 5"]


def delivered(*values: float) -> Series:
    return Series("Delivered", values, "in all")


@pytest.mark.parametrize(
    ("largest", "top"), [(0, 1), (1, 1), (2, 2), (3, 5), (5, 5), (6, 10), (11, 20), (999, 1000), (1001, 2000)]
)
def test_scale_ends_at_a_round_number(largest: float, top: int) -> None:
    assert scale_top(largest) == top


def heights(path: str) -> dict[int, float]:
    """Height of each column by the number of its day."""
    return {int(float(x)): float(up) for x, up in re.findall(r"M([\d.]+) 72v-([\d.]+)h0.72v\2z", path)}


def test_columns_are_as_high_as_their_values() -> None:
    (panel,) = column_chart(DAYS, [delivered(100, 50, 0, 25, 10)]).panels
    assert heights(panel.columns) == {0: PLOT_HEIGHT, 1: 36, 3: 18, 4: 7.2}
    assert [label.text for label in panel.scale] == ["100", "0"]


def test_a_single_one_among_thousands_is_visible() -> None:
    (panel,) = column_chart(DAYS, [delivered(90_000, 1, 0, 0, 0)]).panels
    assert heights(panel.columns)[1] == 2


def test_highest_value_stands_above_its_column() -> None:
    width = (100 - LEFT) / len(DAYS)
    for index in range(len(DAYS)):
        values = [3 if day == index else 1 for day in range(len(DAYS))]
        (panel,) = column_chart(DAYS, [delivered(*values)]).panels
        (label,) = panel.labels
        assert label.text == "3"
        assert LEFT + index * width <= label.x <= LEFT + (index + 1) * width
        assert label.y < panel.top_y + PLOT_HEIGHT - heights(panel.columns)[index]


def test_limit_is_a_line_on_the_scale_of_the_values() -> None:
    rate = Series("Failure rate", (10.0, 2.5, 0, 0, 0), "3.1%", unit="%", limit=5, limit_label="Limit 5%")
    (panel,) = column_chart(DAYS, [rate]).panels
    assert panel.limit_y == panel.top_y + PLOT_HEIGHT / 2
    assert heights(panel.columns) == {0: PLOT_HEIGHT, 1: PLOT_HEIGHT / 4}
    assert [label.text for label in panel.labels] == ["10.0%", "Limit 5%"]


def test_days_below_the_columns_begin_with_the_first_and_end_with_the_last() -> None:
    ninety = [f"day {number}" for number in range(90)]
    axis = column_chart(ninety, [delivered(*range(90))]).axis
    assert [label.text for label in axis] == ["day 0", "day 30", "day 59", "day 89"]
    assert [label.anchor for label in axis] == ["start", "middle", "middle", "end"]


def test_summary_tells_what_the_picture_shows() -> None:
    chart = column_chart(DAYS, [delivered(3, 1200, 0, 0, 0), Series("Not delivered", (0,) * 5, "0 in all")])
    assert chart.summary == "Delivered: in all, at most 1,200 on Nov 2. Not delivered: none."


def test_bars_are_as_long_as_their_values() -> None:
    chart = bar_chart([("Invited", 200, "200"), ("Opted in", 100, "100"), ("Stopped", 0, "0")])
    assert [bar.share for bar in chart.bars] == [100, 50, 0]
    assert chart.summary == "Invited: 200. Opted in: 100. Stopped: 0."
    assert [bar.share for bar in bar_chart([("None", 0, "0")]).bars] == [0]


def test_a_long_name_is_shortened_in_the_chart_only() -> None:
    name = "A name that is far too long for a phone"
    chart = bar_chart([(name, 1, "1")])
    assert (chart.summary, chart.bars[0].name.text) == (f"{name}: 1.", "A name that is far too lo…")
