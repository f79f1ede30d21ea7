// SPDX-License-Identifier: GPL-2.0

//! Which fields the payload of a command has, and how long it is.
//!
//! ```text
//!                           input                             output
//! DIMM  1 SMART             -                                 status, data 128
//!       2 SMART_THRESHOLD   -                                 status, data 8
//!       3 FLAGS             -                                 status, flags
//!       4 GET_CONFIG_SIZE   -                                 status, size, max transfer
//!       5 GET_CONFIG_DATA   offset, length                    status, data [length]
//!       6 SET_CONFIG_DATA   offset, length, data [length]     status
//!       9 VENDOR            opcode, length, data [length]     status, length, data [length]
//! bus   1 ARS_CAP           address 8, length 8               status, maximum, unit, flags 2, 2
//!       2 ARS_START         address 8, length 8, type 2, 6    status, time
//!       3 ARS_STATUS        -                                 status, length of all output, rest
//!       4 CLEAR_ERROR       address 8, length 8               status, reserved, cleared 8
//! both 10 CALL              header 64, data [size_in]         data [size_out]
//! ```
//!
//! Fields have four bytes unless a number says otherwise.

use super::{
    bus_command,
    dimm_command,
    payload::CallHeader,
    Target, //
};
use core::mem::offset_of;
use Field::{
    Bytes,
    Counted,
    CountedAt,
    ScrubResults, //
};

/// One field of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// So many bytes.
    Bytes(usize),
    /// As many bytes as the 32-bit word at this offset of the payload says.
    CountedAt(usize),
    /// As many bytes as the 32-bit word directly before says.
    Counted,
    /// Results of a scrub. The 32-bit word directly before counts all of the output, with itself
    /// and the status before it.
    ScrubResults,
}

/// The fields of a payload: input, then output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Fields of the input.
    pub input: &'static [Field],
    /// Fields of the output. All but those of `CALL` begin with a status.
    pub output: &'static [Field],
}

/// Why a payload has no size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SizeError<E> {
    /// A count makes no sense, or the size does not fit into a `usize`.
    Count,
    /// A word could not be read.
    Word(E),
}

/// Bytes of a status or of any other 32-bit word.
const WORD: usize = size_of::<u32>();

/// Bytes of the output of `ARS_STATUS` before the results: status and length.
const SCRUB_HEADER: usize = 2 * WORD;

impl Layout {
    /// Returns the layout of command `number`, or `None` if there is no such command.
    pub const fn of(target: Target, number: u32) -> Option<Self> {
        Some(match target {
            Target::Dimm => match number {
                dimm_command::SMART => Self::new(&[], &[Bytes(4), Bytes(128)]),
                dimm_command::SMART_THRESHOLD => Self::new(&[], &[Bytes(4), Bytes(8)]),
                dimm_command::FLAGS => Self::new(&[], &[Bytes(4), Bytes(4)]),
                dimm_command::GET_CONFIG_SIZE => Self::new(&[], &[Bytes(4), Bytes(4), Bytes(4)]),
                dimm_command::GET_CONFIG_DATA => {
                    Self::new(&[Bytes(4), Bytes(4)], &[Bytes(4), CountedAt(4)])
                }
                dimm_command::SET_CONFIG_DATA => {
                    Self::new(&[Bytes(4), Bytes(4), Counted], &[Bytes(4)])
                }
                dimm_command::VENDOR => Self::new(
                    &[Bytes(4), Bytes(4), Counted],
                    &[Bytes(4), Bytes(4), Counted],
                ),
                dimm_command::CALL => Self::CALL,
                _ => return None,
            },
            Target::Bus => match number {
                bus_command::ARS_CAP => Self::new(
                    &[Bytes(8), Bytes(8)],
                    &[Bytes(4), Bytes(4), Bytes(4), Bytes(2), Bytes(2)],
                ),
                bus_command::ARS_START => Self::new(
                    &[Bytes(8), Bytes(8), Bytes(2), Bytes(6)],
                    &[Bytes(4), Bytes(4)],
                ),
                bus_command::ARS_STATUS => Self::new(&[], &[Bytes(4), Bytes(4), ScrubResults]),
                bus_command::CLEAR_ERROR => {
                    Self::new(&[Bytes(8), Bytes(8)], &[Bytes(4), Bytes(4), Bytes(8)])
                }
                bus_command::CALL => Self::CALL,
                _ => return None,
            },
        })
    }

