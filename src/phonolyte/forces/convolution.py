"""The tensor-product convolution of an equivariant potential, compiled, bond by bond."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from e3nn.o3 import Irreps, TensorProduct, wigner_3j
from numpy.typing import NDArray
from torch import Tensor

from phonolyte.arrays import Ints
from phonolyte.compiling import kernel
from phonolyte.forces.radial import RadialTable, differentiate, interpolate

Unsigned = NDArray[np.uint64]

LARGEST = 7
"""Components of the largest irrep (l = 3)."""


def can_convolve(product: TensorProduct) -> bool:
    """Whether :class:`Convolution` computes a product: no irrep is above l = 3."""
    return all(irrep.dim <= LARGEST for _, irrep in (*product.irreps_in1, *product.irreps_out))


class Convolution(torch.nn.Module):  # type: ignore[misc]
    """Messages of bonds, added up at their receivers, without an array of all messages.

    e3nn computes all messages first. Those of 64 atoms are 130 MB in each layer, which autograd visits once for each
    path of the product. Here a bond's message is added where it belongs before the next one is computed, and its
    weights are in no array either: they are functions of its length.

    Parameters
    ----------
    product
        Each of its instructions is "uvu" with weights; no irrep is above l = 3, and none of the second input has a
        multiplicity.
    radial
        Weights of the product by the length of a bond.
    columns
        Order (n_out,) in which the columns of the output are returned; default: as the product has them.
    """

    def __init__(self, product: TensorProduct, radial: RadialTable, columns: Ints | None = None) -> None:
        super().__init__()
        columns = np.arange(product.irreps_out.dim) if columns is None else columns
        orders = _by_component(product.irreps_in1), np.argsort(_by_component(product.irreps_out))[columns]
        self.layout = Layout(*orders, *map(np.argsort, orders))
        self.paths, self.radial = Paths.of_product(product), radial

    def forward(
        self, features: Tensor, harmonics: Tensor, lengths_a: Tensor, receivers: Tensor, senders: Tensor
    ) -> Tensor:
        """Convolve features (n_atoms, n_in) into (n_atoms, n_out), all float32 on the CPU.

        Parameters
        ----------
        features, harmonics, lengths_a
            (n_atoms, n_in), (n_bonds, n_harmonics) and (n_bonds,).
        receivers, senders
            Atoms (n_bonds,).
        """
        order = torch.argsort(receivers, stable=True)  # the sums of an atom stay in the cache
        bonds = [each.numpy() for each in (order, receivers, senders)]
        return _Convolution.apply(features, harmonics, lengths_a, bonds, (*self.radial, *self.paths), self.layout)


class Layout(NamedTuple):
    """Orders of columns; within an irrep e3nn has multiplicities before components, compiled loops the reverse.

    Attributes
    ----------
    features, sums
        Columns of the features (n_in,) as the loops take them, and of their sums (n_out,) as they are returned.
    features_back, sums_back
        The inverse of both.
    """

    features: Ints
    sums: Ints
    features_back: Ints
    sums_back: Ints


class Paths(NamedTuple):
    """Paths of a tensor product, for compiled loops.

    Attributes
    ----------
    places
        (n_paths, 6): where its input begins, the dimension of that, its multiplicity, where its weights begin, where
        its output begins, and the dimension of that. All places are unsigned, which need no check for negative ones.
    starts
        (n_paths + 1,): where the Wigner 3j symbols of each path begin.
    symbols
        (n_symbols, 3): components of the input, the harmonics and the output that a symbol couples.
    values
        (n_symbols,): those symbols, normalized as e3nn does.
    """

    places: Unsigned
    starts: Unsigned
    symbols: Unsigned
    values: NDArray[np.float32]

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
        return cls(
            np.array(places, dtype=np.uint64), starts.astype(np.uint64),
            np.ascontiguousarray(np.concatenate(symbols), dtype=np.uint64), np.concatenate(values).astype(np.float32),
        )  # fmt: skip


class _Convolution(torch.autograd.Function):  # type: ignore[misc]
    """Sums of messages, and their gradients."""

    @staticmethod
    def forward(
        context: Any, features: Tensor, harmonics: Tensor, lengths_a: Tensor, bonds: list[Ints], fixed: tuple[Any, ...],
        layout: Layout,
    ) -> Tensor:  # fmt: skip
        components = np.take(features.numpy(), layout.features, axis=1)  # an index would give Fortran's order
        context.save_for_backward(harmonics, lengths_a)
        context.rest = components, bonds, fixed, layout
        sums = np.zeros((len(features), len(layout.sums)), dtype=np.float32)
        _add_messages(components, harmonics.numpy(), lengths_a.numpy(), *bonds, *fixed, sums)
        return torch.from_numpy(np.take(sums, layout.sums, axis=1))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        components, bonds, fixed, layout = context.rest
        given = [components, *(each.numpy() for each in context.saved_tensors)]
        gradients = [np.zeros_like(each) for each in given]
        _add_gradients(*given, *bonds, *fixed, np.take(gradient.numpy(), layout.sums_back, axis=1), *gradients)
        gradients[0] = np.take(gradients[0], layout.features_back, axis=1)
        return *map(torch.from_numpy, gradients), None, None, None


def _starts(irreps: Irreps) -> list[int]:
    return [part.start for part in irreps.slices()]


def _by_component(irreps: Irreps) -> Ints:
    """Columns of e3nn's layout with the components of each irrep before its multiplicity."""
    parts = zip(irreps, irreps.slices(), strict=True)
    return np.concatenate([np.arange(at.start, at.stop).reshape(mul, ir.dim).T.ravel() for (mul, ir), at in parts])


