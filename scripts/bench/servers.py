"""Starts the servers that are measured, each on a free port of 127.0.0.1, and reads what they cost."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server: its URLs and the processes that belong to it."""

    def __init__(self, name, process, urls):
        self.name = name
        self.process = process
        self.urls = urls

    def pids(self):
        """The server's process and all its descendants."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    with open(f"/proc/{entry}/stat") as stat:
                        parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                    children.setdefault(parent, []).append(int(entry))
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue.extend(children.get(pid, []))
        return found

    def cpu(self):
        """CPU seconds so far, of processes that are running and of those that the server has waited for."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                total += sum(int(field) for field in fields[11:15])
        return total / TICK

    def pss_kib(self):
        """Proportional set size of all processes, in KiB."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/smaps_rollup") as rollup:
                    total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def vfsd(program, folder, extra=()):
    arguments = [program, "serve", "--http", "127.0.0.1:0", "--ftp", "127.0.0.1:0", "--log", "error", *extra,
                 f"/={folder}"]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    urls = {}
    while len(urls) < 2:
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"vfsd ended: {' '.join(arguments)}")
        scheme, colon, _ = line.partition("://")
        if colon:
            urls[scheme] = line.strip()
    server = Server("vfsd", process, urls)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def nginx(folder):
    port = free_port()
    with tempfile.TemporaryDirectory() as private:
        config = os.path.join(private, "nginx.conf")
        with open(config, "w") as file:
            file.write(f"""
daemon off; user root; worker_processes 1; pid {private}/pid; error_log {private}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; types {{ }}
  client_body_temp_path {private}/b; proxy_temp_path {private}/p; fastcgi_temp_path {private}/f;
  uwsgi_temp_path {private}/u; scgi_temp_path {private}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; autoindex on; }}
}}""")
        process = subprocess.Popen(["nginx", "-c", config, "-p", private], stderr=subprocess.DEVNULL)
        server = Server("nginx", process, {"http": f"http://127.0.0.1:{port}/"})
        wait_for(port)
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def vsftpd(folder):
    port = free_port()
    with tempfile.TemporaryDirectory() as private:
        config = os.path.join(private, "vsftpd.conf")
        with open(config, "w") as file:
            file.write(f"""listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
anonymous_enable=YES
local_enable=NO
no_anon_password=YES
anon_root={folder}
secure_chroot_dir={private}
use_sendfile=YES
seccomp_sandbox=NO
pasv_address=127.0.0.1
""")
        process = subprocess.Popen(["vsftpd", config], stderr=subprocess.DEVNULL)
        server = Server("vsftpd", process, {"ftp": f"ftp://127.0.0.1:{port}/"})
        wait_for(port)
        try:
            yield server
        finally:
            server.stop()


def wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")
