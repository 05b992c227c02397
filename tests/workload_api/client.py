"""A workload that knows the Workload API from others: PyPI `spiffe`, and bare gRPC.

    client.py svids SOCKET      every SVID and bundle, once
    client.py bundles SOCKET    every bundle, once
    client.py watch SOCKET      every update, one line each, to the end of the process
    client.py bare SOCKET       how each method answers without the header

Each answer is one line of JSON. A refusal is one too, with `error`.
"""

import json
import sys
import threading

import grpc
from spiffe import WorkloadApiClient
from spiffe.errors import PySpiffeError

ANSWER_S_MAX = 20
METHODS = [
    "FetchX509SVID",
    "FetchX509Bundles",
    "FetchJWTSVID",
    "FetchJWTBundles",
    "ValidateJWTSVID",
]


def say(value):
    print(json.dumps(value, sort_keys=True), flush=True)


def bundles_of(bundle_set):
    return {
        str(bundle.trust_domain.name): len(bundle.x509_authorities)
        for bundle in bundle_set.bundles
    }


def context_of(context):
    return {
        "svids": [str(svid.spiffe_id) for svid in context.x509_svids],
        "default": str(context.default_svid.spiffe_id),
        "serials": [str(svid.leaf.serial_number) for svid in context.x509_svids],
        "bundles": bundles_of(context.x509_bundle_set),
    }


def svids(client):
    say(context_of(client.fetch_x509_context(timeout=ANSWER_S_MAX)))


def bundles(client):
    say(bundles_of(client.fetch_x509_bundles(timeout=ANSWER_S_MAX)))


def watch(client):
    ended = threading.Event()

    def refused(error):
        say({"error": str(error)})
        ended.set()

    client.stream_x509_contexts(
        lambda context: say(context_of(context)), refused, retry_connect=False
    )
    ended.wait()


def bare(path):
    with grpc.insecure_channel(f"unix:{path}") as channel:
        for method in METHODS:
            call = channel.unary_stream(f"/SpiffeWorkloadAPI/{method}")
            try:
                next(call(b"", timeout=ANSWER_S_MAX))
                say({"method": method, "code": "OK"})
            except grpc.RpcError as error:
                say({"method": method, "code": error.code().name, "words": error.details()})


def main():
    act, path = sys.argv[1:]
    if act == "bare":
        bare(path)
        return
    try:
        with WorkloadApiClient(socket_path=f"unix://{path}") as client:
            {"svids": svids, "bundles": bundles, "watch": watch}[act](client)
    except PySpiffeError as error:
        say({"error": str(error)})


main()