    const CALL: Self = Self::new(
        &[
            Bytes(size_of::<CallHeader>()),
            CountedAt(offset_of!(CallHeader, nd_size_in)),
        ],
        &[CountedAt(offset_of!(CallHeader, nd_size_out))],
    );

    const fn new(input: &'static [Field], output: &'static [Field]) -> Self {
        Self { input, output }
    }

    /// Returns the bytes of the whole payload; `word` reads the 32-bit word at an offset of it.
    pub fn size<E>(&self, word: impl Fn(usize) -> Result<u32, E>) -> Result<usize, SizeError<E>> {
        end(self.output, end(self.input, 0, &word)?, &word)
    }

    /// Splits a payload into the input and the room for the output. Returns `None` if the payload
    /// is shorter than its input.
    pub fn split<'a>(&self, payload: &'a mut [u8]) -> Option<(&'a mut [u8], &'a mut [u8])> {
        let read = |offset| word(payload, offset).ok_or(());
        let input = end(self.input, 0, &read).ok()?;
        payload.split_at_mut_checked(input)
    }

    /// Returns the fields of `output`, with which the firmware has answered `input`. They end
    /// before the first field that `output` does not hold completely.
    ///
    /// Counts are those of the firmware, except that it returns as much of the label area as
    /// `input` requests.
    pub fn output_fields<'a>(
        &self,
        input: &'a [u8],
        output: &'a [u8],
    ) -> impl Iterator<Item = &'a [u8]> + 'a {
        let mut start = 0usize;
        self.output.iter().map_while(move |field| {
            let rest = output.get(start..)?;
            let before = || word(output, start.checked_sub(WORD)?);
            let size = match *field {
                Bytes(size) => size,
                CountedAt(place) => usize::try_from(word(input, place)?).ok()?,
                Counted => usize::try_from(before()?).ok()?,
                ScrubResults => scrub_results(before()?, rest.len())?,
            };
            let field = rest.get(..size)?;
            start = start.checked_add(size)?;
            Some(field)
        })
    }
}

