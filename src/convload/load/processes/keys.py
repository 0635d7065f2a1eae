"""The key that the processes of a run share, and the CURVE key pairs that follow from it."""

import hashlib
import secrets

from convload.errors import UsageError

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


def parse_key(text: str, where: str) -> str:
    """Returns the key that a text is, without blanks around it.

    Raises:
        UsageError: it is none; the message does not quote it.
    """
    key = text.strip()
    if not is_key(key):
        raise UsageError(f"{where}: holds no key; `convload key new` makes one, of {2 * KEY_BYTES} hexadecimal digits")
    return key


def pair(key: bytes, role: bytes) -> tuple[bytes, bytes]:
    """Returns public and secret half of the key pair that belongs to a role, as libzmq takes them.

    Any 32 bytes are a secret key of Curve25519; a keyed hash makes those of the roles independent of each other.
    """
    import zmq  # noqa: PLC0415 -- the command line makes and reads keys and needs no pair
    from zmq.utils import z85  # noqa: PLC0415 -- as above

    secret = z85.encode(hashlib.blake2b(key=key, digest_size=KEY_BYTES, person=role).digest())
    return zmq.curve_public(secret), secret
