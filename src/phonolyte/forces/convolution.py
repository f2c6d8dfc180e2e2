"""The tensor-product convolution of an equivariant potential, compiled, path by path."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from e3nn.o3 import Irreps, TensorProduct, wigner_3j
from numpy.typing import NDArray
from torch import Tensor

from phonolyte.arrays import Ints
from phonolyte.compiling import Unaliased, kernel
from phonolyte.forces.radial import RadialTable, find_cubic, slope_of, value_of

Singles = NDArray[np.float32]

LARGEST = 7
"""Components of the largest irrep (l = 3)."""

BLOCK, LANES = 32, 8
"""Multiplicities that a loop goes over, and of those the ones that a processor takes at once."""


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
        self.features = Blocks.of_irreps(product.irreps_in1)
        self.sums = Blocks.of_irreps(product.irreps_out, columns)
        self.paths = _paths_of(product, radial)
        self.per_a = radial.per_a

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
        bonds = [each.numpy().view(np.uint64) for each in (order, receivers, senders)]
        return _Convolution.apply(features, harmonics, lengths_a, bonds, self)


class Blocks(NamedTuple):
    """Columns in blocks of multiplicities, where e3nn has the components of each multiplicity together.

    A block has its components one after another, each for all its multiplicities; the last block of an irrep is filled
    up with zeros.

    Attributes
    ----------
    columns
        Column (n_blocked,) of e3nn's layout that is at each place, or -1 for a zero.
    places
        Where each column (n_columns,) is.
    """

    columns: Ints
    places: Ints

    @classmethod
    def of_irreps(cls, irreps: Irreps, order: Ints | None = None) -> Blocks:
        """Blocks of irreps whose columns are in another order than theirs, where one is given."""
        parts = []
        for (mul, irrep), at in zip(irreps, irreps.slices(), strict=True):
            part = np.full((_blocks(mul) * BLOCK, irrep.dim), -1)
            part[:mul] = np.arange(at.start, at.stop).reshape(mul, irrep.dim)
            parts.append(part.reshape(-1, BLOCK, irrep.dim).transpose(0, 2, 1).ravel())
        columns = np.concatenate(parts)
        used = np.flatnonzero(columns >= 0)
        places = used[np.argsort(columns[used])]
        if order is not None:
            places = places[order]
            columns[places] = np.arange(len(places))
        return cls(columns, places)

    def block(self, array: Singles) -> Singles:
        """Arrange columns (n, n_columns) in blocks (n, n_blocked)."""
        return np.take(np.pad(array, ((0, 0), (0, 1))), self.columns, axis=1)  # -1 is the zero after the last one

    def flatten(self, blocked: Singles) -> Singles:
        """Arrange blocks (n, n_blocked) in columns (n, n_columns)."""
        return np.take(blocked, self.places, axis=1)


class Path(NamedTuple):
    """A path of a tensor product.

    Attributes
    ----------
    n_in, n_out
        Components of its input and output.
    harmonics, coupling
        Columns of the harmonics, and (n_harmonics, n_in * n_out) by which those become the matrix of a bond.
    at_in, at_out
        Where its input and output begin; unsigned, which need no check for negative ones.
    cubics
        (n_intervals, n_blocks, 4, BLOCK) of its weights.
    """

    n_in: int
    n_out: int
    harmonics: slice
    coupling: Singles
    at_in: np.uint64
    at_out: np.uint64
    cubics: Singles


def _paths_of(product: TensorProduct, radial: RadialTable) -> list[Path]:
    inputs, outputs, harmonics = _starts(product.irreps_in1), _starts(product.irreps_out), product.irreps_in2.slices()
    paths, at_weight = [], 0
    for step in product.instructions:
        mul, irrep = product.irreps_in1[step.i_in1]
        harmonic, output = product.irreps_in2[step.i_in2].ir, product.irreps_out[step.i_out].ir
        symbols = wigner_3j(irrep.l, harmonic.l, output.l).numpy().swapaxes(0, 1) * step.path_weight
        cubics = np.zeros((len(radial.cubics), 4, _blocks(mul) * BLOCK), np.float32)
        cubics[:, :, :mul] = radial.cubics[:, :, at_weight : at_weight + mul]
        at_weight += mul
        path = Path(
            irrep.dim, output.dim, harmonics[step.i_in2], symbols.reshape(harmonic.dim, -1).astype(np.float32),
            np.uint64(inputs[step.i_in1]), np.uint64(outputs[step.i_out]),
            np.ascontiguousarray(cubics.reshape(-1, 4, _blocks(mul), BLOCK).transpose(0, 2, 1, 3)),
        )  # fmt: skip
        paths.append(path)
    return paths


def _starts(irreps: Irreps) -> list[int]:
    """Where the blocks of each irrep begin."""
    return [0, *np.cumsum([_blocks(mul) * BLOCK * irrep.dim for mul, irrep in irreps]).tolist()]


def _blocks(mul: int) -> int:
    return -(-mul // BLOCK)


class _Convolution(torch.autograd.Function):  # type: ignore[misc]
    """Sums of messages, and their gradients."""

    @staticmethod
    def forward(
        context: Any, features: Tensor, harmonics: Tensor, lengths_a: Tensor, bonds: list[Any], convolution: Convolution
    ) -> Tensor:
        blocks, shapes, lengths = convolution.features.block(features.numpy()), harmonics.numpy(), lengths_a.numpy()
        sums = np.zeros((len(blocks), len(convolution.sums.columns)), np.float32)
        matrices = [shapes[:, path.harmonics] @ path.coupling for path in convolution.paths]
        for (n_in, n_out, _, _, *rest), of_path in zip(convolution.paths, matrices, strict=True):
            _make_adder(n_in, n_out)(blocks, of_path, lengths, *bonds, convolution.per_a, *rest, sums)
        context.rest = blocks, shapes, lengths, bonds, matrices, convolution
        return torch.from_numpy(convolution.sums.flatten(sums))

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        blocks, shapes, lengths, bonds, matrices, convolution = context.rest
        of_sums = convolution.sums.block(gradient.numpy())
        of_blocks, of_shapes, of_lengths = map(np.zeros_like, (blocks, shapes, lengths))
        for (n_in, n_out, columns, coupling, *rest), of_path in zip(convolution.paths, matrices, strict=True):
            of_matrices = np.empty_like(of_path)
            scratch = np.empty(n_out * BLOCK, np.float32), np.empty(n_in * n_out * LANES, np.float32)
            _make_backward(n_in, n_out)(
                blocks, of_path, lengths, *bonds, convolution.per_a, *rest, of_sums, of_blocks, of_matrices, of_lengths,
                *scratch,
            )  # fmt: skip
            of_shapes[:, columns] += of_matrices @ coupling.T
        of_features = convolution.features.flatten(of_blocks)
        return *map(torch.from_numpy, (of_features, of_shapes, of_lengths)), None, None


@lru_cache
def _make_adder(n_in: int, n_out: int) -> Any:
    """Make the function that adds the messages of one path, its loops over components unrolled."""
    size_in, size_out = np.uint64(n_in * BLOCK), np.uint64(n_out * BLOCK)

    @kernel(fastmath=True, error_model="numpy", pipeline_class=Unaliased)
    def add(
        features: Any, matrices: Any, lengths_a: Any, order: Any, receivers: Any, senders: Any, per_a: float,
        at_in: Any, at_out: Any, cubics: Any, sums: Any,
    ) -> None:  # fmt: skip
        """Add the messages of all bonds to `sums` (n_atoms, n_blocked)."""
        for bond in order:
            feature, matrix, total = features[senders[bond]], matrices[bond], sums[receivers[bond]]
            interval, share = find_cubic(lengths_a[bond], len(cubics), per_a)
            for block in range(np.uint64(cubics.shape[1])):
                cubic, begin_in, begin_out = cubics[interval, block], at_in + block * size_in, at_out + block * size_out
                for u in range(BLOCK):
                    a, b, c, d = cubic[0, u], cubic[1, u], cubic[2, u], cubic[3, u]
                    weight = value_of(a, b, c, d, share)
                    for row in range(n_out):
                        message = np.float32(0.0)
                        for column in range(n_in):
                            entry = matrix[column * n_out + row]
                            message += entry * feature[begin_in + np.uint64(column * BLOCK + u)]
                        total[begin_out + np.uint64(row * BLOCK + u)] += weight * message

    return add


@lru_cache
def _make_backward(n_in: int, n_out: int) -> Any:
    """Make the function that adds the gradients of one path, its loops over components unrolled."""
    size_in, size_out = np.uint64(n_in * BLOCK), np.uint64(n_out * BLOCK)

    @kernel(fastmath=True, error_model="numpy", pipeline_class=Unaliased)
    def backward(
        features: Any, matrices: Any, lengths_a: Any, order: Any, receivers: Any, senders: Any, per_a: float,
        at_in: Any, at_out: Any, cubics: Any, of_sums: Any, of_features: Any, of_matrices: Any,
        of_lengths: Any, scaled: Any, lanes: Any,
    ) -> None:  # fmt: skip
        """Add what a gradient (n_atoms, n_blocked) of the sums is for features, matrices and lengths.

        The last two arrays are scratch: gradients times weights, and parts of the entries of a matrix, which are summed
        up once for all blocks.
        """
        for bond in order:
            feature, matrix, of_total = features[senders[bond]], matrices[bond], of_sums[receivers[bond]]
            of_feature, of_matrix = of_features[senders[bond]], of_matrices[bond]
            interval, share = find_cubic(lengths_a[bond], len(cubics), per_a)
            of_share = np.float32(0.0)
            lanes[:] = 0.0
            for block in range(np.uint64(cubics.shape[1])):
                cubic, begin_in, begin_out = cubics[interval, block], at_in + block * size_in, at_out + block * size_out
                for u in range(BLOCK):
                    a, b, c, d = cubic[0, u], cubic[1, u], cubic[2, u], cubic[3, u]
                    weight = value_of(a, b, c, d, share)
                    for row in range(n_out):
                        scaled[row * BLOCK + u] = weight * of_total[begin_out + np.uint64(row * BLOCK + u)]
                    of_weight = np.float32(0.0)
                    for column in range(n_in):
                        of_product = np.float32(0.0)
                        for row in range(n_out):
                            entry = matrix[column * n_out + row]
                            of_product += entry * of_total[begin_out + np.uint64(row * BLOCK + u)]
                        at = begin_in + np.uint64(column * BLOCK + u)
                        of_feature[at] += weight * of_product
                        of_weight += feature[at] * of_product
                    of_share += of_weight * slope_of(b, c, d, share)
                for column in range(np.uint64(n_in)):
                    at_column = begin_in + column * np.uint64(BLOCK)
                    for lane in range(LANES):
                        for row in range(n_out):
                            part = np.float32(0.0)
                            for first in range(BLOCK // LANES):
                                u = first * LANES + lane
                                part += scaled[row * BLOCK + u] * feature[at_column + np.uint64(u)]
                            lanes[column * np.uint64(n_out * LANES) + np.uint64(row * LANES + lane)] += part
            of_lengths[bond] += of_share * per_a
            for at in range(n_in * n_out):
                of_entry = np.float32(0.0)
                for lane in range(LANES):
                    of_entry += lanes[at * LANES + lane]
                of_matrix[at] = of_entry

    return backward
