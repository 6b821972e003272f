"""What a package declares to be tuned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Space:
    """Ranges (lowest, highest) and choices; None and () leave a setting as the package has it.

    Attributes:
        learning_rate: drawn on a logarithmic scale, as is ``weight_decay``.
        width: of the network: ``Task.network`` must take the keyword ``width``.
        augmentation: factor on every strength: ``Task.augment`` must have ``scaled(factor)``, as
            ``models.kit.augment.Augmentation`` has.
    """

    learning_rate: tuple[float, float] | None = (3e-4, 1e-2)
    weight_decay: tuple[float, float] | None = (1e-4, 1e-1)
    dropout: tuple[float, float] | None = (0.0, 0.5)
    width: tuple[int, ...] = ()
    augmentation: tuple[float, float] | None = None
