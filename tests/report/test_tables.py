"""Tables print what `metrics.json` holds, and the poster's figures as the poster printed them."""

from __future__ import annotations

import csv
import json
import re

import pandas as pd
import pytest

from s2f.errors import RunError
from s2f.metrics import catalogue
from s2f.report import tables


def metrics(shift=0.0, **extra):
    """A `metrics.json` with a value in every entry but the row `probe`."""

    def entry(row, k):
        if row == "probe":
            return dict.fromkeys(("value", "low", "high", "n_recordings", "n_identities", "reference"), None) | {
                "reason": "not measured"
            }
        value = 0.5 + k / 100 + shift
        return {
            "value": value,
            "low": value - 0.1,
            "high": value + 0.1,
            "n_recordings": 144,
            "n_identities": 12,
            "reference": "288 photos",
            "reason": None,
        }

    def minus(row, metric):
        if not catalogue.METRICS[metric].interval or row == "probe":
            return {"value": None, "low": None, "high": None, "n_identities": None, "reason": "not measured"}
        low = 0.01 if (row, metric) in DIFFERENT else -0.01  # whether the interval holds zero
        return {"value": 0.02, "low": low, "high": 0.05, "n_identities": 12, "reason": None}

    return {
        "protocol": "held_out",
        "rows": {row: {metric: entry(row, k) for k, metric in enumerate(catalogue.METRICS)} for row in catalogue.ROWS},
        "differences": {row: {m: minus(row, m) for m in catalogue.METRICS} for row in catalogue.ROWS if row != "model"},
        "differences_of_mean": {"probe": {m: minus("probe", m) for m in catalogue.METRICS}},
    } | extra


DIFFERENT = {("chance", "matching_2way"), ("gender_oracle", "matching_within_gender")}


@pytest.fixture
def table2():
    return tables.table2({"General": metrics(), "Females": metrics(0.1), "Males": metrics(0.2)})


def test_long_holds_every_entry_once():
    frame = tables.long(metrics(), variant="general")
    assert len(frame) == len(catalogue.ROWS) * len(catalogue.METRICS)
    one = frame[(frame["row"] == "model") & (frame["metric"] == "kid")].iloc[0]
    assert one["value"] == pytest.approx(0.5 + list(catalogue.METRICS).index("kid") / 100) and one["n_identities"] == 12
    assert frame.loc[frame["row"] == "probe", "value"].isna().all()


def test_table2_has_every_row_and_the_posters_line(table2):
    shown = [row for row in catalogue.table2_rows() if row != "probe"]  # it has no value here
    assert list(table2["row"]) == [*shown, "poster"] * 3
    assert {"gender_oracle", "general", "ceiling"} <= set(shown) and "matching_within_gender" in table2.columns
    poster = table2[table2["source"] == "poster"].set_index("variant")
    assert poster.loc["Females", ["fid", "l1", "cosine"]].tolist() == [126.365874, 29.41308, 0.399265]
    assert poster["data"].str.contains("not the same data").all()
    ours = table2[table2["row"] == "model"].set_index("variant")
    assert ours.loc["Males", "kid"] == pytest.approx(ours.loc["General", "kid"] + 0.2)
    assert ours["n_recordings"].tolist() == [144] * 3


def test_the_probe_has_a_line_where_it_has_values():
    content = metrics()
    content["rows"]["probe"] = content["rows"]["ceiling"]
    assert "probe" in set(tables.table2({"General": content})["row"])


def test_table2_files_hold_the_same_numbers(table2, tmp_path):
    tables.write_table2(table2, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table2.csv", "table2.json"]
    written = json.loads((tmp_path / "table2.json").read_text())
    assert written["version"] == tables.TABLE2_VERSION
    content = written["rows"]
    with open(tmp_path / "table2.csv", newline="") as stream:
        printed = list(csv.DictReader(stream))
    assert len(content) == len(printed) == len(table2)
    assert float(printed[2]["fid"]) == content[2]["fid"] == table2.loc[2, "fid"]
    last = len(table2) // 3 - 1
    assert content[last]["kid"] is None and content[last]["l1"] == 61.9460271


def test_table2_is_read_as_it_was_written(table2, tmp_path):
    tables.write_table2(table2, tmp_path)
    lines = tables.read_table2(tmp_path / "table2.json")
    assert [(line.variant, line.row) for line in lines] == list(zip(table2["variant"], table2["row"], strict=True))
    assert (lines[0].n_identities, lines[0].source, lines[0].data) == (12, "ours", "held_out")
    assert lines[0].numbers["kid"] == table2.loc[0, "kid"]
    value = table2.loc[0, "matching_2way"]
    assert lines[0].printed("matching_2way") == f"{100 * value:.1f} % [{100 * value - 10:.1f}, {100 * value + 10:.1f}]"
    assert lines[len(lines) // 3 - 1].printed("kid") == "–"  # the poster has none


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"version": 0, "rows": []}', "has version 0, this program reads 1"),
        ("[]", "holds a list, not a mapping"),
        ('{"version": 1, "rows": [{"variant": "General"}]}', "has no rows of Table 2"),
        ('{"version": 1}', "has no rows of Table 2"),
    ],
)
def test_another_table2_names_the_file_and_the_command(tmp_path, content, problem):
    path = tmp_path / "runs" / "short" / "s0" / "results" / "table2.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(RunError, match=problem) as error:
        tables.read_table2(path)
    assert error.value.subject == str(path) and "python -m s2f study --profile short" in error.value.remedy


