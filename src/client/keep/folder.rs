//! The folder that proxies and programs read: files, each whole at every moment.
//!
//! | File | Holds |
//! |---|---|
//! | `svid.pem`, `svid.key` | chain and key |
//! | `bundle.pem` | roots |
//! | `bundle.<trust domain>.pem` | roots of a federated trust domain |
//! | `svid.yaml` | chain and key for Envoy |
//! | `bundle.yaml` | roots for Envoy |
//!
//! Promises: a file is written aside, made durable and renamed into its place; a reader sees the
//! old one or the new one. `svid.yaml` comes last. Files with a key are readable by their owner
//! alone.
//! Refuses: a folder in which others may write, and one that another keeper holds.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::client::keep::envoy;
use crate::client::{BUNDLE_PEM, SVID_KEY, SVID_PEM};
use crate::identity::TrustDomain;

/// A folder that is held by this process.
pub(crate) struct KeptFolder {
    path: PathBuf,
    /// Open for its lock and to make renames durable.
    folder: File,
}

/// What the files hold, in PEM.
pub(crate) struct Contents<'a> {
    pub(crate) chain: &'a str,
    pub(crate) key: &'a str,
    pub(crate) bundle: &'a str,
    /// Roots of federated trust domains; files of others are taken away. None: as they are.
    pub(crate) federated: Option<&'a BTreeMap<TrustDomain, String>>,
}

/// Why a folder cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// The system refuses.
    #[error("cannot write `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Another keeper is at it.
    #[error("another protem keeps `{}`: give each its own folder", path.display())]
    Held { path: PathBuf },
    /// Others could put their own files there.
    #[error("others may write in `{}`: `chmod go-w` it, or name another folder", path.display())]
    Shared { path: PathBuf },
}

impl KeptFolder {
    /// Takes a folder, making it where it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let wrong = failed(path);
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)
            .map_err(&wrong)?;
        let folder = File::open(path).map_err(&wrong)?;
        let mode = folder.metadata().map_err(&wrong)?.mode();
        if mode & WRITABLE_BY_OTHERS != 0 {
            let path = path.to_owned();
            return Err(FolderError::Shared { path });
        }
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.to_owned();
                return Err(FolderError::Held { path });
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let path = path.to_owned();
        Ok(Self { path, folder })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces all files.
    pub(crate) fn write(&self, contents: &Contents<'_>) -> Result<(), FolderError> {
        self.put(SVID_KEY, SECRET_MODE, contents.key.as_bytes())?;
        self.put(SVID_PEM, PUBLIC_MODE, contents.chain.as_bytes())?;
        self.put(BUNDLE_PEM, PUBLIC_MODE, contents.bundle.as_bytes())?;
        if let Some(federated) = contents.federated {
            self.put_federated(federated)?;
        }
        let bundle = envoy::bundle(contents.bundle);
        self.put(BUNDLE_YAML, PUBLIC_MODE, &bundle)?;
        let svid = envoy::svid(contents.chain, contents.key);
        self.put(SVID_YAML, SECRET_MODE, &svid)?;
        self.settle()
    }

    /// Takes away the key, and so the use of the certificate, which stays as a record.
    pub(crate) fn clear(&self) -> Result<(), FolderError> {
        self.put(SVID_YAML, SECRET_MODE, &envoy::nothing())?;
        remove(&self.path.join(SVID_KEY))?;
        self.settle()
    }

    fn put_federated(&self, federated: &BTreeMap<TrustDomain, String>) -> Result<(), FolderError> {
        for (domain, roots) in federated {
            let name = format!("{FEDERATED_START}{domain}{FEDERATED_END}");
            self.put(&name, PUBLIC_MODE, roots.as_bytes())?;
        }
        let wrong = failed(&self.path);
        for item in fs::read_dir(&self.path).map_err(&wrong)? {
            let name = item.map_err(&wrong)?.file_name();
            let domain = name.to_str().and_then(|name| {
                let domain = name.strip_prefix(FEDERATED_START)?;
                domain.strip_suffix(FEDERATED_END)
            });
            let domain: Option<TrustDomain> = domain.and_then(|domain| domain.parse().ok());
            if domain.is_some_and(|domain| !federated.contains_key(&domain)) {
                remove(&self.path.join(name))?;
            }
        }
        Ok(())
    }

    fn put(&self, name: &str, mode: u32, content: &[u8]) -> Result<(), FolderError> {
        let aside = self.path.join(format!(".{name}.new"));
        let place = self.path.join(name);
        // What a crash left behind; the lock says that nobody writes it now.
        remove(&aside)?;
        let wrong = failed(&aside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&aside)
            .map_err(&wrong)?;
        file.write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&aside, &place))
            .map_err(wrong)
    }

    fn settle(&self) -> Result<(), FolderError> {
        self.folder.sync_all().map_err(failed(&self.path))
    }
}

