// SPDX-License-Identifier: GPL-2.0

//! Each store and each fence of a request fails, one after the other, in each possible way, alone
//! or with all that follow.
//!
//! After the request that failed, others follow, and the BTT is given up. At each of these moments
//! the power may fail, or the driver may be replaced without a power failure: what is left is
//! opened again and judged.

use super::{
    disk::{
        fresh,
        open,
        params,
        read,
        write,
        Allowed,
        Disk,
        SECTORS, //
    },
    medium::{
        Fault,
        Image,
        Medium,
        Outcome, //
    },
};
use btt_engine::{
    Btt,
    IoError,
    MediaError,
    OpenError, //
};
use std::collections::BTreeSet;

/// Number of images of a moment that are judged if there are too many to judge all.
const IMAGES: usize = 24;

/// Maximum number of images of a moment that are all judged.
const ALL_IMAGES: usize = 128;

#[derive(Default)]
struct Counts {
    faults: usize,
    images: usize,
    closed: usize,
}

/// Judges what a power failure may leave of a medium at this moment.
fn judge(medium: &Medium, allowed: &Allowed, counts: &mut Counts, situation: &str) {
    let choices = medium.choices();
    let product = choices
        .iter()
        .try_fold(1, |product: usize, &choices| product.checked_mul(choices));
    let (number, all) = match product {
        Some(product) if product <= ALL_IMAGES => (product, true),
        _ => (IMAGES, false),
    };
    let mut random = number as u32 | 1;
    for number in 0..number {
        let mut rest = number;
        let choose = |choices: usize| match (all, number) {
            _ if choices == 1 => 0,
            (true, _) => {
                let chosen = rest % choices;
                rest /= choices;
                chosen
            }
            // Everything is durable, or nothing.
            (false, 0) => choices - 1,
            (false, 1) => 0,
            (false, _) => {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 16) as usize % choices
            }
        };
        let image = medium.image(choose);
        counts.images += 1;
        let bad = medium.bad();
        let verdict = if bad.is_empty() {
            allowed.judge(&image)
        } else {
            // With the errors, and without them: what they hid is there again.
            allowed
                .judge_bad(&image, &bad)
                .and_then(|()| allowed.judge(&image))
        };
        if let Err(error) = verdict {
            panic!("{situation}, image {number}: {error}");
        }
    }
}

/// A request: what it does, its sectors, and what they hold afterwards.
struct Request {
    name: &'static str,
    lba: u64,
    words: &'static [u64],
    run: fn(&Disk) -> Result<(), IoError>,
}

const REQUESTS: [Request; 4] = [
    Request {
        name: "a write",
        lba: 126,
        words: &[1126],
        run: |disk| write(disk, 126, &[1126], 0),
    },
    Request {
        name: "a batch",
        lba: 126,
        words: &[1126, 1127, 1128],
        run: |disk| write(disk, 126, &[1126, 1127, 1128], 0),
    },
    Request {
        // Several times as many sectors as a group has lanes.
        name: "a long write",
        lba: SECTORS.start,
        words: &[1124, 1125, 1126, 1127, 1128, 1129, 1130, 1131],
        run: |disk| {
            let words: Vec<u64> = SECTORS.map(|lba| 1000 + lba).collect();
            write(disk, SECTORS.start, &words, 1)
        },
    },
    Request {
        name: "a discard",
        lba: 126,
        words: &[0, 0, 0],
        run: |disk| disk.discard(126, 3),
    },
];

