#!/usr/bin/env python3
"""Prints the arrays of .npz and .npy files, read with Python's standard library: name, type, shape, values.

Where NumPy is installed, numpy.load has to say the same.
"""
import ast
import math
import struct
import sys
import zipfile


def parse(data):
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    (size,) = struct.unpack("<H", data[8:10])
    assert (10 + size) % 64 == 0 and data[9 + size : 10 + size] == b"\n"
    header = ast.literal_eval(data[10 : 10 + size].decode("ascii"))
    assert header["fortran_order"] is False
    kind, shape, body = header["descr"], header["shape"], data[10 + size :]
    count = math.prod(shape)
    if kind == "<f4":
        values = struct.unpack(f"<{count}f", body)
    elif kind == "<i8":
        values = struct.unpack(f"<{count}q", body)
    else:
        assert kind[:2] == "<U", kind
        width = 4 * int(kind[2:])
        assert len(body) == width * count
        values = tuple(body[i * width : (i + 1) * width].decode("utf-32-le").rstrip("\0") for i in range(count))
    return kind, shape, values


def arrays(path):
    if not path.endswith(".npz"):
        with open(path, "rb") as file:
            yield "", parse(file.read())
        return
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.filename.endswith(".npy")
            yield info.filename[:-4], parse(archive.read(info))


def check_with_numpy(path, name, found):
    try:
        import numpy
    except ImportError:
        return
    loaded = numpy.load(path)
    array = loaded[name] if name else loaded
    kind, shape, values = found
    assert array.dtype == numpy.dtype(kind) and array.shape == shape, (array.dtype, array.shape)
    assert array.ravel().tolist() == list(values)


def main():
    for path in sys.argv[1:]:
        for name, found in arrays(path):
            check_with_numpy(path, name, found)
            kind, shape, values = found
            print(name, kind, shape, ascii(values[:6]), len(values), sep="|")


if __name__ == "__main__":
    main()
