// SPDX-License-Identifier: GPL-2.0

//! Reports of kmemleak after the tests of a boot, without the known leaks of the kernel itself.

use super::{
    report::Verdict,
    session::Session, //
};
use anyhow::Result;

/// The beginning of each object in a report of kmemleak.
const BEGINNING: &str = "unreferenced object ";

/// Functions in the backtrace of the allocation that the kernel leaks.
///
/// A store to `bind` for a device that is not ready to be probed stores the reason with the device,
/// but does not defer it. `driver_deferred_probe_del()` frees the reasons of deferred devices only
/// (drivers/base/dd.c).
const OF_THE_KERNEL: [&str; 2] = ["device_set_deferred_probe_reason+", "device_driver_attach+"];

/// Passes if kmemleak finds nothing that our modules may have leaked. They must be unloaded before.
pub(super) fn look(session: &mut Session) -> Result<Verdict> {
    let report = ours(&session.leaks()?);
    Ok(if report.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(format!("kmemleak reports:\n{report}"))
    })
}

/// Returns a report without the objects that the kernel leaks. Text that is no object is kept.
fn ours(report: &str) -> String {
    let (preamble, objects) = match report.find(BEGINNING) {
        Some(first) => report.split_at(first),
        None => (report, ""),
    };
    let objects = objects
        .split(BEGINNING)
        .skip(1)
        .filter(|object| {
            !OF_THE_KERNEL
                .iter()
                .all(|function| object.contains(function))
        })
        .flat_map(|object| [BEGINNING, object]);
    std::iter::once(preamble).chain(objects).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REASON: &str = "\
unreferenced object 0xff11000011c06b00 (size 32):
  comm \"sh\", pid 134, jiffies 4294950727
  backtrace (crc d4d7e014):
    kasprintf+0x70/0x80
    device_set_deferred_probe_reason+0x4a/0xe0
    dev_err_probe+0xd8/0x100
    device_driver_attach+0xd6/0x1e0
    bind_store+0x195/0x1d0
";
    const NAMESPACE: &str = "\
unreferenced object 0xff1100000d5ad740 (size 512):
  comm \"sh\", pid 132, jiffies 4294959421
  backtrace (crc 67b19a3a):
    __kmalloc_noprof+0x402/0x6f0
    device_driver_attach+0xd6/0x1e0
";

    #[test]
    fn only_what_the_kernel_loses_is_left_out() {
        assert_eq!(ours(&[REASON, NAMESPACE, REASON].concat()), NAMESPACE);
        assert_eq!(
            ours(&[NAMESPACE, REASON, NAMESPACE].concat()),
            NAMESPACE.repeat(2)
        );
        assert_eq!(ours(&REASON.repeat(3)), "");
    }

    #[test]
    fn what_is_not_understood_stays() {
        let complaint = "kmemleak is disabled\n";
        assert_eq!(ours(&[complaint, REASON].concat()), complaint);
        assert_eq!(ours(""), "");
    }
}
