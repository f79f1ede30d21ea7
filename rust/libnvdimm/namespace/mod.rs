// SPDX-License-Identifier: GPL-2.0

//! Namespaces: ranges of a region that are used as one unit.
//!
//! - Without labels a region has one namespace, which covers all of it (device type
//!   `nd_namespace_io`).
//! - With labels there are as many as the labels describe (`nd_namespace_pmem`). User space makes
//!   another one of the seed, which has no size yet. Every change is written to the labels before
//!   it takes effect ([`configure`]).
//! - Labels that are refused are represented by a namespace. Its size is the number of bytes that
//!   they reserve, no driver binds to it, and the only change that it admits is to delete the
//!   labels.

mod access;
mod attributes;
mod configure;
mod memory;

pub use self::{
    access::{
        DiskName,
        OpenNamespace, //
    },
    memory::{
        ErrorPlace,
        MediaErrors,
        NamespaceMemory, //
    },
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
    DeviceData,
    DeviceType,
    TypedDevice, //
};
use nd_format::{
    label::Name,
    uuid::Uuid, //
};

static IO: DeviceType<Namespace> =
    DeviceType::named(c"nd_namespace_io", attributes::IO_GROUPS.list());
static LABELLED: DeviceType<Namespace> =
    DeviceType::named(c"nd_namespace_pmem", attributes::LABELLED_GROUPS.list());

/// Sector sizes of a raw disk in bytes.
pub(crate) const SECTOR_SIZES: [u64; 2] = [512, 4096];

/// What describes a namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Description {
    /// Its region, all of which it covers.
    Region,
    /// Labels.
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

/// What labels store, or would store, about a namespace.
#[derive(Clone, Copy)]
struct Content {
    /// First physical address; meaningless while the size is 0.
    start: u64,
    /// Size in bytes.
    size: u64,
    uuid: Option<Uuid>,
    name: Name,
    /// Sector size in bytes; 0 if labels specify none.
    sector_size: u64,
    /// The labels are refused: they form no namespace, but reserve `size` bytes until they are
    /// deleted.
    is_refused: bool,
}

/// Which kind of personality may claim a namespace, and which personality does.
struct ClaimState {
    class: ClaimClass,
    holder: Option<Holder>,
}

impl DeviceData for Namespace {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<Namespace>; 2] = [&IO, &LABELLED];
        &TYPES
    }
}

impl RegionChild for Namespace {
    fn id(&self) -> &ChildId {
        &self.id
    }

    fn seed<'a>(&self, seeds: &'a Seeds) -> Option<&'a TypedDevice<Self>> {
        seeds.namespace()
    }
}

impl Namespace {
    fn create(
        region: &TypedDevice<Region>,
        description: Description,
        content: Content,
        class: ClaimClass,
    ) -> Result<ARef<TypedDevice<Self>>> {
        let id = ChildId::allocate(region, Region::namespace_ids)?;
        let index = id.get();
        TypedDevice::new(
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

    /// Creates a labelled namespace without a size. The caller registers it.
    pub(crate) fn create_seed(region: &TypedDevice<Region>) -> Result<ARef<TypedDevice<Self>>> {
        Self::create(
            region,
            Description::Labels,
            Content::EMPTY,
            ClaimClass::None,
        )
    }

    /// Returns the region that the namespace is in.
    pub fn region(&self) -> &TypedDevice<Region> {
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

    /// Returns the size in bytes; 0 if the namespace is not configured.
    pub fn size(&self) -> u64 {
        self.content.lock().size
    }

    /// Returns the UUID that personalities store as that of their parent; nil if the namespace has
    /// none.
    pub fn uuid(&self) -> Uuid {
        self.content.lock().uuid.unwrap_or(Uuid::NIL)
    }

    /// Returns the sector size of the raw disk in bytes, 512 or 4096, if labels specify one.
    pub fn sector_size(&self) -> Option<u64> {
        let size = self.content.lock().sector_size;
        SECTOR_SIZES.contains(&size).then_some(size)
    }

    /// Returns `true` if labels describe the namespace.
    pub fn is_labelled(&self) -> bool {
        self.description == Description::Labels
    }

    /// Returns `true` if the labels are refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.content.lock().is_refused
    }

    /// Returns `true` if drivers must not look for personalities.
    pub fn is_forced_raw(&self) -> bool {
        self.force_raw.load(Relaxed)
    }

    /// Returns the kind of personality that the namespace is reserved for.
    pub fn claim_class(&self) -> ClaimClass {
        self.claim.lock().class
    }

    /// Returns the personality that claims the namespace.
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

    /// Returns what the labels of `found` store. It must be within `region`.
    fn of(found: &label_engine::LabelledNamespace, region: &Region) -> Result<Self> {
        Ok(Self {
            start: region.start().checked_add(found.offset).ok_or(ENXIO)?,
            size: found.size,
            uuid: Some(found.uuid),
            name: found.name,
            sector_size: found.lba_size,
            is_refused: false,
        })
    }

    /// Returns the properties of the namespace that represents refused labels.
    fn refused(refused: &label_engine::Refused) -> Self {
        Self {
            size: refused.reserved,
            uuid: Some(refused.uuid),
            name: refused.label.map_or(Name::EMPTY, |(_, label)| label.name),
            is_refused: true,
            ..Self::EMPTY
        }
    }
}

/// Creates the namespaces of `region` and registers them in the background. Returns how many there
/// are.
///
/// At least one of them can be configured, since a seed is needed to make others. If this fails,
/// none of them has become visible.
pub(crate) fn create_all(region: &TypedDevice<Region>) -> Result<usize> {
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
        // The seed is set before the namespace becomes visible.
        region.seeds().lock().set_namespace(seed)?;
    }
    // From here on nothing fails: a registration that is scheduled could not be undone without
    // waiting for it.
    for registration in registrations {
        registration.begin();
    }
    Ok(count)
}

/// Creates the namespaces that labels describe, or one without a size if there are none, followed
/// by those that represent refused labels. Tools that make a namespace begin with the first one.
fn create_labelled(
    region: &TypedDevice<Region>,
    lock: &BusLock<'_>,
    created: &mut KVVec<ARef<TypedDevice<Namespace>>>,
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
