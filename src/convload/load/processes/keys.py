"""The key that the processes of a run share, and the CURVE key pairs that follow from it."""

import hashlib
import secrets

import zmq
from zmq.utils import z85

KEY_BYTES = 32


def new_key() -> str:
    """Returns a new key, as 64 hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES)


def is_key(text: str) -> bool:
    """Whether a text is a key as `new_key` makes them."""
    try:
        return len(bytes.fromhex(text)) == KEY_BYTES
    except ValueError:
        return False


def pair(key: bytes, role: bytes) -> tuple[bytes, bytes]:
    """Returns public and secret half of the key pair that belongs to a role, as libzmq takes them.

    Any 32 bytes are a secret key of Curve25519; a keyed hash makes those of the roles independent of each other.
    """
    secret = z85.encode(hashlib.blake2b(key=key, digest_size=KEY_BYTES, person=role).digest())
    return zmq.curve_public(secret), secret