def _make_multiply(n_columns: int) -> Any:
    """Make the function that multiplies a matrix of so many columns, so that its innermost loop is unrolled."""

    @kernel(fastmath=True, error_model="numpy")
    def multiply(
        matrix: Any, n_rows: int, vectors: Any, at: int, mul: int, weights: Any, at_weight: int, weight_step: int,
        sums: Any, at_sum: int, sum_step: int,
    ) -> None:  # fmt: skip
        """Add weights * (matrix @ vectors) to `sums`, both (n_rows, mul) or, with a step of zero, one row for all."""
        for row in range(n_rows):
            begin, weight = at_sum + row * sum_step, at_weight + row * weight_step
            for u in range(mul):
                total = np.float32(0.0)
                for column in range(n_columns):
                    total += matrix[row, column] * vectors[at + np.uint64(column) * mul + u]
                sums[begin + u] += weights[weight + u] * total

    return multiply


_multiply_1, _multiply_3, _multiply_5, _multiply_7 = map(_make_multiply, (1, 3, 5, LARGEST))


@kernel(inline="always")
def _multiply(
    n_columns: int, matrix: Any, n_rows: int, vectors: Any, at: int, mul: int, weights: Any, at_weight: int,
    weight_step: int, sums: Any, at_sum: int, sum_step: int,
) -> None:  # fmt: skip
    """Multiply by the function for so many columns."""
    if n_columns == 1:
        _multiply_1(matrix, n_rows, vectors, at, mul, weights, at_weight, weight_step, sums, at_sum, sum_step)
    elif n_columns == 3:
        _multiply_3(matrix, n_rows, vectors, at, mul, weights, at_weight, weight_step, sums, at_sum, sum_step)
    elif n_columns == 5:
        _multiply_5(matrix, n_rows, vectors, at, mul, weights, at_weight, weight_step, sums, at_sum, sum_step)
    else:
        _multiply_7(matrix, n_rows, vectors, at, mul, weights, at_weight, weight_step, sums, at_sum, sum_step)


