"""Lints PEM files with pkilint; prints what it finds and exits with 1 if that is anything.

A file holds one certificate, or a chain in which each certificate is followed by its issuer; then
every link is linted too. Findings of severity NOTICE and above count; below, pkilint only names
what it recognised. One is dropped: `pkix.invalid_uri_syntax` on a URI that begins with `spiffe://`,
a scheme that pkilint does not know; the syntax of SPIFFE IDs is checked by our own tests.
"""

import re
import sys
from pathlib import Path

from pkilint import loader
from pkilint.bin import lint_pkix_signer_signee_cert_chain as link
from pkilint.pkix import certificate, extension, name
from pkilint.validation import ValidationFindingSeverity

DROPPED_CODE = "pkix.invalid_uri_syntax"
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def main(paths):
    """Lints every file; answers the exit code."""
    if not paths:
        print("usage: certificates.py FILE.pem...", file=sys.stderr)
        return 2
    found = False
    for path in paths:
        pems = PEM.findall(Path(path).read_text(encoding="ascii"))
        if not pems:
            print(f"{path}: no certificate", file=sys.stderr)
            return 2
        for number, pem in enumerate(pems):
            found |= tell(f"{path}[{number}]", lint_alone(pem))
        for number, (subject, issuer) in enumerate(zip(pems, pems[1:])):
            found |= tell(f"{path}[{number}] under [{number + 1}]", lint_link(subject, issuer))
    return int(found)


def lint_alone(pem):
    """RFC 5280 shape of one certificate."""
    rules = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    return rules.validate(loader.load_pem_certificate(pem, "certificate").root)


def lint_link(subject_pem, issuer_pem):
    """Names, key identifiers and signature between a certificate and its issuer."""
    chain = {}
    loaded = {}
    for role, pem in (("issuer", issuer_pem), ("subject", subject_pem)):
        loaded[role] = loader.load_pem_certificate(pem, role, role, chain)
        chain[role] = loaded[role]
    issuer, subject = loaded["issuer"].root, loaded["subject"].root
    decode = link.create_decoder_validation_container()
    results = decode.validate(issuer) + decode.validate(subject)
    results += link.create_issuer_validation_container().validate(issuer)
    return results + link.create_subject_validation_container().validate(subject)


def tell(place, results):
    """Prints the findings that count; answers whether there was one."""
    found = False
    for result in results:
        for description in result.finding_descriptions:
            finding = description.finding
            if finding.severity > ValidationFindingSeverity.NOTICE or is_spiffe(result, finding):
                continue
            print(f"{place}: {result.node.path}: {description}")
            found = True
    return found


def is_spiffe(result, finding):
    """Whether this is pkilint's objection to the scheme of a SPIFFE ID."""
    return finding.code == DROPPED_CODE and str(result.node.pdu).startswith("spiffe://")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
