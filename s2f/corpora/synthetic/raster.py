"""Triangles to pixels, by OpenCV's rasteriser: what is seen, how deep it lies, and what reaches the light."""

from __future__ import annotations

import math

import cv2
import numpy as np

NEAR_DM, FAR_DM = 1.0, 100.0
NOTHING_DM = 99.0  # OpenCV takes depth there and back, which is not exact: what is deeper was never drawn
_SETTINGS = cv2.TriangleRasterizeSettings()
_SETTINGS.setCullingMode(cv2.RASTERIZE_CULLING_CW)
_SETTINGS.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
_EITHER_SIDE = cv2.TriangleRasterizeSettings()
_EITHER_SIDE.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
_EITHER_SIDE.setShadingType(cv2.RASTERIZE_SHADING_SHADED)


def floats(*values: float) -> np.ndarray:
    """Numbers as a float32 array."""
    return np.array(values, np.float32)


def draw(
    points: np.ndarray, triangles: np.ndarray, values: np.ndarray, *, distance_dm: float, half_dm: float, size_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a camera on the z axis sees, looking at the origin.

    Parameters
    ----------
    points : float32 [V, 3], in camera coordinates: x to the right, y up, z towards the camera
    triangles : int32 [T, 3], counter-clockwise as seen from their front; backs are not drawn
    values : float32 [V, 3] in [0, 1], interpolated between vertices
    distance_dm : float, from the camera to the origin
    half_dm : float, half of what is seen at the origin

    Returns
    -------
    values float32 [size_px, size_px, 3], zero where nothing is; depth along the axis float32 [size_px, size_px],
    over `NOTHING_DM` where nothing is
    """
    seen = np.zeros((size_px, size_px, 3), np.float32)
    depth = np.full((size_px, size_px), FAR_DM, np.float32)
    cv2.triangleRasterize(points, triangles, values, seen, depth, *_view(distance_dm, half_dm), _SETTINGS)
    return seen, depth


def _view(distance_dm: float, half_dm: float) -> tuple[np.ndarray, float, float, float]:
    pose = np.eye(4, dtype=np.float32)
    pose[2, 3] = -distance_dm
    return pose, 2 * math.atan(half_dm / distance_dm), NEAR_DM, FAR_DM


def project(points: np.ndarray, *, distance_dm: float, half_dm: float, size_px: int) -> np.ndarray:
    """Where points lie in what `draw` draws: column and row, whole at the centres of pixels. [V, 2]"""
    flat = points[:, :2] * (distance_dm / (distance_dm - points[:, 2:])) / half_dm  # -1 to 1
    return (np.stack([1 + flat[:, 0], 1 - flat[:, 1]], axis=1) * (size_px / 2)) - 0.5


def lit(points: np.ndarray, triangles: np.ndarray, towards: np.ndarray, *, size_px: int) -> np.ndarray:
    """How far each vertex is reached by light from a direction, 0 (in shadow) to 1. float32 [V]

    Depth is drawn from the light; a vertex is in shadow where something lies more than 0.05 dm in front of it.
    """
    up = np.array([0.0, 1.0, 0.0]) if abs(towards[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, towards)
    right /= np.linalg.norm(right)
    turned = (points @ np.stack([right, np.cross(towards, right), towards], axis=1)).astype(np.float32)
    far, half = 40.0, 2.6  # nearly parallel light
    depth = np.full((size_px, size_px), FAR_DM, np.float32)
    cv2.triangleRasterizeDepth(turned, triangles, depth, *_view(far, half), _EITHER_SIDE)
    at = project(turned, distance_dm=far, half_dm=half, size_px=size_px).astype(np.float32)
    nearest = cv2.remap(depth, at[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return np.clip(1 - (far - turned[:, 2] - nearest - 0.05) / 0.05, 0, 1).astype(np.float32)
