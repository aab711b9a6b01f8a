"""FTP beside vsftpd and pure-ftpd: files both ways, plain and inside TLS, listings, idle sessions, ABOR and NOOP.

Members of archives are measured beside the file that they hold, and beside `gzip -dc`.

The load comes from `cargo bench --bench ftp_load`. The servers take turns, --rounds times; a figure is the median, and
a ratio is vfsd's median over the peer's. Files lie in the page cache; BENCH_DIR says on which file system.
"""

import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.parse

import servers

SMALL_FILES = 1000
ENTRIES = 100_000
TRANSFERS = 200
ARCHIVED_MIB = 256
STALLED = 100


def add_arguments(parser):
    parser.add_argument("only", nargs="*", metavar="ROW", help=f"rows to measure (default all): {' '.join(ROWS)}")
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file (default 1024)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each server (default 5)")
    parser.add_argument("--sessions", type=int, default=10000, help="idle sessions of vfsd (default 10000)")
    parser.add_argument("--load", help="the client's program, where cargo need not build it")
    parser.add_argument("--pure-ftpd", default=shutil.which("pure-ftpd"), help="where pure-ftpd is; without it, it is left out")


def run(arguments):
    load = arguments.load or build_load()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")))
        names = arguments.only or list(ROWS)
        fill(folder, arguments.mib, "rows" in names)
        identity = servers.identity(stack.enter_context(tempfile.TemporaryDirectory()))
        peers = [stack.enter_context(servers.vsftpd(folder, identity))]
        if arguments.pure_ftpd:
            peers.append(stack.enter_context(servers.pure_ftpd(arguments.pure_ftpd, folder, identity)))
        cache = stack.enter_context(tempfile.TemporaryDirectory())
        options = ["--writable", "--cache", cache, "--tls-cert", identity, "--tls-key", identity]
        ours = stack.enter_context(servers.vfsd(arguments.vfsd, folder, options))
        for name in names:
            ROWS[name](Bench(arguments, load, folder, ours, peers))


