// SPDX-License-Identifier: GPL-2.0

//! Namespaces: ranges of a region that are used as one.
//!
//! - Without labels a region has one namespace, which covers all of it (device type `nd_namespace_io`).
//! - With labels there are as many as the labels say (`nd_namespace_pmem`), and user space makes more of the seed, which
//!   has no size yet. Every change goes to the labels before it is true here ([`configure`]).
//! - Labels that are refused have a namespace that stands for them. It has the bytes that they reserve, no driver takes it, and the
//!   one change that it admits is to give them up.

mod access;
mod attributes;
mod configure;

pub use self::access::{
    DiskName,
    OpenNamespace, //
};

use crate::{
    async_work::Registration,
    bus::BusLock,
    claim::{
        ClaimClass,
        Holder, //
    },
    ids::ChildId,
    region::LabelledNamespaces,
    seeds::{
        RegionChild,
        Seeds, //
    },
    Region, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};
use kernel_ext::device::{
    DeviceType,
    Node,
    Table, //
};
use nd_format::{
    label::{
        self,
        Name, //
    },
    uuid::Uuid, //
};

static IO: Table<Namespace> = Table::named(c"nd_namespace_io", attributes::IO_GROUPS.list());
static LABELLED: Table<Namespace> =
    Table::named(c"nd_namespace_pmem", attributes::LABELLED_GROUPS.list());

/// Sizes that a sector of a raw disk may have, in bytes.
pub(crate) const SECTOR_SIZES: [u64; 2] = [512, 4096];

/// Whether labels describe a namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Description {
    /// It covers its region.
    Region,
    /// Labels do.
    Labels,
}

/// A namespace.
#[pin_data]
pub struct Namespace {
    id: ChildId,
    description: Description,
    force_raw: Atomic<bool>,
    #[pin]
    content: Mutex<Content>,
    #[pin]
    claim: Mutex<ClaimState>,
}

/// What labels say, or would say, of a namespace.
#[derive(Clone, Copy)]
struct Content {
    /// First physical address; of no meaning while the size is 0.
    start: u64,
    /// Bytes.
    size: u64,
    uuid: Option<Uuid>,
    name: Name,
    /// Bytes of a sector, 0 for "not named".
    sector_size: u64,
    /// The labels are refused: they make up no namespace, but reserve `size` bytes until they are given up.
    is_refused: bool,
}

/// Who may claim a namespace and who does.
struct ClaimState {
    class: ClaimClass,
    holder: Option<Holder>,
}

impl DeviceType for Namespace {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&IO, &LABELLED] }
    }
}

impl RegionChild for Namespace {
    fn id(&self) -> &ChildId {
        &self.id
    }

    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a Node<Self>> {
        seeds.namespace()
    }
}

impl Namespace {
    fn create(
        region: &Node<Region>,
        description: Description,
        content: Content,
        class: ClaimClass,
    ) -> Result<ARef<Node<Self>>> {
        let id = ChildId::allocate(region, Region::namespace_ids)?;
        let index = id.get();
        Node::new(
            &region.child_parameters(match description {
                Description::Region => &IO,
                Description::Labels => &LABELLED,
            }),
            fmt!("namespace{}.{index}", region.id()),
            try_pin_init!(Self {
                id,
                description,
                force_raw: Atomic::new(false),
                content <- new_mutex!(content),
                claim <- new_mutex!(ClaimState {
                    class,
                    holder: None,
                }),
            }),
        )
    }

    /// Makes a labelled namespace without a size that is not registered yet.
    pub(crate) fn create_seed(region: &Node<Region>) -> Result<ARef<Node<Self>>> {
        Self::create(
            region,
            Description::Labels,
            Content::EMPTY,
            ClaimClass::None,
        )
    }

    /// Returns the region that the namespace is in.
    pub fn region(&self) -> &Node<Region> {
        self.id.region()
    }

    /// Returns the number of the namespace within its region.
    pub fn index(&self) -> u32 {
        self.id.get()
    }

    /// Returns the first physical address.
    pub fn start(&self) -> u64 {
        self.content.lock().start
    }

    /// Returns the size in bytes, 0 for one that was not made yet.
    pub fn size(&self) -> u64 {
        self.content.lock().size
    }

    /// Returns the UUID that personalities name as their parent's; nil for a namespace that has none.
    pub fn uuid(&self) -> Uuid {
        self.content.lock().uuid.unwrap_or(Uuid::NIL)
    }

