// SPDX-License-Identifier: GPL-2.0

//! Evaluation of ACPI methods.

use super::{
    object::{
        Object,
        Value, //
    },
    status,
    AcpiDevice, //
};
use crate::sys;
use core::ptr;
use kernel::{
    fmt,
    prelude::*, //
};

/// Maximum number of arguments of a method (ACPI 6.5, section 19.6.84).
const MAX_ARGUMENTS: usize = 7;

/// `ACPI_ALLOCATE_BUFFER`: the interpreter allocates the result.
const ALLOCATE_BUFFER: sys::acpi_size = sys::acpi_size::MAX;

/// An argument of a method.
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    /// An integer.
    Integer(u64),
    /// Bytes, fewer than 4 GiB.
    Buffer(&'a [u8]),
}

impl Argument<'_> {
    fn to_raw(self) -> Result<sys::acpi_object> {
        Ok(match self {
            Self::Integer(value) => sys::acpi_object {
                integer: sys::acpi_object__bindgen_ty_1 {
                    type_: sys::ACPI_TYPE_INTEGER,
                    value,
                },
            },
            Self::Buffer(bytes) => sys::acpi_object {
                buffer: sys::acpi_object__bindgen_ty_3 {
                    type_: sys::ACPI_TYPE_BUFFER,
                    length: u32::try_from(bytes.len())?,
                    // The interpreter copies the bytes and never writes to them.
                    pointer: bytes.as_ptr().cast_mut(),
                },
            },
        })
    }
}

/// The reason why a method has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MethodError {
    /// The device has no such method.
    Absent,
    /// The interpreter failed with this `acpi_status`.
    Failed(u32),
    /// The method returned nothing.
    NoResult,
    /// There are too many arguments, or a buffer is too large.
    Arguments,
}

impl fmt::Display for MethodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no such method"),
            Self::Failed(status) => write!(f, "evaluation failed with ACPI status {status:#x}"),
            Self::NoResult => f.write_str("no result"),
            Self::Arguments => f.write_str("too many or too large arguments"),
        }
    }
}

/// A set of functions under one GUID and revision (ACPI 6.5, section 9.1.1).
#[derive(Clone, Copy)]
pub struct DeviceSpecificMethod {
    /// The GUID, in memory order.
    pub guid: [u8; 16],
    /// The revision.
    pub revision: u64,
}

impl AcpiDevice {
    /// Returns `true` if the device has a method called `name`.
    pub fn has_method(&self, name: &CStr) -> bool {
        // SAFETY: The handle is that of a valid device. The name is a C string, which is only read.
        // The function may sleep, as this one may.
        unsafe { sys::acpi_has_method(self.handle(), name.as_char_ptr().cast_mut()) }
    }

    /// Evaluates the method called `name`. May sleep.
    pub fn evaluate(&self, name: &CStr, arguments: &[Argument<'_>]) -> Result<Object, MethodError> {
        let mut objects = [sys::acpi_object {
            integer: sys::acpi_object__bindgen_ty_1 {
                type_: sys::ACPI_TYPE_INTEGER,
                value: 0,
            },
        }; MAX_ARGUMENTS];
        if arguments.len() > objects.len() {
            return Err(MethodError::Arguments);
        }
        for (object, argument) in objects.iter_mut().zip(arguments) {
            *object = argument.to_raw().map_err(|_| MethodError::Arguments)?;
        }
        let mut list = sys::acpi_object_list {
            // CAST: There are at most seven arguments.
            count: arguments.len() as u32,
            pointer: objects.as_mut_ptr(),
        };
        let mut result = sys::acpi_buffer {
            length: ALLOCATE_BUFFER,
            pointer: ptr::null_mut(),
        };
        // SAFETY: The handle is that of a valid device. The name is a C string, which is only read.
        // `list` has `count` initialised objects, whose buffers outlive the call and are only read.
        // `result` asks the interpreter to allocate and is valid for writes. The function may
        // sleep, as this one may.
        let outcome = unsafe {
            sys::acpi_evaluate_object(
                self.handle(),
                name.as_char_ptr().cast_mut(),
                &raw mut list,
                &raw mut result,
            )
        };
        match outcome {
            status::OK => {
                // SAFETY: The interpreter has allocated the result for the caller to free, or left
                // the null pointer.
                unsafe { Object::from_raw(result.pointer.cast()) }.ok_or(MethodError::NoResult)
            }
            status::NOT_FOUND => Err(MethodError::Absent),
            other => Err(MethodError::Failed(other)),
        }
    }

    /// Returns a bit mask of the functions that the device has under `method`; 0 if it has none.
    /// May sleep.
    pub fn functions(&self, method: DeviceSpecificMethod) -> u64 {
        const ANY: u64 = 1;

        let answer = self.evaluate_function(method, 0, None);
        let mask = match answer.as_ref().map(Object::value) {
            // Firmware older than the specification returns an integer.
            Some(Value::Integer(mask)) => mask,
            Some(Value::Buffer(bytes)) => bytes
                .iter()
                .take(8)
                .rev()
                .fold(0, |mask, &byte| (mask << 8) | u64::from(byte)),
            _ => 0,
        };
        if mask & ANY != 0 {
            mask
        } else {
            0
        }
    }

    /// Evaluates function number `function` under `method`. If there is `input`, its argument is a
    /// package of one buffer. May sleep.
    ///
    /// Returns `None` if there is no result, for any reason.
    pub fn evaluate_function(
        &self,
        method: DeviceSpecificMethod,
        function: u64,
        input: Option<&[u8]>,
    ) -> Option<Object> {
        let guid = sys::guid_t { b: method.guid };
        let mut buffer = Argument::Buffer(input.unwrap_or_default()).to_raw().ok()?;
        let mut package = sys::acpi_object {
            package: sys::acpi_object__bindgen_ty_4 {
                type_: sys::ACPI_TYPE_PACKAGE,
                count: 1,
                elements: &raw mut buffer,
            },
        };
        let argument = if input.is_some() {
            &raw mut package
        } else {
            ptr::null_mut()
        };
        // SAFETY: The handle is that of a valid device, and the GUID is valid. The argument is null
        // or a package of one initialised object, whose buffer outlives the call and is only read.
        // The result is null or allocated for the caller to free. The function may sleep, as this
        // one may.
        unsafe {
            Object::from_raw(sys::acpi_evaluate_dsm(
                self.handle(),
                &raw const guid,
                method.revision,
                function,
                argument,
            ))
        }
    }
}