fn remove(path: &Path) -> Result<(), FolderError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FolderError {
    |source| FolderError::File {
        path: path.to_owned(),
        source,
    }
}

const SVID_YAML: &str = "svid.yaml";
const BUNDLE_YAML: &str = "bundle.yaml";
/// No trust domain begins or ends with a dot, so that no such file is another one of the folder.
const FEDERATED_START: &str = "bundle.";
const FEDERATED_END: &str = ".pem";
const FOLDER_MODE: u32 = 0o700;
const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
const WRITABLE_BY_OTHERS: u32 = 0o022;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn names(path: &Path) -> Vec<String> {
        let items = fs::read_dir(path).unwrap();
        let mut names: Vec<_> = items
            .map(|item| item.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    const CONTENTS: Contents<'_> = Contents {
        chain: "chain\n",
        key: "key\n",
        bundle: "roots\n",
        federated: None,
    };

    #[test]
    fn files_are_whole_private_and_nothing_is_left_aside() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let folder = KeptFolder::open(&path).unwrap();
        fs::write(path.join(".svid.key.new"), "half").unwrap();
        folder.write(&CONTENTS).unwrap();
        let all = [
            "bundle.pem",
            "bundle.yaml",
            "svid.key",
            "svid.pem",
            "svid.yaml",
        ];
        assert_eq!(names(&path), all);
        assert_eq!(mode(&path), 0o700);
        for secret in ["svid.key", "svid.yaml"] {
            assert_eq!(mode(&path.join(secret)), 0o600, "{secret}");
        }
        assert_eq!(fs::read_to_string(path.join("svid.key")).unwrap(), "key\n");
    }

    #[test]
    fn writing_replaces_by_rename() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let folder = KeptFolder::open(&path).unwrap();
        folder.write(&CONTENTS).unwrap();
        let mut old = File::open(path.join("svid.pem")).unwrap();
        let inode = old.metadata().unwrap().ino();
        let chain = "other\n";
        folder.write(&Contents { chain, ..CONTENTS }).unwrap();
        assert_ne!(fs::metadata(path.join("svid.pem")).unwrap().ino(), inode);
        let mut text = String::new();
        io::Read::read_to_string(&mut old, &mut text).unwrap();
        assert_eq!(
            text, "chain\n",
            "who reads the old file reads it to its end"
        );
    }

    #[test]
    fn clearing_takes_the_key_away() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let folder = KeptFolder::open(&path).unwrap();
        folder.clear().unwrap();
        folder.write(&CONTENTS).unwrap();
        folder.clear().unwrap();
        let left = ["bundle.pem", "bundle.yaml", "svid.pem", "svid.yaml"];
        assert_eq!(names(&path), left);
        let left = fs::read_to_string(path.join("svid.yaml")).unwrap();
        assert_eq!(left, "{\"resources\":[]}\n");
    }

    #[test]
    fn bundles_of_others_come_and_go_and_no_other_file_does() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let folder = KeptFolder::open(&path).unwrap();
        let write = |domains: &[&str]| {
            let federated = domains
                .iter()
                .map(|domain| (domain.parse().unwrap(), "r".to_owned()));
            let federated = Some(&federated.collect());
            folder
                .write(&Contents {
                    federated,
                    ..CONTENTS
                })
                .unwrap();
            let mut names = names(&path);
            names.retain(|name| name.starts_with("bundle."));
            names
        };
        fs::write(path.join("bundle.Mine.pem"), "").unwrap();
        let own = ["bundle.Mine.pem", "bundle.pem", "bundle.yaml"];
        let two = ["bundle.a.example.pem", "bundle.b.pem"];
        assert_eq!(
            write(&["b", "a.example"]),
            [&own[..1], &two, &own[1..]].concat()
        );
        assert_eq!(write(&["b"]), [&own[..1], &two[1..], &own[1..]].concat());
        folder.write(&CONTENTS).unwrap();
        assert!(
            path.join("bundle.b.pem").exists(),
            "who knows none takes none away"
        );
        assert_eq!(write(&[]), own);
    }

    #[test]
    fn a_folder_has_one_keeper_and_no_other_writers() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let folder = KeptFolder::open(&path).unwrap();
        assert!(matches!(
            KeptFolder::open(&path),
            Err(FolderError::Held { .. })
        ));
        drop(folder);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            KeptFolder::open(&path),
            Err(FolderError::Shared { .. })
        ));
    }
}
