"""Latency of other requests while many files leave that are not in the page cache.

Prints the latency of a small warm file over HTTP and of FTP's NOOP: before the downloads, during them, and during the
same downloads again, when all is in the page cache, so that what the clients cost is seen too. Needs root to drop the
page cache.
"""

import os
import statistics
import subprocess
import tempfile
import time
import http.client
import ftplib
import urllib.parse

import servers


def add_arguments(parser):
    parser.add_argument("--files", type=int, default=64, help="downloads at once (default 64)")
    parser.add_argument("--mib", type=int, default=32, help="size of each file (default 32)")
    parser.add_argument("--rate", default="8M", help="what each client reads a second, as curl's --limit-rate has it: "
                        "so fast that the disk is busy, so slow that the processors are not (default 8M)")


def run(arguments):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        os.chmod(folder, 0o755)
        for number in range(arguments.files):
            subprocess.run(["dd", "if=/dev/urandom", f"of={folder}/{number}.bin", "bs=1M",
                            f"count={arguments.mib}", "status=none"], check=True)
        with open(f"{folder}/small.txt", "w") as file:
            file.write("x" * 1000)
        for protocol in ("http", "ftp"):
            with servers.vfsd(arguments.vfsd, folder) as server:
                measure(arguments, server, folder, protocol)


def measure(arguments, server, folder, protocol):
    probe = Probe(server)
    show(f"{protocol}: before", probe.collect(lambda: len(probe.samples) < 2000))
    for state in ("cold", "warm"):
        if state == "cold":
            os.sync()
            with open("/proc/sys/vm/drop_caches", "w") as drop:
                drop.write("1")
            with open(f"{folder}/small.txt") as file:
                file.read()
        clients = [subprocess.Popen(["curl", "-sS", "--fail", "--limit-rate", arguments.rate, "-o", "/dev/null",
                                     f"{server.urls[protocol]}{number}.bin"]) for number in range(arguments.files)]
        start = time.monotonic()
        samples = probe.collect(lambda: any(client.poll() is None for client in clients))
        seconds = time.monotonic() - start
        show(f"{protocol}: {state}", samples)
        gib = arguments.files * arguments.mib / 1024
        failed = sum(client.wait() != 0 for client in clients)
        print(f"{protocol}: {gib:.1f} GiB {state} in {seconds:.1f} s, {failed} downloads failed", flush=True)


def show(title, samples):
    ordered = sorted(samples)
    at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000
    print(f"{title:14} p50 {statistics.median(ordered) * 1000:.2f} ms  p99 {at(0.99):.2f} ms  "
          f"max {ordered[-1] * 1000:.2f} ms  ({len(ordered)} requests)")


class Probe:
    """Asks for a small file and sends NOOP, in turn, on two connections that stay open."""

    def __init__(self, server):
        address = urllib.parse.urlsplit(server.urls["http"]).netloc
        self.http = http.client.HTTPConnection(address)
        ftp = urllib.parse.urlsplit(server.urls["ftp"])
        self.ftp = ftplib.FTP()
        self.ftp.connect(ftp.hostname, ftp.port)
        self.ftp.login()
        self.samples = []

    def collect(self, more):
        self.samples = []
        while more():
            start = time.monotonic()
            self.http.request("GET", "/small.txt")
            self.http.getresponse().read()
            middle = time.monotonic()
            self.ftp.voidcmd("NOOP")
            self.samples += [middle - start, time.monotonic() - middle]
            time.sleep(0.001)
        return self.samples
