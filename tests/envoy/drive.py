#!/usr/bin/env python3
"""Drives a real Envoy past the end of a right, and judges by Envoy's own access log.

    drive.py expiry   --server HOST:PORT --bundle FILE --base DIR --elevated DIR
                      --not-after EPOCH_S --log FILE
    drive.py rotation --server HOST:PORT --bundle FILE --client DIR --watched DIR
    drive.py client   --url URL --watched DIR --replacement DIR --not-after EPOCH_S
    drive.py absent   --envoy FILE --config FILE
    drive.py door     --server HOST:PORT --bundle FILE --client DIR --not-after EPOCH_S

expiry    base and elevated SVID at the server Envoy, up to and past the elevated one's notAfter
rotation  what the keeper of the server Envoy's directory renews is served without a restart
client    the client Envoy: no elevated SVID yet, one that arrives, the base beside it, its end
absent    Envoy refuses to start when an SDS file does not exist
door      protem's own door: no resumption, and an end at the peer's notAfter

Each check prints one JSON line {check, expected, observed, ok}. The exit code is 0 when all were
run and are ok. Needs Python 3.11 and h2 4.4.1. A DIR holds what `protem svid write` keeps.
No check measures how fast this script or the machine is: all rest on states and on Envoy's times
against notAfter.
"""

import argparse
import concurrent.futures
import json
import os
import secrets
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

from clients import Http1, Http2, Target, ask_past, attempts_until_refused, refusal, wait_until
from report import SETTLE_S_MAX, Report, settle

DOOR_PATH = "/v1/bundle"
LEFT_S_MIN = 2
RENEWAL_S_MAX = 60


def main():
    arguments = parse()
    report = Report()
    arguments.run(arguments, report)
    return report.exit_code()


# --- expiry ---------------------------------------------------------------------------------------


def expiry(arguments, report):
    """All that a holder could try, at the same time, on connections that began before notAfter."""
    end_s = arguments.not_after
    left_s = end_s - time.time()
    if left_s < LEFT_S_MIN:
        sys.exit(
            f"error: the elevated SVID must live {LEFT_S_MIN} s more, it ends in {left_s:.1f} s"
        )
    target = Target(arguments.server, arguments.bundle)
    log = AccessLog(arguments.log)
    base = target.context(arguments.base)
    elevated = target.context(arguments.elevated)
    elevated_h2 = target.context(arguments.elevated, alpn="h2")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = {
            "http1": pool.submit(http1_past, target, elevated, log, end_s),
            "http2": pool.submit(http2_past, target, elevated_h2, log, end_s),
            "http1_stream": pool.submit(http1_stream, target, elevated, log, end_s),
            "slow_head": pool.submit(slow_head, target, elevated, log, end_s),
            "late": pool.submit(late, target, elevated, log, end_s),
        }
        before_the_end(target, base, elevated, arguments.elevated, log, report)
        results = {name: run.result() for name, run in runs.items()}

    for name in ("http1", "http2"):
        judge_cut(report, name, log, results[name], end_s)
    judge_stream(report, "http1_stream", log, end_s, results["http1_stream"])
    judge_stream(report, "http2_stream", log, end_s, results["http2"]["stream"])

    status = results["slow_head"]
    report.check("slow_head", "403: head begun before notAfter, ended after", status, status == 403)
    judge_late(report, log, results["late"], end_s)

    late_lines = [line for line in log.requests("") if int(line["start_ms"]) >= end_s * 1000]
    served = [line for line in late_lines if line["status"] == 200]
    expected = "no 200 that started at or after notAfter"
    report.check("nothing_served_after", expected, served, bool(late_lines) and not served)


def before_the_end(target, base, elevated, svid_dir, log, report):
    status = Http1(target, base).get(log.path("base"))
    report.check("base_denied", 403, status, status == 403)
    connection = Http1(target, elevated)
    status = connection.get(log.path("elevated"))
    report.check("elevated_served", 200, status, status == 200)

    session = connection.tls.session
    ticket = session is not None and session.has_ticket
    report.check("no_ticket", "no session ticket sent", {"has_ticket": ticket}, not ticket)
    again = Http1(target, elevated, session)
    again.get(log.path("again"))
    reused = again.tls.session_reused
    report.check("not_resumed", "full handshake", {"reused": reused}, not reused)

    old = target.context(svid_dir, ssl.TLSVersion.TLSv1_2)
    words = refusal(lambda: Http1(target, old).get(log.path("tls12")))
    report.check(
        "tls12_refused", "refused", words, words is not None and "VERSION" in words.upper()
    )
    words = refusal(lambda: Http1(target, target.context()).get(log.path("nobody")))
    report.check("no_certificate_refused", "refused", words, words is not None)


def http1_past(target, context, log, end_s):
    connection = Http1(target, context)
    return ask_past(end_s, lambda: connection.get(log.path("http1")))


