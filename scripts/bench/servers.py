"""Starts the servers that are measured, each on a free port of 127.0.0.1, and reads what they cost."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time

# Control groups count finely, and also what a process took that nobody waited for.
GROUPS = next(path for path in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup") if os.path.isdir(path))


# apt-cacher-ng takes ports for signed: of 32,768 and above it says "Error resolving address for binding", and it dials none.
LOW_PORTS = range(20000, 32768)


def free_port(among=(0,)):
    """A port that nobody listens on; 0 stands for any."""
    for port in among:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise SystemExit("no port is free")


class Server:
    """A running server: its URLs and the processes that belong to it."""

    def __init__(self, name, process, urls, group):
        self.name = name
        self.process = process
        self.urls = urls
        self.group = group

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
        """CPU seconds so far, of all processes that ever belonged to the server."""
        if GROUPS.endswith("cpuacct"):
            with open(os.path.join(self.group, "cpuacct.usage")) as usage:
                return int(usage.read()) / 1e9
        with open(os.path.join(self.group, "cpu.stat")) as stat:
            return next(int(line.split()[1]) for line in stat if line.startswith("usage_usec")) / 1e6

    def pss_kib(self):
        """Proportional set size of all processes, in KiB."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/smaps_rollup") as rollup:
                    total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        return total

    def peak_kib(self):
        """The most that the server's own process has held at once, in KiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

    def rss_kib(self):
        """What its own process holds now, in KiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

    def read_bytes(self):
        """Bytes that its process has read from files and sockets so far."""
        with open(f"/proc/{self.process.pid}/io") as counters:
            return next(int(line.split()[1]) for line in counters if line.startswith("rchar:"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with contextlib.suppress(OSError):
            os.rmdir(self.group)


def start(name, arguments, **how):
    """Starts a server in a control group of its own, which counts the CPU time of all that it forks."""
    group = os.path.join(GROUPS, f"bench-{os.getpid()}-{name}")
    os.makedirs(group, exist_ok=True)

    def join():
        with open(os.path.join(group, "cgroup.procs"), "w") as processes:
            processes.write(str(os.getpid()))

    return Server(name, subprocess.Popen(arguments, preexec_fn=join, **how), {}, group)


@contextlib.contextmanager
def vfsd(program, folder, extra=(), level="error", **how):
    arguments = [program, "serve", "--http", "127.0.0.1:0", "--ftp", "127.0.0.1:0", "--log", level, *extra,
                 f"/={folder}"]
    server = start("vfsd", arguments, stdout=subprocess.PIPE, text=True, **how)
    while len(server.urls) < 2:
        line = server.process.stdout.readline()
        if not line:
            raise SystemExit(f"vfsd ended: {' '.join(arguments)}")
        scheme, colon, _ = line.partition("://")
        if colon:
            server.urls[scheme] = line.strip()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def nginx(folder):
    port = free_port()
    with tempfile.TemporaryDirectory() as private, nginx_in(private, port, f"""
  keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; autoindex on; }}""") as server:
        yield server


@contextlib.contextmanager
def nginx_in(private, port, directives):
    """nginx with these directives for HTTP, its own files in `private`."""
    config = os.path.join(private, "nginx.conf")
    with open(config, "w") as file:
        file.write(f"""
daemon off; user root; worker_processes 1; pid {private}/pid; error_log {private}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; sendfile on; tcp_nopush on; types {{ }}
  client_body_temp_path {private}/b; proxy_temp_path {private}/p; fastcgi_temp_path {private}/f;
  uwsgi_temp_path {private}/u; scgi_temp_path {private}/s;
  {directives}
}}""")
    with listening("nginx", ["nginx", "-c", config, "-p", private], "http", port) as server:
        yield server


def identity(folder):
    """A certificate for localhost and its key, in one file."""
    path = os.path.join(folder, "identity.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", path, "-out", f"{path}.crt"],
                   check=True, stderr=subprocess.DEVNULL)
    with open(path, "a") as both, open(f"{path}.crt") as certificate:
        both.write(certificate.read())
    return path


@contextlib.contextmanager
def vsftpd(folder, identity=None):
    """Anonymous may add files, as everybody may who logs in to the others. `identity` is a file for TLS."""
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
anon_upload_enable=YES
write_enable=YES
max_clients=0
max_per_ip=0
secure_chroot_dir={private}
use_sendfile=YES
seccomp_sandbox=NO
pasv_address=127.0.0.1
""")
            if identity:
                file.write(f"""ssl_enable=YES
allow_anon_ssl=YES
rsa_cert_file={identity}
ssl_ciphers=HIGH
require_ssl_reuse=NO
""")
        with listening("vsftpd", ["vsftpd", config], "ftp", port) as server:
            yield server


@contextlib.contextmanager
def pure_ftpd(program, folder, identity=None):
    port = free_port()
    # Its anonymous users see the home of the user ftp and nothing else: there the folder is mounted, for it alone.
    home = pwd.getpwnam("ftp").pw_dir
    mount = f'mount --bind "{folder}" "{home}" && exec "$@"'
    options = ["-S", f"127.0.0.1,{port}", "-e", "-H", "-4", "-c", "20000", "-C", "20000", "-I", "60", "-L", "1000000:5"]
    if identity:
        options += ["-Y", "1", "-2", identity]
    arguments = ["unshare", "--mount", "sh", "-c", mount, "sh", program, *options]
    with listening("pure-ftpd", arguments, "ftp", port) as server:
        yield server


@contextlib.contextmanager
def listening(name, arguments, scheme, port, **how):
    """A server from its first answer on, to the end of the block."""
    server = start(name, arguments, stderr=subprocess.DEVNULL, **how)
    server.urls[scheme] = f"{scheme}://127.0.0.1:{port}/"
    try:
        wait_for(port)
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
