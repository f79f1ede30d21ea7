// SPDX-License-Identifier: GPL-2.0

//! ASL of the root device and its DIMMs (ACPI 6.5, sections 9.20 and 6.5.10).
//!
//! QEMU's DSDT has revision 1, so integers have 32 bits, and methods only access addresses below 4
//! GiB.

use super::description::{
    Description,
    Device,
    Family,
    Labels,
    LABEL_WINDOW, //
};
use std::fmt::Write;

/// Returns the whole source. `more` is added to the scope of the root device.
pub(super) fn source(description: &Description, more: &str) -> String {
    let mut devices = String::new();
    for (index, device) in description.devices.iter().enumerate() {
        devices.push_str(&of_device(index, device));
    }
    format!(
        "DefinitionBlock (\"\", \"SSDT\", 2, \"NVDIMM\", \"TESTS\", 1)
{{
    Scope (\\_SB)
    {{
        Device (NVDR)
        {{
            Name (_HID, \"ACPI0012\")
{more}
{devices}        }}
    }}
}}
"
    )
}

fn of_device(index: usize, device: &Device) -> String {
    let mut text = format!(
        "            Device (D{index:03X})
            {{
                Name (_ADR, {:#x})
",
        device.handle
    );
    if let Some(family) = device.family {
        text.push_str(&functions(family, device));
    }
    if let Some(labels) = &device.labels {
        text.push_str(&label_methods(labels));
    }
    text.push_str("            }\n");
    text
}

/// Returns a `_DSM` that only implements function 0, the query of functions.
fn functions(family: Family, device: &Device) -> String {
    let guid = match family {
        Family::Intel => "4309ac30-0d11-11e4-9191-0800200c9a66",
        Family::Microsoft => "1ee68b36-d4bd-4a1a-9a16-4f8e53d46e05",
        Family::HyperV => "5746c5f2-a9a2-4264-ad0e-e4ddc9e09e80",
    };
    let bytes = |mask: u64| {
        mask.to_le_bytes()
            .map(|byte| format!("{byte:#04x}"))
            .join(", ")
    };
    let (own, others) = (bytes(device.functions), bytes(device.others));
    format!(
        "                Method (_DSM, 4, NotSerialized)
                {{
                    If (Arg2 != Zero) {{ Return (Buffer () {{0x00}}) }}
                    If (Arg0 == ToUUID (\"{guid}\")) {{ Return (Buffer () {{{own}}}) }}
                    Return (Buffer () {{{others}}})
                }}
"
    )
}

/// Returns label methods on a label area in memory. A field has a fixed length, so the methods
/// access a window of the area that contains the requested bytes.
fn label_methods(labels: &Labels) -> String {
    let Labels { size, address } = labels;
    let last = size - LABEL_WINDOW;
    // The window begins at the offset, unless it would end behind the area. Local0 is its start,
    // Local1 the offset of the bytes in it.
    let window = format!(
        "                    If ((Arg1 > {LABEL_WINDOW}) || (Arg0 > {size}) || ((Arg0 + Arg1) > {size})) {{ REFUSE }}
                    Local0 = Arg0
                    If (Local0 > {last}) {{ Local0 = {last} }}
                    Local1 = Arg0 - Local0
                    OperationRegion (AREA, SystemMemory, {address:#x} + Local0, {LABEL_WINDOW})
                    Field (AREA, DWordAcc, NoLock, Preserve) {{ WNDW, {} }}
",
        LABEL_WINDOW * 8
    );
    let mut text = String::new();
    // Status, bytes of the area, maximum bytes of a transfer.
    let _ = writeln!(
        text,
        "                Method (_LSI, 0, NotSerialized) {{ Return (Package () {{0, {size}, {LABEL_WINDOW}}}) }}"
    );
    let _ = writeln!(
        text,
        "                Method (_LSR, 2, Serialized)
                {{
                    Local7 = Package () {{2, 0}}
{}                    Local7 [0] = Zero
                    Local7 [1] = Mid (WNDW, Local1, Arg1)
                    Return (Local7)
                }}",
        window.replace("REFUSE", "Return (Local7)")
    );
    let _ = writeln!(
        text,
        "                Method (_LSW, 3, Serialized)
                {{
{}                    Local2 = Local1 + Arg1
                    Local3 = WNDW
                    Local4 = Concatenate (Mid (Local3, 0, Local1), Arg2)
                    WNDW = Concatenate (Local4, Mid (Local3, Local2, {LABEL_WINDOW} - Local2))
                    Return (Zero)
                }}",
        window.replace("REFUSE", "Return (2)")
    );
    text
}