    /// Returns the size that a sector of the raw disk shall have, if labels name one: 512 or 4096 bytes.
    pub fn sector_size(&self) -> Option<u64> {
        let size = self.content.lock().sector_size;
        SECTOR_SIZES.contains(&size).then_some(size)
    }

    /// Tells whether labels describe the namespace.
    pub fn is_labelled(&self) -> bool {
        self.description == Description::Labels
    }

    /// Tells whether the labels make up no namespace.
    pub(crate) fn is_refused(&self) -> bool {
        self.content.lock().is_refused
    }

    /// Tells whether personalities are not to be looked for.
    pub fn is_forced_raw(&self) -> bool {
        self.force_raw.load(Relaxed)
    }

    /// Returns for whom the namespace is set aside.
    pub fn claim_class(&self) -> ClaimClass {
        self.claim.lock().class
    }

    /// Returns who claims the namespace.
    pub fn holder(&self) -> Option<Holder> {
        self.claim.lock().holder
    }

    pub(crate) fn set_holder(&self, holder: Holder) -> Result {
        let mut claim = self.claim.lock();
        if claim.holder.is_some() {
            return Err(EBUSY);
        }
        claim.holder = Some(holder);
        Ok(())
    }

    pub(crate) fn clear_holder(&self) {
        self.claim.lock().holder = None;
    }
}

impl Content {
    const EMPTY: Self = Self {
        start: 0,
        size: 0,
        uuid: None,
        name: Name::EMPTY,
        sector_size: 0,
        is_refused: false,
    };

    /// What the labels of `found` say, which is within `region`.
    fn of(found: &label::Namespace, region: &Region) -> Result<Self> {
        Ok(Self {
            start: region.start().checked_add(found.offset).ok_or(ENXIO)?,
            size: found.size,
            uuid: Some(found.uuid),
            name: found.name,
            sector_size: found.lba_size,
            is_refused: false,
        })
    }

    /// What stands for labels that are refused.
    fn refused(refused: &label::Refused) -> Self {
        Self {
            size: refused.reserved,
            uuid: Some(refused.uuid),
            name: refused.label.map_or(Name::EMPTY, |(_, label)| label.name),
            is_refused: true,
            ..Self::EMPTY
        }
    }
}

/// Creates the namespaces of `region` and registers them in the background. Returns how many there are.
///
/// There is at least one that can be configured, as a seed is needed to make others. If this fails, none of them was seen by
/// anybody.
pub(crate) fn create_all(region: &Node<Region>) -> Result<usize> {
    let mut created = KVVec::new();
    if region.is_labelled() {
        create_labelled(region, &region.bus().lock(), &mut created)?;
    } else {
        let content = Content {
            start: region.start(),
            size: region.size(),
            ..Content::EMPTY
        };
        let namespace = Namespace::create(region, Description::Region, content, ClaimClass::None)?;
        created.push(namespace, GFP_KERNEL)?;
    }
    let seed = created.first().cloned();
    let count = created.len();
    let mut registrations = KVVec::with_capacity(count, GFP_KERNEL)?;
    for namespace in created {
        registrations.push(Registration::new(namespace)?, GFP_KERNEL)?;
    }
    if let Some(seed) = seed {
        // The seed stands before anybody can see the namespace.
        region.seeds().lock().set_namespace(seed)?;
    }
    // From here on nothing fails: what was scheduled cannot be taken back without waiting for it.
    for registration in registrations {
        registration.begin();
    }
    Ok(count)
}

/// Creates the namespaces that labels make up, or one without a size; and behind them those that stand for labels which are refused.
/// Tools that make a namespace begin with the first one.
fn create_labelled(
    region: &Node<Region>,
    lock: &BusLock<'_>,
    created: &mut KVVec<ARef<Node<Namespace>>>,
) -> Result {
    let LabelledNamespaces { good, refused } = region.labelled_namespaces(lock)?;
    for found in good {
        let content = Content::of(&found, region)?;
        let namespace = Namespace::create(region, Description::Labels, content, found.class)?;
        created.push(namespace, GFP_KERNEL)?;
    }
    if created.is_empty() {
        created.push(Namespace::create_seed(region)?, GFP_KERNEL)?;
    }
    for refused in refused {
        let content = Content::refused(&refused);
        let namespace = Namespace::create(region, Description::Labels, content, ClaimClass::None)?;
        region.report_refused(&refused, &namespace);
        created.push(namespace, GFP_KERNEL)?;
    }
    Ok(())
}
