"""SevenNet's convolutions as compiled loops, and its radial networks as tables."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import sevenn._keys as key
import torch
from sevenn.nn.convolution import IrrepsConvolution

from phonolyte.forces.convolution import Convolution, can_convolve
from phonolyte.forces.radial import RadialTable


def speed_up(model: Any, cutoff_a: float) -> None:
    """Replace the convolutions of a model on a CPU by compiled ones, those with irreps above l = 3 excepted.

    Parameters
    ----------
    model
        ``AtomGraphSequential`` of the package sevenn, its parameters in single precision.
    cutoff_a
        Its cutoff, angstrom.
    """
    for name, layer in list(model.named_children()):
        if type(layer) is IrrepsConvolution and can_convolve(layer.convolution):
            weights = _radial_function(model.edge_embedding, layer.weight_nn)
            model.add_module(name, CompiledLayer(layer, RadialTable.from_function(weights, cutoff_a)))


class CompiledLayer(torch.nn.Module):  # type: ignore[misc]
    """A convolution of SevenNet without an array of all messages.

    Parameters
    ----------
    layer
        The one that it replaces.
    radial
        Its weights by the length of a bond.
    """

    def __init__(self, layer: IrrepsConvolution, radial: RadialTable) -> None:
        super().__init__()
        self.convolution, self.denominator = Convolution(layer.convolution, radial), layer.denominator
        self.features, self.harmonics, self.bonds = layer.key_x, layer.key_filter, layer.key_edge_idx

    def forward(self, data: dict[str, Any]) -> dict[str, Any]:
        """Convolve the features of the atoms, in place."""
        receivers, senders = data[self.bonds]
        given = data[self.features], data[self.harmonics], data[key.EDGE_LENGTH]
        data[self.features] = self.convolution(*given, receivers, senders) / self.denominator
        return data


def _radial_function(embedding: Any, network: Any) -> Callable[[Any], Any]:
    """The weights of a convolution as a function of distances, in double precision."""
    parts = embedding.basis_function, embedding.cutoff_function, network
    basis, cutoff, exact = (copy.deepcopy(part).double() for part in parts)

    def compute_weights(distances: Any) -> Any:
        return exact(basis(distances) * cutoff(distances)[:, None])

    return compute_weights
