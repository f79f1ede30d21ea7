// SPDX-License-Identifier: GPL-2.0

//! Parser of qemu/firmware/NAME.nfit: one item a line, whose words come in any order but for the
//! first ones.
//!
//! Mistakes that real firmware could make are accepted: making such tables is the purpose. Numbers
//! have the units K, M, G, or are hexadecimal with 0x.

use super::BASE;
use crate::units::{
    KIB,
    MIB, //
};
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};

/// Bytes that a label method transfers at once, and the minimum size of a label area.
pub(super) const LABEL_WINDOW: u64 = 4096;

/// The contents of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Description {
    pub(super) memory: Memory,
    pub(super) devices: Vec<Device>,
    /// Structures of the NFIT, in order.
    pub(super) structures: Vec<Structure>,
}

/// `memory SIZE [as=persistent|reserved]`: the memory behind the tables, from [`BASE`] on.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    pub(super) size: u64,
    /// Whether the memory map marks it as reserved instead of persistent.
    pub(super) reserved: bool,
}

/// `device HANDLE [labels=SIZE@ADDRESS] [family=NAME] [functions=MASK] [others=MASK]`: an ACPI
/// device below the root device.
#[derive(Debug, PartialEq)]
pub(super) struct Device {
    pub(super) handle: u32,
    pub(super) labels: Option<Labels>,
    /// The command family that the device answers to.
    pub(super) family: Option<Family>,
    /// The result of its function 0.
    pub(super) functions: u64,
    /// The result of function 0 of other families, which should be 0.
    pub(super) others: u64,
}

/// A label area in the memory behind the tables, which the methods `_LSI`, `_LSR` and `_LSW`
/// access.
#[derive(Debug, PartialEq)]
pub(super) struct Labels {
    pub(super) size: u64,
    pub(super) address: u64,
}

/// Command families.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Family {
    Intel,
    Microsoft,
    HyperV,
}

/// A structure of the NFIT (ACPI 6.5, section 5.2.25). Fields that are not named are 0.
#[derive(Debug, PartialEq)]
pub(super) enum Structure {
    /// `range INDEX KIND at=ADDRESS size=SIZE [node=DOMAIN]`
    Range {
        index: u16,
        kind: RangeKind,
        base: u64,
        length: u64,
        proximity: Option<u32>,
    },
    /// `mapping HANDLE range=INDEX size=SIZE [control=INDEX] [offset=N] [dpa=N] [ways=N]
    /// [flags=WORD,...] [physical=N]`
    Mapping {
        handle: u32,
        range: u16,
        control: u16,
        size: u64,
        offset: u64,
        dpa: u64,
        ways: u16,
        flags: u16,
        physical: u16,
    },
    /// `control INDEX serial=N [vendor=N]`
    Control {
        index: u16,
        vendor: u16,
        serial: u32,
    },
    /// `hints HANDLE ADDRESS...`
    Hints { handle: u32, addresses: Vec<u64> },
    /// `capabilities BITS`
    Capabilities { bits: u32 },
    /// `bytes BYTE...`: any structure, with its type and length.
    Bytes(Vec<u8>),
}

/// The type of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RangeKind {
    Persistent,
    Volatile,
    Control,
}

impl Memory {
    /// Returns the word for the kernel's command line that adds it to the memory map.
    pub(super) fn kernel_argument(&self) -> String {
        let (size, base) = (self.size, BASE);
        if self.reserved {
            format!("memmap={size:#x}${base:#x}")
        } else {
            // RAM (type 1) becomes persistent memory (type 7), as if firmware declared it.
            format!("memmap={size:#x}%{base:#x}-1+7")
        }
    }
}

