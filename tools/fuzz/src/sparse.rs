// SPDX-License-Identifier: GPL-2.0

//! A medium of any size in little memory: pages that differ from those of a base that all runs
//! share, and media errors.

use btt_engine::{
    Media,
    MediaError,
    Sink,
    Source, //
};
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    collections::HashMap,
    ops::Range,
    sync::Arc, //
};

const PAGE: u64 = 4096;

/// Number of accesses after which a run counts as endless. The longest valid run reads the flog of
/// 2^16 lanes a few times.
const MAX_ACCESSES: u64 = 5_000_000;

type Page = [u8; PAGE as usize];

/// Pages by number. All others are zeroes.
pub(crate) type Pages = HashMap<u64, Page>;

pub(crate) struct Sparse {
    size: u64,
    base: Arc<Pages>,
    pages: RefCell<Pages>,
    poison: RefCell<Vec<Range<u64>>>,
    accesses: Cell<u64>,
    stores: Cell<u64>,
}

impl Sparse {
    pub(crate) fn new(size: u64, base: Arc<Pages>) -> Self {
        Self {
            size,
            base,
            pages: RefCell::default(),
            poison: RefCell::default(),
            accesses: Cell::new(0),
            stores: Cell::new(0),
        }
    }

    /// Returns the pages that were stored to.
    pub(crate) fn into_pages(self) -> Pages {
        self.pages.into_inner()
    }

    pub(crate) fn stores(&self) -> u64 {
        self.stores.get()
    }

    pub(crate) fn poison(&self, range: Range<u64>) {
        self.poison.borrow_mut().push(range);
    }

    /// Changes bytes without counting a store. Does nothing if they are not all on the medium.
    pub(crate) fn patch(&self, offset: u64, bytes: &[u8]) {
        let stores = self.stores.get();
        if offset
            .checked_add(bytes.len() as u64)
            .is_some_and(|end| end <= self.size)
        {
            self.store(offset, bytes);
        }
        self.stores.set(stores);
    }

    /// Reads bytes without counting an access.
    pub(crate) fn peek(&self, offset: u64, bytes: &mut [u8]) {
        each_page(offset, bytes.len() as u64, |number, range, part| {
            let pages = self.pages.borrow();
            match pages.get(&number).or_else(|| self.base.get(&number)) {
                Some(page) => bytes[part].copy_from_slice(&page[range]),
                None => bytes[part].fill(0),
            }
        });
    }

    fn store(&self, offset: u64, bytes: &[u8]) {
        self.stores.set(self.stores.get() + 1);
        each_page(offset, bytes.len() as u64, |number, range, part| {
            let mut pages = self.pages.borrow_mut();
            let page = pages.entry(number).or_insert_with(|| {
                let base = self.base.get(&number);
                base.copied().unwrap_or([0; PAGE as usize])
            });
            page[range].copy_from_slice(&bytes[part]);
        });
    }

    fn check(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        let accesses = self.accesses.get() + 1;
        assert!(accesses < MAX_ACCESSES, "the run does not end");
        self.accesses.set(accesses);
        // The engine promises to stay inside, whatever is on the medium.
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.size),
            "{len} bytes at {offset:#x} are outside"
        );
        Ok(())
    }

    fn good(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.check(offset, len)?;
        if self.is_bad(offset, len) {
            return Err(MediaError::Poison { offset, len });
        }
        Ok(())
    }

    fn heal(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.check(offset, len)?;
        self.poison
            .borrow_mut()
            .retain(|bad| !(offset <= bad.start && bad.end <= offset + len));
        Ok(())
    }
}

/// Calls `access` with each page of a range, the part of the page and the part of the range.
fn each_page(offset: u64, len: u64, mut access: impl FnMut(u64, Range<usize>, Range<usize>)) {
    let mut done = 0;
    while done < len {
        let (number, first) = ((offset + done) / PAGE, (offset + done) % PAGE);
        let now = (PAGE - first).min(len - done);
        access(
            number,
            first as usize..(first + now) as usize,
            done as usize..(done + now) as usize,
        );
        done += now;
    }
}

impl Media for &Sparse {
    fn size(&self) -> u64 {
        self.size
    }

    fn load32(&self, offset: u64) -> Result<u32, MediaError> {
        assert_eq!(offset % 4, 0);
        self.good(offset, 4)?;
        let mut word = [0; 4];
        self.peek(offset, &mut word);
        Ok(u32::from_le_bytes(word))
    }

    fn store32(&self, offset: u64, value: u32) -> Result<(), MediaError> {
        assert_eq!(offset % 4, 0);
        self.good(offset, 4)?;
        self.store(offset, &value.to_le_bytes());
        Ok(())
    }

    fn store64(&self, offset: u64, value: u64) -> Result<(), MediaError> {
        assert_eq!(offset % 8, 0);
        self.good(offset, 8)?;
        self.store(offset, &value.to_le_bytes());
        Ok(())
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<(), MediaError> {
        self.good(offset, bytes.len() as u64)?;
        self.peek(offset, bytes);
        Ok(())
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<(), MediaError> {
        self.heal(offset, bytes.len() as u64)?;
        self.store(offset, bytes);
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.heal(offset, len)?;
        self.stores.set(self.stores.get() + 1);
        each_page(offset, len, |number, range, _| {
            let mut pages = self.pages.borrow_mut();
            if let Some(page) = pages.get_mut(&number) {
                page[range].fill(0);
            } else if let Some(page) = self.base.get(&number) {
                let mut page = *page;
                page[range].fill(0);
                pages.insert(number, page);
            }
        });
        Ok(())
    }

    fn is_bad(&self, offset: u64, len: u64) -> bool {
        self.poison
            .borrow()
            .iter()
            .any(|bad| bad.start < offset + len && offset < bad.end)
    }

    fn clear(&self, offset: u64, len: u64) -> Result<(), MediaError> {
        self.zero(offset, len)
    }

    fn flush(&self, offset: u64, len: u64) {
        assert!(self.check(offset, len).is_ok());
    }

    fn fence(&self) -> Result<(), MediaError> {
        Ok(())
    }
}

/// A source of one byte, repeated.
pub(crate) struct Fill(pub(crate) u8);

impl<'a> Source<&'a Sparse> for Fill {
    fn copy_to(&mut self, media: &&'a Sparse, offset: u64, len: u32) -> Result<(), MediaError> {
        media.write_bytes(offset, &vec![self.0; len as usize])
    }
}

/// The bytes that were read.
#[derive(Default)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'a> Sink<&'a Sparse> for Bytes {
    fn copy_from(&mut self, media: &&'a Sparse, offset: u64, len: u32) -> Result<(), MediaError> {
        let start = self.0.len();
        self.0.resize(start + len as usize, 0);
        media.read_bytes(offset, &mut self.0[start..])
    }

    fn fill_zero(&mut self, len: u32) {
        self.0.resize(self.0.len() + len as usize, 0);
    }
}