def http2_past(target, context, log, end_s):
    """Short requests and one endless stream share the connection, as in a real pool."""
    connection = Http2(target, context)
    stream = connection.open("/stream" + log.mark("http2_stream"))
    result = ask_past(end_s, lambda: connection.finish(connection.open(log.path("http2"))))
    status = connection.finish(stream, end_s + SETTLE_S_MAX)
    return result | {"stream": (status, connection.ended.get(stream) == "reset")}


def http1_stream(target, context, log, end_s):
    path = "/stream" + log.mark("http1_stream")
    return Http1(target, context).stream(path, end_s + SETTLE_S_MAX)


def slow_head(target, context, log, end_s):
    """START_TIME of this request lies before notAfter: a rule that looks at it lets it through."""
    return Http1(target, context).get_in_two_parts(log.path("slow_head"), end_s + 0.5)


def late(target, context, log, end_s):
    """New connections after notAfter: with nothing, and with the session of an earlier one."""
    first = Http1(target, context)
    first.get(log.path("before_late"))
    session = first.tls.session
    wait_until(end_s)

    def attempt(session=None):
        return Http1(target, context, session).get(log.path("late"))

    return {
        "fresh": attempts_until_refused(attempt),
        "resumed": attempts_until_refused(lambda: attempt(session)),
    }


def judge_cut(report, name, log, result, end_s):
    """One connection, served before the end; from then on denied, or cut in its last answer."""
    lines = log.wait(name, result["answers"] + result["cut"])
    for line in lines:
        line["offset_ms"] = int(line["start_ms"]) - end_s * 1000
    served = [line["offset_ms"] for line in lines if line["status"] == 200]
    denied = [line["offset_ms"] for line in lines if line["status"] == 403]
    cut = result["cut"] and lines[-1]["flags"] == "UMSDR"
    observed = {
        "protocol": sorted({line["protocol"] for line in lines}),
        "connections": len({line["connection"] for line in lines}),
        "served": len(served),
        "last_served_ms": max(served, default=None),
        "denied": len(denied),
        "first_denied_ms": min(denied, default=None),
        "cut": cut,
    }
    ok = observed["connections"] == 1 and bool(served) and max(served) < 0 and (bool(denied) or cut)
    expected = "one connection, 200 before notAfter only, then 403 or cut (ms against notAfter)"
    report.check(f"{name}_cut", expected, observed, ok)


def judge_stream(report, name, log, end_s, seen):
    """UMSDR: the stream was ended by its limit, which is what was left of the certificate."""
    status, cut = seen
    line = log.wait(name, 1)[0]
    ended_ms = int(line["start_ms"]) + line["duration_ms"] - end_s * 1000
    observed = {
        "status": status,
        "reset_at_client": cut,
        "flags": line["flags"],
        "ended_ms": ended_ms,
    }
    ok = status == 200 and cut and line["flags"] == "UMSDR"
    report.check(f"{name}_reset", "200, then reset by its limit (UMSDR)", observed, ok)


def judge_late(report, log, result, end_s):
    """Refused in the handshake. One that slips through within milliseconds is denied by RBAC."""
    for name, (answers, words) in result.items():
        observed = {"refused": words, "answered_before": answers}
        ok = words is not None and set(answers) <= {403}
        report.check(
            f"{name}_connection_refused", "handshake refused, nothing served", observed, ok
        )

    def expired():
        lines = [line for line in log.lines("connection") if int(line["start_ms"]) >= end_s * 1000]
        return [line for line in lines if "has_expired" in (line["tls_failure"] or "")]

    number = len(log.settle(expired, len(result)))
    expected = f"{len(result)} or more handshakes refused as expired, by Envoy's log"
    report.check("refused_as_expired", expected, number, number >= len(result))


# --- rotation, client, absent, door ---------------------------------------------------------------


def rotation(arguments, report):
    target = Target(arguments.server, arguments.bundle)
    context = target.context(arguments.client)

    def written():
        return first_certificate(f"{arguments.watched}/svid.pem")

    before = served_leaf(target, context)
    ok = before == written()
    report.check("written_served", "the leaf that the keeper wrote", ok, ok)
    ok = settle(lambda: written() != before, RENEWAL_S_MAX)
    report.check("keeper_renewed", "another leaf is written", ok, ok)
    ok = settle(lambda: served_leaf(target, context) == written() != before)
    report.check("rotation_served", "the renamed svid.yaml is served", ok, ok)


def client(arguments, report):
    scope = {"x-protem-scope": "db.read"}
    status, _ = get(arguments.url)
    report.check("base_denied", 403, status, status == 403)
    status, _ = get(arguments.url, scope)
    report.check("no_elevated_svid_yet", 503, status, status == 503)

    install(arguments.replacement, arguments.watched)
    settle(lambda: get(arguments.url, scope)[0] == 200)
    status, body = get(arguments.url, scope)
    report.check(
        "elevated_arrived",
        "200 as .../scope/db.read",
        f"{status} {body}",
        status == 200 and "/scope/db.read " in body,
    )
    seen = [get(arguments.url, headers)[0] for headers in ({}, scope, {}, scope)]
    report.check("base_beside_elevated", [403, 200, 403, 200], seen, seen == [403, 200, 403, 200])

    wait_until(arguments.not_after)
    status, _ = get(arguments.url, scope)
    report.check(
        "ended", "403 on the old connection, 503 on a new one", status, status in (403, 503)
    )


