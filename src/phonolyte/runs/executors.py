"""Executors by name: local processes, threads, Dask, or whatever a function of the user's makes.

Whatever maps over materials takes a :class:`concurrent.futures.Executor`; that is the only contract.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for_any
from threading import Lock, Thread
from typing import Annotated, Any, ParamSpec, TypeVar

from phonolyte.errors import EngineError, MissingExtraError, PhonolyteError, SettingsError, first_line

P = ParamSpec("P")
T = TypeVar("T")

IN_FLIGHT = 4
"""Tasks submitted for each worker at a time."""

ATTEMPTS = 3
"""Times that a task may lose its worker: all in flight lose theirs when one process of a local pool dies."""

UNKNOWN_WORKERS = 64
"""Workers that are assumed of an executor that does not report their number."""


@dataclass(frozen=True, slots=True)
class ExecutorSettings:
    """Where work on many materials runs.

    Attributes
    ----------
    executor
        ``local`` (processes of this machine), ``threads``, ``dask`` (a cluster of this machine), ``dask=ADDRESS`` (a
        scheduler that runs), or ``MODULE:FACTORY``, a function without arguments that gives an Executor.
    jobs
        Processes or threads; 0 for all cores.
    """

    executor: Annotated[
        str, "Where to compute: local, threads, dask, dask=ADDRESS of a scheduler, or MODULE:FACTORY of an Executor."
    ] = "local"
    jobs: Annotated[int, "Cores to use; 0: all."] = 0

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise SettingsError(f"jobs is {self.jobs}", fix="Give the number of cores, or 0 for all.")
        kind = self.executor.partition("=")[0]
        if kind not in ("local", "threads", "dask") and ":" not in self.executor:
            raise SettingsError(
                f"{self.executor!r} is not an executor",
                fix="Choose local, threads, dask, dask=ADDRESS or MODULE:FACTORY.",
            )

    @property
    def cores(self) -> int:
        """Number of processes or threads."""
        return self.jobs or os.cpu_count() or 1


@contextmanager
def open_executor(
    settings: ExecutorSettings | None = None, *, most: int | None = None, threads: bool = False
) -> Iterator[Executor | None]:
    """Open the executor that settings name, and shut it down at the end.

    Parameters
    ----------
    settings
        Default: local processes on all cores.
    most
        Largest number of local workers that are of use; with one, ``local`` is this process itself (None).
    threads
        Whether threads do what ``local`` means: for compiled code that releases the interpreter.

    Raises
    ------
    SettingsError
        When a factory cannot be imported, or gives something else; when a scheduler does not answer.
    MissingExtraError
        Without dask.
    """
    settings = settings or ExecutorSettings()
    kind, _, address = settings.executor.partition("=")
    n = settings.cores if most is None else max(1, min(settings.cores, most))
    if kind == "threads" or (kind == "local" and threads):
        with ThreadPoolExecutor(n) as executor:
            yield executor
    elif kind == "local":
        if n == 1:
            yield None
            return
        with Processes(n) as processes:
            yield processes
    elif kind == "dask":
        with _open_dask(address, n) as executor:
            yield executor
    else:
        with _from_factory(settings.executor) as executor:
            yield executor


class Processes(Executor):
    """Processes of this machine; where one was killed, the next submission starts them anew.

    They start afresh (spawn): forked ones inherit the locks of OpenMP's threads, and can hang in XGBoost.
    """

    def __init__(self, n: int) -> None:
        self._max_workers, self._lock = n, Lock()
        self._pool = self._start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call."""
        with self._lock:
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = self._start()
                return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._max_workers, mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """Make a worker one of many: it ends with its parent, and leaves other cores to other workers."""
    import numpy  # noqa: F401 (its library of linear algebra must be there to be limited)
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")
    _end_with_parent()


def _end_with_parent() -> None:
    """End this worker once its parent was killed: it would wait for work, with its memory, forever."""
    parent = parent_process()
    if parent is not None:
        Thread(target=_wait_for_end, args=(parent.sentinel,), daemon=True).start()


def _wait_for_end(sentinel: int) -> None:
    wait_for_any([sentinel])
    os._exit(1)


def n_workers(executor: Executor) -> int:
    """Return the number of workers of an executor, as far as it reports it."""
    client = getattr(executor, "_client", None)
    if client is not None:  # of Dask
        return max(1, sum(map(int, client.nthreads().values())))
    return int(getattr(executor, "_max_workers", None) or UNKNOWN_WORKERS)


@contextmanager
def _open_dask(address: str, n: int) -> Iterator[Executor]:
    try:
        from dask.distributed import Client
    except ImportError:
        raise MissingExtraError("dask is not installed", fix="pip install 'phonolyte[dask]'") from None
    try:
        client = (
            Client(address, timeout="20s") if address else Client(n_workers=n, threads_per_worker=1, processes=True)
        )
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            f"no Dask scheduler answers at {address}", why=first_line(error), fix="Check the address."
        ) from None
    with client:
        executor: Executor = client.get_executor(pure=False)
        yield executor


@contextmanager
def _from_factory(name: str) -> Iterator[Executor]:
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a file of the user's, as for engines
    try:
        made: Any = getattr(import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise SettingsError(
            f"{name} gives no executor",
            why=f"{type(error).__name__}: {error}",
            fix="Name a function without arguments.",
        ) from error
    if not hasattr(made, "submit"):
        raise SettingsError(
            f"{name} gives no executor", why=f"it gives a {type(made).__name__}", fix="Return an Executor."
        )
    with made as executor:
        yield executor


def map_unordered(
    function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], executor: Executor
) -> Iterator[tuple[int, T]]:
    """Yield the number of each task and its result, as they finish; one whose worker died is done again.

    Parameters
    ----------
    function
        What a worker calls with the values of a task.
    tasks
        Arguments of each call; each should last seconds.
    executor
        Any executor; a few tasks for each of its workers are submitted at a time.

    Raises
    ------
    EngineError
        When a task loses its worker more than `ATTEMPTS` times.
    """
    queue, attempts = list(reversed(range(len(tasks)))), [0] * len(tasks)
    flying: dict[Future[T], int] = {}
    while queue or flying:
        while queue and len(flying) < IN_FLIGHT * n_workers(executor):
            number = queue.pop()
            attempts[number] += 1
            flying[executor.submit(function, *tasks[number])] = number
        for future in wait(flying, return_when=FIRST_COMPLETED).done:
            number = flying.pop(future)
            try:
                yield number, future.result()
            except PhonolyteError:
                raise
            except Exception as error:  # BrokenProcessPool, KilledWorker of Dask, ...
                if attempts[number] > ATTEMPTS:
                    why = f"{type(error).__name__}: {error}"
                    raise EngineError(
                        "a worker was lost several times", why=why, fix="Run again with fewer jobs."
                    ) from error
                queue.append(number)


def map_tasks(
    function: Callable[..., T], tasks: Sequence[tuple[Any, ...]], executor: Executor | None
) -> Iterator[tuple[int, T]]:
    """Yield the same as :func:`map_unordered`; without an executor this process does the tasks, in order."""
    if executor is not None:
        yield from map_unordered(function, tasks, executor)
    else:
        yield from ((number, function(*task)) for number, task in enumerate(tasks))
