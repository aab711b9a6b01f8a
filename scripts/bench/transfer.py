"""CPU per GiB of a large file, over HTTP beside nginx and over FTP beside vsftpd, sendfile on.

The servers take turns, --rounds times; a figure is the median. The file lies in the page cache.
"""

import os
import statistics
import subprocess
import tempfile
import time

import servers


def add_arguments(parser):
    parser.add_argument("--mib", type=int, default=1024, help="size of the file (default 1024)")
    parser.add_argument("--repeat", type=int, default=4, help="downloads in one measurement (default 4)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each server (default 5)")


def run(arguments):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "large.bin")
        subprocess.run(["dd", "if=/dev/urandom", f"of={path}", "bs=1M", f"count={arguments.mib}", "status=none"],
                       check=True)
        os.chmod(path, 0o644)
        with servers.vfsd(arguments.vfsd, folder) as ours, servers.nginx(folder) as nginx, \
                servers.vsftpd(folder) as vsftpd:
            for protocol, peer in (("http", nginx), ("ftp", vsftpd)):
                compare(arguments, protocol, ours, peer)


def compare(arguments, protocol, ours, peer):
    gib = arguments.mib * arguments.repeat / 1024
    figures = {server.name: [] for server in (ours, peer)}
    for server in (ours, peer):
        download(server.urls[protocol], 1)
    for _ in range(arguments.rounds):
        for server in (ours, peer):
            before, start = server.cpu(), time.monotonic()
            download(server.urls[protocol], arguments.repeat)
            speed = gib / (time.monotonic() - start)
            figures[server.name].append(((server.cpu() - before) / gib, speed))
    medians = {name: statistics.median(cpu for cpu, _ in rows) for name, rows in figures.items()}
    for name, rows in figures.items():
        cpus = sorted(cpu for cpu, _ in rows)
        speed = statistics.median(speed for _, speed in rows)
        print(f"{protocol}  {name:7} {medians[name]:.3f} CPU s/GiB  (min {cpus[0]:.3f}, max {cpus[-1]:.3f}; "
              f"{speed:.1f} GiB/s wall)")
    print(f"{protocol}  ratio   {medians[ours.name] / medians[peer.name]:.2f} vfsd / {peer.name}", flush=True)


def download(url, repeat):
    """One connection, the file as often as asked."""
    outputs = [part for _ in range(repeat) for part in ("-o", "/dev/null", f"{url}large.bin")]
    subprocess.run(["curl", "-sS", "--fail", *outputs], check=True)
