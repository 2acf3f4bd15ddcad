"""Pixels of faces between 0…255 and [-1, 1]: the one place that knows ÷ 127.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2f.errors import ImageError

if TYPE_CHECKING:
    import torch

HALF = 127.5  # half of the range of a pixel; a distance between pixels divided by it is one on [-1, 1]


def normalise(images: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """Scale 0…255 to [-1, 1], (x - 127.5) / 127.5, channels first; for arrays and for tensors.

    Parameters
    ----------
    images : ndarray or Tensor, uint8 [..., H, W, 3]

    Returns
    -------
    ndarray or Tensor, float32 [..., 3, H, W]

    Raises
    ------
    ImageError: not uint8, or the last dimension is not 3
    """
    if not str(images.dtype).endswith("uint8") or images.ndim < 3 or images.shape[-1] != 3:
        raise _unfit(images, "uint8 [..., H, W, 3]")
    if isinstance(images, np.ndarray):
        moved = np.moveaxis(images, -1, -3)  # [..., 3, H, W]
        return (moved.astype(np.float32, order="C") - np.float32(HALF)) / np.float32(HALF)
    return scaled(images.movedim(-1, -3).contiguous())  # [..., 3, H, W]


def denormalise(images: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """Undo `normalise`: [-1, 1] to 0…255, rounded and clipped, channels last. Exact on what it produced.

    Parameters
    ----------
    images : ndarray or Tensor, float [..., 3, H, W]

    Returns
    -------
    ndarray or Tensor, uint8 [..., H, W, 3]

    Raises
    ------
    ImageError: not floating point, no three channels, or NaN or infinite values
    """
    if "float" not in str(images.dtype) or images.ndim < 3 or images.shape[-3] != 3:
        raise _unfit(images, "float [..., 3, H, W]")
    if isinstance(images, np.ndarray):
        _check_finite(bool(np.isfinite(images).all()))
        whole = np.rint(images.astype(np.float32) * np.float32(HALF) + np.float32(HALF))
        return np.ascontiguousarray(np.moveaxis(whole.clip(0, 255).astype(np.uint8), -3, -1))  # [..., H, W, 3]
    _check_finite(bool(images.isfinite().all()))
    whole = (images.detach().float() * HALF + HALF).round().clamp(0, 255)
    import torch

    return whole.to(torch.uint8).movedim(-3, -1).contiguous()  # [..., H, W, 3]


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Scale uint8 0…255 to float32 [-1, 1] as `normalise`, in the same shape."""
    return (images.float() - HALF) / HALF


def centred(images: torch.Tensor) -> torch.Tensor:
    """Scale 0…255 to float32 [-1, 1] by x / 127.5 - 1, which networks for measuring expect and rounds otherwise."""
    return images.float() / HALF - 1


def _unfit(images: np.ndarray | torch.Tensor, wanted: str) -> ImageError:
    problem = f"are {images.dtype} {tuple(images.shape)}"
    return ImageError("images", problem, remedy=f"Give {wanted}.", reason="mode")


def _check_finite(finite: bool) -> None:
    if not finite:
        remedy = "Look for where the network that made them went wrong."
        raise ImageError("images", "hold NaN or infinite values", remedy=remedy, reason="nan")