/// Submits requests after the one that failed. Each must be carried out or refused.
fn aftermath(
    disk: &Disk,
    allowed: &mut Allowed,
    situation: &str,
    mut then: impl FnMut(&Allowed, &str),
) {
    println!("{situation}");
    type Step = fn(&Disk) -> (u64, Vec<u64>, Result<(), IoError>);
    let steps: [(&str, Step); 6] = [
        ("writing it again", |disk| {
            let words = vec![2126, 2127];
            let result = write(disk, 126, &words, 0);
            (126, words, result)
        }),
        ("writing it by another lane", |disk| {
            let words = vec![3127, 3128];
            let result = write(disk, 127, &words, 1);
            (127, words, result)
        }),
        ("discarding it", |disk| (127, vec![0], disk.discard(127, 1))),
        ("writing a neighbour", |disk| {
            let words = vec![4129, 4130, 4131];
            let result = write(disk, 129, &words, 0);
            (129, words, result)
        }),
        ("checking", |disk| {
            let report = disk.check().unwrap();
            let bad = !disk.media().bad().is_empty();
            // Unreadable metadata count as a defect.
            assert!(report.defects == 0 || bad, "{report}");
            (SECTORS.start, Vec::new(), Ok(()))
        }),
        ("giving it up", |disk| {
            disk.write_back().unwrap();
            (SECTORS.start, Vec::new(), Ok(()))
        }),
    ];
    for (name, step) in steps {
        let was_closed = disk.is_read_only();
        let (lba, words, result) = step(disk);
        if was_closed && !words.is_empty() {
            assert_eq!(result, Err(IoError::ReadOnly { arena: 0 }), "{name}");
        }
        if disk.media().bad().is_empty() && !was_closed {
            assert_eq!(result, Ok(()), "{name}");
        }
        allowed.note(lba, &words, result);
        allowed
            .check(disk)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        then(allowed, name);
    }
}

/// Calls `f` with each fault, as long as it returns `true`: there are accesses that can fail.
fn each_fault(mut f: impl FnMut(Fault) -> bool) {
    for outcome in Outcome::ALL {
        for stays in [false, true] {
            let faults = (0..).map(|first| Fault {
                first,
                stays,
                outcome,
            });
            let _ = faults.take_while(|&fault| f(fault)).count();
        }
    }
}

/// Makes each access of a request fail.
fn try_request(image: &Image, request: &Request, counts: &mut Counts) {
    each_fault(|fault| {
        let medium = Medium::new(image, &[]);
        let disk = open(&medium).unwrap().btt;
        // Not all of their map words are durable, but the flog has the writes.
        let mut allowed = Allowed::fresh();
        for (lba, cpu) in [(126, 0), (128, 1), (126, 1), (127, 0)] {
            let words = [100 + 10 * lba + cpu];
            allowed.note(lba, &words, write(&disk, lba, &words, cpu as usize));
        }
        let before: Vec<_> = SECTORS.map(|lba| read(&disk, lba)).collect();
        medium.set_fault(Some(fault));
        let result = (request.run)(&disk);
        let accesses = medium.set_fault(None);
        let situation = format!("{}, {fault:?}: {result:?}", request.name);
        if accesses <= fault.first {
            assert_eq!(result, Ok(()), "{situation}");
            return false;
        }
        counts.faults += 1;
        allowed.note(request.lba, request.words, result);
        assert!(result.is_err(), "{situation}");
        if disk.is_read_only() {
            counts.closed += 1;
        }
        if result == Err(IoError::Media(MediaError::Flush)) && request.name != "a discard" {
            // The first fence failed: nothing had happened before.
            let first = request.lba - SECTORS.start;
            assert!(!disk.is_read_only(), "{situation}");
            let now = read(&disk, SECTORS.start + first);
            if request.words.len() <= 3 {
                assert_eq!(now, before[first as usize], "{situation}");
            }
        }
        allowed
            .check(&disk)
            .unwrap_or_else(|error| panic!("{situation}: {error}"));
        judge(&medium, &allowed, counts, &situation);
        aftermath(&disk, &mut allowed, &situation, |allowed, name| {
            judge(&medium, allowed, counts, &format!("{situation}, {name}"));
        });
        true
    });
}

