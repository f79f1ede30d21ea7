// SPDX-License-Identifier: GPL-2.0

//! An interleave set whose DIMMs record what is written to their label areas.

use anyhow::{
    anyhow,
    ensure,
    Context as _,
    Result, //
};
use nd_format::{
    label::{
        dpa::{
            reservations,
            Reservation,
            Reserved, //
        },
        publish,
        retract,
        Cause,
        Class,
        Contents,
        Extent,
        Failure,
        Identity,
        LabelArea,
        Layout,
        Left,
        Medium,
        Member,
        Name,
        Namespace,
        Refused,
        Set,
        State,
        Store,
        Target, //
    },
    nfit::interleave::Cookies,
    uuid::{
        Guid,
        Uuid, //
    },
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt, //
};

/// Bytes that each DIMM gives to the set.
pub const MAPPING_LEN: u64 = 64 << 20;

/// Each DIMM's share of a namespace is a multiple of this.
pub const UNIT: u64 = 1 << 20;

const IDENTITY: Identity = Identity {
    cookies: Cookies {
        v1_1: 0x1111,
        v1_2: 0x1212,
        alternate: 0xa1a1,
    },
    range_type: Guid::new(0x00000001_0002_0003_0404_040404040404),
};

/// Label areas of all DIMMs, as the media have them.
pub type Media = Vec<Vec<u8>>;

/// A write that has reached a medium.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Number of the DIMM.
    pub member: usize,
    /// Where in its label area.
    pub offset: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A namespace as a user sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its name.
    pub name: Name,
    /// Its sector size.
    pub lba_size: u64,
    /// Its class; version 1.1 has none.
    pub class: Class,
    /// Where it is in the region.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
}

/// All namespaces.
pub type View = BTreeMap<Uuid, Seen>;

/// A DIMM, as its driver has it.
#[derive(Clone, Debug)]
struct Dimm {
    bytes: Vec<u8>,
    layout: Layout,
    mapping: Extent,
}

impl Dimm {
    fn mount(number: usize, bytes: &[u8]) -> Result<Self> {
        let size = u32::try_from(bytes.len())?;
        let layout = Layout::discover(size, bytes).map_err(|error| anyhow!("{error}"))?;
        // Mappings differ, so that offsets cannot be mistaken for addresses.
        let start = MAPPING_LEN * u64::try_from(number)?;
        let dimm = Self {
            bytes: bytes.to_vec(),
            layout,
            mapping: Extent::new(start, MAPPING_LEN).context("mapping")?,
        };
        dimm.reserved().with_context(|| format!("DIMM {number}"))?;
        Ok(dimm)
    }

    /// The addresses that namespaces have, sorted.
    fn reserved(&self) -> Result<Vec<Reservation>> {
        let mut reserved: Vec<_> = reservations(self.area()).collect();
        Reserved::sort(&mut reserved).map_err(|error| anyhow!("{error}"))?;
        Ok(reserved)
    }

    fn area(&self) -> LabelArea<'_> {
        LabelArea::new(&self.bytes, &self.layout)
    }
}

/// What an operation is to write.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The labels' contents.
    pub contents: Contents,
    /// Units of each DIMM; [`None`] leaves the addresses as they are.
    pub units: Option<u64>,
    /// UUID that the namespace had.
    pub replaces: Option<Uuid>,
}

/// How a write fails. The driver is told in each case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// Nothing has reached the medium.
    Lost,
    /// The first half has.
    Half,
    /// All of it has.
    Landed,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Lost, Self::Half, Self::Landed];
}

/// A write that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// How many writes succeed before.
    pub after: usize,
    /// What becomes of it.
    pub kind: FaultKind,
    /// Which later writes are lost.
    pub then: Lost,
}

/// Writes that are lost after the one that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// None.
    Nothing,
    /// Those to the same DIMM.
    Dimm,
    /// All.
    Everything,
}

impl Lost {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Dimm, Self::Everything];
}

/// What an operation has done.
#[derive(Debug)]
pub struct Outcome {
    /// The writes that reached the media.
    pub log: Vec<Recorded>,
    /// What the labels are, if the operation failed.
    pub left: Option<Left>,
}