impl Description {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut description = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            description
                .line(line)
                .with_context(|| format!("in line {number}"))?;
        }
        ensure!(description.memory.size > 0, "it has no memory");
        for labels in description
            .devices
            .iter()
            .filter_map(|device| device.labels.as_ref())
        {
            let end = labels.address.checked_add(labels.size);
            ensure!(
                labels.size >= LABEL_WINDOW
                    && labels.address >= BASE
                    && end.is_some_and(|end| end <= BASE + description.memory.size),
                "the label area at {:#x} is not in the memory, or shorter than {LABEL_WINDOW} bytes",
                labels.address
            );
        }
        Ok(description)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let mut words = Words::new(line);
        let Some(verb) = words.plain() else {
            return words.end();
        };
        match verb {
            "memory" => {
                self.memory.size = words.number()?;
                self.memory.reserved = match words.named("as") {
                    None | Some("persistent") => false,
                    Some("reserved") => true,
                    Some(other) => bail!("memory cannot be '{other}'"),
                };
            }
            "device" => {
                let handle = words.number()?;
                let labels = words.named("labels").map(Labels::parse).transpose()?;
                let family = match words.named("family").unwrap_or("microsoft") {
                    "none" => None,
                    "intel" => Some(Family::Intel),
                    "microsoft" => Some(Family::Microsoft),
                    "hyperv" => Some(Family::HyperV),
                    other => bail!("there is no family '{other}'"),
                };
                self.devices.push(Device {
                    handle,
                    labels,
                    family,
                    functions: words.named_number("functions")?.unwrap_or(3),
                    others: words.named_number("others")?.unwrap_or_default(),
                });
            }
            _ => self.structures.push(structure(verb, &mut words)?),
        }
        words.end()
    }
}

impl Labels {
    fn parse(text: &str) -> Result<Self> {
        let (size, address) = text
            .split_once('@')
            .with_context(|| format!("'{text}' names no address"))?;
        Ok(Self {
            size: number(size)?,
            address: number(address)?,
        })
    }
}

fn structure(verb: &str, words: &mut Words<'_>) -> Result<Structure> {
    Ok(match verb {
        "range" => Structure::Range {
            index: words.number()?,
            kind: match words.plain() {
                Some("persistent") => RangeKind::Persistent,
                Some("volatile") => RangeKind::Volatile,
                Some("control") => RangeKind::Control,
                other => bail!("a range cannot be {other:?}"),
            },
            base: words.needed("at")?,
            length: words.needed("size")?,
            proximity: words.named_number("node")?,
        },
        "mapping" => Structure::Mapping {
            handle: words.number()?,
            range: words.needed("range")?,
            control: words.named_number("control")?.unwrap_or_default(),
            size: words.needed("size")?,
            offset: words.named_number("offset")?.unwrap_or_default(),
            dpa: words.named_number("dpa")?.unwrap_or_default(),
            ways: words.named_number("ways")?.unwrap_or(1),
            flags: words.named("flags").map_or(Ok(0), flags)?,
            physical: words.named_number("physical")?.unwrap_or_default(),
        },
        "control" => Structure::Control {
            index: words.number()?,
            vendor: words.named_number("vendor")?.unwrap_or(0x8086),
            serial: words.needed("serial")?,
        },
        "hints" => Structure::Hints {
            handle: words.number()?,
            addresses: words.numbers()?,
        },
        "capabilities" => Structure::Capabilities {
            bits: words.number()?,
        },
        "bytes" => Structure::Bytes(words.numbers()?),
        _ => bail!("'{verb}' is unknown"),
    })
}

/// Parses the state of a DIMM, in the words of its attribute `nfit/flags`.
fn flags(text: &str) -> Result<u16> {
    text.split(',').try_fold(0, |flags, word| {
        Ok(flags
            | match word {
                "save_fail" => 1 << 0,
                "restore_fail" => 1 << 1,
                "flush_fail" => 1 << 2,
                "not_armed" => 1 << 3,
                "smart_event" => 1 << 4,
                "smart_notify" => 1 << 5,
                "map_fail" => 1 << 6,
                _ => bail!("'{word}' is no state of a DIMM"),
            })
    })
}

/// The words of a line: plain ones in order, and `name=value`.
struct Words<'l> {
    plain: std::collections::VecDeque<&'l str>,
    named: Vec<(&'l str, &'l str)>,
}

impl<'l> Words<'l> {
    fn new(line: &'l str) -> Self {
        let (named, plain): (Vec<_>, Vec<_>) =
            line.split_whitespace().partition(|word| word.contains('='));
        Self {
            plain: plain.into(),
            named: named
                .iter()
                .filter_map(|word| word.split_once('='))
                .collect(),
        }
    }

    fn plain(&mut self) -> Option<&'l str> {
        self.plain.pop_front()
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Result<T> {
        number(self.plain().context("a number is missing")?)
    }

    /// Returns all plain words that are left.
    fn numbers<T: TryFrom<u64>>(&mut self) -> Result<Vec<T>> {
        self.plain.drain(..).map(number).collect()
    }

