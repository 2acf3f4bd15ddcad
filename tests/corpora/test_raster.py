"""The rasteriser's conventions: where a point lies in a picture, which triangles are seen, what is in shadow."""

import numpy as np
import pytest

from s2f.corpora.synthetic import raster

VIEW = {"distance_dm": 13.0, "half_dm": 1.5}
SQUARE = np.array([(0, 1, 2), (0, 2, 3)], np.int32)


def square(x, y, z, half):
    corners = [(x - half, y - half, z), (x + half, y - half, z), (x + half, y + half, z), (x - half, y + half, z)]
    return np.array(corners, np.float32)


@pytest.mark.parametrize("at", [(0.0, 0.0, 0.0), (0.3, 0.4, 0.3), (-0.71, 0.13, 0.9), (0.9, -1.0, -0.5)])
def test_a_point_is_drawn_where_project_says(at):
    ones = np.ones((4, 3), np.float32)
    seen, depth = raster.draw(square(*at, 0.02), SQUARE, ones, size_px=1000, **VIEW)
    rows, columns = np.nonzero(depth < raster.NOTHING_DM)
    expected = raster.project(np.array([at]), size_px=1000, **VIEW)[0]
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected, atol=0.5)
    np.testing.assert_allclose(depth.min(), 13.0 - at[2], atol=1e-3)
    assert (seen[rows, columns] > 0.999).all()


def test_what_is_nearer_hides_what_is_behind_it_in_any_order():
    points = np.concatenate([square(0, 0, 0.0, 0.5), square(0, 0, 0.5, 0.2)])
    values = np.repeat([[0.2, 0, 0], [0.9, 0, 0]], 4, axis=0).astype(np.float32)
    for triangles in (np.concatenate([SQUARE, SQUARE + 4]), np.concatenate([SQUARE + 4, SQUARE])):
        seen, _ = raster.draw(points, triangles, values, size_px=64, **VIEW)
        assert seen[32, 32, 0] == pytest.approx(0.9, abs=1e-3) and seen[32, 24, 0] == pytest.approx(0.2, abs=1e-3)


def test_backs_are_not_drawn():
    _, depth = raster.draw(
        square(0, 0, 0, 0.5), SQUARE[:, ::-1].copy(), np.ones((4, 3), np.float32), size_px=64, **VIEW
    )
    assert (depth > raster.NOTHING_DM).all()


def test_values_are_interpolated():
    values = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32)
    seen, _ = raster.draw(square(0, 0, 0, 0.75), SQUARE, values, size_px=64, **VIEW)
    np.testing.assert_allclose(seen[32, 16:48, 0], (np.arange(32) + 0.5) / 32, atol=0.01)
    np.testing.assert_allclose(seen[16:48, 32, 1], 1 - (np.arange(32) + 0.5) / 32, atol=0.01)


@pytest.mark.parametrize("towards", [(0, 0, 1), (0.6, 0.8, 0), (0, 1, 0), (0, -1, 0)])
def test_a_shadow_falls_away_from_the_light(towards):
    """A small square is held over a large one, towards the light: the middle of the large one is in shadow."""
    towards = np.array(towards, float)
    side = np.cross(towards, [1, 0, 0] if abs(towards[0]) < 0.9 else [0, 1, 0])
    side /= np.linalg.norm(side)
    other = np.cross(towards, side)
    grid = np.array([(a, b) for a in np.linspace(-1, 1, 9) for b in np.linspace(-1, 1, 9)])
    large = grid @ np.stack([side, other])
    corner = np.arange(81).reshape(9, 9)
    faces = [(corner[i, j], corner[i + 1, j], corner[i + 1, j + 1]) for i in range(8) for j in range(8)]
    faces += [(corner[i, j], corner[i + 1, j + 1], corner[i, j + 1]) for i in range(8) for j in range(8)]
    small = np.array([(-0.4, -0.4), (0.4, -0.4), (0.4, 0.4), (-0.4, 0.4)]) @ np.stack([side, other]) + 0.5 * towards
    points = np.concatenate([large, small]).astype(np.float32)
    triangles = np.concatenate([np.array(faces), SQUARE + 81]).astype(np.int32)
    lit = raster.lit(points, triangles, towards, size_px=256)
    inside = (np.abs(grid) < 0.3).all(axis=1)
    outside = (np.abs(grid) > 0.55).any(axis=1)
    assert (lit[:81][inside] == 0).all() and (lit[:81][outside] == 1).all() and (lit[81:] == 1).all()