#[test]
fn requests() {
    let image = fresh();
    let mut counts = Counts::default();
    for request in &REQUESTS {
        try_request(&image, request, &mut counts);
    }
    println!(
        "{} faults, {} ended writing, {} images",
        counts.faults, counts.closed, counts.images
    );
    assert!(counts.closed > 0 && counts.closed < counts.faults);
}

/// A batch whose second fence fails: the map must not follow, as the flog may not be durable.
#[test]
fn the_map_does_not_follow_a_flog_that_is_not_durable() {
    for outcome in Outcome::ALL {
        let medium = Medium::new(&fresh(), &[]);
        let disk = open(&medium).unwrap().btt;
        let words = [1126, 1127];
        // For each sector: two halves of an entry and the two words of its data. Then the first
        // fence.
        let first = 2 * 3 + 1 + 2;
        medium.set_fault(Some(Fault {
            first,
            stays: false,
            outcome,
        }));
        let interrupted = IoError::Interrupted {
            arena: 0,
            error: MediaError::Flush,
        };
        assert_eq!(write(&disk, 126, &words, 0), Err(interrupted));
        assert_eq!(medium.set_fault(None), first + 1, "a store after the fence");
        assert_eq!((read(&disk, 126), read(&disk, 127)), (Ok(126), Ok(127)));
        assert_eq!(disk.check().unwrap().defects, 0);
        let mut allowed = Allowed::fresh();
        allowed.note(126, &words, Err(interrupted));
        judge(&medium, &allowed, &mut Counts::default(), "second fence");
        // Other drivers finish what the flog says, durable or not.
        disk.write_back().unwrap();
        assert_eq!(medium.choices(), []);
    }
}

/// A map lock remembers one of the lines that share it, until a fence has made the line durable.
#[test]
fn a_first_fence_that_fails_forgets_no_line() {
    let image = fresh();
    for outcome in Outcome::ALL {
        let medium = Medium::new(&image, &[]);
        let disk = open(&medium).unwrap().btt;
        let mut allowed = Allowed::fresh();
        // There are 256 locks, and a line has 16 words.
        let far = 126 + 256 * 16;
        write(&disk, far, &[1], 0).unwrap();
        // The first half of the entry and the two words of the data come before.
        medium.set_fault(Some(Fault {
            first: 3,
            stays: false,
            outcome,
        }));
        let failed = write(&disk, 126, &[1126], 1);
        assert_eq!(failed, Err(IoError::Media(MediaError::Flush)));
        allowed.note(126, &[1126], failed);
        medium.set_fault(None);
        write(&disk, far, &[2], 1).unwrap();
        let mut counts = Counts::default();
        judge(&medium, &allowed, &mut counts, "a line was forgotten");
    }
}

/// Returns a medium on which the writes of three sectors by different lanes are not in the map.
fn interrupted() -> (Image, Allowed) {
    let mut allowed = Allowed::fresh();
    let medium = Medium::new(&fresh(), &[]);
    let disk = open(&medium).unwrap().btt;
    let words = [1126, 1127, 1128];
    assert_eq!(write(&disk, 126, &words, 0), Ok(()));
    allowed.note(126, &words, Ok(()));
    // Everything but the map words became durable.
    (medium.image(|_| 0), allowed)
}

/// Makes each access of an opening fail.
fn try_opening(image: &Image, allowed: &Allowed, counts: &mut Counts) {
    each_fault(|fault| {
        let medium = Medium::new(image, &[]);
        medium.set_fault(Some(fault));
        let opened = Btt::open(medium.clone(), &params());
        let accesses = medium.set_fault(None);
        if accesses <= fault.first {
            assert!(opened.is_ok());
            return false;
        }
        counts.faults += 1;
        let situation = format!("opening, {fault:?}");
        assert!(
            matches!(opened, Err(OpenError::Media(_))),
            "{situation}: opened"
        );
        judge(&medium, allowed, counts, &situation);
        // Open once more, without errors.
        if medium.bad().is_empty() {
            let mut allowed = allowed.clone();
            let disk = open(&medium).unwrap().btt;
            aftermath(&disk, &mut allowed, &situation, |allowed, name| {
                judge(&medium, allowed, counts, &format!("{situation}, {name}"));
            });
        }
        true
    });
}

