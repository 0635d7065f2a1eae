"""The head of an answer, as it came: its end, and single headers of it."""


def final_head(came: bytes) -> bytes:
    """Returns the head of the answer itself: interim ones may stand before it, and a part of the body behind."""
    head, _, rest = came.partition(b"\r\n\r\n")
    while head[9:10] == b"1" and rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
    return head


def header(head: bytes, name: bytes) -> str:
    """Returns a header by its name in lower case, "" without one."""
    if head.lower().find(name) < 0:  # `in` would try whether it is a number first, which takes five times as long
        return ""
    fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return next((value.strip().decode("latin-1") for key, _, value in fields if key.lower() == name), "")
