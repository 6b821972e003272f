"""Random changes of training pictures: reproducible, of the same size, and where asked for none at all."""

from __future__ import annotations

from dataclasses import replace

import torch

from models.kit.picture_augment import PictureAugment

STILL = PictureAugment(
    rotation=0, scale=1, aspect=1, shift=0, mirror=0, gamma=1, gain=1, offset=0, noise=0, blur=0, blank=0
)


def picture() -> torch.Tensor:
    """A dark square in the upper left of a brighter field, (1, 40, 48), values of -1..1."""
    made = torch.full((1, 40, 48), 0.5)
    made[:, 6:14, 4:12] = -0.8
    return made


def test_the_same_generator_gives_the_same_picture() -> None:
    one, other = (PictureAugment()(picture(), None, torch.Generator().manual_seed(3))[0] for _ in range(2))
    another, _ = PictureAugment()(picture(), None, torch.Generator().manual_seed(4))
    assert one.shape == (1, 40, 48)
    assert torch.equal(one, other)
    assert not torch.equal(one, another)


def test_nothing_asked_for_changes_nothing() -> None:
    changed, _ = STILL(picture(), None, torch.Generator().manual_seed(0))
    assert torch.allclose(changed, picture(), atol=1e-5)


def test_a_mirror_moves_the_mask_with_the_picture() -> None:
    mask = (picture()[0] < 0).to(torch.uint8)
    changed, moved = replace(STILL, mirror=1)(picture(), mask, torch.Generator().manual_seed(0))
    assert moved is not None
    assert torch.allclose(changed, torch.flip(picture(), (-1,)), atol=1e-5)
    assert torch.equal(moved, torch.flip(mask, (-1,)))


def test_a_blank_patch_hides_a_part() -> None:
    noisy = torch.randn((1, 40, 48), generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    changed, _ = replace(STILL, blank=1)(noisy, None, torch.Generator().manual_seed(0))
    hidden = (changed - noisy).abs() > 1e-4
    assert 0 < int(hidden.sum()) < noisy.numel() // 8
    assert len(changed[hidden].unique()) == 1
