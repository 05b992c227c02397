//! Certificates that the authority did not mint, some of them under its own keys: the forger has
//! read the data directory.

use protem::time::{Clock as _, Seconds, SystemClock, Timestamp};
use protem::x509::{PrivateKey, read_chain};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::abuse::stage::Stage;
use crate::doors::peer::Leaf;

/// An issuer's key and what stands above its leaves.
pub(crate) struct Forge {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

impl Forge {
    /// With the key of an issuer of this name, as it lies in the data directory.
    pub(crate) fn stolen(stage: &Stage, name: &str) -> Self {
        let folder = stage.data().join("ca");
        let files = std::fs::read_dir(&folder).unwrap();
        let key = files
            .map(|file| file.unwrap().path())
            .find(|path| {
                let file = path.file_name().unwrap().to_str().unwrap();
                file.starts_with(name) && path.extension().is_some_and(|end| end == "key")
            })
            .unwrap();
        let pem = std::fs::read(key.with_extension("pem")).unwrap();
        let own = CertificateDer::from(read_chain(&pem).unwrap()[0].der().to_vec());
        let key = PrivateKey::from_pkcs8_pem(&std::fs::read_to_string(key).unwrap()).unwrap();
        let key = KeyPair::try_from(key.to_pkcs8_der().unwrap().as_slice()).unwrap();
        Self {
            issuer: Issuer::from_ca_cert_der(&own, key).unwrap(),
            chain: vec![own],
        }
    }

    /// Of one's own making.
    pub(crate) fn made_up() -> Self {
        Self::below(None)
    }

    /// An issuer below another, or a root.
    pub(crate) fn below(above: Option<&Self>) -> Self {
        let mut params = params(Life::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let own = match above {
            None => params.self_signed(&key),
            Some(above) => params.signed_by(&key, &above.issuer),
        };
        let above = above.map(|above| above.chain.clone()).unwrap_or_default();
        Self {
            chain: [vec![own.unwrap().der().clone()], above].concat(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn leaf(&self, uris: &[&str], usages: &[Usage], life: Life) -> Leaf {
        let mut params = params(life);
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(uri).collect();
        params.extended_key_usages = usages.to_vec();
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: [vec![own.der().clone()], self.chain.clone()].concat(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    /// The issuer itself as a peer.
    pub(crate) fn itself(&self) -> Leaf {
        Leaf {
            chain: self.chain.clone(),
            key: PrivatePkcs8KeyDer::from(self.issuer.key().serialize_der()).into(),
        }
    }
}

/// From and to, in seconds from now.
pub(crate) struct Life(Timestamp, Timestamp);

impl Life {
    pub(crate) fn ended(before: u32) -> Self {
        let now = SystemClock.now();
        Self(
            now.minus(Seconds::new(900)),
            now.minus(Seconds::new(before)),
        )
    }

    pub(crate) fn to_come(after: u32) -> Self {
        let now = SystemClock.now();
        Self(now.plus(Seconds::new(after)), now.plus(Seconds::new(900)))
    }
}

impl Default for Life {
    fn default() -> Self {
        let now = SystemClock.now();
        Self(now.minus(Seconds::new(60)), now.plus(Seconds::new(900)))
    }
}

pub(crate) fn params(life: Life) -> CertificateParams {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (life.0.date_time(), life.1.date_time());
    params.use_authority_key_identifier_extension = true;
    params
}
