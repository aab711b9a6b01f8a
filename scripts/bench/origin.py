"""An HTTP origin that counts, is slow, cuts and fails on demand; and a path to a server that takes its time."""

import asyncio
import hashlib
import http.server
import random
import threading
import time
import urllib.parse

import servers


class Origin:
    """Objects of one size, each with content of its own, sent at so many bytes a second."""

    def __init__(self, size, rate):
        self.size, self.rate = size, rate
        self.lock = threading.Lock()
        self.requests, self.bytes, self.cuts, self.failures, self.words = {}, {}, {}, {}, {}
        self.contents = {}

    def content(self, name):
        with self.lock:
            if name not in self.contents:
                self.contents[name] = random.Random(name).randbytes(self.size)
            return self.contents[name]

    def asked(self, name):
        """Requests for content so far."""
        return len(self.statuses(name))

    def statuses(self, name):
        with self.lock:
            return list(self.requests.get(name, []))

    def sent(self, name):
        with self.lock:
            return self.bytes.get(name, 0)

    def cut(self, name, after, times):
        self.cuts[name] = [after, times]

    def fail(self, name, status):
        self.failures[name] = status

    def say(self, name, cache_control):
        self.words[name] = cache_control

    def __enter__(self):
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                origin.answer(self)

            def do_GET(self):
                origin.answer(self)

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # Who asks is killed, or leaves.

        self.server = Server(("127.0.0.1", servers.free_port(servers.LOW_PORTS)), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        name = urllib.parse.urlsplit(request.path).path.rstrip("/").rsplit("/", 1)[-1]
        content, start, end, status = self.content(name), 0, self.size, 200
        tag = '"' + hashlib.md5(name.encode()).hexdigest() + '"'
        asked = request.headers.get("Range", "")
        if name in self.failures:
            status, content, start, end = self.failures[name], b"", 0, 0
        elif request.headers.get("If-None-Match") == tag:
            status, end = 304, 0
        elif asked.startswith("bytes=") and request.headers.get("If-Range", tag) == tag:
            first, _, last = asked[6:].partition("-")
            start, end, status = int(first), min(int(last) + 1 if last else self.size, self.size), 206
        with self.lock:
            self.requests.setdefault(name, []).append(status)
        request.send_response(status)
        if status != 304:
            request.send_header("Content-Length", str(end - start))
        if status in (200, 206, 304):
            request.send_header("ETag", tag)
            request.send_header("Last-Modified", "Mon, 20 Nov 2023 12:00:00 GMT")
            request.send_header("Cache-Control", self.words.get(name, "max-age=3600"))
            request.send_header("Accept-Ranges", "bytes")
        if status == 206:
            request.send_header("Content-Range", f"bytes {start}-{end - 1}/{self.size}")
        request.end_headers()
        if request.command == "HEAD":
            return
        self.send(request, name, content, start, end)

    def send(self, request, name, content, start, end):
        piece = 64 << 10
        begun = time.monotonic()
        for at in range(start, end, piece):
            cut = self.cuts.get(name)
            if cut and cut[1] > 0 and at >= cut[0]:
                cut[1] -= 1
                request.close_connection = True
                request.connection.close()
                return
            part = content[at:min(at + piece, end)]
            try:
                request.wfile.write(part)
            except OSError:
                request.close_connection = True
                return
            with self.lock:
                self.bytes[name] = self.bytes.get(name, 0) + len(part)
            behind = (at + len(part) - start) / self.rate - (time.monotonic() - begun)
            if behind > 0:
                time.sleep(behind)


class Path:
    """A way to a server on which every byte takes `delay` seconds, in each direction."""

    def __init__(self, url, delay):
        parts = urllib.parse.urlsplit(url)
        self.target, self.delay = (parts.hostname, parts.port), delay

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def listen():
            server = await asyncio.start_server(self.connect, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            ready.set()

        def work():
            self.loop.run_until_complete(listen())
            self.loop.run_forever()

        threading.Thread(target=work, daemon=True).start()
        ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def connect(self, near_reader, near_writer):
        # A handshake is a round trip.
        await asyncio.sleep(2 * self.delay)
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        await asyncio.gather(self.carry(near_reader, far_writer), self.carry(far_reader, near_writer))

    async def carry(self, reader, writer):
        queue = asyncio.Queue(maxsize=4096)

        async def deliver():
            while item := await queue.get():
                due, piece = item
                wait = due - self.loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                writer.write(piece)
                await writer.drain()
            writer.close()

        delivering = asyncio.ensure_future(deliver())
        try:
            while piece := await reader.read(256 << 10):
                await queue.put((self.loop.time() + self.delay, piece))
        except OSError:
            pass
        await queue.put(None)
        try:
            await delivering
        except OSError:
            pass
