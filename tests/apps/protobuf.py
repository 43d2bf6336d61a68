"""Protocol buffers' wire format, read without a schema: what tests need of it."""
import struct


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """(field, value) of a protocol buffer message."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack("<d", data[at:at + 8])[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack("<f", data[at:at + 4])[0], at + 4
        else:
            if key & 7 != 2:
                raise ValueError(f"wire type {key & 7} at byte {at}")
            size, at = varint(data, at)
            if at + size > len(data):
                raise ValueError(f"a field of {size} bytes at byte {at} of {len(data)}")
            value, at = data[at:at + size], at + size
        found.append((key >> 3, value))
    return found