impl Outcome {
    /// Nothing had to be done, or could be.
    pub const NONE: Self = Self {
        log: Vec::new(),
        left: None,
    };
}

/// A set of DIMMs whose driver runs.
#[derive(Clone, Debug)]
pub struct World {
    dimms: Vec<Dimm>,
    /// The write that is to fail, counted from the start of the next operation.
    pub fault: Option<Fault>,
}

/// Takes writes, and lets one of them fail.
struct Recorder {
    log: Vec<Recorded>,
    seen: usize,
    fault: Option<Fault>,
    broken: Option<(Lost, usize)>,
}

impl Recorder {
    fn new(fault: Option<Fault>) -> RefCell<Self> {
        RefCell::new(Self {
            log: Vec::new(),
            seen: 0,
            fault,
            broken: None,
        })
    }

    fn write(&mut self, mut write: Recorded) -> Result<(), Broken> {
        let is_lost = match self.broken {
            None | Some((Lost::Nothing, _)) => false,
            Some((Lost::Dimm, member)) => member == write.member,
            Some((Lost::Everything, _)) => true,
        };
        if is_lost {
            return Err(Broken);
        }
        let fault = self.fault.filter(|fault| fault.after == self.seen);
        self.seen += 1;
        let Some(fault) = fault else {
            self.log.push(write);
            return Ok(());
        };
        self.broken = Some((fault.then, write.member));
        let len = match fault.kind {
            FaultKind::Lost => 0,
            FaultKind::Half => write.bytes.len() / 2,
            FaultKind::Landed => write.bytes.len(),
        };
        write.bytes.truncate(len);
        self.log.push(write);
        Err(Broken)
    }
}

/// A write failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Broken;

struct Wire<'a> {
    recorder: &'a RefCell<Recorder>,
    member: usize,
}

impl Medium for Wire<'_> {
    type Error = Broken;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Broken> {
        self.recorder.borrow_mut().write(Recorded {
            member: self.member,
            offset: offset as usize,
            bytes: bytes.to_vec(),
        })
    }
}

impl World {
    /// Starts the driver on `media`.
    pub fn mount(media: &Media) -> Result<Self> {
        let dimms = media.iter().enumerate();
        let dimms = dimms.map(|(number, bytes)| Dimm::mount(number, bytes));
        Ok(Self {
            dimms: dimms.collect::<Result<_>>()?,
            fault: None,
        })
    }

    /// The namespaces, each as the user sees it. Residue of interrupted updates is none; any other defect is an
    /// error.
    pub fn view(&self) -> Result<View> {
        let mut view = View::new();
        for found in self.found() {
            match found {
                Ok(namespace) => {
                    let seen = Seen {
                        name: namespace.name,
                        lba_size: namespace.lba_size,
                        class: namespace.class,
                        offset: namespace.offset,
                        size: namespace.size,
                    };
                    view.insert(namespace.uuid, seen);
                }
                Err(refused) => ensure!(
                    refused.defect.is_residue(),
                    "namespace {}: {}",
                    refused.uuid,
                    refused.defect
                ),
            }
        }
        Ok(view)
    }

    fn found(&self) -> Vec<Result<Namespace, Refused>> {
        let members = self.members();
        Set::new(&members, IDENTITY).namespaces().collect()
    }

