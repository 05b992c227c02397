#!/usr/bin/env python3
"""Drives Envoys that `protem mesh envoy` printed, and judges by their access logs.

    mesh.py expiry  --server HOST:PORT --bundle FILE --base DIR --elevated DIR
                    --not-after EPOCH_S --log FILE
    mesh.py http    --server HOST:PORT --bundle FILE --base DIR --elevated DIR --right DIR
                    --not-after EPOCH_S --log FILE --bound-ms MS
    mesh.py grpc    --server HOST:PORT --bundle FILE --elevated DIR --not-after EPOCH_S --log FILE
    mesh.py tcp     --server HOST:PORT --bundle FILE --base DIR --elevated DIR --right DIR
                    --not-after EPOCH_S --log FILE --bound-ms MS

expiry  all of `drive.py expiry`, begun so late that no connection is drained by its age before
http    a base right beside the scope, WebSocket, a stream both ways, and the age of a connection
grpc    a stream both ways to a service that speaks HTTP/2 alone
tcp     who is let in, and that age ends a connection, whatever runs in it

Streams must end within a second after notAfter by Envoy's own times: by their age alone they would
end later by what had passed of the certificate's life when they began.
"""

import argparse
import concurrent.futures
import sys
import time

import drive
from clients import REFUSED, Http1, Http2, Target, attempts_until_refused, wait_until

LATE_MS_MAX = 1000
# Timers and the log's times are of two clocks.
EARLY_MS_MAX = 50
DRAIN_AND_CLOSE_MS = 2000
LATE_START_S = 4.5
GIVE_UP_S = 10
PAUSE_S = 0.1
ANSWERS_MAX = 10_000


def main():
    arguments = parse()
    report = drive.Report()
    arguments.run(arguments, report)
    return report.exit_code()


def expiry(arguments, report):
    wait_until(arguments.not_after - LATE_START_S)
    drive.expiry(arguments, report)


def http(arguments, report):
    end_s = arguments.not_after
    target = Target(arguments.server, arguments.bundle)
    log = drive.AccessLog(arguments.log)
    elevated = target.context(arguments.elevated)
    elevated_h2 = target.context(arguments.elevated, alpn="h2")
    for name, folder, expected in (("base", arguments.base, 403), ("right", arguments.right, 200)):
        status = Http1(target, target.context(folder)).get(log.path(name))
        report.check(f"{name}_svid", expected, status, status == expected)
    aged(target, elevated, log, arguments.bound_ms, report)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = {
            "websocket": pool.submit(websocket, target, elevated, log, end_s),
            "websocket_h2": pool.submit(websocket_h2, target, elevated_h2, log, end_s),
            "duplex": pool.submit(duplex, target, elevated_h2, log, end_s),
        }
        seen = {name: run.result() for name, run in runs.items()}
    for name, (status, cut) in seen.items():
        wanted = 101 if name == "websocket" else 200
        judge_end(report, name, log, end_s, (status == wanted and cut, status, cut))
    attempts = attempts_until_refused(lambda: Http1(target, elevated).get(log.path("late")))
    judge_refused(report, log, end_s, attempts)


def grpc(arguments, report):
    end_s = arguments.not_after
    target = Target(arguments.server, arguments.bundle)
    log = drive.AccessLog(arguments.log)
    context = target.context(arguments.elevated, alpn="h2")
    status, cut = duplex(target, context, log, end_s)
    judge_end(report, "duplex", log, end_s, (status == 200 and cut, status, cut))
    attempts = attempts_until_refused(lambda: target.connect(context).recv(1))
    judge_refused(report, log, end_s, attempts)


def tcp(arguments, report):
    end_s = arguments.not_after
    target = Target(arguments.server, arguments.bundle)
    log = drive.AccessLog(arguments.log)
    contexts = {
        name: target.context(folder)
        for name, folder in (
            ("base", arguments.base),
            ("right", arguments.right),
            ("elevated", arguments.elevated),
        )
    }
    for name, wanted in (("base", b""), ("right", b"."), ("elevated", b".")):
        words = one_byte(target, contexts[name])
        report.check(f"{name}_svid", repr(wanted), repr(words), words == wanted)
    # Begun while the certificate lives, so that its age ends it after notAfter.
    wait_until(end_s - LATE_START_S)
    with target.connect(contexts["elevated"]) as link:
        link.settimeout(GIVE_UP_S + arguments.bound_ms / 1000)
        kept = until_cut(link)
    ended = log.settle(lambda: of_age(log, end_s, arguments.bound_ms), 1)
    observed = {"duration_ms": [length for length, _ in ended], "bytes_at_client": kept}
    expected = f"one over notAfter, ended at {arguments.bound_ms} ms by its age"
    report.check("tcp_aged", expected, observed, [ok for _, ok in ended] == [True])
    attempts = attempts_until_refused(lambda: target.connect(contexts["elevated"]).recv(1))
    judge_refused(report, log, end_s, attempts)


def one_byte(target, context):
    try:
        with target.connect(context) as link:
            return link.recv(1)
    except REFUSED:
        return b""


