"""What is wrong with a parameter."""

from __future__ import annotations

__all__ = ["InvalidParameter"]


class InvalidParameter(Exception):
    """A parameter cannot be compiled: `code` is the issue's, the text says what the parameter does wrong.

    What is `ignorable` a lenient search may leave out.
    """

    def __init__(self, code: str, text: str, *, ignorable: bool = False) -> None:
        """Carry an issue code and what is wrong, to stand after the parameter's name."""
        super().__init__(text)
        self.code = code
        self.ignorable = ignorable
