#!/usr/bin/env python3
"""The service behind the server Envoy: it answers who asked, by the headers that Envoy set.

    echo.py PORT        prints the port it listens on: 0 takes a free one

`/stream` sends one line each 100 ms without end, every other path answers at once.
It knows nothing of certificates or scopes: that is the point of the demo.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.split("?")[0] == "/stream":
            return self.stream()
        body = f"{self.who()} asked for {self.path}\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        """Writes the chunks by hand: http.server has no chunked writer."""
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        line_number = 0
        try:
            while True:
                line_number += 1
                line = f"line {line_number} for {self.who()}\n".encode()
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                time.sleep(0.1)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def who(self):
        """Envoy writes `URI=<SPIFFE ID>` into this header and drops what a client sent."""
        for part in self.headers.get("x-forwarded-client-cert", "").split(";"):
            if part.startswith("URI="):
                return part.removeprefix("URI=").strip('"')
        return "nobody"

    def log_message(self, *_):
        """Envoy's access log is the record; a second one would only blur the demo's output."""


if __name__ == "__main__":
    ThreadingHTTPServer.daemon_threads = True
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo)
    print(server.server_port, flush=True)
    server.serve_forever()