/// Returns the 32-bit word at `offset` of a payload, or `None` if the payload ends before it does.
pub fn word(payload: &[u8], offset: usize) -> Option<u32> {
    let bytes = payload.get(offset..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// Returns how many bytes of results the firmware has written behind the length in an output of
/// `ARS_STATUS`. `all` is the length, and `rest` the number of bytes that are behind it.
///
/// The length is that of the whole output. ACPI 6.1 can be read as if the status did not count. An
/// output with exactly the bytes of a status more than the length says is therefore taken as a
/// whole.
fn scrub_results(all: u32, rest: usize) -> Option<usize> {
    let all = usize::try_from(all).ok()?;
    Some(match all.checked_sub(WORD) {
        Some(without_status) if without_status == rest => rest,
        _ => all.saturating_sub(SCRUB_HEADER),
    })
}

/// Returns the offset behind `fields`, of which the first one is at `start`.
fn end<E>(
    fields: &[Field],
    start: usize,
    word: &impl Fn(usize) -> Result<u32, E>,
) -> Result<usize, SizeError<E>> {
    let count = |offset: usize| -> Result<usize, SizeError<E>> {
        let count = word(offset).map_err(SizeError::Word)?;
        usize::try_from(count).map_err(|_| SizeError::Count)
    };
    let before = |offset: usize| offset.checked_sub(WORD).ok_or(SizeError::Count);
    let mut offset = start;
    for field in fields {
        let size = match *field {
            Bytes(size) => size,
            CountedAt(place) => count(place)?,
            Counted => count(before(offset)?)?,
            ScrubResults => match count(before(offset)?)? {
                // Firmware that counts nothing, or the status alone, has no results.
                0..=WORD => 0,
                all => all.checked_sub(SCRUB_HEADER).ok_or(SizeError::Count)?,
            },
        };
        offset = offset.checked_add(size).ok_or(SizeError::Count)?;
    }
    Ok(offset)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    /// The size with these words of the payload; others cannot be read.
    fn size(
        target: Target,
        number: u32,
        words: &[(usize, u32)],
    ) -> Option<Result<usize, SizeError<usize>>> {
        let word = |offset| {
            let mut known = words.iter();
            let found = known.find(|(place, _)| *place == offset);
            found.map(|(_, word)| *word).ok_or(offset)
        };
        Layout::of(target, number).map(|layout| layout.size(word))
    }

    #[test]
    fn sizes_of_the_structures_of_ndctl_h() {
        use {
            bus_command::*,
            dimm_command::{
                FLAGS,
                GET_CONFIG_SIZE,
                SMART,
                SMART_THRESHOLD, //
            }, //
        };
        for (target, number, expected) in [
            (Target::Dimm, SMART, 132),
            (Target::Dimm, SMART_THRESHOLD, 12),
            (Target::Dimm, FLAGS, 8),
            (Target::Dimm, GET_CONFIG_SIZE, 12),
            (Target::Bus, ARS_CAP, 32),
            (Target::Bus, ARS_START, 32),
            (Target::Bus, CLEAR_ERROR, 32),
        ] {
            assert_eq!(size(target, number, &[]), Some(Ok(expected)), "{number}");
        }
        for number in [0, 7, 8, 11, u32::MAX] {
            assert_eq!(size(Target::Dimm, number, &[]), None);
        }
        for number in [0, 5, 6, 9, 11, u32::MAX] {
            assert_eq!(size(Target::Bus, number, &[]), None);
        }
    }

    #[test]
    fn counts_are_where_the_layout_has_them() {
        use dimm_command::{
            CALL,
            GET_CONFIG_DATA,
            SET_CONFIG_DATA,
            VENDOR, //
        };
        let dimm = |number, words: &[_]| size(Target::Dimm, number, words).unwrap();
        assert_eq!(dimm(GET_CONFIG_DATA, &[(4, 100)]), Ok(112));
        assert_eq!(dimm(SET_CONFIG_DATA, &[(4, 100)]), Ok(112));
        assert_eq!(dimm(CALL, &[(16, 10), (20, 3)]), Ok(77));
        assert_eq!(
            size(Target::Bus, CALL, &[(16, 10), (20, 3)]).unwrap(),
            Ok(77)
        );
        // The second count is behind the input, however long that is.
        for input in [0usize, 1, 240, 241, 4096] {
            let words = [(4, input as u32), (8 + input + 4, 20)];
            assert_eq!(dimm(VENDOR, &words), Ok(8 + input + 8 + 20));
        }
        assert_eq!(dimm(VENDOR, &[(4, 7)]), Err(SizeError::Word(19)));
    }

    #[test]
    fn a_payload_is_split_behind_its_input() {
        let split = |target, number, payload: &mut [u8]| {
            let layout = Layout::of(target, number).unwrap();
            layout
                .split(payload)
                .map(|(input, room)| (input.len(), room.len()))
        };
        let mut payload = [0; 100];
        assert_eq!(
            split(Target::Bus, bus_command::ARS_START, &mut payload),
            Some((24, 76))
        );
        assert_eq!(
            split(Target::Dimm, dimm_command::GET_CONFIG_SIZE, &mut []),
            Some((0, 0))
        );
        assert_eq!(
            split(Target::Bus, bus_command::ARS_CAP, &mut payload[..15]),
            None
        );
        for (length, expected) in [(0, Some((8, 92))), (92, Some((100, 0))), (93, None)] {
            payload[4..8].copy_from_slice(&u32::to_ne_bytes(length));
            for number in [dimm_command::SET_CONFIG_DATA, dimm_command::VENDOR] {
                assert_eq!(split(Target::Dimm, number, &mut payload), expected);
                assert_eq!(split(Target::Dimm, number, &mut payload[..7]), None);
            }
        }
    }

    /// Returns the lengths of the fields of an output.
    fn fields(target: Target, number: u32, input: &[u32], output: &[u8]) -> Vec<usize> {
        let input: Vec<u8> = input.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let layout = Layout::of(target, number).unwrap();
        layout
            .output_fields(&input, output)
            .map(<[u8]>::len)
            .collect()
    }

    #[test]
    fn an_output_ends_before_a_field_that_is_cut_off() {
        use dimm_command::{
            GET_CONFIG_DATA,
            SMART, //
        };
        let output = [0; 140];
        for (length, expected) in [
            (0, &[][..]),
            (3, &[]),
            (4, &[4]),
            (131, &[4]),
            (132, &[4, 128]),
            (140, &[4, 128]),
        ] {
            assert_eq!(
                fields(Target::Dimm, SMART, &[], &output[..length]),
                expected
            );
        }
        // The input says how much of the label area is read.
        assert_eq!(
            fields(Target::Dimm, GET_CONFIG_DATA, &[0, 100], &output),
            [4, 100]
        );
        assert_eq!(
            fields(Target::Dimm, GET_CONFIG_DATA, &[0, 137], &output),
            [4]
        );
        assert_eq!(
            fields(Target::Dimm, GET_CONFIG_DATA, &[0, u32::MAX], &output),
            [4]
        );
    }

    #[test]
    fn the_firmware_counts_what_it_returns() {
        for (count, expected) in [(0, &[4, 4, 0][..]), (32, &[4, 4, 32]), (33, &[4, 4])] {
            let mut output = [0; 40];
            output[4..8].copy_from_slice(&u32::to_ne_bytes(count));
            // The input counts its own data.
            assert_eq!(
                fields(Target::Dimm, dimm_command::VENDOR, &[1, 7], &output),
                expected
            );
        }
        for (all, expected) in [
            (40, &[4, 4, 32][..]),
            (36, &[4, 4, 32]),
            (20, &[4, 4, 12]),
            (41, &[4, 4]),
        ] {
            let mut output = [0; 40];
            output[4..8].copy_from_slice(&u32::to_ne_bytes(all));
            assert_eq!(
                fields(Target::Bus, bus_command::ARS_STATUS, &[], &output),
                expected
            );
        }
    }

    #[test]
    fn a_length_counts_the_status_or_does_not() {
        assert_eq!(scrub_results(48, 40), Some(40));
        assert_eq!(scrub_results(44, 40), Some(40));
        // Neither: the length is believed, and the missing bytes are noticed later.
        assert_eq!(scrub_results(40, 40), Some(32));
        assert_eq!(scrub_results(52, 40), Some(44));
        assert_eq!(scrub_results(8, 0), Some(0));
        assert_eq!(scrub_results(4, 0), Some(0));
        assert_eq!(scrub_results(0, 40), Some(0));
        assert_eq!(scrub_results(7, 40), Some(0));
        assert_eq!(scrub_results(u32::MAX, 40), Some(0xffff_fff7));
    }

    #[test]
    fn results_of_a_scrub_are_counted_with_what_precedes_them() {
        let scrub = |all| size(Target::Bus, bus_command::ARS_STATUS, &[(4, all)]).unwrap();
        for none in 0..=4 {
            assert_eq!(scrub(none), Ok(8));
        }
        for nonsense in 5..=7 {
            assert_eq!(scrub(nonsense), Err(SizeError::Count));
        }
        assert_eq!(scrub(8), Ok(8));
        assert_eq!(scrub(44), Ok(44));
    }
}
