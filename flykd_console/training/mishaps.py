"""What can go wrong around training, as a sentence that says what to do: a full disk, a lost one, too little memory."""

from __future__ import annotations

import errno

from flykd_console.errors import UserError
from flykd_console.runs.directory import RunDirectory

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
# torch says it by a RuntimeError, on a GPU by a subclass of it.
_MEMORY = ("can't allocate memory", "out of memory", "DefaultCPUAllocator", "bad_alloc")


def told(error: BaseException, directory: RunDirectory) -> UserError | None:
    """An error as a line for the user; None where it is a fault of the program or of the model."""
    again = f"flykd-console run --resume {directory.name}"
    if isinstance(error, OSError) and error.errno is not None:
        place = str(error.filename or directory.path)
        for kind, remedy in ((_FULL, "Make room"), (_CLOSED, "Make it writable"), (_BROKEN, "Mend it")):
            if error.errno in kind:
                return UserError(kind[error.errno], place, f"What was saved is whole. {remedy}, then go on: {again}")
    if isinstance(error, MemoryError) or _is_memory(error):
        smaller = 'distill.random_graph.sampler = "blocks" and a smaller dim need less'
        return UserError("memory ran out", directory.name, f"What was saved is whole: {again} goes on; {smaller}.")
    return None


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY)