def build_load():
    """The client's program, as cargo names it."""
    out = subprocess.run(["cargo", "bench", "--bench", "ftp_load", "--no-run", "--quiet", "--message-format=json"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in out.splitlines()]
    return next(message["executable"] for message in messages
                if message.get("executable") and message["target"]["name"] == "ftp_load")


def fill(folder, mib, has_many):
    """A large file, small ones, a folder of many where it is wanted, and one that anybody may add to."""
    os.chmod(folder, 0o755)
    subprocess.run(["dd", "if=/dev/urandom", f"of={folder}/large.bin", "bs=1M", f"count={mib}", "status=none"],
                   check=True)
    os.mkdir(f"{folder}/small")
    for number in range(SMALL_FILES):
        pathlib.Path(f"{folder}/small/{number}").write_bytes(b"x" * 4096)
    os.mkdir(f"{folder}/many")
    for number in range(ENTRIES if has_many else 0):
        pathlib.Path(f"{folder}/many/file-with-a-name-{number:06}.txt").touch()
    os.mkdir(f"{folder}/in")
    os.chmod(f"{folder}/in", 0o777)


class Bench:
    def __init__(self, arguments, load, folder, ours, peers):
        self.arguments, self.load, self.folder, self.ours, self.peers = arguments, load, folder, ours, peers

    def call(self, server, load, *words, tls=False):
        """Runs one load on a server: what it printed, and the CPU seconds that the server took for it."""
        address = self.address(server, tls)
        before = server.cpu()
        out = subprocess.run([self.load, load, address, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True)
        return [float(word) for word in out.stdout.split()], server.cpu() - before

    def address(self, server, tls):
        return ("tls:" if tls else "") + urllib.parse.urlsplit(server.urls["ftp"]).netloc

    def compare(self, title, measure, units):
        """Lets the servers take turns; `measure` gives a figure a unit, for one server."""
        figures = {server.name: [] for server in (self.ours, *self.peers)}
        for _ in range(self.arguments.rounds):
            for server in (self.ours, *self.peers):
                figures[server.name].append(measure(server))
        medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in figures.items()}
        for at, unit in enumerate(units):
            text = "  ".join(f"{name} {row[at]:.4g}" for name, row in medians.items())
            mine = medians[self.ours.name][at]
            ratios = "  ".join(f"{mine / medians[peer.name][at]:.2f} x {peer.name}" for peer in self.peers
                               if medians[peer.name][at])
            print(f"{title:12} {unit:10} {text}   ratio {ratios}", flush=True)

    def clear_uploads(self):
        for entry in os.scandir(f"{self.folder}/in"):
            os.unlink(entry.path)


def retr(bench, tls=False):
    def measure(server):
        (seconds, size), cpu = bench.call(server, "retr", "large.bin", 2, tls=tls)
        return [size / seconds / 2**20, cpu / (size / 2**30)]
    bench.compare("TLS RETR" if tls else "RETR large", measure, ["MiB/s", "CPU s/GiB"])


def stor(bench, tls=False):
    def measure(server):
        (seconds, size), cpu = bench.call(server, "stor", "in/large-", bench.arguments.mib, 1, tls=tls)
        bench.clear_uploads()
        return [size / seconds / 2**20, cpu / (size / 2**30)]
    bench.compare("TLS STOR" if tls else "STOR large", measure, ["MiB/s", "CPU s/GiB"])


def small(bench, tls=False):
    def measure(server):
        (seconds, _), cpu = bench.call(server, "small", "small", SMALL_FILES, tls=tls)
        return [SMALL_FILES / seconds, cpu / SMALL_FILES * 1e6]
    bench.compare("TLS 4 KiB" if tls else "RETR 4 KiB", measure, ["files/s", "CPU us"])


def put(bench):
    def measure(server):
        (seconds, _), cpu = bench.call(server, "put", "in/small-", SMALL_FILES)
        bench.clear_uploads()
        return [SMALL_FILES / seconds, cpu / SMALL_FILES * 1e6]
    bench.compare("STOR 4 KiB", measure, ["files/s", "CPU us"])


def rows(bench):
    for command in ("LIST many", "NLST many", "MLSD many"):
        def measure(server, command=command):
            # vsftpd has no MLSD.
            if command.startswith("MLSD") and server.name == "vsftpd":
                return [0, 0]
            (seconds, _, first), _ = bench.call(server, "rows", command)
            return [seconds, first]
        # What any first listing takes, code and threads, is not what a large one takes.
        bench.call(bench.ours, "rows", command.replace("many", "small"))
        before = bench.ours.peak_kib()
        bench.compare(command, measure, ["s", "first, s"])
        print(f"{command:12} peak of vfsd grew by {bench.ours.peak_kib() - before} KiB", flush=True)


def members(bench):
    """A member of a plain tar beside the file itself; one of an indexed tgz beside `gzip -dc`, which decodes as much."""
    large, text = f"{bench.folder}/large.bin", f"{bench.folder}/text"
    subprocess.run(["tar", "-C", bench.folder, "-cf", f"{large}.tar", "large.bin"], check=True)
    with open(text, "wb") as lines:
        chance = random.Random(1)
        while lines.tell() < ARCHIVED_MIB << 20:
            lines.writelines(b"192.0.2.%d GET /pub/file-%d.txt 200 %d\n" % (number % 251, chance.getrandbits(16), number)
                             for number in range(10000))
    subprocess.run(["tar", "-C", bench.folder, "-czf", f"{text}.tgz", "text"], check=True)
    marked = {"file": "large.bin", "tar": "large.bin.tar#tar:/large.bin", "tgz": "text.tgz#tgz:/text"}
    # The first time finds the names and makes the index.
    speeds = {name: [] for name in (*marked, "gzip")}
    for round in range(bench.arguments.rounds + 1):
        for name, path in marked.items():
            (seconds, size), _ = bench.call(bench.ours, "retr", path, 1)
            speeds[name].append(size / seconds / 2**20)
        start = time.monotonic()
        subprocess.run(["gzip", "-dc", f"{text}.tgz"], check=True, stdout=subprocess.DEVNULL)
        speeds["gzip"].append(os.path.getsize(text) / 2**20 / (time.monotonic() - start))
        if round == 0:
            # The index is written behind the last answer.
            time.sleep(2)
            for figures in speeds.values():
                figures.clear()
    medians = {name: statistics.median(figures) for name, figures in speeds.items()}
    text = "  ".join(f"{name} {speed:.4g}" for name, speed in medians.items())
    print(f"members      MiB/s      {text}   ratio {medians['tar'] / medians['file']:.2f} x file  "
          f"{medians['tgz'] / medians['gzip']:.2f} x gzip -dc", flush=True)


def idle(bench, tls=False):
    for server, count in ((bench.ours, bench.arguments.sessions), *((peer, STALLED) for peer in bench.peers)):
        before = server.pss_kib()
        address = bench.address(server, tls)
        with subprocess.Popen([bench.load, "idle", address, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as client:
            seconds = float(client.stdout.readline())
            grown = server.pss_kib() - before
            client.stdin.close()
        print(f"{'TLS idle' if tls else 'idle':12} {server.name}: {grown / count:.1f} KiB each of {count}, {count / seconds:.0f} logins/s",
              flush=True)


def abor(bench):
    """A peer that does not answer ABOR within the client's patience is left out."""
    for server in (bench.ours, *bench.peers):
        quantiles(bench, server, "abor", STALLED)


def noop(bench):
    for server in (bench.ours, *bench.peers):
        quantiles(bench, server, "noop", TRANSFERS)


def quantiles(bench, server, load, count):
    try:
        (p50, p99, most, *rate), _ = bench.call(server, load, "large.bin", count)
    except subprocess.CalledProcessError:
        return print(f"{load:12} {server.name}: no answer", flush=True)
    meanwhile = f" at {rate[0]:.0f} MiB/s" if rate else ""
    print(f"{load:12} {server.name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {most:.2f} ms of {count}{meanwhile}",
          flush=True)


def inside_tls(row):
    return lambda bench: row(bench, tls=True)


ROWS = {"retr": retr, "stor": stor, "small": small, "put": put, "rows": rows, "members": members, "idle": idle, "abor": abor,
        "noop": noop, "tls-retr": inside_tls(retr), "tls-stor": inside_tls(stor), "tls-small": inside_tls(small),
        "tls-idle": inside_tls(idle)}
