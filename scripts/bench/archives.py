"""Archives beside ratarmount 1.3 as a library, in its default and with 1 MiB seek points, and bare inflating.

Each figure stands beside its bar, and whether it is met; `--only ROW` measures that row alone. The archives are made once, of files of this machine, in $BENCH_DIR (default: target/bench); they take 9 GB. ratarmount
is looked for in the virtual environment that --peer names: python3 -m venv V && V/bin/pip install ratarmount==1.3.0
"""

import concurrent.futures
import contextlib
import glob
import http.client
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import zlib

import servers
from corpus import Corpus, compress, members

PIECE = 64 * 1024
TUNED = 1 << 20
HERE = os.path.dirname(__file__)


def add_arguments(parser):
    parser.add_argument("--peer", default="target/bench/venv", help="virtual environment with ratarmount")
    parser.add_argument("--bare", help="the program that only inflates (default: builds benches/bare_inflate.rs)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (default 3)")
    parser.add_argument("--reads", type=int, default=1000, help="random reads (default 1000)")
    parser.add_argument("--small", action="store_true", help="small archives, to see that all works")
    parser.add_argument("--only", nargs="*", default=[], choices=[row.__name__ for row in ROWS],
                        help="these measurements only")


def run(arguments):
    if os.getloadavg()[0] > os.cpu_count():
        print(f"note: the machine is busy (load {os.getloadavg()[0]:.1f}): only ratios mean something", flush=True)
    folder = os.environ.get("BENCH_DIR", "target/bench") + ("/small" if arguments.small else "")
    corpus = Corpus(os.path.abspath(folder), arguments.small)
    corpus.make()
    bench = Bench(arguments, corpus)
    for row in ROWS:
        if not arguments.only or row.__name__ in arguments.only:
            row(bench)
    print(f"\n{bench.met} of {bench.judged} bars are met", flush=True)


class Bench:
    """What all rows need: the archives, and ways to start what is measured."""

    def __init__(self, arguments, corpus):
        self.arguments = arguments
        self.corpus = corpus
        self.random = random.Random(1)
        self.peer_python = os.path.join(arguments.peer, "bin/python")
        self.judged = self.met = 0

    def judge(self, row, text, bar, is_met):
        """Prints a figure beside its bar."""
        self.judged += 1
        self.met += is_met
        say(row, f"{text:44} {bar:28} {'met' if is_met else 'NOT MET'}")

    def path(self, name):
        return self.corpus.path(name)

    @contextlib.contextmanager
    def serve(self, cache, mounts=()):
        """vfsd over the archives, with its indexes in `cache`."""
        with tempfile.TemporaryFile("w+") as log, \
                servers.vfsd(self.arguments.vfsd, self.corpus.folder, extra=("--cache", cache, *mounts), level="info",
                             stderr=log) as server:
            server.log = log
            yield server

    def peer(self, what, name, index, spacing, *more):
        """One run of ratarmount; None where it is not there."""
        if not os.path.exists(self.peer_python):
            return None
        command = [self.peer_python, f"{HERE}/ratarmount_peer.py", what, self.path(name), index, str(spacing), *more]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL).stdout)

    def pieces(self, tar, count):
        """Random pieces of large members: name, offset in the member, length, offset in the tar."""
        rows = members(self.path(tar), PIECE)
        for _ in range(count):
            name, start, size = self.random.choice(rows)
            offset = self.random.randrange(size - PIECE + 1)
            yield name, offset, PIECE, start + offset


def say(row, text):
    print(f"{row:52} {text}", flush=True)


def inside(archive, scheme, name=b""):
    """The path of a URL in an archive."""
    return f"/{archive}%23{scheme}:/" + urllib.parse.quote(name)


