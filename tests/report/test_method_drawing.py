"""The drawing of the method names every part."""

from s2f.report import method_drawing
from tests.report.figures import fits, texts


def test_data_flow_names_every_part():
    found = " ".join(texts(fits(method_drawing.data_flow))).replace("\n", " ")
    for part in (
        "voice recording",
        "voice embedding network",
        "64 numbers",
        "generator",
        "generated face",
        "face embedding network",
        "discriminator",
        "classifier",
    ):
        assert part in found
