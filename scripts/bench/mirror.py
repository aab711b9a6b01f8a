"""Mirrors of one origin, beside nginx (proxy_cache, slice), squid and apt-cacher-ng: requests, first bytes, CPU.

The origin sends an object of 8 MiB at 4 MiB/s. Each case has an object of its own; counted is what reaches the origin.
Needs nginx; squid and apt-cacher-ng are left out where they are not installed.
"""

import contextlib
import http.client
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse

import origin as origins
import servers

SIZE = 8 << 20
AT = 4 << 20


def add_arguments(parser):
    parser.add_argument("--part", choices=["table", "hit", "miss"], default="table",
                        help="what happens in which case; CPU of hits; speed over a path of 50 ms")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of hit and miss (default 5)")


def run(arguments):
    {"table": table, "hit": hit, "miss": miss}[arguments.part](arguments)


# The mirrors: each is started before one origin and gives the URL under which that is found.


@contextlib.contextmanager
def vfsd(program, upstream, folder):
    arguments = [program, "serve", "--http", "127.0.0.1:0", "--ftp", "off", "--log", "error", "--control", "off",
                 "--cache", folder, f"/o={upstream}"]
    server = servers.start("vfsd", arguments, stdout=subprocess.PIPE, text=True)
    url = server.process.stdout.readline().strip()
    try:
        yield server, url + "o/"
    finally:
        server.stop()


@contextlib.contextmanager
def nginx(upstream, folder, extra):
    port = servers.free_port()
    with servers.nginx_in(folder, port, f"""
  proxy_cache_path {folder}/c keys_zone=c:10m max_size=10g use_temp_path=off;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {upstream}; proxy_http_version 1.1; proxy_cache c; proxy_cache_lock on;
      proxy_cache_revalidate on; proxy_cache_use_stale error timeout http_503;
      {extra}
    }}
  }}""") as server:
        yield server, f"http://127.0.0.1:{port}/"


SLICE = """slice 1m; proxy_cache_key $uri$slice_range; proxy_set_header Range $slice_range;
      proxy_cache_valid 200 206 1h;"""


