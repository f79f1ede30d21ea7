// SPDX-License-Identifier: GPL-2.0

//! The expected contents of a disk after a power cut, computed from the writer's acknowledgements.

use anyhow::{
    ensure,
    Context,
    Result, //
};
use std::{
    fs,
    path::Path, //
};

/// The acknowledged state of a sector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sector {
    /// The generation of its last acknowledged change.
    generation: u64,
    /// Whether that change was a stamp. Otherwise the sector reads as zeros.
    stamped: bool,
}

/// The mode of the writer in the last boot with writes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Manner {
    pub(crate) epoch: u32,
    /// Whether it zeroed sectors as well.
    pub(crate) zero: bool,
}

/// The acknowledged state of every sector of a disk that is being stamped.
#[derive(Default)]
pub(crate) struct Stamps {
    sectors: Vec<Sector>,
    acknowledged: u64,
    /// The mode of the writer since the last check. `None`: no writes, so no sector may change.
    under_way: Option<Manner>,
}

impl Stamps {
    /// Returns the number of acknowledgements since the beginning.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns the number of sectors of the disk.
    pub(crate) fn sectors(&self) -> usize {
        self.sectors.len()
    }

    /// Compares the generations that the guest read, in the file `found`, with the acknowledged
    /// ones. They become the new state.
    ///
    /// # Errors
    ///
    /// A sector has neither the acknowledged generation nor the next one, whose request was in
    /// flight.
    pub(crate) fn judge(&mut self, found: &Path) -> Result<()> {
        let bytes = fs::read(found).with_context(|| format!("cannot read {}", found.display()))?;
        let found = torn_write_check::generations(&bytes).collect::<Vec<_>>();
        if self.sectors.is_empty() {
            self.sectors.resize(found.len(), Sector::default());
        }
        let complaints = complaints(&self.sectors, &found, self.under_way.take());
        ensure!(
            complaints.is_empty(),
            "after the power cut: {}",
            complaints.join("; ")
        );
        for (sector, found) in self.sectors.iter_mut().zip(found) {
            sector.stamped = found != 0;
            sector.generation = sector.generation.max(found);
        }
        Ok(())
    }

    /// Adds the acknowledgements of one boot, from the file that the guest wrote.
    pub(crate) fn acknowledge(&mut self, records: &Path, manner: Manner) -> Result<()> {
        self.under_way = Some(manner);
        let bytes =
            fs::read(records).with_context(|| format!("cannot read {}", records.display()))?;
        for (sector, generation) in torn_write_check::acknowledgements(&bytes) {
            let index = usize::try_from(sector).ok();
            let known = index.and_then(|index| self.sectors.get_mut(index));
            *known.with_context(|| {
                format!("sector {sector} was acknowledged, which does not exist")
            })? = Sector {
                generation: generation & !torn_write_check::ZEROED,
                stamped: generation & torn_write_check::ZEROED == 0,
            };
            self.acknowledged += 1;
        }
        Ok(())
    }
}

/// Returns messages on sectors that have neither the acknowledged state nor that of the next
/// change.
fn complaints(known: &[Sector], found: &[u64], under_way: Option<Manner>) -> Vec<String> {
    if known.len() != found.len() {
        return vec![format!(
            "the disk has {} sectors, it had {}",
            found.len(),
            known.len()
        )];
    }
    let fits = |known: &Sector, found: u64| {
        let acknowledged = if known.stamped { known.generation } else { 0 };
        found == acknowledged
            || under_way.is_some_and(|manner| {
                found == torn_write_check::successor(known.generation, manner.epoch)
                    || (found == 0 && manner.zero)
            })
    };
    let pairs = known.iter().zip(found).enumerate();
    let wrong = pairs.filter(|(_, (known, &found))| !fits(known, found));
    wrong
        .map(|(sector, (known, found))| {
            let state = if known.stamped { "" } else { ", zeroed" };
            let known = known.generation;
            format!(
                "sector {sector} is of generation {found:#x}, acknowledged was {known:#x}{state}"
            )
        })
        .take(10)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITER: Manner = Manner {
        epoch: 0,
        zero: false,
    };

    fn stamped(generations: &[u64]) -> Vec<Sector> {
        let sectors = generations.iter().map(|&generation| Sector {
            generation,
            stamped: generation != 0,
        });
        sectors.collect()
    }

    #[test]
    fn the_next_generation_is_as_good_as_the_acknowledged_one() {
        assert!(complaints(&stamped(&[0, 3, 4]), &[1, 3, 5], Some(WRITER)).is_empty());
        let later = Manner { epoch: 1, ..WRITER };
        assert!(complaints(
            &stamped(&[3]),
            &[torn_write_check::successor(0, 1)],
            Some(later)
        )
        .is_empty());
    }

    #[test]
    fn lost_and_invented_sectors_are_named() {
        for (known, found) in [(3, 2), (3, 5), (1, 0)] {
            assert_eq!(
                complaints(&stamped(&[known]), &[found], Some(WRITER)).len(),
                1
            );
        }
        assert_eq!(complaints(&stamped(&[3]), &[4], None).len(), 1);
        assert_eq!(complaints(&stamped(&[1, 1]), &[1], Some(WRITER)).len(), 1);
    }

    #[test]
    fn zeros_are_expected_only_of_who_zeroes() {
        let zeroes = Manner {
            zero: true,
            ..WRITER
        };
        assert!(complaints(&stamped(&[3]), &[0], Some(zeroes)).is_empty());
        assert_eq!(complaints(&stamped(&[3]), &[2], Some(zeroes)).len(), 1);
        let zeroed = [Sector {
            generation: 4,
            stamped: false,
        }];
        assert!(complaints(&zeroed, &[0], Some(WRITER)).is_empty());
        assert!(complaints(&zeroed, &[5], Some(WRITER)).is_empty());
        assert_eq!(complaints(&zeroed, &[4], Some(zeroes)).len(), 1);
    }

    #[test]
    fn acknowledgements_raise_what_is_expected() {
        let place = tempfile::tempdir().unwrap();
        let (records, found) = (place.path().join("records"), place.path().join("found"));
        let write_found = |generation: u64| fs::write(&found, generation.to_le_bytes()).unwrap();
        let mut stamps = Stamps::default();
        write_found(0);
        stamps.judge(&found).unwrap();
        fs::write(&records, torn_write_check::acknowledgement(0, 2)).unwrap();
        stamps.acknowledge(&records, WRITER).unwrap();
        write_found(1);
        assert!(stamps.judge(&found).is_err());
        write_found(2);
        assert!(stamps.judge(&found).is_ok());
        fs::write(
            &records,
            torn_write_check::acknowledgement(0, 3 | torn_write_check::ZEROED),
        )
        .unwrap();
        stamps.acknowledge(&records, WRITER).unwrap();
        write_found(2);
        assert!(stamps.judge(&found).is_err());
        stamps.acknowledge(&records, WRITER).unwrap();
        write_found(0);
        assert!(stamps.judge(&found).is_ok());
        fs::write(&records, torn_write_check::acknowledgement(7, 2)).unwrap();
        assert!(stamps.acknowledge(&records, WRITER).is_err());
    }
}