def first_mount(bench):
    """First mount of the large tgz, index persisted: seconds, memory, first entry."""
    runs = {}

    def note(name, **figures):
        for key, value in figures.items():
            runs.setdefault((name, key), []).append(value)

    bare = bench.arguments.bare or bare_program()
    for _ in range(bench.arguments.rounds):
        with tempfile.TemporaryDirectory() as cache, bench.serve(cache) as server:
            first, seconds = list_folder(server, inside("large.tar.gz", "tgz"))
            seconds += wait_for_index(cache)
            note("vfsd", seconds=seconds, first=first, peak=server.peak_kib() / 1024, cpu=server.cpu(),
                 index=index_bytes(cache))
        for name, spacing in (("default", 0), ("tuned", TUNED)):
            with tempfile.TemporaryDirectory() as cache:
                found = bench.peer("mount", "large.tar.gz", f"{cache}/index", spacing)
                if found:
                    note(name, seconds=found["seconds"], peak=found["peak_mib"], cpu=found["cpu"],
                         index=found["index_bytes"])
        start, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([bare, bench.path("large.tar.gz")], check=True, stdout=subprocess.DEVNULL)
        seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        note("bare", seconds=seconds, cpu=after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
    median = {key: statistics.median(values) for key, values in runs.items()}
    for name in ("vfsd", "default", "tuned", "bare"):
        if (name, "seconds") in median:
            figures = "  ".join(f"{key} {median[other, key]:.3f}" for other, key in median if other == name)
            say("first mount of a tgz", f"{name:8} {figures}")
    for name, title, bar in (("default", "ratarmount", 0.65), ("tuned", "ratarmount tuned", 0.55),
                             ("bare", "bare inflate", 1.10)):
        if (name, "seconds") in median:
            wall, cpu = (median["vfsd", key] / median[name, key] for key in ("seconds", "cpu"))
            bench.judge("", f"{wall:.2f} x {title} (CPU {cpu:.2f} x)", f"<= {bar:.2f} x", wall <= bar)
    peak, first = median["vfsd", "peak"], median["vfsd", "first"]
    share = median["vfsd", "index"] / os.path.getsize(bench.path("large.tar.gz"))
    bench.judge("peak memory meanwhile", f"{peak:.1f} MiB", "<= 64 MiB", peak <= 64)
    bench.judge("first entry over HTTP, cold", f"{first * 1000:.1f} ms", "<= 20 ms", first <= 0.020)
    bench.judge("index", f"{share:.2%} of the tgz", "<= 0.70 %", 0 < share <= 0.007)


def random_reads(bench):
    """Random 64 KiB pieces of members of the large tgz, index warm, and the remount before them."""
    pieces = list(bench.pieces("large.tar", bench.arguments.reads))
    latencies = {}
    with contextlib.ExitStack() as stack:
        caches = {name: stack.enter_context(tempfile.TemporaryDirectory()) for name in ("vfsd", "default", "tuned")}
        with bench.serve(caches["vfsd"]) as server:
            list_folder(server, inside("large.tar.gz", "tgz"))
            wait_for_index(caches["vfsd"])
        server = stack.enter_context(bench.serve(caches["vfsd"]))
        _, seconds = list_folder(server, inside("large.tar.gz", "tgz"))
        bench.judge("remount", f"{seconds * 1000:.1f} ms until the root is listed", "<= 10 ms", seconds <= 0.010)
        for name, spacing in (("default", 0), ("tuned", TUNED)):
            bench.peer("mount", "large.tar.gz", f"{caches[name]}/index", spacing)
        rounds = bench.arguments.rounds
        with open(bench.path("large.tar"), "rb") as tar:
            for at in range(rounds):
                part = pieces[at::rounds]
                right = [zlib.crc32(os.pread(tar.fileno(), length, start)) for _, _, length, start in part]
                found, sums = read_over_http(server, "large.tar.gz", "tgz", part)
                expect("vfsd", sums, right)
                latencies.setdefault("vfsd", []).extend(found)
                listed = f"{caches['vfsd']}/pieces"
                with open(listed, "w") as file:
                    json.dump([(name.hex(), offset, length) for name, offset, length, _ in part], file)
                for name, spacing in (("default", 0), ("tuned", TUNED)):
                    found = bench.peer("read", "large.tar.gz", f"{caches[name]}/index", spacing, listed)
                    if found:
                        expect(name, found["sums"], right)
                        latencies.setdefault(name, []).extend(found["latencies"])
        shares = {name: [percentile(found, share) * 1000 for share in (0.5, 0.99)] for name, found in latencies.items()}
        for name, (middle, worst) in shares.items():
            say("random 64 KiB", f"{name:8} p50 {middle:.2f} ms  p99 {worst:.2f} ms  "
                f"({len(latencies[name])} reads, all right)")
        for at, (title, bar) in enumerate((("p50", 1.5), ("p99", 5.0))):
            ours = shares["vfsd"][at]
            bench.judge("", f"{title} {ours:.2f} ms", f"<= {bar} ms", ours <= bar)
            if "tuned" in shares:
                tuned = shares["tuned"][at]
                bench.judge("", f"{title} {ours / tuned:.2f} x ratarmount tuned", "below it", ours < tuned)


def plain_tar(bench):
    """A plain tar of as many entries as the bar is stated for, and the large one."""
    for name, bar in (("plain.tar", 0.15), ("large.tar", None)):
        times, peers = [], []
        for _ in range(bench.arguments.rounds):
            with tempfile.TemporaryDirectory() as cache, bench.serve(cache) as server:
                times.append(list_folder(server, inside(name, "tar"))[1])
            with tempfile.TemporaryDirectory() as cache:
                found = bench.peer("mount", name, f"{cache}/index", 0)
                peers += [found["seconds"]] if found else []
        if bar:
            bench.judge("plain tar", compared(times, peers), f"<= {bar} s", statistics.median(times) <= bar)
        else:
            say("", f"{compared(times, peers)} for {name}")


def zip_archive(bench):
    """A zip of many entries."""
    times, peers, peaks = [], [], []
    for _ in range(bench.arguments.rounds):
        with tempfile.TemporaryDirectory() as cache, bench.serve(cache) as server:
            times.append(list_folder(server, inside("many.zip", "zip"))[1])
            peaks.append(server.peak_kib() / 1024)
        with tempfile.TemporaryDirectory() as cache:
            found = bench.peer("mount", "many.zip", f"{cache}/index", 0)
            peers += [found["seconds"]] if found else []
    seconds, peak = statistics.median(times), statistics.median(peaks)
    bench.judge("zip", compared(times, peers), "<= 0.05 s", seconds <= 0.05)
    bench.judge("", f"{peak:.1f} MiB", "<= 32 MiB", peak <= 32)


def many_clients(bench):
    """64 clients at once on one cold tgz, each with a member of its own."""
    rows = bench.random.sample(members(bench.path("large.tar"), PIECE), 64)
    with tempfile.TemporaryDirectory() as cache, bench.serve(cache) as server:
        before = server.read_bytes()
        with concurrent.futures.ThreadPoolExecutor(64) as clients:
            bodies = clients.map(lambda row: fetch_patiently(server, inside("large.tar.gz", "tgz", row[0])), rows)
            with open(bench.path("large.tar"), "rb") as tar:
                for (name, start, size), body in zip(rows, bodies):
                    if body != os.pread(tar.fileno(), size, start):
                        raise SystemExit(f"{name!r} differs")
        list_folder(server, inside("large.tar.gz", "tgz"))
        wait_for_index(cache)
        size = os.path.getsize(bench.path("large.tar.gz"))
        everything = (server.read_bytes() - before) / size
        server.log.seek(0)
        passes = [int(read) / size for read in re.findall(r"was read through.*\bread=(\d+)", server.log.read())]
        say("64 clients, cold", f"{len(rows)} bodies are right; {everything:.3f} x the archive was read in all, "
            f"{server.peak_kib() / 1024:.0f} MiB")
        bench.judge("", f"{len(passes)} passes, {sum(passes):.4f} x the archive", "1, <= 1.01 x",
                    len(passes) == 1 and sum(passes) <= 1.01)


def readers_of_bzip2(bench):
    """48 readers at once of one cold tbz2, each of a member of its own."""
    rows = bench.random.sample(members(bench.path("small.tar"), PIECE), 48)
    with tempfile.TemporaryDirectory() as cache, bench.serve(cache) as server:
        before, waits = server.read_bytes(), []
        with concurrent.futures.ThreadPoolExecutor(48) as clients:
            bodies = clients.map(lambda row: fetch_patiently(server, inside("small.tar.bz2", "tbz2", row[0])), rows)
            # Somebody who wants something else meanwhile.
            while len(waits) < 100:
                start = time.monotonic()
                connection, response = request(server, "/small.tar.members", {"Range": "bytes=0-99"})
                response.read()
                connection.close()
                waits.append(time.monotonic() - start)
                time.sleep(0.02)
            with open(bench.path("small.tar"), "rb") as tar:
                for (name, start, size), body in zip(rows, bodies):
                    if body != os.pread(tar.fileno(), size, start):
                        raise SystemExit(f"{name!r} differs")
        list_folder(server, inside("small.tar.bz2", "tbz2"))
        everything = (server.read_bytes() - before) / os.path.getsize(bench.path("small.tar.bz2"))
        server.log.seek(0)
        passes = len(re.findall(r"was read through", server.log.read()))
        say("48 readers of a cold tbz2", f"{len(rows)} bodies are right; {everything:.2f} x the archive was read in all; "
            f"another file meanwhile: p50 {percentile(waits, 0.5) * 1000:.1f} ms, worst {max(waits) * 1000:.1f} ms")
        bench.judge("", f"{passes} pass", "1", passes == 1)


def many_archives(bench):
    """200 different archives of each format, one after the other: what is kept of them."""
    with tempfile.TemporaryDirectory(dir=bench.corpus.folder) as folder, tempfile.TemporaryDirectory() as cache:
        paths = various_archives(folder, 200 // bench.corpus.shrink)
        with bench.serve(cache, mounts=[f"/various={folder}"]) as server:
            for name, scheme in paths:
                path = f"various/{name}"
                list_folder(server, inside(path, scheme))
                for member in ("a.txt", "b.txt"):
                    fetch_patiently(server, inside(path, scheme, member))
            kept, peak = server.rss_kib() / 1024, server.peak_kib() / 1024
            time.sleep(10)
            idle = server.rss_kib() / 1024
            say(f"{len(paths)} archives of 6 formats", f"peak {peak:.0f} MiB, {kept:.0f} after the last, {idle:.0f} idle")
            bench.judge("", f"{peak:.0f} MiB", "<= 256 MiB and 64 besides", peak <= 320)


def various_archives(folder, count):
    """So many different archives of each format, 1 MiB of content in each; name and scheme of each."""
    found = []
    for number in range(count):
        source = random.Random(number)
        content = bytes(source.choices(b"the quick brown fox\n", k=512 * 1024))
        with tempfile.TemporaryDirectory() as private:
            for name in ("a.txt", "b.txt"):
                with open(f"{private}/{name}", "wb") as file:
                    file.write(content)
            tar = f"{folder}/{number}.tar"
            subprocess.run(["tar", "-cf", tar, "-C", private, "a.txt", "b.txt"], check=True)
            subprocess.run(["zip", "-qr1", f"{folder}/{number}.zip", "."], cwd=private, check=True)
        for suffix, program in (("tgz", ["gzip", "-1"]), ("tbz2", ["bzip2"]), ("txz", ["xz", "-1"]),
                                ("tzst", ["zstd", "-q"])):
            compress([*program, "-c"], tar, f"{folder}/{number}.{suffix}")
            found.append((f"{number}.{suffix}", suffix))
        found += [(f"{number}.tar", "tar"), (f"{number}.zip", "zip")]
    return found


def killed(bench):
    """kill -9 in the middle of the first pass, and a second start."""
    size = os.path.getsize(bench.path("large.tar.gz"))
    with tempfile.TemporaryDirectory() as cache:
        with bench.serve(cache) as server:
            connection, _ = request(server, inside("large.tar.gz", "tgz"))
            while server.read_bytes() < size * 0.6:
                time.sleep(0.01)
            server.process.kill()
            server.process.wait()
            connection.close()
            # Nobody knows what came after the last look: about this.
        with bench.serve(cache) as server:
            before = server.read_bytes()
            list_folder(server, inside("large.tar.gz", "tgz"))
            second = server.read_bytes() - before
    again = max(0.0, second / size - 0.4)
    bench.judge("kill -9 at 60 %, restart", f"{again:.1%} of the pass was repeated", "<= 10 %", again <= 0.10)


def equality(bench):
    """Random pieces through every format, local and remote and nested, beside what tar and unzip extract."""
    with tempfile.TemporaryDirectory(dir=bench.corpus.folder) as private:
        subprocess.run(["tar", "-xf", bench.path("small.tar"), "-C", private], check=True)
        unzipped = f"{private}/zip"
        subprocess.run(["unzip", "-q", bench.path("small.zip"), "-d", unzipped], check=True)
        pieces = list(bench.pieces("small.tar", 100))
        with tempfile.TemporaryDirectory() as cache, bench.serve(cache) as near, \
                bench.serve(f"{cache}/far", mounts=[f"/{name}={near.urls[name]}" for name in ("http", "ftp")]) as far:
            for server, below in ((near, ""), (far, "http/"), (far, "ftp/")):
                for archive, scheme in (("small.tar", "tar"), ("small.tar.gz", "tgz"), ("small.tar.bz2", "tbz2"),
                                        ("small.tar.xz", "txz"), ("blocks.tar.xz", "txz"), ("small.tar.zst", "tzst"),
                                        ("small.tar.gz%23gz:", "tar"), ("small.zip", "zip"),
                                        ("nested.tar%23tar:/inner.tar.gz%23tgz:/small.zip", "zip")):
                    root = unzipped if scheme == "zip" else private
                    right = []
                    for name, offset, length, _ in pieces:
                        with open(os.path.join(os.fsencode(root), name), "rb") as file:
                            right.append(zlib.crc32(os.pread(file.fileno(), length, offset)))
                    title = f"{below}{archive}"
                    try:
                        _, sums = read_over_http(server, below + archive, scheme, pieces)
                        equal = sum(found == wanted for found, wanted in zip(sums, right, strict=True))
                        text = f"{equal} of {len(right)} pieces"
                    except Refused as refused:
                        equal, text = 0, str(refused)
                    bench.judge(urllib.parse.unquote(title), text, "as tar and unzip extract", equal == len(right))


def member_speed(bench):
    """A large member of a plain tar beside the plain file."""
    with tempfile.TemporaryDirectory() as cache, bench.serve(cache) as server:
        for protocol in ("http", "ftp"):
            seconds = {"member.bin": [], "member.tar%23tar:/member.bin": []}
            for _ in range(bench.arguments.rounds + 1):
                for path, times in seconds.items():
                    start = time.monotonic()
                    subprocess.run(["curl", "-sS", "--fail", "-o", "/dev/null", server.urls[protocol] + path], check=True)
                    times.append(time.monotonic() - start)
            plain, member = (statistics.median(times[1:]) for times in seconds.values())
            say(f"member of a plain tar, {protocol}", f"{plain / member:.2f} x the speed of the plain file")


ROWS = (first_mount, random_reads, plain_tar, zip_archive, many_clients, readers_of_bzip2, many_archives, killed, equality,
        member_speed)


class Refused(Exception):
    """The server said no."""


def request(server, path, headers=None, method="GET"):
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.urls["http"]).netloc, timeout=600)
    connection.request(method, path, headers=headers or {})
    return connection, connection.getresponse()


