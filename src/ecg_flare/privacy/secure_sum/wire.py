"""Canonical bytes of secure aggregation's messages: fixed-width big-endian fields, one encoding a value.

No pickle and no self-describing format: a reader knows the fields, so equal values always give equal bytes, which is
what a signature over a message needs.
"""

from __future__ import annotations

import struct

from ecg_flare.errors import SecureSumError


class Writer:
    """Appends fields and gives their concatenation."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def integer(self, value: int, width: int) -> Writer:
        """Append an unsigned integer of `width` bytes, big-endian."""
        self._parts.append(value.to_bytes(width, "big"))
        return self

    def flag(self, value: bool) -> Writer:
        """Append a truth value as one byte, 0 or 1."""
        return self.integer(int(value), 1)

    def real(self, value: float) -> Writer:
        """Append an IEEE 754 binary64."""
        self._parts.append(struct.pack(">d", value))
        return self

    def fixed(self, data: bytes | bytearray) -> Writer:
        """Append bytes whose length the reader knows."""
        self._parts.append(bytes(data))
        return self

    def blob(self, data: bytes | bytearray) -> Writer:
        """Append a four-byte length and the bytes."""
        return self.integer(len(data), 4).fixed(data)

    def text(self, value: str) -> Writer:
        """Append a UTF-8 string as a blob."""
        return self.blob(value.encode())

    def done(self) -> bytes:
        """Return everything appended so far."""
        return b"".join(self._parts)


class Reader:
    """Takes fields from the front; every shortfall or leftover is a `SecureSumError`."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data)
        self._at = 0

    def integer(self, width: int) -> int:
        """Take an unsigned integer of `width` bytes."""
        return int.from_bytes(self._take(width), "big")

    def flag(self) -> bool:
        """Take a truth value."""
        value = self.integer(1)
        if value > 1:
            raise SecureSumError(f"a flag is {value}, expected 0 or 1: the message is corrupt, drop its sender")
        return value == 1

    def real(self) -> float:
        """Take an IEEE 754 binary64."""
        (value,) = struct.unpack(">d", self._take(8))
        return float(value)

    def fixed(self, length: int) -> bytes:
        """Take `length` bytes."""
        return bytes(self._take(length))

    def view(self, length: int) -> memoryview:
        """Take `length` bytes without copying them."""
        return self._take(length)

    def blob(self) -> bytes:
        """Take a length and that many bytes."""
        return self.fixed(self.integer(4))

    def text(self) -> str:
        """Take a UTF-8 string."""
        try:
            return self.blob().decode()
        except UnicodeDecodeError as error:
            raise SecureSumError(
                f"a text field is not UTF-8 ({error}): the message is corrupt, drop its sender"
            ) from error

    def finish(self) -> None:
        """Check that nothing is left."""
        left = len(self._data) - self._at
        if left:
            raise SecureSumError(f"{left} bytes follow the message's end, expected none: drop its sender")

    def _take(self, length: int) -> memoryview:
        end = self._at + length
        if end > len(self._data):
            raise SecureSumError(
                f"the message ends after {len(self._data)} bytes, expected at least {end}: it was cut, drop its sender"
            )
        part = self._data[self._at : end]
        self._at = end
        return part