def absent(arguments, report):
    """The reason why `run` writes an empty list before it starts the client Envoy."""
    command = [
        arguments.envoy,
        "--mode",
        "validate",
        "--disable-hot-restart",
        "-c",
        arguments.config,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    words = [line for line in done.stderr.splitlines() if "does not exist" in line][-1:]
    report.check(
        "absent_file_refused", "does not exist", words, done.returncode != 0 and bool(words)
    )


def door(arguments, report):
    """protem writes no log line for each of its answers: here the client's clock judges."""
    end_s = arguments.not_after
    target = Target(arguments.server, arguments.bundle)
    context = target.context(arguments.client)
    busy = Http1(target, context)
    status = busy.get(DOOR_PATH)
    report.check("door_open", 200, status, status == 200)

    session = busy.tls.session
    ticket = session is not None and session.has_ticket
    report.check("door_no_ticket", "no session ticket sent", {"has_ticket": ticket}, not ticket)
    idle = Http1(target, context, session)
    idle.get(DOOR_PATH)
    reused = idle.tls.session_reused
    report.check("door_not_resumed", "full handshake", {"reused": reused}, not reused)

    late = []  # what was answered to questions asked at notAfter or later

    def ask():
        asked_s = time.time()
        status = busy.get(DOOR_PATH)
        if asked_s >= end_s:
            late.append(status)

    result = ask_past(end_s, ask) | {"late": late}
    ok = result["cut"] and result["answers"] > 0 and set(late) <= {401}
    report.check("door_cut", "answered before notAfter only, then closed", result, ok)
    words = refusal(lambda: idle.get(DOOR_PATH))
    report.check("door_idle_closed", "closed at notAfter", words, words is not None)

    for name, session in (("fresh", None), ("resumed", session)):
        answers, words = attempts_until_refused(
            lambda session=session: Http1(target, context, session).get(DOOR_PATH)
        )
        observed = {"refused": words, "answered_before": answers}
        ok = words is not None and set(answers) <= {401}
        report.check(f"door_{name}_refused", "handshake refused, nothing served", observed, ok)


def install(source, watched):
    """What `protem svid write` does: a whole new file, then rename."""
    new = os.path.join(watched, ".svid.yaml.new")
    shutil.copyfile(os.path.join(source, "svid.yaml"), new)
    os.chmod(new, 0o600)
    os.rename(new, os.path.join(watched, "svid.yaml"))


def served_leaf(target, context):
    with target.connect(context) as tls:
        return tls.getpeercert(binary_form=True)


def first_certificate(path):
    with open(path, encoding="ascii") as file:
        first, end, _ = file.read().partition("-----END CERTIFICATE-----\n")
    return ssl.PEM_cert_to_DER_cert(first + end)


def get(url, headers=None):
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers or {}), timeout=10
        ) as response:
            return response.status, response.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()


# --- the log and the report -----------------------------------------------------------------------


class AccessLog:
    """Envoy's access log. Each run marks its requests, so that one log can hold several runs."""

    def __init__(self, path):
        self.file = path
        self.run = secrets.token_hex(6)

    def mark(self, name):
        return f"?run={self.run}&check={name}."

    def path(self, name):
        return "/" + self.mark(name)

    def lines(self, kind):
        """The last line may still be on its way: it is left for the next look."""
        with open(self.file, encoding="utf-8") as file:
            whole = [json.loads(line) for line in file if line.endswith("\n")]
        return [line for line in whole if line["kind"] == kind]

    def requests(self, name):
        mark = self.mark(name) if name else f"run={self.run}"
        return [line for line in self.lines("request") if mark in line["path"]]

    def wait(self, name, number):
        lines = self.settle(lambda: self.requests(name), number)
        if len(lines) < number:
            sys.exit(f"error: {len(lines)} of {number} requests of `{name}` in the access log")
        return lines

    @staticmethod
    def settle(read, number):
        settle(lambda: len(read()) >= number)
        return read()


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    wanted = {
        expiry: ["server", "bundle", "base", "elevated", "not-after", "log"],
        rotation: ["server", "bundle", "client", "watched"],
        client: ["url", "watched", "replacement", "not-after"],
        absent: ["envoy", "config"],
        door: ["server", "bundle", "client", "not-after"],
    }
    for run, options in wanted.items():
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        for option in options:
            command.add_argument(
                f"--{option}", required=True, type=int if option == "not-after" else str
            )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
