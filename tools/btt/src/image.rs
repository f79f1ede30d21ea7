// SPDX-License-Identifier: GPL-2.0

//! An image file or a block device as a medium. It does not change until the changes are applied.
//!
//! Stores of the engine go to pages in memory that overlay the file. A BTT can thus be opened, and
//! thereby restored and recovered, to see what that would change; [`Inner::apply`] then writes the
//! changes to the file. Creating a BTT is different: it changes too many pages, and their order
//! matters, so stores go to the file at once ([`Inner::write_through`]).

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

/// Size of a page of the overlay in bytes.
const PAGE: u64 = 4096;

/// Bytes of the file that are zeroed at a time.
const ZERO_CHUNK: u64 = 1 << 20;

/// Callback with the number of bytes that were zeroed.
type Zeroed = Box<dyn FnMut(u64)>;

type Page = Box<[u8; PAGE as usize]>;

/// A file with an overlay of changes. Clones share the file and the overlay.
#[derive(Clone)]
pub struct Image(Rc<Inner>);

impl Deref for Image {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The file and its overlay.
pub struct Inner {
    path: PathBuf,
    file: File,
    size: u64,
    pages: RefCell<BTreeMap<u64, Page>>,
    /// Set if stores go to the file at once: callback with the number of bytes that were zeroed.
    direct: RefCell<Option<Zeroed>>,
    /// The first I/O error of the file; the engine only learns that there was one.
    error: RefCell<Option<std::io::Error>>,
    /// The page that was read last, so that reading a map takes no system call for each entry.
    cached: RefCell<Option<(u64, Page)>>,
}

impl Image {
    /// Opens an image; for changes only if they are wanted.
    pub fn open(path: &Path, writable: bool) -> Result<Self> {
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
            direct: RefCell::default(),
            error: RefCell::default(),
            cached: RefCell::default(),
        })))
    }
}

impl Inner {
    /// Returns the bytes of changed pages.
    pub fn changed(&self) -> u64 {
        self.pages.borrow().len() as u64 * PAGE
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the first I/O error of the file, if there was one.
    pub fn take_error(&self) -> Option<anyhow::Error> {
        let error = self.error.borrow_mut().take()?;
        Some(anyhow::Error::new(error).context(format!("{}", self.path.display())))
    }

    /// Drops all changes in the overlay.
    pub fn forget_changes(&self) {
        self.pages.borrow_mut().clear();
        self.cached.borrow_mut().take();
    }

    /// Makes stores go to the file at once from now on, and makes fences wait for the disk.
    /// `zeroed` is called with the number of bytes of a range that were zeroed.
    pub fn write_through(&self, zeroed: impl FnMut(u64) + 'static) {
        *self.direct.borrow_mut() = Some(Box::new(zeroed));
    }

    fn is_direct(&self) -> bool {
        self.direct.borrow().is_some()
    }

    /// Accesses the file, and records its first error.
    fn on_file(
        &self,
        offset: u64,
        len: u64,
        access: impl FnOnce(&File) -> std::io::Result<()>,
    ) -> Result<(), MediaError> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.size);
        if !inside {
            return Err(MediaError::OutOfRange { offset, len });
        }
        self.cached.borrow_mut().take();
        access(&self.file).map_err(|error| {
            self.error.borrow_mut().get_or_insert(error);
            MediaError::Poison { offset, len }
        })
    }

    /// Zeroes a part of the file. Zeroes are not written again, so holes of a sparse file stay
    /// holes.
    fn zero_file(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        let mut found = vec![0; ZERO_CHUNK.min(len) as usize];
        let mut done = 0;
        while done < len {
            let now = (len - done).min(ZERO_CHUNK);
            let part = &mut found[..now as usize];
            self.on_file(offset + done, now, |file| {
                file.read_exact_at(part, offset + done)?;
                if part.iter().all(|&byte| byte == 0) {
                    return Ok(());
                }
                part.fill(0);
                file.write_all_at(part, offset + done)
            })?;
            done += now;
        }
        if let Some(zeroed) = &mut *self.direct.borrow_mut() {
            zeroed(len);
        }
        Ok(())
    }

    /// Writes the old contents of changed pages to the new file `backup`: for each page its offset
    /// as 8 bytes, little endian, and its 4096 bytes.
    pub fn back_up(&self, backup: &Path) -> Result<()> {
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

    /// Writes the changes to the file and waits for the disk.
    pub fn apply(&self) -> Result<()> {
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

    /// Calls `access` with each page of a range, changed or not, and the part of it that is in the
    /// range.
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
        if self.is_direct() {
            return self.on_file(offset, bytes.len() as u64, |file| {
                file.write_all_at(bytes, offset)
            });
        }
        let mut rest = bytes;
        self.each_page(offset, bytes.len() as u64, true, |page, range| {
            let (now, later) = rest.split_at(range.len());
            page[range].copy_from_slice(now);
            rest = later;
        })
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        if self.is_direct() {
            return self.zero_file(offset, len);
        }
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
        if self.is_direct() {
            return self
                .on_file(0, 0, File::sync_all)
                .map_err(|_| MediaError::Flush);
        }
        Ok(())
    }
}
