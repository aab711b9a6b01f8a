"""CPU per request for small files over HTTP, beside nginx: wrk asks for one file on 32 connections.

The servers take turns, --rounds times; a figure is the median. The files lie in the page cache.
"""

import os
import re
import statistics
import subprocess
import tempfile

import servers


def add_arguments(parser):
    parser.add_argument("--seconds", type=int, default=4, help="how long one measurement takes (default 4)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each server (default 5)")


def run(arguments):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        os.chmod(folder, 0o755)
        for kib in (1, 100):
            with open(os.path.join(folder, f"{kib}k.bin"), "wb") as file:
                file.write(os.urandom(kib * 1024))
        with servers.vfsd(arguments.vfsd, folder) as ours, servers.nginx(folder) as nginx:
            for kib in (1, 100):
                compare(arguments, f"{kib}k.bin", ours, nginx)


def compare(arguments, name, ours, peer):
    figures = {server.name: [] for server in (ours, peer)}
    for _ in range(arguments.rounds):
        for server in (ours, peer):
            before = server.cpu()
            count = ask(f"{server.urls['http']}{name}", arguments.seconds)
            figures[server.name].append((server.cpu() - before) / count * 1e6)
    medians = {name: statistics.median(rows) for name, rows in figures.items()}
    for server, rows in figures.items():
        print(f"{name:8} {server:6} {medians[server]:.1f} CPU us/request  (min {min(rows):.1f}, max {max(rows):.1f})")
    print(f"{name:8} ratio  {medians[ours.name] / medians[peer.name]:.2f} vfsd / {peer.name}", flush=True)


def ask(url, seconds):
    """So many requests were answered."""
    output = subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", url], check=True, capture_output=True, text=True)
    assert "Non-2xx" not in output.stdout, output.stdout
    return int(re.search(r"(\d+) requests in", output.stdout)[1])
