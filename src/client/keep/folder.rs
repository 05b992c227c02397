//! The folder that proxies and programs read: five files, each whole at every moment.
//!
//! | File | Holds |
//! |---|---|
//! | `svid.pem`, `svid.key` | chain and key |
//! | `bundle.pem` | roots |
//! | `svid.yaml` | chain and key for Envoy |
//! | `bundle.yaml` | roots for Envoy |
//!
//! Promises: a file is written aside, made durable and renamed into its place; a reader sees the
//! old one or the new one. `svid.yaml` comes last. Files with a key are readable by their owner
//! alone.
//! Refuses: a folder in which others may write, and one that another keeper holds.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::client::keep::envoy;
use crate::client::{BUNDLE_PEM, SVID_KEY, SVID_PEM};

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