def bold(page):
    """Cells that a page sets in bold, as their text."""
    weights = re.search(r"([^{}]*)\{\s*font-weight: bold;\s*\}", page)
    ids = re.findall(r"#(T_\w+)", weights[1]) if weights else []
    return [re.search(rf'id="{one}"[^>]*>([^<]*)<', page)[1] for one in ids]


def test_shown_table2_marks_the_posters_lines(table2):
    page = tables.show_table2(table2).to_html()
    for text in ("114.4", "61.95", "0.245", "126.4", "(undefined)", tables.POSTER_ROW):
        assert text in page
    assert page.count("(undefined)") == 6  # L1 and cosine of each variant


def test_only_what_differs_is_bold(table2):
    assert len(bold(tables.show_table2(table2).to_html())) == 2 * 3  # each variant
    content = metrics()
    assert len(bold(tables.metrics_table(content, "matching").to_html())) == 2
    content["differences"]["chance"]["matching_2way"]["low"] = -0.001
    assert len(bold(tables.metrics_table(content, "matching").to_html())) == 1
    content["differences"]["gender_oracle"]["matching_within_gender"] |= {"low": None, "high": None}
    assert bold(tables.metrics_table(content, "matching").to_html()) == []


def test_a_difference_below_zero_differs_too():
    content = metrics()
    assert not tables.differs(content, "mean_face", "kid")
    content["differences"]["mean_face"]["kid"] |= {"low": -0.2, "high": -0.1}
    assert tables.differs(content, "mean_face", "kid")
    assert not tables.differs(content, "model", "kid")  # with itself


def test_metrics_table_leaves_out_rows_and_metrics_without_values():
    content = metrics()
    for row in catalogue.ROWS:
        content["rows"][row]["recall_at_5"] |= {"value": None, "low": None, "high": None, "reason": "a small gallery"}
    page = tables.metrics_table(content, "matching").to_html()
    assert "mean face of the sex" in page and "linear map" not in page
    assert "recall at 10" in page and "recall at 5<" not in page and "recall at 5: a small gallery" in page
    matching = 100 * (0.5 + list(catalogue.METRICS).index("matching_2way") / 100)
    assert f"{matching:.1f} %" in page and f"[{matching - 10:.1f}, {matching + 10:.1f}]" in page


def test_metrics_table_says_where_nothing_can_be_measured():
    content = metrics()
    for row in catalogue.ROWS:
        for metric in catalogue.groups()["videos"]:
            content["rows"][row][metric] |= {"value": None, "reason": "no videos"}
    page = tables.metrics_table(content, "videos").data
    assert page == "<p>Not measured: no videos.</p>"


FEW = "too few faces: 24 a side"


def without_sets():
    content = metrics()
    for metric in ("fid", "kid"):
        content["rows"]["model"][metric] |= {"value": None, "low": None, "high": None, "reason": FEW}
    return content


def test_a_dash_has_its_reason_below_the_table():
    content = without_sets()
    content["rows"]["model"]["matching_2way"] |= {"value": None, "low": None, "high": None, "reason": "one person"}
    named = {"General": content, "Females": metrics()}
    for page in (
        tables.show_table2(tables.table2(named), named).to_html(),
        tables.by_gender(named).to_html(),
        tables.beside_table(content, {"other": metrics()}).to_html(),
    ):
        marks = {line[2:]: line[0] for line in page[page.index("<caption>") :].split("</caption>")[0][9:].split("\n")}
        assert page.count(f"–{marks['one person']}<") == 1 and page.count(f"–{marks[FEW]}<") == 2
    sets = tables.metrics_table(content, "sets").to_html()
    assert sets.count("–¹<") == 2 and f"¹ {FEW}</caption>" in sets
    caption = re.search("<caption>(.*?)</caption>", tables.metrics_table(metrics(), "sets").to_html(), re.S)
    assert caption and caption[1].startswith("FID, KID, precision and recall: ") and "\n" not in caption[1]


NAMES = ("Ba$$in", "a & b", "<b>bold</b>", "$x$")


def test_names_are_text_and_neither_tags_nor_formulas():
    frame = pd.DataFrame([NAMES] * 4, index=NAMES, columns=NAMES)
    page = tables.styled(frame, notes="\n".join(NAMES)).to_html()
    n = 4 + 1 + 1 + 1  # in a column of cells, its name, a line's name, the notes
    table = page[page.index("<table") :]
    assert "<b>" not in table and table.count("&lt;b&gt;bold&lt;/b&gt;") == table.count("a &amp; b") == n
    assert table.count("$") == table.count('<span class="tex2jax_ignore mathjax_ignore">$</span>') == 4 * n


