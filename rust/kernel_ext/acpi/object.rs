// SPDX-License-Identifier: GPL-2.0

//! Results of ACPI methods.

use super::FirmwareAddress;
use crate::sys;
use core::{
    ptr::NonNull,
    slice, //
};

/// An object that the interpreter has allocated. It is freed when it is dropped.
///
/// # Invariants
///
/// The pointer is to a valid object, in one allocation with everything that it points to. The
/// allocation is owned, and nothing writes to it.
pub struct Object(NonNull<sys::acpi_object>);

// SAFETY: By the type invariant the object is owned memory, which any thread may free.
unsafe impl Send for Object {}

// SAFETY: By the type invariant nothing writes to the object.
unsafe impl Sync for Object {}

impl Object {
    /// Takes ownership of an object. Returns `None` for null.
    ///
    /// # Safety
    ///
    /// `raw` must be null, or an object that the interpreter has allocated for the caller to free,
    /// in one allocation with everything that it points to. The caller gives up ownership of it.
    pub(super) unsafe fn from_raw(raw: *mut sys::acpi_object) -> Option<Self> {
        // INVARIANT: The caller passes an object in one allocation and gives up ownership of it.
        NonNull::new(raw).map(Self)
    }

    /// Returns the value of the object.
    pub fn value(&self) -> Value<'_> {
        // SAFETY: By the type invariant the object is valid and nothing writes to it. It lives as
        // long as `self`, which is borrowed.
        Value::of(unsafe { self.0.as_ref() })
    }

    /// Returns the address in `field`, eight bytes of the object, which is a buffer. Returns `None`
    /// for other memory, another length, or an object of another type.
    pub fn address_at(&self, field: &[u8]) -> Option<FirmwareAddress> {
        // SAFETY: The bytes are those that a method of the firmware has returned.
        unsafe { FirmwareAddress::read(self.value().buffer()?, field) }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the allocation is owned. The interpreter has made it with
        // `kmalloc`, and it is freed once.
        unsafe { sys::kfree(self.0.as_ptr().cast()) };
    }
}

/// The value of an object, of one of the types that methods of NVDIMMs return.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// An integer.
    Integer(u64),
    /// Bytes.
    Buffer(&'a [u8]),
    /// Several objects.
    Package(Package<'a>),
    /// An object of another type, `ACPI_TYPE_*`.
    Other(u32),
}

impl<'a> Value<'a> {
    /// Returns the integer, if it is one.
    pub fn integer(self) -> Option<u64> {
        match self {
            Self::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the bytes, if it is a buffer.
    pub fn buffer(self) -> Option<&'a [u8]> {
        match self {
            Self::Buffer(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the elements, if it is a package.
    pub fn package(self) -> Option<Package<'a>> {
        match self {
            Self::Package(package) => Some(package),
            _ => None,
        }
    }

    fn of(object: &'a sys::acpi_object) -> Self {
        // SAFETY: Every variant of the union begins with the type.
        match unsafe { object.type_ } {
            sys::ACPI_TYPE_INTEGER => {
                // SAFETY: The type says that the variant is an integer.
                Self::Integer(unsafe { object.integer.value })
            }
            sys::ACPI_TYPE_BUFFER => {
                // SAFETY: The type says that the variant is a buffer.
                let buffer = unsafe { &object.buffer };
                // SAFETY: A buffer has `length` initialised bytes in the same allocation, which
                // lives as long as `object` is borrowed and which nothing writes to.
                Self::Buffer(unsafe { slice_of(buffer.pointer, buffer.length) })
            }
            sys::ACPI_TYPE_PACKAGE => {
                // SAFETY: The type says that the variant is a package.
                let package = unsafe { &object.package };
                // SAFETY: A package has `count` valid objects in the same allocation, which lives
                // as long as `object` is borrowed and which nothing writes to.
                Self::Package(Package(unsafe {
                    slice_of(package.elements, package.count)
                }))
            }
            other => Self::Other(other),
        }
    }
}

/// Returns a slice of `count` elements, which is empty if `pointer` is null.
///
/// # Safety
///
/// If `count` is not zero, `pointer` must be null or to `count` valid, aligned elements that
/// nothing writes to during `'a`.
unsafe fn slice_of<'a, T>(pointer: *mut T, count: u32) -> &'a [T] {
    // CAST: A `usize` has at least 32 bits wherever there is ACPI.
    match (NonNull::new(pointer), count as usize) {
        (None, _) | (_, 0) => &[],
        // SAFETY: The pointer is not null and the count is not zero, so the caller guarantees that
        // there are `count` valid, aligned elements that nothing writes to during `'a`.
        (Some(pointer), count) => unsafe { slice::from_raw_parts(pointer.as_ptr(), count) },
    }
}

/// Several objects.
///
/// # Invariants
///
/// Each object is valid, as is everything that it points to.
#[derive(Clone, Copy)]
pub struct Package<'a>(&'a [sys::acpi_object]);

impl<'a> Package<'a> {
    /// Returns the element at `index`, if there is one.
    pub fn get(self, index: usize) -> Option<Value<'a>> {
        self.0.get(index).map(Value::of)
    }

    /// Returns the elements.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        self.0.iter().map(Value::of)
    }
}
