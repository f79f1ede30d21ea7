// SPDX-License-Identifier: GPL-2.0

//! What must be on a disk after a power cut, from what its writer acknowledged before.

use anyhow::{
    ensure,
    Context,
    Result, //
};
use std::{
    fs,
    path::Path, //
};

/// The acknowledged generation of every sector of a disk that is being stamped.
#[derive(Default)]
pub(crate) struct Stamps {
    generations: Vec<u64>,
    acknowledged: u64,
}

impl Stamps {
    /// How many sectors were acknowledged since the beginning, each as often as it was.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many sectors the disk has.
    pub(crate) fn sectors(&self) -> usize {
        self.generations.len()
    }

    /// Compares what the guest found, in the file `found`, with what was acknowledged, and goes on from there.
    ///
    /// # Errors
    ///
    /// Sectors that are neither as acknowledged nor of the next generation, whose request was under way.
    pub(crate) fn judge(&mut self, found: &Path) -> Result<()> {
        let bytes = fs::read(found).with_context(|| format!("cannot read {}", found.display()))?;
        let found = stamp::generations(&bytes).collect::<Vec<_>>();
        if self.generations.is_empty() {
            self.generations.resize(found.len(), 0);
        }
        let complaints = complaints(&self.generations, &found);
        ensure!(
            complaints.is_empty(),
            "after the power cut: {}",
            complaints.join("; ")
        );
        self.generations = found;
        Ok(())
    }

    /// Takes note of the acknowledgements of one boot, from the file that the guest wrote them to.
    pub(crate) fn acknowledge(&mut self, records: &Path) -> Result<()> {
        let bytes =
            fs::read(records).with_context(|| format!("cannot read {}", records.display()))?;
        for (sector, generation) in stamp::acknowledgements(&bytes) {
            let index = usize::try_from(sector).ok();
            let known = index.and_then(|index| self.generations.get_mut(index));
            *known.with_context(|| {
                format!("sector {sector} was acknowledged, which does not exist")
            })? = generation;
            self.acknowledged += 1;
        }
        Ok(())
    }
}

/// Sectors that are neither as acknowledged nor one generation further.
fn complaints(known: &[u64], found: &[u64]) -> Vec<String> {
    if known.len() != found.len() {
        return vec![format!(
            "the disk has {} sectors, it had {}",
            found.len(),
            known.len()
        )];
    }
    let pairs = known.iter().zip(found).enumerate();
    let wrong = pairs.filter(|(_, (&known, &found))| found != known && found != known + 1);
    wrong
        .map(|(sector, (known, found))| {
            format!("sector {sector} is of generation {found}, acknowledged was {known}")
        })
        .take(10)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_generation_is_as_good_as_the_acknowledged_one() {
        assert!(complaints(&[0, 3, 4], &[1, 3, 5]).is_empty());
    }

    #[test]
    fn lost_and_invented_sectors_are_named() {
        assert_eq!(complaints(&[3], &[2]).len(), 1);
        assert_eq!(complaints(&[3], &[5]).len(), 1);
        assert_eq!(complaints(&[1], &[0]).len(), 1);
        assert_eq!(complaints(&[1, 1], &[1]).len(), 1);
    }

    #[test]
    fn acknowledgements_raise_what_is_expected() {
        let place = tempfile::tempdir().unwrap();
        let (records, found) = (place.path().join("records"), place.path().join("found"));
        let write_found = |generation: u64| fs::write(&found, generation.to_le_bytes()).unwrap();
        let mut stamps = Stamps::default();
        write_found(0);
        stamps.judge(&found).unwrap();
        fs::write(&records, stamp::acknowledgement(0, 2)).unwrap();
        stamps.acknowledge(&records).unwrap();
        write_found(1);
        assert!(stamps.judge(&found).is_err());
        write_found(2);
        assert!(stamps.judge(&found).is_ok());
        fs::write(&records, stamp::acknowledgement(7, 2)).unwrap();
        assert!(stamps.acknowledge(&records).is_err());
    }
}
