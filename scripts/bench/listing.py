"""A page of a large folder over HTTP, beside nginx: when the first row comes, when the last, and what memory it takes.

The servers take turns, --rounds times; a figure is the median. Times are wall times: take them on a quiet machine.
"""

import os
import statistics
import tempfile
import time
import urllib.request

import servers


def add_arguments(parser):
    parser.add_argument("--entries", type=int, default=100_000, help="files in the folder (default 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each server (default 5)")


def run(arguments):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        os.chmod(folder, 0o755)
        for number in range(arguments.entries):
            with open(os.path.join(folder, f"file-number-{number:07}.txt"), "wb"):
                pass
        with servers.vfsd(arguments.vfsd, folder) as ours, servers.nginx(folder) as nginx:
            before = {server.name: server.pss_kib() for server in (ours, nginx)}
            figures = {server.name: [] for server in (ours, nginx)}
            for _ in range(arguments.rounds):
                for server in (ours, nginx):
                    start = server.cpu()
                    first, last = fetch(server.urls["http"], arguments.entries)
                    figures[server.name].append((first, last, server.cpu() - start))
            report(figures, before, ours, nginx)


def report(figures, before, ours, peer):
    medians = {}
    for server in (ours, peer):
        rows = figures[server.name]
        medians[server.name] = [statistics.median(row[part] for row in rows) for part in range(3)]
        first, last, cpu = medians[server.name]
        more = (server.pss_kib() - before[server.name]) / 1024
        print(f"listing  {server.name:6} first row {first:.3f} s, all {last:.3f} s, CPU {cpu:.3f} s, "
              f"{more:.1f} MiB more afterwards")
    ratios = [mine / theirs for mine, theirs in zip(medians[ours.name], medians[peer.name])]
    print(f"listing  ratio  first row {ratios[0]:.2f}, all {ratios[1]:.2f}, CPU {ratios[2]:.2f} vfsd / {peer.name}")


def fetch(url, entries):
    """When the first and the last row had come."""
    start, first, count, rest = time.monotonic(), None, 0, b""
    with urllib.request.urlopen(url) as answer:
        while piece := answer.read1(1 << 20):
            text = rest + piece
            count += text.count(b'.txt">')
            if count and first is None:
                first = time.monotonic() - start
            # What a row may begin with, without a whole mark in it.
            rest = text[-5:]
    assert count == entries, f"{count} rows"
    return first, time.monotonic() - start
