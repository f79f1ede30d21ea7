// SPDX-License-Identifier: GPL-2.0

//! An image file or a block device as a medium, which is not changed until one asks for it.
//!
//! Whatever the engine stores goes to pages in memory that lie over the file. So a BTT can be opened, and thereby
//! restored and recovered, to see what that would do; [`Image::apply`] then does it for good.

use anyhow::{
    bail,
    Context,
    Result, //
};
use btt_engine::{
    Media,
    MediaError, //
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::{
        File,
        OpenOptions, //
    },
    io::{
        Seek,
        SeekFrom,
        Write, //
    },
    ops::Deref,
    os::unix::fs::FileExt,
    path::{
        Path,
        PathBuf, //
    },
    rc::Rc,
};

/// Bytes of a page in memory.
const PAGE: u64 = 4096;

type Page = Box<[u8; PAGE as usize]>;

/// A file with changes that it does not have yet. Clones are the same file.
#[derive(Clone)]
pub(crate) struct Image(Rc<Inner>);

impl Deref for Image {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The file and its changes.
pub(crate) struct Inner {
    path: PathBuf,
    file: File,
    size: u64,
    pages: RefCell<BTreeMap<u64, Page>>,
    /// The first error of the file; the engine only learns that there was one.
    error: RefCell<Option<std::io::Error>>,
    /// The page that was read last, to read maps without a system call for each entry.
    cached: RefCell<Option<(u64, Page)>>,
}

impl Image {
    /// Opens an image; for changes only if they are wanted.
    pub(crate) fn open(path: &Path, writable: bool) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(writable)
            .open(path)
            .with_context(|| format!("{}", path.display()))?;
        if file
            .metadata()
            .with_context(|| format!("{}", path.display()))?
            .is_dir()
        {
            bail!("{}: is a directory", path.display());
        }
        // Also tells the size of a block device.
        let size = file
            .seek(SeekFrom::End(0))
            .with_context(|| format!("{}", path.display()))?;
        Ok(Self(Rc::new(Inner {
            path: path.to_path_buf(),
            file,
            size,
            pages: RefCell::default(),
            error: RefCell::default(),
            cached: RefCell::default(),
        })))
    }
}

impl Inner {
    /// Bytes that differ from the file, in pages.
    pub(crate) fn changed(&self) -> u64 {
        self.pages.borrow().len() as u64 * PAGE
    }

    /// The file's own error, if there was one.
    pub(crate) fn take_error(&self) -> Option<std::io::Error> {
        self.error.borrow_mut().take()
    }

    /// Writes to `backup` what the changes will overwrite: for each page its offset as 8 bytes, little endian, and its
    /// 4096 bytes.
    pub(crate) fn back_up(&self, backup: &Path) -> Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(backup)
            .with_context(|| format!("{}", backup.display()))?;
        for &number in self.pages.borrow().keys() {
            let page = self
                .read_page(number)
                .with_context(|| format!("{}", self.path.display()))?;
            file.write_all(&(number * PAGE).to_le_bytes())
                .and_then(|()| file.write_all(&page[..]))
                .with_context(|| format!("{}", backup.display()))?;
        }
        file.sync_all()
            .with_context(|| format!("{}", backup.display()))
    }

    /// Makes the changes for good.
    pub(crate) fn apply(&self) -> Result<()> {
        let path = || format!("{}", self.path.display());
        for (&number, page) in self.pages.borrow().iter() {
            let offset = number * PAGE;
            let len = (self.size - offset).min(PAGE) as usize;
            self.file
                .write_all_at(&page[..len], offset)
                .with_context(path)?;
        }
        self.file.sync_all().with_context(path)?;
        self.pages.borrow_mut().clear();
        self.cached.borrow_mut().take();
        Ok(())
    }

    fn read_page(&self, number: u64) -> std::io::Result<Page> {
        let mut page: Page = Box::new([0; PAGE as usize]);
        let offset = number * PAGE;
        let len = self.size.saturating_sub(offset).min(PAGE) as usize;
        self.file.read_exact_at(&mut page[..len], offset)?;
        Ok(page)
    }

    /// Calls `access` with each page of a range, changed or not, and the part of it that is in the range.
    fn each_page(
        &self,
        offset: u64,
        len: u64,
        write: bool,
        mut access: impl FnMut(&mut Page, std::ops::Range<usize>),
    ) -> Result<(), MediaError> {
        let end = offset.checked_add(len).filter(|&end| end <= self.size);
        let end = end.ok_or(MediaError::OutOfRange { offset, len })?;
        let mut start = offset;
        while start < end {
            let (number, first) = (start / PAGE, start % PAGE);
            let last = (end - number * PAGE).min(PAGE);
            let range = first as usize..last as usize;
            let mut pages = self.pages.borrow_mut();
            if let Some(page) = pages.get_mut(&number) {
                access(page, range);
            } else {
                let mut cached = self.cached.borrow_mut();
                let mut page = match cached.take() {
                    Some((cached, page)) if cached == number => page,
                    _ => self.read_page(number).map_err(|error| {
                        self.error.borrow_mut().get_or_insert(error);
                        MediaError::Poison { offset, len }
                    })?,
                };
                access(&mut page, range);
                if write {
                    pages.insert(number, page);
                } else {
                    *cached = Some((number, page));
                }
            }
            start = number * PAGE + last;
        }
        Ok(())
    }
}

impl Media for Image {
    fn size(&self) -> u64 {
        self.size
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        let mut bytes = [0; 4];
        self.read_bytes(offset, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        self.write_bytes(offset, &value.to_le_bytes())
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        self.write_bytes(offset, &value.to_le_bytes())
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        let len = bytes.len() as u64;
        let mut rest = bytes;
        self.each_page(offset, len, false, |page, range| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(range.len());
            now.copy_from_slice(&page[range]);
            rest = later;
        })
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        let mut rest = bytes;
        self.each_page(offset, bytes.len() as u64, true, |page, range| {
            let (now, later) = rest.split_at(range.len());
            page[range].copy_from_slice(now);
            rest = later;
        })
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.each_page(offset, len, true, |page, range| page[range].fill(0))
    }

    fn is_bad(&self, _: u64, _: u64) -> bool {
        false
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.zero(offset, len)
    }

    fn flush(&self, _: u64, _: u64) {}

    fn fence(&self) -> Result<(), MediaError> {
        Ok(())
    }
}
