"""The values of a generator of either kind, to be awaited one by one."""

from __future__ import annotations

from typing import Any


class Values:
    """An async iterator over a generator, an async generator or any other iterable; it can be thrown into and closed.

    `body` is what it iterates over. Raises TypeError for what is not iterable.
    """

    def __init__(self, values: Any) -> None:
        self.body: Any = values if hasattr(values, "__anext__") else iter(values)

    def __aiter__(self) -> Values:
        return self

    async def __anext__(self) -> Any:
        if hasattr(self.body, "__anext__"):
            return await self.body.__anext__()
        try:
            return next(self.body)
        except StopIteration:
            raise StopAsyncIteration from None

    async def athrow(self, error: BaseException) -> Any:
        """Raise `error` where the generator yielded, and give its next value; an iterator that cannot be thrown into
        raises it at once."""
        if hasattr(self.body, "athrow"):
            return await self.body.athrow(error)
        if not hasattr(self.body, "throw"):
            raise error
        try:
            return self.body.throw(error)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Let the generator clear up."""
        if hasattr(self.body, "aclose"):
            await self.body.aclose()
        elif hasattr(self.body, "close"):
            self.body.close()
