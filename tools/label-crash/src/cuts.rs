// SPDX-License-Identifier: GPL-2.0

//! The states that a medium can be in while it is written.

use crate::{
    recorder::Recorded,
    world::Media, //
};

/// All subsets are tried of up to this many changed words.
pub const EXHAUSTIVE: usize = 10;

const WORD: usize = 8;

/// The point at which the power fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Before the write of this number; all earlier ones are complete.
    Before(usize),
    /// Within the write of this number; some of its words are on the medium.
    Within(usize),
}

/// Performs one write.
pub fn apply(media: &mut Media, write: &Recorded) {
    if let Some(place) = place(media, write) {
        place.copy_from_slice(&write.bytes);
    }
}

/// Visits all states of the media while `log` is written to them, with the words of each write in
/// any order.
pub fn for_each<E>(
    media: &Media,
    log: &[Recorded],
    mut visit: impl FnMut(Cut, &Media) -> Result<(), E>,
) -> Result<(), E> {
    let mut media = media.clone();
    for (number, write) in log.iter().enumerate() {
        visit(Cut::Before(number), &media)?;
        let changed = changed_words(&media, write);
        for torn in subsets(changed.len()) {
            let mut state = media.clone();
            if let Some(place) = place(&mut state, write) {
                for &word in changed
                    .iter()
                    .enumerate()
                    .filter(|(bit, _)| torn >> bit & 1 == 1)
                    .map(|(_, word)| word)
                {
                    let range = word * WORD..(word + 1) * WORD;
                    place[range.clone()].copy_from_slice(&write.bytes[range]);
                }
            }
            visit(Cut::Within(number), &state)?;
        }
        apply(&mut media, write);
    }
    visit(Cut::Before(log.len()), &media)
}

fn place<'m>(media: &'m mut Media, write: &Recorded) -> Option<&'m mut [u8]> {
    let area = media.get_mut(write.member)?;
    area.get_mut(write.offset..write.offset + write.bytes.len())
}

/// Returns the numbers of the words that a write changes.
fn changed_words(media: &Media, write: &Recorded) -> Vec<usize> {
    let old = &media[write.member][write.offset..];
    let words = write.bytes.chunks(WORD).zip(old.chunks(WORD)).enumerate();
    words
        .filter(|(_, (new, old))| new != old)
        .map(|(word, _)| word)
        .collect()
}

/// Returns subsets of `count` words, without the empty and the full one.
fn subsets(count: usize) -> Vec<u64> {
    let all = (1u64 << count) - 1;
    if count <= EXHAUSTIVE {
        return (1..all).collect();
    }
    let prefixes = (1..count).map(|len| (1 << len) - 1);
    let suffixes = prefixes.clone().map(|prefix| all & !prefix);
    let singles = (0..count).map(|word| 1 << word);
    let but_one = singles.clone().map(|single| all & !single);
    let pairs = (0..count).flat_map(|first| (0..first).map(move |second| 1 << first | 1 << second));
    prefixes
        .chain(suffixes)
        .chain(singles)
        .chain(but_one)
        .chain(pairs)
        .collect()
}
