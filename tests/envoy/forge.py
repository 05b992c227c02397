"""Certificates for a test of the Envoy module: a root, a server, and clients whose ends are chosen.

All of them in files as `protem svid write` keeps them, so that an Envoy can read them.
"""

import datetime
import hashlib
import json
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DOMAIN = "dev.protem.test"
WEB = f"spiffe://{DOMAIN}/ns/demo/sa/web/scope/db.read"
BEGUN_S = 3600  # certificates began so long ago, so that some can have ended


class Forge:
    """A root and a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, DOMAIN)])
        draft = self.draft(name, self.key, at(in_s(3600)))
        draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        draft = draft.add_extension(usage(key_cert_sign=True), critical=True)
        self.name = name
        self.root = draft.issuer_name(name).sign(self.key, hashes.SHA256())
        self.bundle = self.path("bundle.pem")
        with open(self.bundle, "wb") as file:
            file.write(pem(self.root))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def svid(self, name, end_s, spiffe_id=WEB):
        """Writes svid.pem, svid.key and svid.yaml; returns the digest as Envoy shows it."""
        key = ec.generate_private_key(ec.SECP256R1())
        draft = self.draft(x509.Name([]), key, at(end_s)).issuer_name(self.name)
        uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id)])
        draft = draft.add_extension(uri, critical=True)
        draft = draft.add_extension(x509.BasicConstraints(False, None), critical=True)
        draft = draft.add_extension(usage(digital_signature=True), critical=True)
        svid = draft.sign(self.key, hashes.SHA256())
        os.makedirs(self.path(name), exist_ok=True)
        der = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for file, content in {"svid.pem": pem(svid), "svid.key": der}.items():
            with open(self.path(name, file), "wb") as out:
                out.write(content)
        secret = {"certificate_chain": inline(pem(svid)), "private_key": inline(der)}
        self.resource(f"{name}/svid.yaml", "default", "tls_certificate", secret)
        digest = hashlib.sha256(svid.public_bytes(serialization.Encoding.DER)).hexdigest()
        return digest

    def draft(self, subject, key, end):
        draft = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
        draft = draft.serial_number(x509.random_serial_number())
        return draft.not_valid_before(at(in_s(-BEGUN_S))).not_valid_after(end)

    def roots(self, **more):
        """Writes bundle.yaml, the roots with more of Envoy's settings beside them."""
        context = {"trusted_ca": inline(pem(self.root))} | more
        self.resource("bundle.yaml", "ROOTCA", "validation_context", context)

    def resource(self, file, name, kind, value):
        secret = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
        self.install(file, {"@type": secret, "name": name, kind: value})

    def deny(self, words):
        """Writes deny.yaml, a list for the module."""
        network = "type.googleapis.com/envoy.extensions.filters.network"
        module = {"name": "protem_envoy", "do_not_close": True, "metrics_namespace": "protem"}
        text = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": words}
        filter_of_module = {
            "@type": f"{network}.dynamic_modules.v3.DynamicModuleNetworkFilter",
            "dynamic_module_config": module,
            "filter_name": "deny_list",
            "filter_config": text,
        }
        config = {
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": "protem.deny_list.module",
            "typed_config": filter_of_module,
        }
        self.install("deny.yaml", config)

    def install(self, file, resource):
        """A whole new file, then rename. JSON is YAML."""
        new = self.path(file + ".new")
        with open(new, "w", encoding="ascii") as out:
            json.dump({"resources": [resource]}, out)
        os.rename(new, self.path(file))


def in_s(seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return int(now.timestamp()) + seconds


def at(moment_s):
    return datetime.datetime.fromtimestamp(moment_s, datetime.timezone.utc)


def usage(**yes):
    names = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return x509.KeyUsage(**{name: yes.get(name, False) for name in names})


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def inline(content):
    return {"inline_string": content.decode()}
