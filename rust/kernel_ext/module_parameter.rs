// SPDX-License-Identifier: GPL-2.0

//! Parameters of modules that are switches, which the macro `module!` does not know.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use crate::sys;
use core::ptr;
use kernel::{
    module_param::KernelParam,
    prelude::*,
    str::as_char_ptr_in_const_context,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// A parameter that is on or off, made by [`switches!`](crate::switches).
pub struct Switch(Atomic<bool>);

impl Switch {
    #[doc(hidden)]
    pub const fn new(on: bool) -> Self {
        Self(Atomic::new(on))
    }

    /// Tells whether it is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Declares parameters of the module that are on or off: `NAME`, `NAME=1`, `NAME=Y`, `NAME=on` and the like, or `NAME=0` and so on.
/// Everybody may read them in sysfs.
///
/// ```ignore
/// kernel_ext::switches! {
///     FORCE: "force" = false, "Do it nevertheless";
/// }
/// ```
#[expect(
    clippy::crate_in_macro_def,
    reason = "the parameters are of the module that declares them"
)]
#[macro_export]
macro_rules! switches {
    ($($switch:ident: $name:literal = $default:literal, $description:literal;)+) => {$(
        #[doc = $description]
        pub(crate) static $switch: $crate::module_parameter::Switch =
            $crate::module_parameter::Switch::new($default);

        const _: () = {
            const TYPE: &str = concat!("parmtype=", $name, ":bool\0");
            const DESCRIPTION: &str = concat!("parm=", $name, ":", $description, "\0");
            const NAME: &str = concat!($name, "\0");

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static TYPE_INFO: [u8; TYPE.len()] = $crate::module_parameter::bytes(TYPE);

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static DESCRIPTION_INFO: [u8; DESCRIPTION.len()] =
                $crate::module_parameter::bytes(DESCRIPTION);

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAMETER: ::kernel::module_param::KernelParam =
                $crate::module_parameter::parameter(NAME, &crate::THIS_MODULE, &$switch);
        };
    )+};
}

/// The bytes of `text`, `N` of them.
#[doc(hidden)]
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; N],
    }
}

/// The parameter of `module` that sets `switch`; its name ends with a NUL.
#[doc(hidden)]
pub const fn parameter(
    name: &'static str,
    module: &'static ThisModule,
    switch: &'static Switch,
) -> KernelParam {
    const READ_ONLY: u16 = 0o444;

    let name = match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    };
    KernelParam::new(sys::kernel_param {
        name: as_char_ptr_in_const_context(name),
        mod_: module.as_ptr(),
        // SAFETY: A static of the kernel that does not change.
        ops: &raw const sys::param_ops_bool,
        perm: READ_ONLY,
        // As of parameters of loadable modules in C: they are set when the module is loaded.
        level: -1,
        flags: 0,
        __bindgen_anon_1: sys::kernel_param__bindgen_ty_1 {
            // `struct kernel_param_ops` for booleans writes one byte, before the module runs and never again.
            arg: ptr::from_ref(switch).cast_mut().cast(),
        },
    })
}
