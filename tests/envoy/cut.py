#!/usr/bin/env python3
"""Drives a real Envoy with the module of deploy/envoy, and judges by Envoy's own log.

    cut.py ends|denies|jumps|refuses|rotates --envoy FILE --module DIR --config FILE --folder DIR
    cut.py stays --server HOST:PORT --bundle FILE --client DIR

ends      every kind of connection is cut at notAfter; one that had ended before, at once
denies    a denied certificate is cut on live connections, and the others are not
jumps     a clock that is set cuts what has ended by it, and nothing else
refuses   who shows no certificate, and configurations that say nothing
rotates   a pool goes on with the next certificate, and no request fails
stays     one idle TCP connection; prints `open` when it is served, and `closed` when it is closed

Each check prints one JSON line {check, expected, observed, ok}; figures are printed for whoever is
curious. The exit code is 0 when all were run and are ok. What is judged are states, their order,
and stamps: what was sent at or after notAfter must not arrive, by the one clock that all here read.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import threading
import time

import holders
import yaml
from clients import Http1, Http2, Target, refusal
from forge import DOMAIN, in_s
from holders import KINDS, greeted, port_of
from house import House, ask, read
from report import Report, settle

LIFE_S = 8


def ends(arguments, report):
    """Roots that let ended certificates in, so that the module alone is asked about them."""
    house = House(arguments, allow_expired_certificate=True)
    house.forge.svid("ended", in_s(-10))
    had_ended(house, report)
    end_s = in_s(LIFE_S)
    house.forge.svid("web", end_s)
    contexts = {kind: house.context("web", alpn_of(kind)) for kind in KINDS}
    with concurrent.futures.ThreadPoolExecutor(len(KINDS)) as pool:
        runs = {kind: pool.submit(kind, house, contexts[kind]) for kind in KINDS}
        results = {kind: run.result() for kind, run in runs.items()}
    end_us = end_s * 1_000_000
    for kind, (port, stamps) in results.items():
        logged = house.logged(port)
        after_ms = int(logged.get("end_ms", 0)) - end_s * 1000
        idle = kind.__name__.endswith("_idle")
        late = [stamp - end_us for stamp in stamps if stamp >= end_us]
        observed = {
            "closed_after_not_after_ms": after_ms,
            "pieces_before": len(stamps) - len(late),
            "pieces_stamped_after": late,
            "why": logged.get("why"),
        }
        ok = not late and after_ms >= 0 and observed["why"] == "protem_certificate_ended"
        ok = ok and int(logged["peer_not_after_s"]) == end_s and (idle or len(stamps) > 0)
        expected = "cut at notAfter; nothing stamped from then on came through"
        report.check(f"{kind.__name__}_cut", expected, observed, ok)
    late = refused_at_once(house, "web")
    report.check("new_connection_after", "closed before a byte passes", late, late == NOTHING)
    counted = house.counter("protem.cut_ended")
    report.check("counted", len(KINDS) + 4, counted, counted == len(KINDS) + 4)
    told = read(house.forge.path("server.out")).count(" is cut: certificate ")
    report.check("told", len(KINDS) + 4, told, told == len(KINDS) + 4)
    judge_end(house, report)


def had_ended(house, report):
    observed = refused_at_once(house, "ended")
    report.check("had_ended_before", "closed before a byte passes", observed, observed == NOTHING)


NOTHING = {"http": "closed", "tcp": "closed"}


def refused_at_once(house, name):
    """What a holder is served on a new connection; the service behind greets on its own."""
    context, seen = house.context(name), {}
    words = refusal(lambda: seen.update(status=Http1(house.http, context).get("/")))
    seen_http = "closed" if words is not None else seen
    words = refusal(lambda: seen.update(greeting=str(greeted(house, context))))
    return {"http": seen_http, "tcp": "closed" if words is not None else seen}


def alpn_of(kind):
    return "h2" if kind in (holders.http2, holders.grpc) else "http/1.1"


def denies(arguments, report):
    house = House(arguments)
    digests = {name: house.forge.svid(name, in_s(3000)) for name in ("bad", "good")}
    house.forge.svid("other", in_s(600), f"spiffe://{DOMAIN}/ns/demo/sa/other/scope/db.read")
    observed = refused_at_once(house, "other")
    ok = observed == {"http": {"status": 403}, "tcp": "closed"}
    report.check("other_name", "403, or closed before a byte passes", observed, ok)
    stays = {name: stay(house, name) for name in digests}
    denied_us = time.time_ns() // 1000
    house.forge.deny(digests["bad"])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        cuts = [pool.submit(refusal, wait) for wait in stays["bad"].values()]
        words = [cut.result() for cut in cuts]
    ports = [port for port in stays["bad"]]
    why = {house.logged(port).get("why") for port in ports}
    after = [int(house.logged(port)["end_ms"]) - denied_us // 1000 for port in ports]
    observed = {"why": sorted(map(str, why)), "ms_after_the_file": after, "seen": words}
    ok = why == {"protem_certificate_denied"} and None not in words
    report.check("denied_is_cut", "every live connection", observed, ok)
    observed = refused_at_once(house, "bad")
    report.check("denied_again", "closed before a byte passes", observed, observed == NOTHING)
    observed = sorted(set(serving(house.held["good"])))
    report.check("others_live", "all three serve", observed, observed == ["200", "echo", "stream"])

    house.forge.deny("garbage " + digests["good"])
    out = house.forge.path("server.out")
    told = settle(lambda: "`garbage` is no SHA-256 digest" in read(out))
    observed = {"told": told, "bad": refused_at_once(house, "bad")}
    observed["good"] = sorted(set(serving(house.held["good"])))
    ok = told and observed["bad"] == NOTHING and observed["good"] == ["200", "echo", "stream"]
    report.check("garbage_changes_nothing", "told, and the list before holds", observed, ok)

    house.forge.deny("")
    served = settle(lambda: refused_at_once(house, "bad")["tcp"] != "closed")
    report.check("forgotten", "let in again", served, served)
    judge_end(house, report)


def stay(house, name):
    """Three connections: one that is asked from time to time, one that streams, one that echoes.

    By port: a way to wait for what comes, which never ends but by the cut.
    """
    idle = Http1(house.http, house.context(name))
    idle.get("/")
    stream = Http2(house.http, house.context(name, "h2"))
    number = stream.open("/stream")
    lines = greeted(house, house.context(name))
    stays = {
        port_of(idle.tls): lambda: closed(idle.tls.recv(1)),
        port_of(stream.tls): lambda: stream.finish(number),
        port_of(lines.tls): lambda: lines.read(),
    }
    house.held[name] = (idle, stream, number, lines)
    return stays


def closed(received):
    if not received:
        raise ConnectionError("closed by the server")


def serving(held):
    idle, stream, number, lines = held
    yield str(idle.get("/"))
    settle(lambda: stream.finish(number, time.time() + 0.2) == 200)
    yield "stream" if number not in stream.ended else "ended"
    lines.tls.sendall(b"again\n")
    yield "echo" if lines.read() == b"again" else "other"


def jumps(arguments, report):
    """The wall clock of Envoy is bent; the one that waits are measured by is not."""
    source = os.path.join(os.path.dirname(__file__), "bent_clock.c")
    clock, library = (os.path.join(arguments.folder, name) for name in ("clock", "clock.so"))
    set_clock(clock, 0)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    environment = {"LD_PRELOAD": library, "BENT_CLOCK": clock}
    house = House(arguments, environment=environment)
    lives = {"short": 600, "good": 1200}
    for name, life_s in lives.items():
        house.forge.svid(name, in_s(life_s))
    waits = {name: stay(house, name) for name in lives}
    set_clock(clock, 300)
    both = [sorted(set(serving(house.held[name]))) for name in lives]
    report.check("nothing_ended", "both serve", both, both == [["200", "echo", "stream"]] * 2)

    set_clock(clock, 900)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        cuts = [pool.submit(refusal, wait) for wait in waits["short"].values()]
        words = [cut.result() for cut in cuts]
    why = {house.logged(port).get("why") for port in waits["short"]}
    observed = {"why": sorted(map(str, why)), "seen": words}
    ok = why == {"protem_certificate_ended"} and None not in words
    report.check("ended_by_a_jump", "every connection, idle ones too", observed, ok)
    observed = sorted(set(serving(house.held["good"])))
    report.check("others_live", "all three serve", observed, observed == ["200", "echo", "stream"])
    judge_end(house, report)


def set_clock(clock, ahead_s):
    """In its place, and whole: the file is mapped."""
    file = os.open(clock, os.O_WRONLY | os.O_CREAT, 0o600)
    os.pwrite(file, ahead_s.to_bytes(8, sys.byteorder, signed=True), 0)
    os.close(file)


def refuses(arguments, report):
    house = House(arguments, change=lambda tree: every(tree, optional))
    nobody = house.http.context()
    words = refusal(lambda: Http1(house.http, nobody).get("/"))
    greeting = refusal(lambda: greeted(house, nobody))
    observed = {"http": words, "tcp": greeting, "counted": house.counter("protem.cut_unreadable")}
    ok = words is not None and greeting is not None and observed["counted"] == 2
    report.check("no_certificate", "closed before a byte passes", observed, ok)
    for name, change, wanted in [
        ("shipped", lambda tree: None, None),
        ("garbage_setting", lambda tree: every(tree, garbage), "`open=yes` is no setting"),
        ("unknown_filter", lambda tree: every(tree, unknown), "no filter `begin`"),
    ]:
        path = house.write(name, house.config(change))
        command = house.command("--mode", "validate", "-c", path)
        done = subprocess.run(**command, capture_output=True, text=True, check=False)
        told = [line for line in done.stderr.splitlines() if "protem: refused" in line][:1]
        right = done.returncode == 0 if wanted is None else done.returncode != 0
        ok = right and (wanted is None or wanted in "".join(told))
        report.check(name, wanted or "taken", {"exit": done.returncode, "told": told}, ok)
    judge_end(house, report)

    house = House(arguments, change=lambda tree: every(tree, unset))
    house.forge.svid("web", in_s(600))
    observed = refused_at_once(house, "web")
    told = "no filter state `protem.peer`" in read(house.forge.path("server.out"))
    ok = observed == NOTHING and told
    report.check("no_filter_state", "closed, with words", observed | {"told": told}, ok)
    judge_end(house, report)


def rotates(arguments, report):
    """Certificates of 4 s, each renewed 2 s before its end, under a steady load."""
    house = House(arguments)
    house.forge.svid("rotated", in_s(4))
    with open(os.path.join(os.path.dirname(__file__), "pool.yaml"), encoding="ascii") as file:
        text = file.read().replace("${SERVER_PORT}", str(house.http.address[1]))
    _, ports = house.start("pool", yaml.safe_load(text.replace("${FOLDER}", house.forge.folder)))
    stop, statuses = threading.Event(), []

    def load():
        while not stop.is_set():
            statuses.append(ask(f"127.0.0.1:{ports['pool']}", "/").split(" ")[1])
            time.sleep(0.005)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(load) for _ in range(3)]
        serials = lambda: {line["peer_serial"] for line in ended_by_module(house)}
        renewed = threading.Thread(target=renew, args=(house, stop), daemon=True)
        renewed.start()
        cut = settle(lambda: len(serials()) >= 3, 60)
        stop.set()
        for run in runs:
            run.result()
    renewed.join()
    count = {status: statuses.count(status) for status in set(statuses)}
    observed = {"certificates_cut": len(serials()), "statuses": count}
    ok = cut and set(statuses) == {"200"}
    report.check("pool_goes_on", "three certificates ended, every answer 200", observed, ok)
    judge_end(house, report)


def renew(house, stop):
    while not stop.wait(2):
        house.forge.svid("rotated", in_s(4))


def ended_by_module(house):
    lines = house.connections().values()
    return [line for line in lines if line["why"] == "protem_certificate_ended"]


def judge_end(house, report):
    codes = house.end()
    report.check("ended_well", [0] * len(codes), codes, codes == [0] * len(codes))


def every(tree, change):
    """Changes each filter chain."""
    for listener in tree["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            change(chain)


def optional(chain):
    tls = chain["transport_socket"]["typed_config"]
    tls["require_client_certificate"] = False
    # A name to match would ask for a certificate, too.
    validation = tls["common_tls_context"].get("combined_validation_context", {})
    validation["default_validation_context"] = {}


def garbage(chain):
    chain["filters"][1]["typed_config"]["filter_config"]["value"] = "open=yes"


def unknown(chain):
    chain["filters"][1]["typed_config"]["filter_name"] = "begin"


def unset(chain):
    del chain["filters"][0]


def stays(arguments, _):
    target = Target(arguments.server, arguments.bundle)
    tls = target.connect(target.context(arguments.client))
    tls.settimeout(None)
    tls.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    print("open" if tls.recv(65536) else "refused", flush=True)
    # The answer may come in pieces.
    refusal(lambda: list(iter(lambda: tls.recv(65536), b"")))
    print("closed", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    options = ["envoy", "module", "config", "folder"]
    wanted = {run: options for run in (ends, denies, jumps, refuses, rotates)}
    for run, options in (wanted | {stays: ["server", "bundle", "client"]}).items():
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        for option in options:
            command.add_argument(f"--{option}", required=True)
    arguments = parser.parse_args()
    report = Report()
    arguments.run(arguments, report)
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
