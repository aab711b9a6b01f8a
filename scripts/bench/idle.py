"""Memory of an idle connection: HTTP kept alive after one request, FTP logged in."""

import resource
import socket
import tempfile
import time
import urllib.parse

import servers


def add_arguments(parser):
    parser.add_argument("--connections", type=int, default=10000, help="how many (default 10000)")


def run(arguments):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for protocol, talk in (("http", ask_once), ("ftp", log_in)):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/small.txt", "w") as file:
                file.write("x" * 1000)
            with servers.vfsd(arguments.vfsd, folder) as server:
                measure(arguments, server, protocol, talk)


def measure(arguments, server, protocol, talk):
    address = urllib.parse.urlsplit(server.urls[protocol])
    address = (address.hostname, address.port)
    talk(address).close()
    before, start = server.pss_kib(), time.monotonic()
    connections = [talk(address) for _ in range(arguments.connections)]
    seconds = time.monotonic() - start
    # What the allocator keeps for connections that were busy a moment ago counts too: nothing is waited for.
    grown = server.pss_kib() - before
    for connection in connections:
        connection.settimeout(0.0)
        try:
            raise SystemExit(f"{protocol}: a connection was closed: {connection.recv(1000)!r}")
        except BlockingIOError:
            pass
    print(f"{protocol}: {grown / arguments.connections:.1f} KiB each ({arguments.connections} connections opened in "
          f"{seconds:.1f} s; {before} KiB before, {before + grown} KiB with them)", flush=True)


def ask_once(address):
    connection = socket.create_connection(address)
    connection.sendall(b"GET /small.txt HTTP/1.1\r\nHost: bench\r\n\r\n")
    answer = b""
    while not answer.endswith(b"x" * 1000):
        answer += receive(connection)
    return connection


def log_in(address):
    connection = socket.create_connection(address)
    expect(connection, b"220")
    for command, reply in ((b"USER anonymous\r\n", b"331"), (b"PASS bench@\r\n", b"230")):
        connection.sendall(command)
        answer = expect(connection, reply, b"230")
        if answer.startswith(b"230"):
            break
    return connection


def expect(connection, *replies):
    answer = b""
    while not answer.endswith(b"\n"):
        answer += receive(connection)
    if not answer.startswith(replies):
        raise SystemExit(f"unexpected answer: {answer!r}")
    return answer


def receive(connection):
    piece = connection.recv(65536)
    if not piece:
        raise SystemExit("the server closed the connection")
    return piece