@kernel(fastmath=True, error_model="numpy")
def _couple(matrix: Any, harmonic: Any, symbols: Any, values: Any, start: int, stop: int) -> None:
    """Make the matrix (n_out, n_in) of a path from the harmonics of a bond."""
    matrix[:] = 0.0
    for at in range(start, stop):
        matrix[symbols[at, 2], symbols[at, 0]] += values[at] * harmonic[symbols[at, 1]]


@kernel(fastmath=True, error_model="numpy")
def _add_messages(
    features: Any, harmonics: Any, lengths_a: Any, order: Ints, receivers: Ints, senders: Ints, cubics: Any,
    per_a: float, places: Any, starts: Any, symbols: Any, values: Any, sums: Any,
) -> None:  # fmt: skip
    """Add the messages of all bonds to `sums` (n_atoms, n_out)."""
    matrix, no_step = np.empty((LARGEST, LARGEST), np.float32), np.uint64(0)
    weight = np.empty(cubics.shape[2], np.float32)
    for bond in order:
        feature, harmonic, total = features[senders[bond]], harmonics[bond], sums[receivers[bond]]
        interpolate(lengths_a[bond], cubics, per_a, weight)
        for path in range(len(places)):
            at_in, n_in, mul, at_weight, at_out, n_out = places[path]
            _couple(matrix, harmonic, symbols, values, starts[path], starts[path + 1])
            _multiply(n_in, matrix, n_out, feature, at_in, mul, weight, at_weight, no_step, total, at_out, mul)


@kernel(fastmath=True, error_model="numpy")
def _add_gradients(
    features: Any, harmonics: Any, lengths_a: Any, order: Ints, receivers: Ints, senders: Ints, cubics: Any,
    per_a: float, places: Any, starts: Any, symbols: Any, values: Any, of_sums: Any, of_features: Any,
    of_harmonics: Any, of_lengths: Any,
) -> None:  # fmt: skip
    """Add what a gradient (n_atoms, n_out) of the sums is for features, harmonics and lengths to the last three."""
    matrix, turned = np.empty((LARGEST, LARGEST), np.float32), np.empty((LARGEST, LARGEST), np.float32)
    of_matrix = np.empty((LARGEST, LARGEST), np.float32)
    zero, most = np.uint64(0), places[:, 2].max()
    scaled, ones = np.empty(LARGEST * most, np.float32), np.ones(most, np.float32)
    weight, of_weight = np.empty(cubics.shape[2], np.float32), np.empty(cubics.shape[2], np.float32)
    for bond in order:
        feature, harmonic, of_total = features[senders[bond]], harmonics[bond], of_sums[receivers[bond]]
        of_feature, of_harmonic = of_features[senders[bond]], of_harmonics[bond]
        interpolate(lengths_a[bond], cubics, per_a, weight)
        of_weight[:] = 0.0
        for path in range(len(places)):
            at_in, n_in, mul, at_weight, at_out, n_out = places[path]
            _couple(matrix, harmonic, symbols, values, starts[path], starts[path + 1])
            for row in range(n_out):
                for u in range(mul):
                    scaled[row * mul + u] = of_total[at_out + row * mul + u] * weight[at_weight + u]
                for column in range(n_in):
                    turned[column, row], product = matrix[row, column], np.float32(0.0)
                    for u in range(mul):
                        product += scaled[row * mul + u] * feature[at_in + column * mul + u]
                    of_matrix[row, column] = product
            _multiply(n_in, matrix, n_out, feature, at_in, mul, of_total, at_out, mul, of_weight, at_weight, zero)
            _multiply(n_out, turned, n_in, scaled, zero, mul, ones, zero, zero, of_feature, at_in, mul)
            for at in range(starts[path], starts[path + 1]):
                of_harmonic[symbols[at, 1]] += values[at] * of_matrix[symbols[at, 2], symbols[at, 0]]
        of_lengths[bond] = differentiate(lengths_a[bond], cubics, per_a, of_weight)