def test_a_column_that_repeats_an_earlier_one_is_left_out_and_named():
    content = metrics()
    for entries in content["rows"].values():
        entries["matching_within_women"] = dict(entries["matching_within_gender"])
    page = tables.metrics_table(content, "matching").to_html()
    assert ">matching within women</th>" not in page and ">matching within men</th>" in page
    assert "matching within women: here the same as matching within sex" in page


def test_by_gender_pairs_a_variant_with_general():
    content = {"General": metrics(), "Females": metrics(0.1)}
    for metric in catalogue.METRICS:
        content["General"]["rows"]["general"][metric] |= {"value": None}
    page = tables.by_gender(content).to_html()
    assert "Females minus General" in page and "General minus General" not in page
    assert "2.0 points\n[−1.0, 5.0]" in page, "a difference of shares is in points"
    n = content["Females"]["rows"]["model"]["fid"]["n_identities"]
    assert f"Females, {n} people" in page
    assert "General alone" in tables.by_gender({"General": content["General"]}).data


def test_write_rows_holds_values_and_differences(tmp_path):
    import pandas as pd

    tables.write_rows({"General": metrics()}, tmp_path)
    frame = pd.read_csv(tmp_path / "rows.csv")
    n = len(catalogue.METRICS)
    assert frame["what"].value_counts().to_dict() == {
        "value": n * len(catalogue.ROWS),
        "model minus row": n * (len(catalogue.ROWS) - 1),
        "draws_mean minus row": n,
    }


def test_beside_table_has_a_column_a_run():
    page = tables.beside_table(metrics(recipe="codes"), {"poster": metrics(recipe="poster")}).to_html()
    assert ">codes<" in page and ">poster<" in page
    page = tables.beside_table(metrics(recipe="codes"), {"slow": metrics(recipe="codes")}).to_html()
    assert ">codes<" in page and ">codes (slow)<" in page, "runs of equal recipes are told apart"


def test_quality_table_prints_percent_and_counts():
    quality = {"equal_error_rate": {"value": 0.021, "low": 0.01, "high": 0.04}, "n_photos": 1288, "accuracy": None}
    page = tables.quality_table({"aligned": quality, "original": None}).to_html()
    assert page.count("2.1 % [1.0, 4.0]") == 1 and page.count("1,288") == 1 and page.count("–") == 1 + 3
    page = tables.quality_table({"aligned": quality, "original": quality}).to_html()
    assert page.count("2.1 % [1.0, 4.0]") == 2 and page.count("–") == 2
    unknown = quality | {"gender_accuracy": None}
    page = tables.quality_table({"aligned": unknown, "original": None, "original_reason": "aligned already"}).to_html()
    notes = page[page.index("<caption>") :].split("</caption>")[0][9:].split("\n")
    why = "the gender of fewer than two people is known"
    assert [note[2:] for note in notes] == ["not measured", why, "aligned already"]
    assert page.count(f"–{notes[2][0]}<") == 4 and page.count(f"–{notes[1][0]}<") == 1


def test_lengths_table_has_a_line_a_length_and_dashes_where_nothing_is_compared():
    counts = {"n_recordings": [1200, 2], "n_identities": [80, 2], "n_same": [960, 0], "n_different": [9, 1]}
    rates = {"value": [0.021, None], "low": [0.01, None], "high": [0.04, None]}
    cosines = {"cosine_same": [0.753, None], "cosine_different": [0.5, None]}
    page = tables.lengths_table(pd.DataFrame({"seconds": [1, 2.5], **counts, **rates, **cosines})).to_html()
    for text in (">1 s<", ">2.5 s<", ">1,200<", ">960<", ">2.1 % [1.0, 4.0]<", ">0.75<", ">0.50<"):
        assert page.count(text) == 1, text
    assert page.count(">–<") == 3


def test_across_seeds_needs_every_seed():
    frames = [tables.long(metrics(shift), variant="general") for shift in (0.0, 0.1, 0.2)]
    found = tables.across_seeds(frames).set_index(["row", "metric"])
    assert found.loc[("model", "fid"), "mean"] == pytest.approx(0.6)
    assert found.loc[("model", "fid"), "sd"] == pytest.approx(0.1)
    assert found.loc[("model", "fid"), ["low", "high"]].tolist() == pytest.approx([0.5, 0.7])
    page = tables.seeds_table(found.reset_index()).to_html()
    assert "FID" in page and "general" in page and "not measured" not in page
    assert "probe" not in found.index.get_level_values("row")
    one_lacks = [*frames, tables.long(without_sets(), variant="females"), frames[0].assign(variant="females")]
    both = pd.concat([tables.across_seeds(frames), tables.across_seeds(one_lacks[3:])])
    assert "– not measured with every seed</caption>" in tables.seeds_table(both).to_html()


def test_styled_escapes_text():
    import pandas as pd

    page = tables.styled(pd.DataFrame({"a": ["<b>"]})).to_html()
    assert "&lt;b&gt;" in page


def test_a_count_of_nothing_is_none_and_not_unmeasured():
    empty = pd.DataFrame({"files": []})
    assert tables.counts_table(empty).data == "<p>Nothing to list.</p>"
    assert tables.counts_table(empty, empty="No file is left out.").data == "<p>No file is left out.</p>"
