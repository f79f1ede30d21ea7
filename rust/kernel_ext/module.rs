// SPDX-License-Identifier: GPL-2.0

//! References to modules, and boolean module parameters, which the macro `module!` does not
//! support.
//!
//! C headers: [`include/linux/module.h`](srctree/include/linux/module.h),
//! [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

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

/// A reference to a module, which cannot be unloaded while this lives.
pub struct ModuleRef(&'static ThisModule);

impl ModuleRef {
    /// Takes a reference. Returns `None` if the module is being unloaded.
    pub fn try_new(module: &'static ThisModule) -> Option<Self> {
        // SAFETY: A `'static` `ThisModule` has the address of the module that the code is part of,
        // or null for built-in code, which the function accepts.
        unsafe { sys::try_module_get(module.as_ptr()) }.then_some(Self(module))
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: `Self::try_new` has taken the reference, which is dropped once. Null, for
        // built-in code, is accepted.
        unsafe { sys::module_put(self.0.as_ptr()) };
    }
}

/// A boolean parameter, declared by [`bool_params!`](crate::bool_params).
///
/// The C side writes to it as to a `bool` of one byte when the module is loaded, before any of its
/// code runs. The parameter is read-only in sysfs, even if the mode of the file is changed, as the
/// file has no `store`. So no write races with a read. If one did, the atomic read of one byte
/// would return the old or the new value.
///
/// # Invariants
///
/// The byte is 0 or 1.
#[repr(transparent)]
pub struct BoolParam(Atomic<bool>);

// The C side writes a `bool`.
const _: () = assert!(
    size_of::<BoolParam>() == size_of::<bool>() && align_of::<BoolParam>() == align_of::<bool>()
);

impl BoolParam {
    #[doc(hidden)]
    pub const fn new(on: bool) -> Self {
        Self(Atomic::new(on))
    }

    /// Returns `true` if the parameter is on.
    pub fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Declares boolean parameters of the module: `NAME`, `NAME=1`, `NAME=Y` or `NAME=on` turn one on,
/// `NAME=0`, `NAME=N` or `NAME=off` turn it off. They are world-readable in sysfs.
///
/// ```ignore
/// kernel_ext::bool_params! {
///     FORCE: "force" = false, "Do it nevertheless";
/// }
/// ```
#[macro_export]
macro_rules! bool_params {
    ($($param:ident: $name:literal = $default:literal, $description:literal;)+) => {$(
        #[doc = $description]
        pub(crate) static $param: $crate::module::BoolParam =
            $crate::module::BoolParam::new($default);

        const _: () = {
            const TYPE: &str = concat!("parmtype=", $name, ":bool\0");
            const DESCRIPTION: &str = concat!("parm=", $name, ":", $description, "\0");
            const NAME: &str = concat!($name, "\0");

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static TYPE_INFO: [u8; TYPE.len()] = $crate::module::bytes(TYPE);

            #[link_section = ".modinfo"]
            #[used(compiler)]
            static DESCRIPTION_INFO: [u8; DESCRIPTION.len()] =
                $crate::module::bytes(DESCRIPTION);

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAMETER: ::kernel::module_param::KernelParam =
                $crate::module::parameter(NAME, ::kernel_compat::this_module!(), &$param);
        };
    )+};
}

/// Returns the `N` bytes of `text`.
#[doc(hidden)]
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; N],
    }
}

/// Returns the parameter `name` of `module`, which sets `param`. `name` must end with a NUL.
#[doc(hidden)]
pub const fn parameter(
    name: &'static str,
    module: &'static ThisModule,
    param: &'static BoolParam,
) -> KernelParam {
    KernelParam::new(raw_parameter(name, module, param))
}

const fn raw_parameter(
    name: &'static str,
    module: &'static ThisModule,
    param: &'static BoolParam,
) -> sys::kernel_param {
    const READ_ONLY: u16 = 0o444;

    let name = match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => c"",
    };
    sys::kernel_param {
        name: as_char_ptr_in_const_context(name),
        mod_: module.as_ptr(),
        // SAFETY: This only takes the address of a static of the kernel, which is never freed.
        ops: &raw const sys::param_ops_bool,
        perm: READ_ONLY,
        // The level of parameters in C: they are set when the module is loaded.
        level: -1,
        flags: 0,
        __bindgen_anon_1: sys::kernel_param__bindgen_ty_1 {
            // INVARIANT: `param_ops_bool` writes one byte, which is the whole `BoolParam`, and
            // stores 0 or 1.
            arg: ptr::from_ref(param).cast_mut().cast(),
        },
    }
}

#[kernel::prelude::kunit_tests(nd_kernel_ext_parameter)]
mod tests {
    use super::*;
    use kernel::error::to_result;

    static PARAM: BoolParam = BoolParam::new(false);

    /// Sets the parameter as the kernel does when it loads a module.
    fn set(value: &CStr) -> Result {
        // SAFETY: Null stands for built-in code. Setting a parameter does not access its module.
        static NO_MODULE: ThisModule = unsafe { ThisModule::from_ptr(ptr::null_mut()) };

        let parameter = raw_parameter("kunit\0", &NO_MODULE, &PARAM);
        // SAFETY: `raw_parameter` has stored the address of a static table of the kernel, which
        // does not change.
        let set = unsafe { (*parameter.ops).set }.ok_or(EINVAL)?;
        // SAFETY: The value is a C string, and the parameter is one for this function. The function
        // writes one byte to `PARAM`, which only this test uses.
        to_result(unsafe { set(value.as_char_ptr(), &raw const parameter) })
    }

    #[test]
    fn what_the_kernel_writes_is_what_is_read() -> Result {
        assert!(!PARAM.is_on());
        set(c"Y")?;
        assert!(PARAM.is_on());
        assert!(set(c"maybe").is_err());
        assert!(PARAM.is_on());
        set(c"0")?;
        assert!(!PARAM.is_on());
        Ok(())
    }
}
