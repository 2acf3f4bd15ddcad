import numpy as np
import pytest
from PIL import Image

from s2f.report import card
from s2f.study.finished import Finished


@pytest.mark.parametrize("n", [0, 3, 40])
def test_a_card_has_the_size_that_sites_ask_for_and_shows_the_faces_of_the_run(tmp_path, n):
    if n:
        (tmp_path / "general").mkdir()
        green = np.zeros((n, 64, 64, 3), np.uint8)
        green[..., 1] = 200
        np.save(tmp_path / "general" / "faces.npy", green)
    card.draw(card.of_run(Finished(tmp_path)), "Profile $x$: synthetic.", tmp_path / "card.png")
    with Image.open(tmp_path / "card.png") as image:
        assert image.size == card.SIZE_PX
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    shown = (abs(pixels - [0, 200, 0]).max(axis=1) < 5).mean()
    assert (shown > 0.05) == (n > 0)
    assert (pixels.max(axis=1) < 60).mean() > 0.005  # the question, in ink
