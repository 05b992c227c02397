//! Other people's readers of certificates, each as one question: is this chain good now?
//!
//! A chain is PEM, leaf first, without its root.

use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use protem::x509::{PrivateKey, read_chain};
use spiffe::{X509Bundle, X509Svid};

use crate::lint::pkilint;
use crate::tools::{run, tool};

/// A folder of chains under one root.
pub(crate) struct Readers {
    folder: tempfile::TempDir,
    root: PathBuf,
    /// Every chain so far, each followed by the root.
    whole: Vec<PathBuf>,
}

impl Readers {
    pub(crate) fn under(root_pem: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        std::fs::write(&root, root_pem).unwrap();
        Self {
            folder,
            root,
            whole: Vec::new(),
        }
    }

    /// Fails unless OpenSSL and GnuTLS verify the chain for every purpose: `sslclient`,
    /// `sslserver` or `any`. With `at`, OpenSSL looks at it in that second and GnuTLS not at all:
    /// this certtool knows only the clock of the machine.
    pub(crate) fn verify(
        &mut self,
        what: &str,
        chain_pem: &str,
        purposes: &[&str],
        at: Option<i64>,
    ) {
        let chain = self.write(&format!("{what}.chain.pem"), chain_pem);
        let leaf = read_chain(chain_pem.as_bytes()).unwrap()[0].to_pem();
        let leaf = self.write(&format!("{what}.leaf.pem"), &leaf);
        let root = std::fs::read_to_string(&self.root).unwrap();
        let whole = self.write(
            &format!("{what}.whole.pem"),
            &(chain_pem.to_owned() + &root),
        );
        self.whole.push(whole);
        for purpose in purposes {
            let mut openssl = tool("openssl");
            openssl.args(["verify", "-x509_strict", "-purpose", purpose]);
            if let Some(at) = at {
                openssl.args(["-attime", &at.to_string()]);
            }
            openssl.arg("-CAfile").arg(&self.root);
            openssl.arg("-untrusted").arg(&chain).arg(&leaf);
            let ran = run(&mut openssl);
            assert!(ran.success, "openssl, {what}, {purpose}: {ran:?}");
        }
        if at.is_none() {
            for purpose in purposes {
                self.gnutls(what, &chain, purpose);
            }
        }
    }

    /// Fails unless pkilint is silent about every chain so far. One run: it starts slowly.
    pub(crate) fn lint(&self) {
        let files: Vec<&Path> = self.whole.iter().map(PathBuf::as_path).collect();
        let ran = pkilint(&files);
        assert!(ran.success && ran.stdout.is_empty(), "pkilint: {ran:?}");
    }

    fn gnutls(&self, what: &str, chain: &Path, purpose: &str) {
        let mut certtool = tool("certtool");
        certtool.arg("--verify");
        match purpose {
            "any" => &mut certtool,
            "sslclient" => certtool.args(["--verify-purpose", "1.3.6.1.5.5.7.3.2"]),
            "sslserver" => certtool.args(["--verify-purpose", "1.3.6.1.5.5.7.3.1"]),
            other => panic!("no purpose `{other}`"),
        };
        certtool.arg("--load-ca-certificate").arg(&self.root);
        let ran = run(certtool.arg("--infile").arg(chain));
        let good = ran.success && ran.stdout.contains("Verified. The certificate is trusted.");
        assert!(good, "certtool, {what}, {purpose}: {ran:?}");
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Fails unless the `spiffe` crate takes chain and key as an SVID with this id.
pub(crate) fn spiffe_svid(chain_pem: &str, key: &PrivateKey, id: &str) {
    let chain = read_chain(chain_pem.as_bytes()).unwrap();
    let der: Vec<u8> = chain.iter().flat_map(|one| one.der().to_vec()).collect();
    let svid = X509Svid::parse_from_der(&der, &key.to_pkcs8_der().unwrap());
    let svid = svid.unwrap_or_else(|error| panic!("spiffe, {id}: {error}"));
    assert_eq!(svid.spiffe_id().to_string(), id);
    assert_eq!(svid.cert_chain().len(), chain.len());
}

/// The authorities that the `spiffe` crate finds in a SPIFFE bundle document.
///
/// The crate reads no JWK sets of X.509 authorities itself (only JWT ones), so that the document's
/// frame is read here and its certificates there.
pub(crate) fn spiffe_bundle(trust_domain: &str, jwks: &str) -> Vec<Vec<u8>> {
    let document: serde_json::Value = serde_json::from_str(jwks).unwrap();
    let mut der = Vec::new();
    for key in document["keys"].as_array().unwrap() {
        assert_eq!(key["use"], "x509-svid");
        assert!(key["kid"].is_null(), "X509-SVID 4.1: no `kid`");
        let [certificate] = key["x5c"].as_array().unwrap().as_slice() else {
            panic!("one certificate for each key (SPIFFE Trust Domain and Bundle 4.2)")
        };
        der.extend(Base64::decode_vec(certificate.as_str().unwrap()).unwrap());
    }
    let trust_domain = spiffe::TrustDomain::new(trust_domain).unwrap();
    let bundle = X509Bundle::parse_from_der(trust_domain, &der).unwrap();
    let authorities = bundle.authorities().iter();
    authorities.map(|one| one.as_bytes().to_vec()).collect()
}