@contextlib.contextmanager
def squid(upstream, folder):
    port, host = servers.free_port(), urllib.parse.urlsplit(upstream)
    os.chmod(folder, 0o777)
    config = os.path.join(folder, "squid.conf")
    with open(config, "w") as file:
        file.write(f"""
http_port 127.0.0.1:{port} accel defaultsite={host.netloc} no-vhost
cache_peer {host.hostname} parent {host.port} 0 no-query originserver name=o
http_access allow all
cache_peer_access o allow all
collapsed_forwarding on
cache_dir ufs {folder}/cache 10240 16 16
maximum_object_size 4 GB
cache_mem 64 MB
pid_filename {folder}/pid
cache_log {folder}/cache.log
access_log none
coredump_dir {folder}
pinger_enable off
shutdown_lifetime 1 seconds
cache_effective_user proxy
""")
    subprocess.run(["squid", "-f", config, "-N", "-z"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    with servers.listening("squid", ["squid", "-f", config, "-N"], "http", port) as server:
        yield server, f"http://127.0.0.1:{port}/"


@contextlib.contextmanager
def acng(upstream, folder):
    port = servers.free_port(servers.LOW_PORTS)
    os.chmod(folder, 0o777)
    arguments = ["ForeGround=1", f"Port={port}", "BindAddress=127.0.0.1", f"CacheDir={folder}/cache",
                 f"LogDir={folder}", "SupportDir=/usr/lib/apt-cacher-ng", f"Remap-o=/o ; {upstream}",
                 "VfilePatternEx=.*volatile.*", "PfilePatternEx=.*"]
    with servers.listening("acng", ["apt-cacher-ng", *arguments], "http", port) as server:
        yield server, f"http://127.0.0.1:{port}/o/"


def mirrors(program):
    """All that are installed, by name."""
    found = {
        "vfsd": lambda upstream, folder: vfsd(program, upstream, folder),
        "nginx": lambda upstream, folder: nginx(upstream, folder, ""),
        "nginx slice": lambda upstream, folder: nginx(upstream, folder, SLICE),
    }
    if shutil.which("squid"):
        found["squid"] = squid
    if shutil.which("apt-cacher-ng"):
        found["acng"] = acng
    return found


# A client.


class Got:
    """What one request came to."""

    def __init__(self, url, headers=None, leave_after=None):
        parts = urllib.parse.urlsplit(url)
        begun = time.monotonic()
        self.first_byte = self.status = None
        self.bytes, self.is_whole, self.headers = bytearray(), False, {}
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        try:
            connection.request("GET", parts.path, headers=headers or {})
            answer = connection.getresponse()
            self.status, self.headers = answer.status, dict(answer.headers)
            while piece := answer.read1(65536):
                self.first_byte = self.first_byte or time.monotonic() - begun
                self.bytes += piece
                if leave_after and len(self.bytes) >= leave_after:
                    return
            stated = answer.headers.get("Content-Length")
            self.is_whole = stated is None or int(stated) == len(self.bytes)
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        self.took = time.monotonic() - begun


def crowd(url, offsets):
    """Clients that start at these seconds."""
    got = [None] * len(offsets)

    def fetch(number, after):
        time.sleep(after)
        got[number] = Got(url)

    threads = [threading.Thread(target=fetch, args=pair) for pair in enumerate(offsets)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def ms(seconds):
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"


# The cases of the table. Each gives a cell of text.


def three(site, url):
    got = crowd(url("three"), [0, 0.5, 1])
    good = all(bytes(one.bytes) == site.content("three") for one in got)
    return f"{site.asked('three')}; {ms(got[1].first_byte)}, {ms(got[2].first_byte)}{'' if good else ' WRONG'}"


def fifty(site, url):
    first = threading.Thread(target=Got, args=[url("fifty")])
    first.start()
    time.sleep(0.5)
    late, bodies = patient_crowd(url("fifty"), 49)
    first.join()
    good = all(body == site.content("fifty") for body in bodies)
    return f"{site.asked('fifty')}; {ms(statistics.median(late))}, worst {ms(max(late))}{'' if good else ' WRONG'}"


def patient_crowd(url, count):
    """Clients that come every 2 ms: when each sees the first byte, and all that it gets.

    They read on when all have seen one, in one thread: else they would measure how they wait for each other.
    """
    parts = urllib.parse.urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    waiting, got, firsts = selectors.DefaultSelector(), {}, []
    for number in range(count):
        client = socket.create_connection((parts.hostname, parts.port))
        client.sendall(request)
        got[client] = [time.monotonic(), bytearray()]
        waiting.register(client, selectors.EVENT_READ)
        look(waiting, got, firsts, time.monotonic() + 0.002)
    look(waiting, got, firsts, time.monotonic() + 30)
    bodies = []
    for client, (_, bytes_) in got.items():
        while piece := client.recv(1 << 20):
            bytes_ += piece
        client.close()
        bodies.append(bytes(bytes_).partition(b"\r\n\r\n")[2])
    return firsts + [30] * (count - len(firsts)), bodies


def look(waiting, got, firsts, until):
    """Notes who sees a first byte before `until`."""
    while waiting.get_map() and (left := until - time.monotonic()) > 0:
        for key, _ in waiting.select(left):
            begun, bytes_ = got[key.fileobj]
            piece = key.fileobj.recv(4096)
            bytes_ += piece
            if not piece or bytes_.partition(b"\r\n\r\n")[2]:
                firsts.append(time.monotonic() - begun)
                waiting.unregister(key.fileobj)


def cold_range(site, url):
    fields = {"Range": f"bytes={AT}-{AT + 9}"}
    first = Got(url("range"), fields)
    sent, asked = site.sent("range"), site.asked("range")
    right = bytes(first.bytes) == site.content("range")[AT:AT + 10]
    time.sleep(0.2)
    Got(url("range"), fields)
    return f"{sent >> 10} KiB, {ms(first.first_byte)}{'' if right else ', not the range'}; again {site.asked('range') - asked}"


def leaving(site, url):
    Got(url("leaving"), leave_after=1 << 20)
    time.sleep(4)
    before = site.sent("leaving")
    got = Got(url("leaving"))
    right = bytes(got.bytes) == site.content("leaving")
    return f"{before >> 10} KiB, then {(site.sent('leaving') - before) >> 10}{'' if right else ' WRONG'}"


def cut(site, url):
    site.cut("cut", SIZE // 2, 1)
    got = Got(url("cut"))
    kept_right = site.content("cut").startswith(bytes(got.bytes))
    again = Got(url("cut"))
    return (f"{'goes on' if got.is_whole and len(got.bytes) == SIZE else 'cut'}"
            f"{'' if kept_right and bytes(again.bytes) == site.content('cut') else ' WRONG'}, {site.sent('cut') >> 10} KiB")


def expiry(site, url):
    site.say("volatile-304", "max-age=1")
    Got(url("volatile-304"))
    time.sleep(2.5)
    got = Got(url("volatile-304"), {"Cache-Control": "max-age=0"})
    return f"{' '.join(map(str, site.statuses('volatile-304')))}; {got.status}"


def trouble(site, url):
    site.say("volatile-503", "max-age=1")
    Got(url("volatile-503"))
    site.fail("volatile-503", 503)
    time.sleep(2.5)
    got = Got(url("volatile-503"), {"Cache-Control": "max-age=0"})
    told = got.headers.get("Cache-Status") or got.headers.get("cache-status") or ""
    return f"{got.status} {told}"


def missing(site, url):
    site.fail("missing", 404)
    for _ in range(2):
        Got(url("missing"))
    return str(site.asked("missing"))


CASES = {
    "3 clients at 0, 0.5, 1 s: requests; first byte of 2nd, 3rd": three,
    "50 clients: requests; first byte of the others": fifty,
    "cold range of 10 bytes: from the origin, first byte; requests of the repeat": cold_range,
    "a client leaves at 1 MiB: fetched after 4 s, then by the next": leaving,
    "the origin cuts at half": cut,
    "after max-age: what the origin answered; the client": expiry,
    "503 after max-age": trouble,
    "404 twice: requests": missing,
}


def table(arguments):
    cells = {}
    for name, mirror in mirrors(arguments.vfsd).items():
        try:
            cells |= {(case, name): found for case, found in measure_all(mirror)}
        except SystemExit as failure:  # It does not start on this machine.
            print(f"{name} is left out: {failure}")
    names = [name for name in mirrors(arguments.vfsd) if any(of == name for _, of in cells)]
    print("| |", " | ".join(names), "|")
    print("|---" * (len(names) + 1) + "|")
    for case in CASES:
        print("|", case, "|", " | ".join(cells[case, name] for name in names), "|")


def measure_all(mirror):
    """Each case, and what a mirror does in it."""
    with origins.Origin(SIZE, 4 << 20) as site, tempfile.TemporaryDirectory() as folder, \
            mirror(site.url, folder) as (_, base):
        for case, measure in CASES.items():
            try:
                yield case, measure(site, lambda path: base + path)
            except Exception as error:  # A peer that fails a case does not end the others.
                yield case, f"failed: {error}"


def fetch_quietly(url):
    subprocess.run(["curl", "-sS", "-o", "/dev/null", url], check=True)


def hit(arguments):
    """CPU seconds per GiB of files that are kept."""
    size = 256 << 20
    costs = {"vfsd": [], "nginx": []}
    with tempfile.TemporaryDirectory() as source:
        with open(os.path.join(source, "f"), "wb") as file:
            file.write(os.urandom(1 << 20) * (size >> 20))
        os.chmod(source, 0o755)
        with servers.nginx(source) as site, contextlib.ExitStack() as stack:
            upstream = site.urls["http"]
            running = {}
            for name, mirror in (("vfsd", mirrors(arguments.vfsd)["vfsd"]), ("nginx", None)):
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                mirror = mirror or (lambda upstream, folder: nginx(upstream, folder, "proxy_cache_valid 200 1h;"))
                running[name] = stack.enter_context(mirror(upstream, folder))
                for _ in range(2):
                    fetch_quietly(running[name][1] + "f")
            for _ in range(arguments.rounds):
                for name, (server, base) in running.items():
                    before = server.cpu()
                    for _ in range(4):
                        fetch_quietly(base + "f")
                    costs[name].append(server.cpu() - before)
    medians = {name: statistics.median(cost) for name, cost in costs.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.3f} CPU s/GiB")
    print(f"vfsd / nginx: {medians['vfsd'] / medians['nginx']:.2f}")


def miss(arguments):
    """Throughput and first byte over a path of 50 ms, beside the same path without a mirror."""
    size = 64 << 20
    direct, through = [], []
    with tempfile.TemporaryDirectory() as source:
        for number in range(arguments.rounds):
            with open(os.path.join(source, f"f{number}"), "wb") as file:
                file.write(os.urandom(1 << 20) * (size >> 20))
        os.chmod(source, 0o755)
        with servers.nginx(source) as site, origins.Path(site.urls["http"], 0.025) as path, \
                tempfile.TemporaryDirectory() as folder, vfsd(arguments.vfsd, path.url, folder) as (_, base):
            # A connection to the site is there, as in a mirror that is in use; the direct one is made anew likewise.
            Got(base + "none")
            for number in range(arguments.rounds):
                direct.append(Got(f"{path.url}f{number}"))
                through.append(Got(f"{base}f{number}"))
    speeds = [statistics.median(SIZE_MIB / got.took for got in of) for SIZE_MIB, of in ((64, direct), (64, through))]
    firsts = [statistics.median(got.first_byte for got in of) for of in (direct, through)]
    print(f"direct: {speeds[0]:.1f} MiB/s, first byte {firsts[0] * 1000:.1f} ms")
    print(f"through vfsd: {speeds[1]:.1f} MiB/s, first byte {firsts[1] * 1000:.1f} ms")
    print(f"throughput: {speeds[1] / speeds[0]:.2f}; first byte: {(firsts[1] - firsts[0]) * 1000:+.1f} ms")
