"""What can go wrong around the program, in words: a full disk, a lost one, too little memory."""

from __future__ import annotations

import errno
from collections.abc import Iterator

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "a file may not become so large here",
}
_CLOSED = {
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
}
_BROKEN = {errno.EIO: "the disk reports an error", errno.ESTALE: "the network disk is gone"}
_KINDS = ((_FULL, "Make room"), (_CLOSED, "Make it writable"), (_BROKEN, "Mend it"))
# How libraries say it: torch by a RuntimeError, the loader of shared libraries by an ImportError.
_MEMORY = (
    "can't allocate memory", "cannot allocate memory", "out of memory", "DefaultCPUAllocator", "bad_alloc",
    "failed to map segment", "can't start new thread", "Unable to allocate",
)  # fmt: skip
# What a command needs at least to go on with.
_ROOM = 256 << 20


def disk_words(error: BaseException) -> tuple[str, str] | None:
    """What a disk did, and what to do about it, both without a full stop; None: it is something else."""
    if not isinstance(error, OSError) or error.errno is None:
        return None
    return next(((kind[error.errno], remedy) for kind, remedy in _KINDS if error.errno in kind), None)


def is_memory(error: BaseException) -> bool:
    """Whether memory ran out, by the error or by one that it came from."""
    return any(_says_memory(one) for one in _chain(error))


def is_limited() -> bool:
    """Whether this process's memory has a limit of its own (`ulimit -v`)."""
    import resource

    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)


def ran_out(error: BaseException) -> bool:
    """Whether an error is of memory: it says so, or no room is left under the process's limit.

    Half-imported libraries fail by names that they lack; what is left tells it.
    """
    return is_memory(error) or (is_limited() and not _room_left())


def _room_left() -> bool:
    import mmap

    try:
        mmap.mmap(-1, _ROOM).close()
    except (OSError, MemoryError):
        return False
    return True


def _says_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    said = isinstance(error, RuntimeError | ImportError | OSError)
    return said and any(words.lower() in str(error).lower() for words in _MEMORY)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
