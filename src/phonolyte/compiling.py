"""The decorator of functions that numba compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from numba import njit
from numba.core.compiler import Compiler


@overload
def kernel(function: Callable[..., Any]) -> Any: ...


@overload
def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]: ...


def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function when it is first called, and keep it in the cache of numba.

    It releases the global interpreter lock, and has no wrapper for callers in C, which takes a twentieth of the time.

    Parameters
    ----------
    function
        Function to compile.
    options
        Further options of :func:`numba.njit`, such as ``error_model``.
    """
    decorate = njit(cache=True, nogil=True, no_cfunc_wrapper=True, **options)
    return decorate if function is None else decorate(function)


class Unaliased(Compiler):  # type: ignore[misc]
    """The `pipeline_class` of kernels none of whose arrays overlap, by which LLVM need not check whether they do."""

    def define_pipelines(self) -> Any:
        """Set the flag, for which numba has no option, and return the usual pipelines."""
        self.state.flags.noalias = True
        return super().define_pipelines()
