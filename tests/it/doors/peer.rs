//! A certificate authority of a few lines, and clients of the door with its certificates.

use std::net::SocketAddr;
use std::sync::Arc;

use protem::time::{Seconds, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::client::TicketRequest;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::frames::Frames;
use super::wire::{Http1, Http2};

/// A root and what it signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A leaf with what stands above it, and its key.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Opens connections to one door, as one peer, with one memory of sessions.
pub(crate) struct Client {
    address: SocketAddr,
    config: ClientConfig,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        Self { issuer }
    }

    pub(crate) fn root_der(&self) -> &[u8] {
        self.issuer.der().as_ref()
    }

    /// What the door shows.
    pub(crate) fn server(&self) -> Arc<dyn ResolvesServerCert> {
        let leaf = self.server_leaf();
        let provider = aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(leaf.key).unwrap();
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(leaf.chain, key)))
    }

    /// A name, and a life that outlasts this house.
    pub(crate) fn server_leaf(&self) -> Leaf {
        let mut params = CertificateParams::new(vec![SERVER.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// An SVID that begins at `from` and lives for `life`.
    pub(crate) fn svid(&self, id: &str, from: Timestamp, life: Seconds) -> Leaf {
        self.leaf(id, from, life, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// As an SVID, but not for clients.
    pub(crate) fn server_only(&self, id: &str, from: Timestamp) -> Leaf {
        self.leaf(
            id,
            from,
            Seconds::new(900),
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    fn leaf(
        &self,
        id: &str,
        from: Timestamp,
        life: Seconds,
        usage: ExtendedKeyUsagePurpose,
    ) -> Leaf {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        params.not_before = from.date_time();
        params.not_after = from.plus(life).date_time();
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }
}

impl Client {
    /// A client that tries to resume whatever it can, and asks for tickets by itself (RFC 9149).
    pub(crate) fn new(address: SocketAddr, of: &Authority, leaf: Option<Leaf>) -> Self {
        Self::trusting(address, of.root_der(), leaf)
    }

    /// As [`Self::new`], of an authority whose root (DER) alone is known.
    pub(crate) fn trusting(address: SocketAddr, root: &[u8], leaf: Option<Leaf>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root).into_owned()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => builder.with_client_auth_cert(leaf.chain, leaf.key).unwrap(),
        };
        config.enable_early_data = true;
        config.send_ticket_request = Some(TicketRequest {
            new_session_count: 4,
            resumption_count: 4,
        });
        Self { address, config }
    }

    /// A connection that speaks HTTP/1.1; none where the door does not shake hands.
    pub(crate) async fn http1(&self) -> Option<Http1> {
        Some(Http1::over(self.connect("http/1.1").await?))
    }

    /// A connection that speaks HTTP/2; none where the door does not shake hands.
    pub(crate) async fn http2(&self) -> Option<Http2> {
        Some(Http2::over(self.connect("h2").await?).await)
    }

    /// A connection of HTTP/2 frames, with these settings of ours.
    pub(crate) async fn frames(&self, settings: &[(u16, u32)]) -> Option<Frames> {
        Some(Frames::over(self.connect("h2").await?, settings).await)
    }

    /// A connection for which this protocol was offered; none where there is no handshake.
    pub(crate) async fn connect(&self, alpn: &str) -> Option<TlsStream<TcpStream>> {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(SERVER).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .ok()
    }
}

const SERVER: &str = "protem.test";