def until_cut(link):
    received = 0
    try:
        while chunk := link.recv(65536):
            received += len(chunk)
            time.sleep(PAUSE_S / 5)
            link.sendall(b"x")
    except REFUSED:
        pass
    return received


def of_age(log, end_s, bound_ms):
    """Connections that began before notAfter and ended after it, each with whether at its bound."""
    found = []
    for line in log.lines("connection"):
        begin, length = int(line["start_ms"]), line["duration_ms"]
        if begin < end_s * 1000 < begin + length:
            found.append((length, bound_ms - EARLY_MS_MAX <= length < bound_ms + LATE_MS_MAX))
    return found


def aged(target, context, log, bound_ms, report):
    """The backstop: a connection that is kept busy is drained and closed by its age."""
    connection = Http1(target, context)
    connection.get(log.path("aged"))
    number = log.wait("aged", 1)[0]["connection"]
    attempts_until_refused(lambda: connection.get(log.path("aged")), ANSWERS_MAX)

    def ended():
        return [line for line in log.lines("connection") if line["connection"] == number]

    lines = log.settle(ended, 1)
    lengths = [line["duration_ms"] for line in lines]
    most = bound_ms + DRAIN_AND_CLOSE_MS + LATE_MS_MAX
    ok = len(lengths) == 1 and bound_ms - EARLY_MS_MAX <= lengths[0] < most
    report.check("aged", f"closed between {bound_ms} and {most} ms", lengths, ok)


def websocket(target, context, log, end_s):
    """Returns the status and whether it was cut, as all of these do."""
    connection = Http1(target, context)
    head = (
        f"GET /ws{log.mark('websocket')} HTTP/1.1\r\nhost: service\r\nconnection: upgrade\r\n"
        "upgrade: websocket\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    connection.tls.sendall(head.encode())
    first = connection.tls.recv(65536)
    status = int(first.split()[1])
    try:
        while time.time() < end_s + GIVE_UP_S:
            connection.tls.sendall(b"x")
            if not connection.tls.recv(65536):
                return status, True
    except REFUSED:
        return status, True
    return status, False


def websocket_h2(target, context, log, end_s):
    """The same as extended CONNECT (RFC 8441)."""
    head = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/ws" + log.mark("websocket_h2")),
        (":authority", "service"),
        ("sec-websocket-version", "13"),
    ]
    return both_ways(target, context, head, end_s)


def duplex(target, context, log, end_s):
    """As a gRPC call that streams both ways."""
    head = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/duplex" + log.mark("duplex")),
        (":authority", "service"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]
    return both_ways(target, context, head, end_s)


def both_ways(target, context, head, end_s):
    """Begun so late that no GOAWAY comes before: h2 gives a connection up at the first one."""
    wait_until(end_s - LATE_START_S)
    connection = Http2(target, context)
    stream = connection.h2.get_next_available_stream_id()
    connection.h2.send_headers(stream, head)
    connection.flush()
    connection.tls.settimeout(PAUSE_S)
    try:
        while stream not in connection.ended and time.time() < end_s + GIVE_UP_S:
            connection.h2.send_data(stream, b"\0\0\0\0\x01x")
            connection.flush()
            time.sleep(PAUSE_S)
            receive(connection)
    except REFUSED:
        return connection.status.get(stream), True
    return connection.status.get(stream), stream in connection.ended


def receive(connection):
    try:
        received = connection.tls.recv(65536)
    except TimeoutError:
        return
    if not received:
        raise ConnectionError("connection closed by the server")
    for event in connection.h2.receive_data(received):
        connection.note(event)
    connection.flush()


def judge_end(report, name, log, end_s, seen):
    line = log.wait(name, 1)[0]
    ended_ms = int(line["start_ms"]) + line["duration_ms"] - end_s * 1000
    ok, status, cut = seen
    observed = {"status": status, "cut": cut, "flags": line["flags"], "ended_ms": ended_ms}
    began_in_time = int(line["start_ms"]) < end_s * 1000
    ok = ok and began_in_time and line["flags"] == "UMSDR" and ended_ms < LATE_MS_MAX
    report.check(f"{name}_ends", f"by its limit, within {LATE_MS_MAX} ms of notAfter", observed, ok)


def judge_refused(report, log, end_s, attempts):
    _, words = attempts

    def expired():
        lines = [line for line in log.lines("connection") if int(line["start_ms"]) >= end_s * 1000]
        return [line for line in lines if "has_expired" in (line["tls_failure"] or "")]

    number = len(log.settle(expired, 1))
    ok = words is not None and number > 0
    report.check("late_refused", "refused as expired", {"words": words, "lines": number}, ok)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    wanted = {
        expiry: ["server", "bundle", "base", "elevated", "not-after", "log"],
        http: ["server", "bundle", "base", "elevated", "right", "not-after", "log", "bound-ms"],
        grpc: ["server", "bundle", "elevated", "not-after", "log"],
        tcp: ["server", "bundle", "base", "elevated", "right", "not-after", "log", "bound-ms"],
    }
    numbers = ("not-after", "bound-ms")
    for run, options in wanted.items():
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        for option in options:
            kind = int if option in numbers else str
            command.add_argument(f"--{option}", required=True, type=kind)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