def list_folder(server, path):
    """Seconds until the first entry of a listing, and until its end."""
    start = time.monotonic()
    connection, response = request(server, path)
    if response.status != 200:
        raise SystemExit(f"{path}: {response.status} {response.read()!r}")
    first, text = None, b""
    while piece := response.read1(65536):
        text += piece
        # The first link leads up.
        if first is None and text.count(b"<a href=") > 1:
            first = time.monotonic() - start
    connection.close()
    return first, time.monotonic() - start


def fetch_patiently(server, path):
    """The file; asks again where the server has not come to it yet."""
    while True:
        connection, response = request(server, path)
        body = response.read()
        connection.close()
        if response.status == 200:
            return body
        if response.status != 503:
            raise SystemExit(f"{path}: {response.status}")
        time.sleep(float(response.headers["Retry-After"]))


def read_over_http(server, archive, scheme, pieces):
    """Latencies and checksums of pieces, over one connection."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.urls["http"]).netloc, timeout=600)
    latencies, sums = [], []
    for name, offset, length, _ in pieces:
        path = inside(archive, scheme, name)
        while True:
            start = time.monotonic()
            connection.request("GET", path, headers={"Range": f"bytes={offset}-{offset + length - 1}"})
            response = connection.getresponse()
            content = response.read()
            if response.status != 503:
                break
            time.sleep(float(response.headers["Retry-After"]))
        latencies.append(time.monotonic() - start)
        if response.status != 206:
            raise Refused(f"{response.status} {content.decode(errors='replace').splitlines()[-1]}")
        sums.append(zlib.crc32(content))
    return latencies, sums


def wait_for_index(cache):
    """Seconds until an index lies in the folder; 0 where none comes, for no index is written."""
    start = time.monotonic()
    while time.monotonic() - start < 3:
        if index_bytes(cache):
            return time.monotonic() - start
        time.sleep(0.005)
    return 0


def index_bytes(cache):
    return sum(os.path.getsize(path) for path in glob.glob(f"{cache}/**/*.index", recursive=True))


def bare_program():
    """Builds the program that inflates and does nothing else."""
    command = ["cargo", "bench", "--bench", "bare_inflate", "--no-run", "--message-format=json"]
    built = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = [json.loads(line) for line in built.stdout.splitlines()]
    return next(line["executable"] for line in lines
                if line.get("target", {}).get("name") == "bare_inflate" and line.get("executable"))


def expect(title, sums, right):
    wrong = sum(found != wanted for found, wanted in zip(sums, right, strict=True))
    if wrong:
        sys.exit(f"{title}: {wrong} of {len(right)} pieces differ")


def compared(times, peers):
    ours = statistics.median(times)
    peer = f" ({ours / statistics.median(peers):.2f} x ratarmount)" if peers else ""
    return f"{ours:.3f} s{peer}"


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
