"""The tensor-product convolution of an equivariant potential in blocks of bonds that fit into a processor's cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from e3nn.o3 import TensorProduct, wigner_3j
from torch import Tensor

BLOCK = 512
"""Bonds that are computed at a time."""


class Path(NamedTuple):
    """A path of a tensor product: rows of the product of its input irrep, its weights, its columns of the output."""

    rows: slice
    weights: slice
    output: slice


class BlockConvolution(torch.nn.Module):  # type: ignore[misc]
    """Messages of bonds, added up at their receivers, without an array of all messages.

    e3nn computes all messages first. Those of 64 atoms are 130 MB in each layer, which autograd visits once for each
    path of the product; in blocks they are a third of the time and far less memory.

    Parameters
    ----------
    product
        Each of its instructions is "uvu" with weights; its second input has each irrep once.
    """

    def __init__(self, product: TensorProduct) -> None:
        super().__init__()
        self.n_out = product.irreps_out.dim
        self.inputs = [InputIrrep(product, number) for number in range(len(product.irreps_in1))]

    def forward(
        self, features: Tensor, harmonics: Tensor, weights: Tensor, receivers: Tensor, senders: Tensor
    ) -> Tensor:
        """Convolve features (n_atoms, n_in) into (n_atoms, n_out).

        Parameters
        ----------
        features, harmonics, weights
            (n_atoms, n_in), (n_bonds, n_harmonics) and (n_bonds, n_weights).
        receivers, senders
            Atoms (n_bonds,).
        """
        return _Convolution.apply(features, harmonics, weights, receivers, senders, self.inputs, self.n_out)


class InputIrrep:
    """All paths of one irrep of the features.

    Attributes
    ----------
    mul, dim
        Its multiplicity and dimension.
    columns
        Where it is in the features.
    n_rows, paths
        Rows of its products in all, and its paths.
    couplings
        (n_harmonics, n_rows * dim): the Wigner 3j symbols of all its paths, with their normalization.
    """

    def __init__(self, product: TensorProduct, number: int) -> None:
        self.mul, irrep = product.irreps_in1[number]
        self.dim: int = irrep.dim
        self.columns: slice = product.irreps_in1.slices()[number]
        self.n_rows, self.paths, couplings = 0, [], []
        n_weights = 0
        for step in product.instructions:
            mul = product.irreps_in1[step.i_in1].mul
            if step.i_in1 == number:
                harmonic, output = product.irreps_in2[step.i_in2].ir, product.irreps_out[step.i_out].ir
                coupling = torch.zeros(product.irreps_in2.dim, output.dim, self.dim)
                symbols = wigner_3j(irrep.l, harmonic.l, output.l) * step.path_weight
                coupling[product.irreps_in2.slices()[step.i_in2]] = symbols.permute(1, 2, 0)
                couplings.append(coupling)
                rows = slice(self.n_rows, self.n_rows + output.dim)
                self.paths.append(
                    Path(rows, slice(n_weights, n_weights + mul), product.irreps_out.slices()[step.i_out])
                )
                self.n_rows = rows.stop
            n_weights += mul
        self.couplings = torch.cat(couplings, 1).flatten(1)

    def take(self, features: Tensor) -> Tensor:
        """Its features (n_atoms, dim, mul)."""
        return features[:, self.columns].unflatten(1, (self.mul, self.dim)).transpose(1, 2).contiguous()

    def matrices(self, harmonics: Tensor) -> Tensor:
        """What takes features to products (n_bonds, n_rows, dim)."""
        return (harmonics @ self.couplings.to(harmonics)).view(-1, self.n_rows, self.dim)


class _Convolution(torch.autograd.Function):  # type: ignore[misc]
    """The sums, and their gradients, which compute the products of each block again."""

    @staticmethod
    def forward(
        context: Any, features: Tensor, harmonics: Tensor, weights: Tensor, receivers: Tensor, senders: Tensor,
        inputs: list[InputIrrep], n_out: int,
    ) -> Tensor:  # fmt: skip
        context.save_for_backward(features, harmonics, weights, receivers, senders)
        context.inputs = inputs
        sums = features.new_empty(len(features), n_out)
        for irrep in inputs:
            own = irrep.take(features)
            total = features.new_zeros(len(features), irrep.n_rows, irrep.mul)
            for block in _blocks(len(harmonics)):
                messages = torch.bmm(irrep.matrices(harmonics[block]), own[senders[block]])
                _weigh(messages, weights[block], irrep)
                total.index_add_(0, receivers[block], messages)
            for path in irrep.paths:
                sums[:, path.output] = total[:, path.rows].transpose(1, 2).flatten(1)
        return sums

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, harmonics, weights, receivers, senders = context.saved_tensors
        of_features, of_harmonics = torch.empty_like(features), torch.zeros_like(harmonics)
        of_weights = torch.empty_like(weights)
        for irrep in context.inputs:
            own = irrep.take(features)
            of_sums = torch.cat([gradient[:, path.output].unflatten(1, (irrep.mul, -1)) for path in irrep.paths], 2)
            of_sums, of_own = of_sums.transpose(1, 2).contiguous(), torch.zeros_like(own)
            for block in _blocks(len(harmonics)):
                matrices, sent = irrep.matrices(harmonics[block]), own[senders[block]]
                of_messages = of_sums[receivers[block]]
                products = torch.bmm(matrices, sent).mul_(of_messages)
                for path in irrep.paths:
                    torch.sum(products[:, path.rows], 1, out=of_weights[block, path.weights])
                _weigh(of_messages, weights[block], irrep)
                of_own.index_add_(0, senders[block], torch.bmm(matrices.transpose(1, 2), of_messages))
                of_matrices = torch.bmm(of_messages, sent.transpose(1, 2)).flatten(1)
                of_harmonics[block].addmm_(of_matrices, irrep.couplings.to(harmonics).T)
            of_features[:, irrep.columns] = of_own.transpose(1, 2).flatten(1)
        return of_features, of_harmonics, of_weights, None, None, None, None


def _blocks(n_bonds: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, n_bonds, BLOCK)]


def _weigh(messages: Tensor, weights: Tensor, irrep: InputIrrep) -> None:
    """Multiply messages (n_bonds, n_rows, mul) by the weights of their paths, in place."""
    for path in irrep.paths:
        messages[:, path.rows].mul_(weights[:, path.weights].unsqueeze(1))
