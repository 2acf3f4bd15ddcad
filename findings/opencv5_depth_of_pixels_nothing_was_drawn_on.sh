#!/bin/sh
# OpenCV 5.0.0's triangleRasterize changes depth where it draws nothing.
#
# Guess: the depth buffer is to be filled with zFar, so a pixel that no triangle covers still holds exactly zFar
# afterwards, and `depth < zFar` is the mask of what was drawn.
# Behaviour: the whole buffer is turned into inverse depth and back. For some planes (1 and 100) zFar does not survive
# that: every pixel comes back as 99.9994, the mask is true everywhere, and each further call into the same buffer
# moves all pixels again. For others (0.1 and 100, 1 and 50) the value survives, so a test with them sees nothing.
# What to do: take for drawn what is clearly nearer than zFar, for example below 0.99 of it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import math

import cv2
import numpy as np

points = np.array([[-0.2, -0.2, -5], [0.2, -0.2, -5], [0, 0.2, -5]], np.float32)
corners, pose = np.array([[0, 1, 2]], np.int32), np.eye(4, dtype=np.float32)
settings = cv2.TriangleRasterizeSettings()
settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)


def depth_after(passes, near, far):
    depth = np.full((64, 64), far, np.float32)
    for _ in range(passes):
        cv2.triangleRasterizeDepth(points, corners, depth, pose, math.radians(60), near, far, settings)
    return depth


print("OpenCV", cv2.__version__)
once, twice = depth_after(1, 1.0, 100.0), depth_after(2, 1.0, 100.0)
print("planes 1 and 100: a pixel without a triangle, filled with 100, after one call:", once[0, 0], "after two:", twice[0, 0])
print("share of pixels below 100:", (once < 100).mean(), "- share that the triangle covers:", (once < 99).mean())
kept = {planes: float(depth_after(1, *planes)[0, 0]) for planes in ((0.1, 100.0), (1.0, 50.0))}
print("other planes keep zFar:", kept)
assert cv2.__version__ == "5.0.0"
assert (once < 100).all() and (once < 99).mean() < 0.01 and twice[0, 0] < once[0, 0] < 100
assert kept == {(0.1, 100.0): 100.0, (1.0, 50.0): 50.0}
print("as described")
PYTHON
