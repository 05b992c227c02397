"""The world of a test of the Envoy module: certificates, services behind, and real Envoys."""

import json
import os
import socket
import subprocess
import sys

import stamping
import yaml
from clients import Target
from forge import DOMAIN, Forge, in_s
from report import settle

# Only a broken run reaches it.
END_S_MAX = 60
NOWHERE = "127.0.0.1:0"


class House:
    """A forge, the services behind, and the Envoy on the shipped configuration."""

    def __init__(self, arguments, change=lambda tree: None, environment=None, **roots):
        self.arguments = arguments
        self.environment = environment or {}
        self.forge = Forge(arguments.folder)
        self.forge.svid("server", in_s(3600), f"spiffe://{DOMAIN}/ns/demo/sa/db")
        self.forge.roots(**roots)
        self.forge.deny("")
        self.started = []
        self.held = {}
        self.admin, ports = self.start("server", self.config(change))
        self.http = Target(f"127.0.0.1:{ports['http']}", self.forge.bundle)
        self.tcp = Target(f"127.0.0.1:{ports['tcp']}", self.forge.bundle)

    def config(self, change=lambda tree: None):
        """The shipped file with its places filled in, and files where it has an agent."""
        with open(self.arguments.config, encoding="ascii") as file:
            text = file.read()
        for place, value in {
            "TRUST_DOMAIN": DOMAIN,
            "SERVER_PORT": 0,
            "TCP_PORT": 0,
            "SERVER_ADMIN_PORT": 0,
            "ECHO_PORT": stamping.serve(stamping.Web),
            "TCP_ECHO_PORT": stamping.serve(stamping.Tcp),
            "AGENT_SOCKET": "none",
            "LOG_DIR": self.forge.folder,
        }.items():
            text = text.replace(f"${{{place}}}", str(value))
        tree = yaml.safe_load(text)
        files = {
            "default": "server/svid.yaml",
            "ROOTCA": "bundle.yaml",
            "protem.deny_list.module": "deny.yaml",
        }
        self.read_files(tree, files)
        change(tree)
        return tree

    def read_files(self, tree, files):
        if isinstance(tree, list):
            for each in tree:
                self.read_files(each, files)
        if not isinstance(tree, dict):
            return
        source = {"resource_api_version": "V3"}
        if tree.get("name") in files:
            path = self.forge.path(files[tree["name"]])
            source["path_config_source"] = {"path": path}
            if "sds_config" in tree:
                tree["sds_config"] = source
            if "config_discovery" in tree:
                kept = tree["config_discovery"]
                tree["config_discovery"] = kept | {"config_source": source}
        for each in tree.values():
            self.read_files(each, files)

    def write(self, name, tree):
        path = self.forge.path(f"{name}.yaml")
        with open(path, "w", encoding="ascii") as file:
            json.dump(tree, file)
        return path

    def command(self, *words):
        environment = os.environ | self.environment
        environment["ENVOY_DYNAMIC_MODULES_SEARCH_PATH"] = self.arguments.module
        command = [self.arguments.envoy, "--disable-hot-restart", "--log-level", "warning", *words]
        command += ["--component-log-level", "dynamic_modules:info"]
        return {"args": command, "env": environment}

    def start(self, name, tree):
        """Starts an Envoy; returns its admin address and the ports of its listeners."""
        admin, out = self.forge.path(f"{name}.admin"), self.forge.path(f"{name}.out")
        words = ["-c", self.write(name, tree), "--concurrency", "2", "--admin-address-path", admin]
        with open(out, "wb") as file:
            words += ["--file-flush-interval-msec", "50"]
            child = subprocess.Popen(**self.command(*words), stdout=file, stderr=file)
        self.started.append((child, out))
        # The file is there before its line is.
        opened = lambda: os.path.exists(admin) and "LIVE" in ask(read(admin) or NOWHERE, "/ready")
        if not settle(opened, END_S_MAX) or child.poll() is not None:
            sys.exit(f"error: {name} did not start:\n{read(out)}")
        lines = ask(read(admin), "/listeners").splitlines()
        ports = dict(line.split("::127.0.0.1:") for line in lines if "::127.0.0.1:" in line)
        return read(admin), ports

    def end(self):
        """Ends the Envoys, which must end by themselves: a crash would show here."""
        codes = []
        for child, _ in self.started:
            crashed = child.poll()
            child.terminate()
            codes.append(crashed if crashed is not None else child.wait(END_S_MAX))
        return codes

    def counter(self, name):
        lines = ask(self.admin, f"/stats?filter={name}").splitlines()
        values = [int(line.rpartition(" ")[2]) for line in lines if line.startswith(name)]
        return sum(values) if values else None

    def connections(self):
        """What Envoy logged of connections, by the port that they came from."""
        with open(self.forge.path("server.log"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.endswith("\n")]
        lines = [line for line in lines if line["kind"] == "connection"]
        return {int(line["from"].rpartition(":")[2]): line for line in lines}

    def logged(self, port):
        settle(lambda: port in self.connections(), END_S_MAX)
        return self.connections().get(port, {})

    def context(self, name, alpn="http/1.1"):
        return self.http.context(self.forge.path(name), alpn=alpn)


def ask(address, path):
    """One plain request on a connection of its own; returns the whole answer."""
    host, port = address.strip().rsplit(":", 1)
    answer = b""
    try:
        with socket.create_connection((host, int(port)), timeout=END_S_MAX) as stream:
            head = f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            stream.sendall(head.encode())
            while received := stream.recv(65536):
                answer += received
    except OSError as error:
        return f"none {error}"
    _, _, body = answer.decode().partition("\r\n\r\n")
    return body if path.startswith(("/listeners", "/stats")) else answer.decode()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()
