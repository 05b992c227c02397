"""Connections to the server Envoy that behave as a holder who wants to stay longer than he may.

Each keeps ONE connection and never opens another by itself. What a client saw here is told beside
the judgement, but it is Envoy's access log that judges.
"""

import http.client
import math
import socket
import ssl
import time

import h2.config
import h2.connection
import h2.events

PAUSE_S = 0.03
ANSWER_S_MAX = 10
REFUSED = (ssl.SSLError, OSError, http.client.HTTPException)


class Target:
    """Where the server Envoy is, and how it is recognised: by the bundle, not by a host name."""

    def __init__(self, address, bundle):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.bundle = bundle

    def context(self, svid_dir=None, version=ssl.TLSVersion.TLSv1_3, alpn="http/1.1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # an SVID holds a URI SAN and no host name
        context.load_verify_locations(self.bundle)
        if svid_dir is not None:
            context.load_cert_chain(f"{svid_dir}/svid.pem", f"{svid_dir}/svid.key")
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols([alpn])
        return context

    def connect(self, context, session=None):
        plain = socket.create_connection(self.address, timeout=ANSWER_S_MAX)
        try:
            return context.wrap_socket(plain, session=session)
        except BaseException:
            plain.close()
            raise


class Http1:
    """One HTTP/1.1 connection. `auto_open` off: http.client would open a new one in silence."""

    def __init__(self, target, context, session=None):
        self.tls = target.connect(context, session)
        self.http = http.client.HTTPConnection(*target.address)
        self.http.sock = self.tls
        self.http.auto_open = 0

    def get(self, path):
        self.http.request("GET", path)
        response = self.http.getresponse()
        response.read()
        return response.status

    def stream(self, path, give_up_s):
        """Reads an endless answer until `give_up_s`; returns its status and whether it was cut."""
        self.http.request("GET", path)
        response = self.http.getresponse()
        try:
            while response.read1(65536) and time.time() < give_up_s:
                pass
        except REFUSED:
            return response.status, True
        return response.status, False

    def get_in_two_parts(self, path, second_part_at_s):
        """First bytes of the request now, the blank line that ends its head later."""
        self.tls.sendall(f"GET {path} HTTP/1.1\r\nhost: service\r\n".encode())
        wait_until(second_part_at_s)
        self.tls.sendall(b"\r\n")
        response = http.client.HTTPResponse(self.tls)
        response.begin()
        response.read()
        return response.status


class Http2:
    """One HTTP/2 connection with any number of streams, pumped by the caller."""

    def __init__(self, target, context):
        self.tls = target.connect(context)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.status = {}
        self.ended = {}  # stream id -> "end" or "reset"
        self.flush()

    def open(self, path):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", "-")]
        self.h2.send_headers(stream, head, end_stream=True)
        self.flush()
        return stream

    def finish(self, stream, give_up_s=math.inf):
        """Pumps until the stream has ended, one way or the other; returns its status."""
        while stream not in self.ended and time.time() < give_up_s:
            received = self.tls.recv(65536)
            if not received:
                raise ConnectionError("connection closed by the server")
            for event in self.h2.receive_data(received):
                self.note(event)
            self.flush()
        return self.status.get(stream)

    def note(self, event):
        match event:
            case h2.events.ResponseReceived():
                self.status[event.stream_id] = int(dict(event.headers)[":status"])
            case h2.events.DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                self.ended[event.stream_id] = "end"
            case h2.events.StreamReset():
                self.ended[event.stream_id] = "reset"
            case _:
                pass

    def flush(self):
        self.tls.sendall(self.h2.data_to_send())


def ask_past(end_s, ask, late_questions=10):
    """Asks every 30 ms until so many questions were sent after `end_s`, or the connection is cut.

    Returns how many were answered and whether the connection was cut: Envoy closes an HTTP/1.1
    connection when the limit of a stream falls into a running answer.
    """
    answers = 0
    late = 0
    while late < late_questions:
        late += time.time() >= end_s
        try:
            ask()
        except REFUSED:
            return {"answers": answers, "cut": True}
        answers += 1
        time.sleep(PAUSE_S)
    return {"answers": answers, "cut": False}


def wait_until(moment_s):
    while (left_s := moment_s - time.time()) > 0:
        time.sleep(left_s)


def refusal(attempt):
    """Runs `attempt`; returns the words of the refusal, or None when it was let in."""
    try:
        attempt()
    except REFUSED as error:
        return f"{type(error).__name__}: {error}"
    return None


def attempts_until_refused(attempt, attempts_max=100):
    """Repeats `attempt` until it is refused; returns what was answered before, and the refusal.

    At notAfter itself a handshake may still pass: TLS libraries read a coarse clock, which lags by
    milliseconds. What such a connection is answered is for the caller to judge.
    """
    answers = []
    for _ in range(attempts_max):
        words = refusal(lambda: answers.append(attempt()))
        if words is not None:
            return answers, words
        time.sleep(PAUSE_S)
    return answers, None
