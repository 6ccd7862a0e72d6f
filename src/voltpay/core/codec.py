"""Messages to bytes and back: msgpack, one tagged array a message."""

from typing import Final

import msgspec

from voltpay.core.errors import Broken
from voltpay.core.messages import Message

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Message]] = msgspec.msgpack.Decoder(Message)


class Unreadable(Broken):
    """Bytes on the log that are no message of this version."""


def encode(message: Message) -> bytes:
    """The bytes of a message, as they stand on the log."""
    return _ENCODER.encode(message)


def decode(body: bytes) -> Message:
    """The message that the bytes hold. Raises Unreadable for anything else."""
    try:
        return _DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise Unreadable(f"no message: {error}") from error