    fn named(&mut self, name: &str) -> Option<&'l str> {
        let index = self.named.iter().position(|(found, _)| *found == name)?;
        Some(self.named.remove(index).1)
    }

    fn named_number<T: TryFrom<u64>>(&mut self, name: &str) -> Result<Option<T>> {
        self.named(name).map(number).transpose()
    }

    fn needed<T: TryFrom<u64>>(&mut self, name: &str) -> Result<T> {
        self.named_number(name)?
            .with_context(|| format!("{name}= is missing"))
    }

    /// Fails if words are left.
    fn end(&self) -> Result<()> {
        let named = self.named.iter().map(|(name, _)| *name);
        let rest = self.plain.iter().copied().chain(named).collect::<Vec<_>>();
        ensure!(rest.is_empty(), "'{}' means nothing here", rest.join(" "));
        Ok(())
    }
}

/// Parses `64M`, `0x1000`, `4096`, or a sum of such terms with `+`.
fn number<T: TryFrom<u64>>(text: &str) -> Result<T> {
    let sum = text.split('+').try_fold(0_u64, |sum, term| {
        let unit = match term.as_bytes().last() {
            Some(b'K') => KIB,
            Some(b'M') => MIB,
            Some(b'G') => 1024 * MIB,
            _ => 1,
        };
        let digits = term.trim_end_matches(['K', 'M', 'G']);
        let value = match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => digits.parse(),
        };
        let value = value.with_context(|| format!("'{text}' is no number"))?;
        value
            .checked_mul(unit)
            .and_then(|value| sum.checked_add(value))
            .with_context(|| format!("'{text}' is too large"))
    })?;
    T::try_from(sum)
        .ok()
        .with_context(|| format!("'{text}' is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number::<u64>("64M").unwrap(), 64 * MIB);
        assert_eq!(number::<u64>("512M+0x1000").unwrap(), 512 * MIB + 4096);
        assert_eq!(number::<u64>("0x1000000000000000").unwrap(), 1 << 60);
        assert_eq!(number::<u16>("65535").unwrap(), u16::MAX);
        for wrong in ["65536", "", "M", "0x", "1Q", "+", "99999999999G"] {
            assert!(number::<u16>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_description() {
        let text = "# about\nmemory 64M as=reserved\n\ndevice 0x1 labels=128K@544M family=hyperv functions=0x1f # a DIMM\n\
            control 1 serial=0x11\nrange 2 persistent at=512M size=32M node=1\n\
            mapping 0x1 range=2 control=1 size=32M ways=1 flags=not_armed,smart_event\nhints 0x1 0x2000000 4G\ncapabilities 3\nbytes 9 0 4 0\n";
        let description = Description::parse(text).unwrap();
        assert_eq!(
            description.memory.kernel_argument(),
            "memmap=0x4000000$0x20000000"
        );
        let [device] = &description.devices[..] else {
            panic!("not one device")
        };
        assert_eq!(device.family, Some(Family::HyperV));
        assert_eq!(device.functions, 0x1f);
        assert_eq!(
            device.labels,
            Some(Labels {
                size: 128 * KIB,
                address: 544 * MIB
            })
        );
        assert_eq!(description.structures.len(), 6);
        assert_eq!(
            description.structures[2],
            Structure::Mapping {
                handle: 1,
                range: 2,
                control: 1,
                size: 32 * MIB,
                offset: 0,
                dpa: 0,
                ways: 1,
                flags: 0x18,
                physical: 0
            }
        );
    }

    #[test]
    fn mistakes_are_refused() {
        let memory = "memory 64M\n";
        Description::parse(memory).unwrap();
        for wrong in [
            "",
            "memory",
            "range 1 persistent at=512M",
            "range 1 quick at=512M size=1M",
            "device 1 label=128K@512M",
            "device 1 labels=128K",
            "device 1 labels=128K@0",
            "device 1 labels=128K@575M+1016K",
            "device 1 labels=2K@512M",
            "device 1 family=acme",
            "mapping 1 range=1 size=1M flags=lazy",
            "nonsense",
            "capabilities 1 2",
        ] {
            let text = if wrong.is_empty() {
                String::new()
            } else {
                format!("{memory}{wrong}\n")
            };
            assert!(Description::parse(&text).is_err(), "{wrong}");
        }
    }
}
