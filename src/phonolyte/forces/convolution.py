"""The tensor-product convolution of an equivariant potential, compiled, bond by bond."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from e3nn.o3 import Irreps, TensorProduct, wigner_3j
from torch import Tensor

from phonolyte.arrays import Floats, Ints
from phonolyte.compiling import kernel

LARGEST = 7
"""Components of the largest irrep (l = 3)."""


class Convolution(torch.nn.Module):  # type: ignore[misc]
    """Messages of bonds, added up at their receivers, without an array of all messages.

    e3nn computes all messages first. Those of 64 atoms are 130 MB in each layer, which autograd visits once for each
    path of the product. Here a bond's message is added where it belongs before the next one is computed.

    Parameters
    ----------
    product
        Each of its instructions is "uvu" with weights; no irrep is above l = 3, and none of the second input has a
        multiplicity.
    """

    def __init__(self, product: TensorProduct) -> None:
        super().__init__()
        self.features, self.sums = product.irreps_in1, product.irreps_out
        self.paths = Paths.of_product(product)

    def forward(
        self, features: Tensor, harmonics: Tensor, weights: Tensor, receivers: Tensor, senders: Tensor
    ) -> Tensor:
        """Convolve features (n_atoms, n_in) into (n_atoms, n_out), all float32 on the CPU.

        Parameters
        ----------
        features, harmonics, weights
            (n_atoms, n_in), (n_bonds, n_harmonics) and (n_bonds, n_weights).
        receivers, senders
            Atoms (n_bonds,).
        """
        order = torch.argsort(receivers, stable=True)  # the sums of an atom stay in the cache
        bonds = [each.numpy() for each in (order, receivers, senders)]
        components = _by_component(features, self.features)
        sums = _Convolution.apply(components, harmonics, weights, bonds, self.paths, self.sums.dim)
        return _by_multiplicity(sums, self.sums)


class Paths(NamedTuple):
    """Paths of a tensor product, for compiled loops.

    Attributes
    ----------
    places
        (n_paths, 6): where its input begins, the dimension of that, its multiplicity, where its weights begin, where
        its output begins, and the dimension of that. Components come before multiplicities.
    starts
        (n_paths + 1,): where the Wigner 3j symbols of each path begin.
    symbols
        (n_symbols, 3): components of the input, the harmonics and the output that a symbol couples.
    values
        (n_symbols,): those symbols, normalized as e3nn does.
    """

    places: Ints
    starts: Ints
    symbols: Ints
    values: Floats

    @classmethod
    def of_product(cls, product: TensorProduct) -> Paths:
        """Paths of a product of e3nn."""
        inputs, outputs = _starts(product.irreps_in1), _starts(product.irreps_out)
        harmonics = _starts(product.irreps_in2)
        places, symbols, values, n_weights = [], [], [], 0
        for step in product.instructions:
            mul, irrep = product.irreps_in1[step.i_in1]
            harmonic, output = product.irreps_in2[step.i_in2].ir, product.irreps_out[step.i_out].ir
            places.append((inputs[step.i_in1], irrep.dim, mul, n_weights, outputs[step.i_out], output.dim))
            coupling = (wigner_3j(irrep.l, harmonic.l, output.l) * step.path_weight).numpy()
            used = np.argwhere(np.abs(coupling) > 1e-9)
            symbols.append(used + np.array([0, harmonics[step.i_in2], 0]))
            values.append(coupling[tuple(used.T)])
            n_weights += mul
        starts = np.cumsum([0, *map(len, values)])
        return cls(np.array(places), starts, np.concatenate(symbols), np.concatenate(values).astype(np.float32))


class _Convolution(torch.autograd.Function):  # type: ignore[misc]
    """Sums by component, and their gradients."""

    @staticmethod
    def forward(
        context: Any, features: Tensor, harmonics: Tensor, weights: Tensor, bonds: list[Ints], paths: Paths, n_out: int
    ) -> Tensor:
        context.save_for_backward(features, harmonics, weights)
        context.bonds, context.paths = bonds, paths
        sums = np.zeros((len(features), n_out), dtype=np.float32)
        _add_messages(features.numpy(), harmonics.numpy(), weights.numpy(), *bonds, *paths, sums)
        return torch.from_numpy(sums)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        given = [each.numpy() for each in context.saved_tensors]
        gradients = [np.zeros_like(each) for each in given]
        _add_gradients(*given, *context.bonds, *context.paths, gradient.contiguous().numpy(), *gradients)
        return *map(torch.from_numpy, gradients), None, None, None


def _starts(irreps: Irreps) -> list[int]:
    return [part.start for part in irreps.slices()]


def _by_component(values: Tensor, irreps: Irreps) -> Tensor:
    """Values (n_atoms, n) of e3nn with the components of each irrep before its multiplicity."""
    parts = zip(irreps, irreps.slices(), strict=True)
    return torch.cat(
        [values[:, at].unflatten(1, (mul, ir.dim)).transpose(1, 2).flatten(1) for (mul, ir), at in parts], 1
    )


def _by_multiplicity(values: Tensor, irreps: Irreps) -> Tensor:
    """The inverse of :func:`_by_component`."""
    parts = zip(irreps, irreps.slices(), strict=True)
    return torch.cat(
        [values[:, at].unflatten(1, (ir.dim, mul)).transpose(1, 2).flatten(1) for (mul, ir), at in parts], 1
    )


@kernel(fastmath=True, error_model="numpy")
def _couple(matrix: Any, harmonics: Any, symbols: Ints, values: Any) -> None:
    """Make the matrix (n_in, n_out) of a path from the harmonics of a bond."""
    matrix[:] = 0.0
    for at in range(len(symbols)):
        matrix[symbols[at, 0], symbols[at, 2]] += values[at] * harmonics[symbols[at, 1]]


@kernel(fastmath=True, error_model="numpy")
def _add_messages(
    features: Any, harmonics: Any, weights: Any, order: Ints, receivers: Ints, senders: Ints, places: Ints,
    starts: Ints, symbols: Ints, values: Any, sums: Any,
) -> None:  # fmt: skip
    """Add the messages of all bonds to `sums` (n_atoms, n_out)."""
    matrix = np.empty((LARGEST, LARGEST), np.float32)
    message = np.empty(places[:, 2].max(), np.float32)
    for bond in order:
        receiver, sender = receivers[bond], senders[bond]
        for path in range(len(places)):
            at_in, n_in, mul, at_weight, at_out, n_out = places[path]
            used = slice(starts[path], starts[path + 1])
            _couple(matrix[:n_in, :n_out], harmonics[bond], symbols[used], values[used])
            weight = weights[bond, at_weight : at_weight + mul]
            for row in range(n_out):
                for u in range(mul):
                    message[u] = 0.0
                for component in range(n_in):
                    factor = matrix[component, row]
                    feature = features[sender, at_in + component * mul : at_in + (component + 1) * mul]
                    for u in range(mul):
                        message[u] += factor * feature[u]
                total = sums[receiver, at_out + row * mul : at_out + (row + 1) * mul]
                for u in range(mul):
                    total[u] += weight[u] * message[u]


@kernel(fastmath=True, error_model="numpy")
def _add_gradients(
    features: Any, harmonics: Any, weights: Any, order: Ints, receivers: Ints, senders: Ints, places: Ints,
    starts: Ints, symbols: Ints, values: Any, of_sums: Any, of_features: Any, of_harmonics: Any, of_weights: Any,
) -> None:  # fmt: skip
    """Add what a gradient (n_atoms, n_out) of the sums is for features, harmonics and weights to the last three."""
    matrix, of_matrix = np.empty((LARGEST, LARGEST), np.float32), np.empty((LARGEST, LARGEST), np.float32)
    message, of_message = np.empty(places[:, 2].max(), np.float32), np.empty(places[:, 2].max(), np.float32)
    for bond in order:
        receiver, sender = receivers[bond], senders[bond]
        for path in range(len(places)):
            at_in, n_in, mul, at_weight, at_out, n_out = places[path]
            used = slice(starts[path], starts[path + 1])
            _couple(matrix[:n_in, :n_out], harmonics[bond], symbols[used], values[used])
            weight = weights[bond, at_weight : at_weight + mul]
            of_weight = of_weights[bond, at_weight : at_weight + mul]
            for row in range(n_out):
                of_total = of_sums[receiver, at_out + row * mul : at_out + (row + 1) * mul]
                for u in range(mul):
                    of_message[u] = of_total[u] * weight[u]
                    message[u] = 0.0
                for component in range(n_in):
                    begin = at_in + component * mul
                    factor, total = matrix[component, row], np.float32(0.0)
                    feature, of_feature = (
                        features[sender, begin : begin + mul],
                        of_features[sender, begin : begin + mul],
                    )
                    for u in range(mul):
                        message[u] += factor * feature[u]
                        of_feature[u] += factor * of_message[u]
                        total += of_message[u] * feature[u]
                    of_matrix[component, row] = total
                for u in range(mul):
                    of_weight[u] += of_total[u] * message[u]
            for at in range(starts[path], starts[path + 1]):
                of_harmonics[bond, symbols[at, 1]] += values[at] * of_matrix[symbols[at, 0], symbols[at, 2]]
