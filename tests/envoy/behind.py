#!/usr/bin/env python3
"""The services behind the Envoys that `protem mesh` prints.

    behind.py http    what `deploy/demo/echo.py` does, WebSocket at /ws and both ways at /duplex
    behind.py grpc    HTTP/2 without TLS: sends back what comes in, as it comes in
    behind.py tcp     sends back what comes in, and a dot each 100 ms

Each prints the free port that it took. They know nothing of certificates or scopes.
"""

import os
import socket
import socketserver
import sys
import threading
import time
from http.server import ThreadingHTTPServer

import h2.config
import h2.connection
import h2.events

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "demo"))
from echo import Echo  # noqa: E402

CUT = (BrokenPipeError, ConnectionResetError)
PAUSE_S = 0.1


class Http(Echo):
    def do_GET(self):
        if self.headers.get("upgrade", "").lower() != "websocket":
            return super().do_GET()
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", "websocket")
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        push_and_echo(self.connection)

    def do_POST(self):
        """Each chunk goes back as it came. http.server has neither reader nor writer of chunks."""
        self.send_response(200)
        self.send_header("content-type", self.headers.get("content-type", "text/plain"))
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            while size := int(self.rfile.readline() or b"0", 16):
                chunk = self.rfile.read(size)
                self.rfile.readline()
                self.wfile.write(b"%x\r\n%b\r\n" % (size, chunk))
            self.wfile.write(b"0\r\n\r\n")
        except CUT:
            self.close_connection = True


class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        push_and_echo(self.request)


class Grpc(socketserver.BaseRequestHandler):
    def handle(self):
        link = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        link.initiate_connection()
        try:
            self.request.sendall(link.data_to_send())
            while received := self.request.recv(65536):
                for event in link.receive_data(received):
                    answer(link, event)
                self.request.sendall(link.data_to_send())
        except CUT:
            pass


def answer(link, event):
    match event:
        case h2.events.RequestReceived():
            head = [(":status", "200"), ("content-type", "application/grpc")]
            link.send_headers(event.stream_id, head)
        case h2.events.DataReceived():
            link.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            link.send_data(event.stream_id, event.data)
        case h2.events.StreamEnded():
            link.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
        case _:
            pass


def push_and_echo(link):
    def push():
        try:
            while True:
                link.sendall(b".")
                time.sleep(PAUSE_S)
        except OSError:
            pass

    threading.Thread(target=push, daemon=True).start()
    try:
        while received := link.recv(65536):
            link.sendall(received)
    except OSError:
        pass
    finally:
        try:
            link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


def main():
    where = ("127.0.0.1", 0)
    match sys.argv[1]:
        case "http":
            ThreadingHTTPServer.daemon_threads = True
            server = ThreadingHTTPServer(where, Http)
        case "grpc":
            server = Threads(where, Grpc)
        case "tcp":
            server = Threads(where, Tcp)
        case other:
            sys.exit(f"error: no kind `{other}`")
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