    fn members(&self) -> Vec<Member<'_>> {
        let members = self.dimms.iter().map(|dimm| Member {
            area: dimm.area(),
            mapping: dimm.mapping,
        });
        members.collect()
    }

    /// Mends what an interrupted update has left, and returns the writes that this took.
    pub fn mend(&mut self) -> Result<Vec<Recorded>> {
        let mut log = Vec::new();
        for found in self.found() {
            match found {
                Ok(namespace) if namespace.state.wants_repair() => {
                    let members = self.members();
                    let set = Set::new(&members, IDENTITY);
                    let extents: Vec<_> = (0..members.len())
                        .map(|member| set.extent(&namespace, member))
                        .collect();
                    let contents = Contents::from(&namespace);
                    let replaces = namespace.state.replaces();
                    log.extend(self.publish(&contents, &extents, replaces)?.log);
                }
                Ok(_) => {}
                Err(refused) => log.extend(self.remove(refused.uuid)?.log),
            }
        }
        Ok(log)
    }

    /// Checks that nothing is left to be mended, and that no slot and no address is lost.
    pub fn check_settled(&self) -> Result<()> {
        let found = self.found();
        for namespace in &found {
            let state = namespace.map(|namespace| namespace.state);
            ensure!(
                state == Ok(State::Settled),
                "after mending, a namespace is {state:?}"
            );
        }
        for (member, dimm) in self.dimms.iter().enumerate() {
            let taken = dimm.area().slots().taken().count();
            ensure!(
                taken == found.len(),
                "DIMM {member}: {taken} slots are taken by {} namespaces",
                found.len()
            );
        }
        Ok(())
    }

    /// Writes labels; nothing is done if there are no addresses or slots for them.
    pub fn update(&mut self, wanted: &Wanted) -> Result<Outcome> {
        let uuid = wanted.contents.uuid;
        let owner = wanted.replaces.unwrap_or(uuid);
        let mut extents = Vec::new();
        for dimm in &self.dimms {
            let reserved = dimm.reserved()?;
            let reserved = Reserved::new(&reserved).map_err(|error| anyhow!("{error}"))?;
            extents.push(match wanted.units {
                Some(units) => reserved
                    .resize(owner, dimm.mapping, UNIT, units * UNIT)
                    .ok()
                    .flatten(),
                None => reserved.of(owner),
            });
        }
        if extents.contains(&None) || !self.has_room(uuid, wanted.replaces) {
            return Ok(Outcome::NONE);
        }
        self.publish(&wanted.contents, &extents, wanted.replaces)
    }

    fn has_room(&mut self, uuid: Uuid, replaces: Option<Uuid>) -> bool {
        self.dimms.iter_mut().all(|dimm| {
            Store::new(&mut dimm.bytes, &mut dimm.layout)
                .is_ok_and(|store| store.check_room(uuid, replaces).is_ok())
        })
    }

    fn publish(
        &mut self,
        contents: &Contents,
        extents: &[Option<Extent>],
        replaces: Option<Uuid>,
    ) -> Result<Outcome> {
        let recorder = Recorder::new(self.fault);
        let mut targets = targets(&mut self.dimms, extents, &recorder)?;
        let left = left(publish(&mut targets, &IDENTITY, contents, replaces))?;
        let log = recorder.into_inner().log;
        Ok(Outcome { log, left })
    }

    /// Drops the labels of a namespace.
    pub fn remove(&mut self, uuid: Uuid) -> Result<Outcome> {
        let recorder = Recorder::new(self.fault);
        let none = vec![None; self.dimms.len()];
        let mut targets = targets(&mut self.dimms, &none, &recorder)?;
        let left = left(retract(&mut targets, uuid))?;
        let log = recorder.into_inner().log;
        Ok(Outcome { log, left })
    }
}

/// Tells failures of the medium, which are wanted, from others.
fn left(result: Result<(), Failure<Broken>>) -> Result<Option<Left>> {
    match result {
        Ok(()) => Ok(None),
        Err(failure) => match failure.cause {
            Cause::Medium(Broken) => Ok(Some(failure.left)),
            Cause::Area(error) => Err(anyhow!("{error}")),
            Cause::NoExtent => Err(anyhow!("no extent")),
        },
    }
}

fn targets<'a>(
    dimms: &'a mut [Dimm],
    extents: &[Option<Extent>],
    recorder: &'a RefCell<Recorder>,
) -> Result<Vec<Target<'a, Wire<'a>>>> {
    let members = dimms.iter_mut().zip(extents).enumerate();
    members
        .map(|(member, (dimm, &extent))| {
            let store = Store::new(&mut dimm.bytes, &mut dimm.layout)
                .map_err(|error| anyhow!("{error}"))?;
            Ok(Target::new(store, Wire { recorder, member }, extent))
        })
        .collect()
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DIMM {}: {} bytes at {:#x}",
            self.member,
            self.bytes.len(),
            self.offset
        )
    }
}
