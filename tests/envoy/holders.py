"""One holder of each kind of connection, who stays as long as he is let.

Each returns his port, and the stamps of what came through, in microseconds: made by himself before
he sent what was answered, or by the service behind before it sent what arrived.
"""

import sys
import time

import stamping
from clients import REFUSED, Http1, Http2, refusal

# Only a broken run reaches it.
END_S_MAX = 60


class Lines:
    """Lines over one TLS connection: raw TCP, or what an upgrade left behind."""

    def __init__(self, tls):
        self.tls = tls
        self.rest = b""

    def read(self):
        while b"\n" not in self.rest:
            received = self.tls.recv(65536)
            if not received:
                raise ConnectionError("closed by the server")
            self.rest += received
        line, _, self.rest = self.rest.partition(b"\n")
        return line


def http1(house, context):
    connection = Http1(house.http, context)
    return port_of(connection.tls), asked_until_cut(lambda: connection.get("/"))


def http2(house, context):
    """Short requests beside a stream that never ends, on one connection."""
    connection = Http2(house.http, context)
    stamps = watched(connection)
    connection.open("/stream")
    ask = lambda: connection.finish(connection.open("/"))
    return port_of(connection.tls), asked_until_cut(ask) + stamps


def grpc(house, context):
    """One call with an answer that never ends."""
    connection = Http2(house.http, context)
    stamps = watched(connection)
    stream = connection.h2.get_next_available_stream_id()
    head = [(":method", "POST"), (":path", "/stream"), (":scheme", "https"), (":authority", "-")]
    head += [("content-type", "application/grpc"), ("te", "trailers")]
    connection.h2.send_headers(stream, head, end_stream=True)
    connection.flush()
    refusal(lambda: connection.finish(stream))
    return port_of(connection.tls), stamps


def websocket(house, context):
    tls = house.http.connect(context)
    head = "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    tls.sendall(head.encode())
    lines = Lines(tls)
    while lines.read() != b"\r":
        pass
    return port_of(tls), echoed_until_cut(lines)


def tcp_busy(house, context):
    lines = greeted(house, context)
    return port_of(lines.tls), echoed_until_cut(lines)


def tcp_push(house, context):
    lines = greeted(house, context)
    lines.tls.sendall(b"push\n")
    stamps = []
    refusal(lambda: [stamps.append(int(lines.read())) for _ in iter(int, 1)])
    return port_of(lines.tls), stamps


def tcp_idle(house, context):
    lines = greeted(house, context)
    refusal(lines.read)
    return port_of(lines.tls), []


def http1_idle(house, context):
    connection = Http1(house.http, context)
    connection.get("/")
    port = port_of(connection.tls)
    connection.tls.settimeout(END_S_MAX)
    refusal(lambda: connection.tls.recv(1))
    return port, []


KINDS = [http1, http1_idle, http2, grpc, websocket, tcp_busy, tcp_idle, tcp_push]


def port_of(tls):
    # After the server has closed, a socket does not know whom it was connected with.
    return tls.getsockname()[1]


def greeted(house, context):
    tls = house.tcp.connect(context)
    tls.settimeout(END_S_MAX)
    lines = Lines(tls)
    lines.read()
    return lines


def watched(connection):
    """The stamps in all that comes over an HTTP/2 connection."""
    stamps, note = [], connection.note

    def and_note(event):
        if data := getattr(event, "data", None):
            stamps.extend(int(line) for line in data.split())
        note(event)

    connection.note = and_note
    return stamps


def asked_until_cut(ask):
    """Stamps made before each question that was answered."""
    stamps = []
    give_up_s = time.time() + END_S_MAX
    try:
        while time.time() < give_up_s:
            stamp = time.time_ns() // 1000
            ask()
            stamps.append(stamp)
            time.sleep(0.001)
    except REFUSED:
        pass
    return stamps


def echoed_until_cut(lines):
    def ask():
        sent = stamping.stamp()
        lines.tls.sendall(sent)
        if lines.read() + b"\n" != sent:
            sys.exit("error: the echo is not what was sent")

    return asked_until_cut(ask)
