//! What an agent makes of what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protem::client::Client;
use protem::proto::agent::change::What;
use protem::proto::agent::{Change, Elevation, Entry};
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// Everything that was told, and what came last.
#[derive(Debug, Default)]
pub(crate) struct Image {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// By id; those that are open.
    pub(crate) open: BTreeMap<String, Elevation>,
    pub(crate) bundles: BTreeMap<String, Vec<Vec<u8>>>,
    pub(crate) denied: BTreeSet<Vec<u8>>,
    /// How often everything was told.
    pub(crate) ready: u32,
}

/// A stream and what was learnt from it.
pub(crate) struct Watching {
    stream: Streaming<Change>,
    pub(crate) image: Image,
}

impl Watching {
    /// Watches until everything was told once.
    pub(crate) async fn begin(client: &Client) -> Self {
        let mut watching = Self {
            stream: client.watch(true).await.unwrap(),
            image: Image::default(),
        };
        watching.until(|image| image.ready == 1).await;
        watching
    }

    /// The next thing but a beat.
    pub(crate) async fn next(&mut self) -> Result<What, Status> {
        loop {
            let message = timeout(LONGEST, self.stream.message()).await;
            let change = message.expect("something is told")?;
            let change = change.ok_or_else(|| Status::ok("the stream ended without a word"))?;
            assert!(0 < change.now_ms);
            let what = change.what.unwrap();
            if let What::Beat(_) = what {
                continue;
            }
            self.image.take(what.clone());
            return Ok(what);
        }
    }

    /// Listens until the image is so.
    pub(crate) async fn until(&mut self, so: impl Fn(&Image) -> bool) {
        while !so(&self.image) {
            self.next().await.unwrap();
        }
    }

    /// Listens until the stream ends; answers how.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}

impl Image {
    fn take(&mut self, what: What) {
        match what {
            What::Entry(entry) => {
                let before = self.entries.insert(entry.id.clone(), entry.clone());
                let newer = before.is_none_or(|before| before.version < entry.version);
                assert!(newer, "an entry is told again, or goes back: {entry:?}");
            }
            What::EntryRemoved(id) => {
                let gone = self.entries.remove(&id).expect("it was told");
                self.open.retain(|_, one| one.subject != gone.subject);
            }
            What::Elevation(elevation) => {
                let subjects: Vec<_> = self.entries.values().map(|one| &one.subject).collect();
                assert!(subjects.contains(&&elevation.subject), "{elevation:?}");
                let open = ["pending", "approved", "active"].contains(&elevation.state.as_str());
                let before = self.open.remove(&elevation.id);
                let newer = before.is_none_or(|before| before.version < elevation.version);
                assert!(
                    newer,
                    "an elevation is told again, or goes back: {elevation:?}"
                );
                if open {
                    self.open.insert(elevation.id.clone(), elevation);
                }
            }
            What::Bundle(bundle) => {
                let roots = bundle.certificates.iter().map(|der| der.to_vec());
                self.bundles.insert(bundle.trust_domain, roots.collect());
            }
            What::Denied(denied) => {
                self.denied.insert(denied.sha256.to_vec());
            }
            What::Ready(_) => self.ready += 1,
            What::Beat(_) => {}
        }
    }
}

/// The longest that a test waits for a word: beats come more often.
const LONGEST: Duration = Duration::from_secs(30);
