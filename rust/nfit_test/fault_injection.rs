// SPDX-License-Identifier: GPL-2.0

//! Fault injection: devices `test_dimmN` of the class `nfit_test_dimm`, through which user space
//! makes the functions of a DIMM fail.
//!
//! | attribute | |
//! |---|---|
//! | `handle` | handle of the DIMM |
//! | `fail_cmd` | bit mask of the functions that fail |
//! | `fail_cmd_code` | the error with which they fail, as a negative errno; 0 for `EIO` |
//! | `lock_dimm` | any write locks the DIMM, as a power cycle locks one that has a passphrase |

use crate::dimm::TestDimm;
use kernel::{
    device::Device,
    fmt::Write as _,
    prelude::*,
    str::{
        parse_int::ParseInt,
        BStr, //
    },
    sync::{
        atomic::Relaxed,
        Arc, //
    },
};
use kernel_ext::{
    class::Class,
    device::{
        DeviceData,
        DeviceType,
        Owner,
        TypedDevice, //
    },
    sysfs::{
        Attribute,
        Attributes,
        Group,
        Groups, //
    },
};

/// Class of the devices.
pub(crate) static CLASS: Class = Class::new(c"nfit_test_dimm");

/// Largest errno (`MAX_ERRNO` in `include/linux/err.h`).
const MAX_ERRNO: i32 = 4095;

/// Data of a device of the class.
struct FaultInjection(Arc<TestDimm>);

static TYPE: DeviceType<FaultInjection> = DeviceType::unnamed(GROUPS.list());

impl DeviceData for FaultInjection {
    fn types() -> &'static [&'static DeviceType<Self>] {
        static TYPES: [&DeviceType<FaultInjection>; 1] = [&TYPE];
        &TYPES
    }
}

static HANDLE: Attribute<FaultInjection> = Attribute::read_only(c"handle", |injection, out| {
    writeln!(out, "{:#x}", injection.0.description.handle)?;
    Ok(())
});

static FAIL_COMMAND: Attribute<FaultInjection> = Attribute::<FaultInjection>::read_write(
    c"fail_cmd",
    |injection, out| {
        writeln!(out, "{:#x}", injection.0.failure.functions.load(Relaxed))?;
        Ok(())
    },
    |injection, input| {
        let functions = i64::from_str(text(input))?;
        injection.0.failure.functions.store(functions, Relaxed);
        Ok(())
    },
)
.expecting("a bit mask of functions");

static FAIL_COMMAND_CODE: Attribute<FaultInjection> = Attribute::<FaultInjection>::read_write(
    c"fail_cmd_code",
    |injection, out| {
        writeln!(out, "{}", injection.0.failure.code.load(Relaxed))?;
        Ok(())
    },
    |injection, input| {
        let code = i32::from_str(text(input))?;
        if !(-MAX_ERRNO..=0).contains(&code) {
            return Err(EINVAL);
        }
        injection.0.failure.code.store(code, Relaxed);
        Ok(())
    },
)
.expecting("0 or a negative error number");

static LOCK_DIMM: Attribute<FaultInjection> =
    Attribute::write_only(c"lock_dimm", |injection, _input| {
        injection.0.security.lock();
        Ok(())
    });

static ATTRIBUTES: Attributes<FaultInjection, 4> =
    Attributes::new([&HANDLE, &FAIL_COMMAND, &FAIL_COMMAND_CODE, &LOCK_DIMM]);
static GROUP: Group<FaultInjection> = Group::new(&ATTRIBUTES);
static GROUPS: Groups<FaultInjection, 1> = Groups::new([&GROUP]);

fn text(input: &[u8]) -> &BStr {
    BStr::from_bytes(input.strip_suffix(b"\n").unwrap_or(input))
}

/// Registration of the device of a DIMM.
pub(crate) struct FaultInjectionRegistration(Owner<FaultInjection>);

impl FaultInjectionRegistration {
    /// Registers `test_dimmN` of `dimm` below `parent`. The class must be registered.
    pub(crate) fn new(parent: &Device, dimm: Arc<TestDimm>) -> Result<Self> {
        let number = dimm.description.number;
        let device = TypedDevice::in_class(
            &CLASS,
            &TYPE,
            parent,
            0,
            fmt!("test_dimm{number}"),
            Ok::<_, Error>(FaultInjection(dimm)),
        )?;
        // From here on, `drop` unregisters the device and waits for its release.
        let this = Self(Owner::new(device)?);
        this.0.register()?;
        Ok(this)
    }
}

impl Drop for FaultInjectionRegistration {
    fn drop(&mut self) {
        self.0.unregister();
    }
}
