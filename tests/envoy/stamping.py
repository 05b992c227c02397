"""The services behind the Envoy of a module's test: they stamp what they send with the time.

A stamp is `<Unix time in microseconds>` and a line feed. Whoever sees one that was made at or after
notAfter has been let through too long.
"""

import socketserver
import threading
import time

PUSH_EVERY_S = 0.002


class Tcp(socketserver.StreamRequestHandler):
    """`push` at once for who says so, a greeting first, and otherwise echo."""

    def handle(self):
        try:
            self.wfile.write(b"hello\n")
            first = self.rfile.readline()
            if first == b"push\n":
                push(self.wfile.write)
            while first:
                self.wfile.write(first)
                first = self.rfile.readline()
        except OSError:
            pass


class Web(socketserver.StreamRequestHandler):
    """HTTP/1.1 by hand: `/stream` without end, an upgrade that echoes, and a short answer."""

    def handle(self):
        try:
            while self.answer():
                pass
        except OSError:
            pass

    def answer(self):
        line = self.rfile.readline().decode()
        headers = {}
        while (header := self.rfile.readline().decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        if not line:
            return False
        if headers.get("upgrade") == "websocket":
            head = "HTTP/1.1 101 ok\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"
            self.wfile.write(head.encode())
            while read := self.rfile.readline():
                self.wfile.write(read)
            return False
        if line.split(" ")[1].startswith("/stream"):
            kind = headers.get("content-type", "text/plain")
            head = f"HTTP/1.1 200 ok\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
            self.wfile.write(head.encode())
            push(lambda piece: self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece)))
        self.wfile.write(b"HTTP/1.1 200 ok\r\ncontent-length: 0\r\n\r\n")
        return True


def push(write):
    while True:
        write(stamp())
        time.sleep(PUSH_EVERY_S)


def stamp():
    return b"%d\n" % (time.time_ns() // 1000)


def serve(handler):
    """Starts a service; returns its port."""
    socketserver.ThreadingTCPServer.daemon_threads = True
    socketserver.ThreadingTCPServer.request_queue_size = 64
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
