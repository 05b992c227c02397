//! SVIDs that a real Envoy takes, made by openssl.
//!
//! Promises: one root for each forge; lives to the second.
//! Refuses: use outside tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use aws_lc_rs::digest;
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::agent::holdings::{Bundles, Generation, Svid};
use crate::scope::SvidName;
use crate::time::{Seconds, Timestamp};

use super::held::now;

pub(crate) struct Forge {
    folder: PathBuf,
}

impl Forge {
    /// With a root of its own.
    pub(crate) fn new(folder: &Path) -> Self {
        let folder = folder.join("forge");
        fs::create_dir(&folder).unwrap();
        let forge = Self { folder };
        forge.write("index.txt", "");
        forge.write("ca.cnf", CONFIG);
        forge.key("ca.key");
        forge.openssl(
            "req -x509 -new -key ca.key -subj /O=root -days 2 -out ca.pem \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        );
        forge.openssl("x509 -in ca.pem -outform DER -out ca.der");
        forge
    }

    /// The root as the bundle of `td.test`.
    pub(crate) fn bundles(&self, generation: u64) -> Arc<Bundles> {
        super::held::bundles(generation, &[("td.test", &self.read("ca.der"))])
    }

    /// An SVID under the root that ends in so many seconds.
    pub(crate) fn svid(&self, generation: u64, name: SvidName, seconds: u32) -> Arc<Svid> {
        let sans = name.sans().unwrap();
        self.write(
            "leaf.cnf",
            &format!(
                "subjectAltName=URI:{},DNS:host.test\nbasicConstraints=critical,CA:FALSE\n\
                 keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n",
                sans.uri
            ),
        );
        let (from, to) = (
            now().minus(Seconds::new(30)),
            now().plus(Seconds::new(seconds)),
        );
        self.key("leaf.key");
        self.openssl("req -new -key leaf.key -subj /O=leaf -out leaf.csr");
        self.openssl(&format!(
            "ca -batch -config ca.cnf -in leaf.csr -out leaf.pem -notext \
             -startdate {} -enddate {} -extfile leaf.cnf",
            asn1(from),
            asn1(to)
        ));
        self.openssl("x509 -in leaf.pem -outform DER -out leaf.der");
        let serial = self.openssl("x509 -in leaf.pem -noout -serial");
        let der = self.read("leaf.der");
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, &der).as_ref());
        Arc::new(Svid {
            generation: Generation(generation),
            spiffe_id: sans.uri,
            name,
            chain_der: der.into(),
            chain_pem: Bytes::from(self.read("leaf.pem")),
            key_der: Zeroizing::default(),
            key_pem: Zeroizing::new(String::from_utf8(self.read("leaf.key")).unwrap()),
            serial: serial.trim().replace("serial=", "").to_lowercase(),
            sha256,
            not_before: from.whole_second(),
            not_after: to.whole_second(),
            renew_at: to,
        })
    }

    /// The root, for a client.
    pub(crate) fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.read("ca.der").into()).unwrap();
        roots
    }

    fn key(&self, name: &str) {
        self.openssl(&format!(
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {name}"
        ));
    }

    fn openssl(&self, line: &str) -> String {
        let mut command = Command::new("openssl");
        command
            .args(line.split_whitespace())
            .current_dir(&self.folder);
        let ran = command.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "openssl {line}: {said}");
        String::from_utf8(ran.stdout).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap()
    }
}

fn asn1(moment: Timestamp) -> String {
    let text = moment.rfc3339();
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    format!("{digits}Z")
}

const CONFIG: &str = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\n\
                      certificate=ca.pem\nprivate_key=ca.key\ndefault_md=sha256\npolicy=p\n\
                      unique_subject=no\nrand_serial=yes\n[p]\norganizationName=optional\n";
