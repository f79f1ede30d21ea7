// SPDX-License-Identifier: GPL-2.0

//! Namespaces: ranges of a region that are used as one.
//!
//! Without labels a region has one namespace, which covers all of it.

mod access;
mod attributes;

pub use self::access::{
    DiskName,
    OpenNamespace, //
};

use crate::{
    attributes::bus_type,
    claim::{
        ClaimClass,
        Holder, //
    },
    ids::ChildId,
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
use kernel_ext::{
    device::{
        DeviceType,
        Node,
        NodeParameters,
        Table, //
    },
    sysfs::GroupList, //
};
use nd_format::uuid::Uuid;

static TABLE: Table<Namespace> = Table::named(TYPE_NAME, attributes::GROUPS.list());

const TYPE_NAME: &CStr = c"nd_namespace_io";

/// A namespace.
#[pin_data]
pub struct Namespace {
    id: ChildId,
    start: u64,
    size: u64,
    force_raw: Atomic<bool>,
    #[pin]
    claim: Mutex<ClaimState>,
}

/// Who may claim a namespace and who does.
struct ClaimState {
    class: ClaimClass,
    holder: Option<Holder>,
}

impl DeviceType for Namespace {
    fn tables() -> &'static [&'static Table<Self>] {
        const { &[&TABLE] }
    }
}

impl Namespace {
    fn create(region: &Node<Region>, start: u64, size: u64) -> Result<ARef<Node<Self>>> {
        let id = ChildId::allocate(region, Region::namespace_ids)?;
        let index = id.get();
        Node::new(
            &NodeParameters {
                bus: bus_type(),
                parent: Some(region.device()),
                table: &TABLE,
                groups: GroupList::EMPTY,
                numa_node: region.numa_node(),
                device_number: 0,
            },
            fmt!("namespace{}.{index}", region.id()),
            try_pin_init!(Self {
                id,
                start,
                size,
                force_raw: Atomic::new(false),
                claim <- new_mutex!(ClaimState {
                    class: ClaimClass::None,
                    holder: None,
                }),
            }),
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
        self.start
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the UUID that personalities name as their parent's; nil for a namespace without a label.
    pub fn uuid(&self) -> Uuid {
        Uuid::NIL
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

/// Creates the namespaces of `region` and registers them in the background. Returns how many there are.
pub(crate) fn create_all(region: &Node<Region>) -> Result<usize> {
    let namespace = Namespace::create(region, region.start(), region.size())?;
    // The seed stands before anybody can see the namespace.
    region.seeds().lock().set_namespace(namespace.clone())?;
    crate::async_work::register(namespace)?;
    Ok(1)
}
