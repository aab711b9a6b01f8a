"""ratarmount as a library, without FUSE; runs under the Python that has it and prints one JSON object.

mount ARCHIVE INDEX SPACING: the first mount, which writes INDEX, or a later one. SPACING 0 is the default.
read ARCHIVE INDEX SPACING LIST: reads the pieces that the JSON file LIST names, `[name, offset, length]`.
"""

import json
import os
import resource
import sys
import time
import zlib

from ratarmountcore.mountsource.factory import open_mount_source


def main():
    what, archive, index, spacing = sys.argv[1:5]
    options = {"gzipSeekPointSpacing": int(spacing)} if int(spacing) else {}
    start = time.perf_counter()
    source = open_mount_source(archive, writeIndex=True, indexFilePath=index, parallelization=0, **options)
    names = source.list("/")
    result = {"seconds": time.perf_counter() - start, "names": len(names)}
    if what == "read":
        result["latencies"], result["sums"] = read(source, sys.argv[5])
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result["peak_mib"] = usage.ru_maxrss / 1024
    result["cpu"] = usage.ru_utime + usage.ru_stime
    result["index_bytes"] = os.path.getsize(index) if os.path.exists(index) else 0
    os.write(result_descriptor, json.dumps(result).encode())
    # Its threads abort the process otherwise.
    os._exit(0)


def read(source, pieces):
    latencies, sums = [], []
    with open(pieces) as file:
        pieces = json.load(file)
    for name, offset, length in pieces:
        start = time.perf_counter()
        with source.open(source.lookup("/" + os.fsdecode(bytes.fromhex(name)))) as member:
            member.seek(offset)
            content = member.read(length)
        latencies.append(time.perf_counter() - start)
        sums.append(zlib.crc32(content))
    return latencies, sums


# What it prints of its own goes elsewhere.
result_descriptor = os.dup(1)
os.dup2(2, 1)
main()