#[test]
fn openings() {
    let mut counts = Counts::default();
    let (image, allowed) = interrupted();
    try_opening(&image, &allowed, &mut counts);
    // The second half of the first info block is lost as well.
    let mut torn = image.clone();
    for (_, word) in torn.range_mut(4096 + 2048..8192) {
        *word = 0;
    }
    torn.remove(&(8192 - 8));
    assert_ne!(torn, image);
    try_opening(&torn, &allowed, &mut counts);
    println!("{} faults, {} images", counts.faults, counts.images);
    assert!(counts.faults > 20);
}

/// Giving up a BTT fails: nothing is lost, and the next opening finishes the work.
#[test]
fn giving_up() {
    let image = fresh();
    let mut counts = Counts::default();
    each_fault(|fault| {
        let medium = Medium::new(&image, &[]);
        let disk = open(&medium).unwrap().btt;
        let mut allowed = Allowed::fresh();
        let words = [1126, 1127, 1128];
        allowed.note(126, &words, write(&disk, 126, &words, 0));
        medium.set_fault(Some(fault));
        let result = disk.write_back();
        if medium.set_fault(None) <= fault.first {
            assert_eq!(result, Ok(()));
            return false;
        }
        counts.faults += 1;
        assert_eq!(result, Err(MediaError::Flush));
        judge(&medium, &allowed, &mut counts, "giving up");
        let disk = open(&medium).unwrap().btt;
        aftermath(&disk, &mut allowed, "given up", |allowed, name| {
            judge(&medium, allowed, &mut counts, &format!("given up, {name}"));
        });
        true
    });
    assert!(counts.faults > 0);
}

/// A free block has an error. It is cleared before it is used, and that fails as well.
#[test]
fn clearing() {
    let image = fresh();
    let mut counts = Counts::default();
    // Only the group knows which lane comes next, so all blocks that belong to no sector have an
    // error.
    let free: BTreeSet<u64> = {
        let medium = Medium::new(&image, &[]);
        let disk = open(&medium).unwrap().btt;
        free_blocks(&disk).collect()
    };
    each_fault(|fault| {
        let bad: Vec<_> = free.iter().map(|&block| block..block + 4096).collect();
        let medium = Medium::new(&image, &bad);
        let disk = open(&medium).unwrap().btt;
        medium.set_fault(Some(fault));
        let words = [1126, 1127];
        let result = write(&disk, 126, &words, 0);
        if medium.set_fault(None) <= fault.first {
            assert_eq!(result, Ok(()));
            return false;
        }
        counts.faults += 1;
        let mut allowed = Allowed::fresh();
        allowed.note(126, &words, result);
        judge(
            &medium,
            &allowed,
            &mut counts,
            &format!("{fault:?}: {result:?}"),
        );
        true
    });
    println!("{} faults, {} images", counts.faults, counts.images);
    assert!(counts.faults > 0);
}

/// Returns the offsets of the blocks that belong to lanes.
fn free_blocks(disk: &Disk) -> impl Iterator<Item = u64> {
    let geometry = disk.arenas().next().unwrap().info.geometry;
    let mapped: BTreeSet<u32> = (0..geometry.external_nlba())
        .map(|premap| {
            let word = btt_engine::Media::load32(
                disk.media(),
                4096 + geometry.map_entry_offset(premap).unwrap(),
            );
            nd_format::btt::MapEntry::decode(word.unwrap(), premap).block
        })
        .collect();
    (0..geometry.internal_nlba())
        .filter(move |block| !mapped.contains(block))
        .map(move |block| 4096 + geometry.block_offset(block).unwrap())
}
