"""Rows of results side by side: what has no value is left out, and units are the reader's."""

from s2f.report import metric_figures
from tests.report.figures import fits


def results():
    """Rows of a `metrics.json` with an interval, without one, and without a value."""
    entry = {"value": 0.6, "low": 0.5, "high": 0.7}
    bare, none = {"low": None, "high": None}, {"value": None, "low": None, "high": None}
    return {
        "model": {"matching_2way": entry, "kid": {"value": 0.1, **bare}},
        "chance": {"matching_2way": {"value": 0.5, **bare}, "kid": entry},
        "probe": {"matching_2way": none, "kid": none},
    }


def test_metric_rows_without_any_value_say_so():
    rows = {name: row | {"kid": row["kid"] | {"value": None}} for name, row in results().items()}
    (text,) = metric_figures.metric_rows(rows, "kid").axes[0].texts
    assert "no row has a value" in text.get_text()
    rows["model"]["kid"] |= {"reason": "too few faces: 24 a side"}
    (text,) = metric_figures.metric_rows(rows, "kid").axes[0].texts
    assert text.get_text() == "KID × 1000 is not measured: too few faces: 24 a side."


def test_a_panel_without_values_says_why_and_has_no_scale():
    rows = results()
    rows["model"]["kid"] = {"value": None, "low": None, "high": None, "reason": "too few faces"}
    figure = fits(lambda: metric_figures.metric_rows(rows, ["matching_2way", "kid"], chance=0.5))
    drawn, absent = figure.axes
    assert [text.get_text() for text in absent.texts] == ["not measured: too few faces"]
    assert not absent.get_xticks().size and drawn.get_xticks().size and not drawn.texts


def test_metric_rows_leave_out_what_has_no_value():
    figure = fits(lambda: metric_figures.metric_rows(results(), ["matching_2way", "kid"], chance=0.5))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["generated"]
    assert figure.axes[1].lines[-1].get_xdata() == [100], "KID is shown times 1000"
