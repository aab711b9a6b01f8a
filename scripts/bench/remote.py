"""Latency of other mounts while one mount's site never answers, one trickles, and one has clients that do not read.

Rounds take turns between a server without such mounts and one with them, so that the machine's other work meets both.
Nothing is kept of the sites (`--cache off`): every request for them goes to them.
"""

import contextlib
import http.client
import socket
import statistics
import tempfile
import threading
import time
import urllib.parse

import servers

# Requests that wait for the site that never answers, readers of the one that trickles, and clients that do not read.
WAITING, TRICKLED, STALLED = 20, 4, 4

PARTS = ["mounts", "clients"]


def add_arguments(parser):
    parser.add_argument("--rounds", type=int, default=10, help="how many, each with both servers (default 10)")
    parser.add_argument("--requests", type=int, default=500, help="requests of one round (default 500)")
    parser.add_argument("--part", choices=PARTS, action="append", help="one of them (default all; repeatable)")


def run(arguments):
    with tempfile.TemporaryDirectory() as folder, Site() as site:
        for number in range(20):
            with open(f"{folder}/file{number}", "w") as file:
                file.write("content" * 100)
        parts = arguments.part or PARTS
        uncached = ["--cache", "off"]
        troubles = [f"/{name}={site.url(name)}" for name in ("hung", "trickling", "large")]
        with servers.vfsd(arguments.vfsd, folder, uncached) as without, \
             servers.vfsd(arguments.vfsd, folder, uncached + troubles[2:]) as fresh, \
             servers.vfsd(arguments.vfsd, folder, uncached + troubles) as troubled:
            if "mounts" in parts:
                for _ in range(WAITING):
                    threading.Thread(target=wait_again_and_again, args=(troubled, "/hung/x"), daemon=True).start()
                hold(troubled, "/trickling/x", TRICKLED)
                compare("a hung and a trickling mount, others", arguments, without, troubled, "/file0")
            if "clients" in parts:
                hold(troubled, "/large/x", STALLED, receive=4096)
                compare("and four stalled clients, other mounts", arguments, without, troubled, "/file0")
                # Their own mount: a fifth client, whom the four keep from the site's connections until they count as slow.
                latencies(troubled, "/large/small", 1)
                compare("four stalled clients, their own mount", arguments, fresh, troubled, "/large/small")


def compare(name, arguments, without, troubled, path):
    """Prints the ratio of the 99th percentiles, the median of the rounds, and the longest of all."""
    requests = arguments.requests
    for server in (without, troubled):
        latencies(server, path, requests)
    ratios, before, after, longest = [], [], [], 0.0
    for _ in range(arguments.rounds):
        pair = [latencies(server, path, requests) for server in (without, troubled)]
        quiet, busy = (percentile(sample) for sample in pair)
        ratios.append(busy / quiet)
        before.append(quiet)
        after.append(busy)
        longest = max(longest, *pair[1])
    print(f"{name}: p99 {statistics.median(before) * 1e3:.2f} ms without, {statistics.median(after) * 1e3:.2f} ms with, "
          f"ratio {statistics.median(ratios):.2f} (goal 1.5), longest {longest * 1e3:.1f} ms (goal 100)", flush=True)


def latencies(server, path, requests):
    address = urllib.parse.urlsplit(server.urls["http"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    taken = []
    for _ in range(requests):
        start = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        taken.append(time.perf_counter() - start)
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
    connection.close()
    return taken


def percentile(sample):
    return sorted(sample)[int(len(sample) * 0.99)]


def hold(server, path, count, receive=None):
    """Clients that ask for `path` and read nothing."""
    address = urllib.parse.urlsplit(server.urls["http"])
    clients = []
    for _ in range(count):
        client = socket.socket()
        if receive:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.connect((address.hostname, address.port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        clients.append(client)
    time.sleep(0.5)
    HELD.extend(clients)
    return clients


# Kept open until the program ends.
HELD = []


def wait_again_and_again(server, path):
    """A client that asks for what never comes, and asks anew when it is told so."""
    address = urllib.parse.urlsplit(server.urls["http"])
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(address.hostname, address.port)
            connection.request("GET", path)
            connection.getresponse().read()
        time.sleep(1)


class Site:
    """The sites of all mounts: by the first part of the path they hang, trickle or are large."""

    LARGE = 64 << 20

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def url(self, name):
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/{name}/"

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(client,), daemon=True).start()

    def talk(self, client):
        # Its own delays are not what is measured.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with client, client.makefile("rb") as lines:
                while request := lines.readline():
                    fields = dict(line.decode().lower().split(": ", 1) for line in iter(lines.readline, b"\r\n"))
                    self.answer(client, request.split()[1].decode(), fields.get("range", "").strip())
        except OSError:
            pass

    def answer(self, client, path, wanted):
        if path.startswith("/hung/"):
            time.sleep(3600)
        elif path.startswith("/trickling/"):
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nETag: \"t\"\r\n\r\n")
            while True:
                client.sendall(b"x")
                time.sleep(0.2)
        else:
            total = 700 if path.endswith("small") else self.LARGE
            first, _, last = wanted.removeprefix("bytes=").partition("-") if wanted else ("0", "", "")
            first, end = int(first), int(last) + 1 if last else total
            status = f"206 Partial Content\r\nContent-Range: bytes {first}-{end - 1}/{total}" if wanted else "200 OK"
            client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {end - first}\r\nETag: \"l\"\r\n\r\n".encode())
            piece = b"x" * 65536
            while first < end:
                first += client.send(piece[:end - first])
