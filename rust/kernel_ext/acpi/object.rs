// SPDX-License-Identifier: GPL-2.0

//! What ACPI methods give back.

use crate::sys;
use core::{
    ptr::NonNull,
    slice, //
};

/// An object that the interpreter allocated; freed when dropped.
///
/// # Invariants
///
/// The pointer is to a valid object in one allocation with all that it refers to. Nobody else knows
/// it.
pub struct Object(NonNull<sys::acpi_object>);

// SAFETY: The object is plain memory of which nobody else knows.
unsafe impl Send for Object {}

// SAFETY: Through a shared reference the object is only read.
unsafe impl Sync for Object {}

impl Object {
    /// Takes over an object; `None` if there is none.
    ///
    /// # Safety
    ///
    /// `raw` must be null or come from the interpreter, which allocates an object with all that it
    /// refers to, for the caller to free.
    pub(super) unsafe fn from_raw(raw: *mut sys::acpi_object) -> Option<Self> {
        // INVARIANT: By the requirements of this function.
        NonNull::new(raw).map(Self)
    }

    /// Looks into the object.
    pub fn value(&self) -> Value<'_> {
        // SAFETY: By the type invariant the object is valid, and it lives as long as `self`.
        Value::of(unsafe { self.0.as_ref() })
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the allocation is ours; the interpreter allocates with
        // `kmalloc`.
        unsafe { sys::kfree(self.0.as_ptr().cast()) };
    }
}

/// The kinds of objects that methods of NVDIMMs give back.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A number.
    Integer(u64),
    /// Bytes.
    Buffer(&'a [u8]),
    /// Several objects.
    Package(Package<'a>),
    /// Something else, of the `ACPI_TYPE_*` given.
    Other(u32),
}

impl<'a> Value<'a> {
    /// The number, if it is one.
    pub fn integer(self) -> Option<u64> {
        match self {
            Self::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The bytes, if they are a buffer.
    pub fn buffer(self) -> Option<&'a [u8]> {
        match self {
            Self::Buffer(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The elements, if it is a package.
    pub fn package(self) -> Option<Package<'a>> {
        match self {
            Self::Package(package) => Some(package),
            _ => None,
        }
    }

    fn of(object: &'a sys::acpi_object) -> Self {
        // SAFETY: Every variant of the union begins with its type.
        match unsafe { object.type_ } {
            sys::ACPI_TYPE_INTEGER => {
                // SAFETY: The type tells that this variant is the valid one.
                Self::Integer(unsafe { object.integer.value })
            }
            sys::ACPI_TYPE_BUFFER => {
                // SAFETY: As above.
                let buffer = unsafe { &object.buffer };
                // SAFETY: A buffer object has `length` bytes in the same allocation, which lives as
                // long as `object`.
                Self::Buffer(unsafe { slice_of(buffer.pointer, buffer.length) })
            }
            sys::ACPI_TYPE_PACKAGE => {
                // SAFETY: As above.
                let package = unsafe { &object.package };
                // SAFETY: A package has `count` valid objects in the same allocation.
                Self::Package(Package(unsafe {
                    slice_of(package.elements, package.count)
                }))
            }
            other => Self::Other(other),
        }
    }
}

/// # Safety
///
/// If `count` is not zero, `pointer` must be to that many valid elements, which nobody changes
/// during `'a`.
unsafe fn slice_of<'a, T>(pointer: *mut T, count: u32) -> &'a [T] {
    // CAST: A `usize` has at least 32 bits wherever there is ACPI.
    match (NonNull::new(pointer), count as usize) {
        (None, _) | (_, 0) => &[],
        // SAFETY: By the requirements of this function.
        (Some(pointer), count) => unsafe { slice::from_raw_parts(pointer.as_ptr(), count) },
    }
}

/// Several objects.
///
/// # Invariants
///
/// Each of them is valid.
#[derive(Clone, Copy)]
pub struct Package<'a>(&'a [sys::acpi_object]);

impl<'a> Package<'a> {
    /// The element of number `index`, if there are so many.
    pub fn get(self, index: usize) -> Option<Value<'a>> {
        self.0.get(index).map(Value::of)
    }

    /// The elements.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        self.0.iter().map(Value::of)
    }
}
