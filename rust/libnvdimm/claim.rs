// SPDX-License-Identifier: GPL-2.0

//! Claims: a namespace is either driven raw or claimed by one personality.
//!
//! A [`Claim`] is held by the personality and released when it is dropped. It is taken under the lock of the bus.

use crate::{
    bus::BusLock,
    Namespace, //
};
use core::fmt;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};
use kernel_ext::device::Node;

/// Least size of a namespace that a personality may claim, in bytes.
pub(crate) const MIN_NAMESPACE_SIZE: u64 = 16 << 20;

/// For which personality a namespace is set aside.
pub use nd_format::label::Class as ClaimClass;

/// Kinds of personalities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HolderKind {
    /// Block Translation Table.
    Btt,
    /// Page structures for file systems with DAX.
    Pfn,
    /// Page structures for device DAX.
    Dax,
}

/// Who claims a namespace: a personality of the same region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its kind.
    pub kind: HolderKind,
    /// Number of its region.
    pub region: u32,
    /// Its own number.
    pub index: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            HolderKind::Btt => "btt",
            HolderKind::Pfn => "pfn",
            HolderKind::Dax => "dax",
        };
        write!(f, "{kind}{}.{}", self.region, self.index)
    }
}

/// The claim of a personality on a namespace.
pub(crate) struct Claim {
    namespace: ARef<Node<Namespace>>,
}

/// Tells whether a personality of `kind` may claim a namespace of class `class`.
fn admits(class: ClaimClass, kind: HolderKind) -> bool {
    match class {
        ClaimClass::None => true,
        ClaimClass::Btt1_1 | ClaimClass::Btt2_0 => kind == HolderKind::Btt,
        ClaimClass::Pfn => kind == HolderKind::Pfn,
        ClaimClass::Dax => kind == HolderKind::Dax,
        ClaimClass::Unknown(_) => false,
    }
}

impl Claim {
    /// Claims `namespace` for `holder`.
    ///
    /// Fails with `EBUSY` if the namespace is set aside for another kind of personality or claimed, and with `ENXIO` if it
    /// is too small.
    pub(crate) fn take(
        namespace: ARef<Node<Namespace>>,
        holder: Holder,
        _lock: &BusLock<'_>,
    ) -> Result<Self> {
        let class = namespace.claim_class();
        if !admits(class, holder.kind) {
            dev_err!(
                namespace,
                "{:?} cannot claim it: it is set aside for {class:?}\n",
                holder.kind
            );
            return Err(EBUSY);
        }
        if namespace.size() < MIN_NAMESPACE_SIZE {
            dev_err!(
                namespace,
                "{:?} cannot claim it: size is {:#x}, at least {MIN_NAMESPACE_SIZE:#x} expected\n",
                holder.kind,
                namespace.size()
            );
            return Err(ENXIO);
        }
        namespace.set_holder(holder)?;
        Ok(Self { namespace })
    }

    /// Returns the namespace that is claimed.
    pub(crate) fn namespace(&self) -> &ARef<Node<Namespace>> {
        &self.namespace
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.namespace.clear_holder();
    }
}
