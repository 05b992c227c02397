//! The disk as the kernel asks for it.
//!
//! Promises: what a program wrote is with the disk when its call returns: the kernel's own cache
//! holds nothing back.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::faults::lossy::{Body, LossyDisk, Node, Platter};

pub(super) struct Door(pub(super) LossyDisk);

impl Door {
    fn attributes(&self, number: u64) -> Result<FileAttr, Errno> {
        shown(&mut self.0.platter(), number)
    }

    fn made(&self, parent: INodeNo, name: &OsStr, node: Node) -> Result<FileAttr, Errno> {
        let mut platter = self.0.platter();
        let number = platter.make(parent.0, name, node)?;
        shown(&mut platter, number)
    }

    fn removed(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let mut platter = self.0.platter();
        let number = platter.find(parent.0, name)?;
        if let Body::Folder { names, .. } = &platter.node(number)?.body
            && !names.is_empty()
        {
            return Err(Errno::ENOTEMPTY);
        }
        platter.change(parent.0, vec![(name.to_owned(), None)])
    }
}

impl Filesystem for Door {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.platter().find(parent.0, name);
        entry(reply, found.and_then(|number| self.attributes(number)));
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attributes(reply, self.attributes(node.0));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut platter = self.0.platter();
        let mut change = || {
            if let Some(mode) = mode {
                platter.node(node.0)?.mode = permissions(mode);
            }
            if let Some(size) = size {
                platter.open()?;
                platter.file(node.0)?.cut_to(size as usize);
            }
            shown(&mut platter, node.0)
        };
        attributes(reply, change());
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let folder = Node::folder(permissions(mode & !umask));
        entry(reply, self.made(parent, name, folder));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.removed(parent, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.removed(parent, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        // Nobody here moves from folder to folder, or asks for more than the plain call.
        if parent != to || !flags.is_empty() {
            return reply.error(Errno::EXDEV);
        }
        let mut platter = self.0.platter();
        let moved = platter.find(parent.0, name).and_then(|number| {
            let names = vec![(name.to_owned(), None), (new.to_owned(), Some(number))];
            platter.change(parent.0, names)
        });
        done(reply, moved);
    }

    fn link(&self, _: &Request, node: INodeNo, to: INodeNo, new: &OsStr, reply: ReplyEntry) {
        let mut platter = self.0.platter();
        let linked = match platter.find(to.0, new) {
            Ok(_) => Err(Errno::EEXIST),
            Err(_) => platter.change(to.0, vec![(new.to_owned(), Some(node.0))]),
        };
        entry(reply, linked.and_then(|()| shown(&mut platter, node.0)));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.made(parent, name, Node::file(permissions(mode & !umask))) {
            Ok(shown) => {
                let (first, none) = (Generation(0), FopenFlags::empty());
                reply.created(&FOR_EVER, &shown, first, FileHandle(0), none);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.platter().file(node.0) {
            Ok(contents) => reply.data(contents.read(offset as usize, size as usize)),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut platter = self.0.platter();
        match platter.open().and_then(|()| platter.file(node.0)) {
            Ok(contents) => {
                contents.write(offset as usize, bytes);
                reply.written(bytes.len() as u32);
            }
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(reply, self.0.platter().sync_file(node.0));
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(reply, self.0.platter().sync_folder(node.0));
    }

    fn readdir(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut platter = self.0.platter();
        let names = match platter.names(node.0) {
            Ok(names) => names.clone(),
            Err(error) => return reply.error(error),
        };
        for ((name, number), at) in names.into_iter().zip(1..).skip(offset as usize) {
            let kind = platter
                .node(number)
                .map_or(FileType::RegularFile, |node| kind(node));
            if reply.add(INodeNo(number), at, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let plenty = 1 << 24;
        reply.statfs(plenty, plenty, plenty, plenty, plenty, 512, 255, 512);
    }
}

fn shown(platter: &mut Platter, number: u64) -> Result<FileAttr, Errno> {
    let node = platter.node(number)?;
    let size = match &node.body {
        Body::File(contents) => contents.bytes.len() as u64,
        Body::Folder { .. } => 0,
    };
    let time = SystemTime::UNIX_EPOCH;
    Ok(FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: kind(node),
        perm: node.mode,
        nlink: 1,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        blksize: 4_096,
        flags: 0,
    })
}

fn kind(node: &Node) -> FileType {
    match node.body {
        Body::File(_) => FileType::RegularFile,
        Body::Folder { .. } => FileType::Directory,
    }
}

fn permissions(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

fn entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(shown) => reply.entry(&FOR_EVER, &shown, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn attributes(reply: ReplyAttr, found: Result<FileAttr, Errno>) {
    match found {
        Ok(shown) => reply.attr(&FOR_EVER, &shown),
        Err(error) => reply.error(error),
    }
}

fn done(reply: ReplyEmpty, outcome: Result<(), Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

/// How long the kernel may believe a name or a size: everything changes through it.
const FOR_EVER: Duration = Duration::from_hours(1);
