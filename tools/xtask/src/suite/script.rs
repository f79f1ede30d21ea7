// SPDX-License-Identifier: GPL-2.0

//! A guest test: a shell script whose head describes what it needs.
//!
//! The head is the block of comments at the top. qemu/tests/README.md documents its fields; this is
//! the parser.

use crate::{
    modules::Stack,
    units::{
        KIB,
        MIB, //
    },
};
use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    time::Duration, //
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// One emulated NVDIMM, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NvdimmNeed {
    pub(crate) size: u64,
    pub(crate) label: u64,
}

/// The machine that a script needs. Scripts with equal needs share a boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hardware {
    pub(crate) nvdimms: Vec<NvdimmNeed>,
    /// NVDIMMs that are plugged in when the script requests it.
    pub(crate) spares: Vec<NvdimmNeed>,
    /// `nn!ss` ranges for the kernel's `memmap=`.
    pub(crate) memmap: Vec<String>,
    /// Words that are added to the kernel's command line.
    pub(crate) kernel_arguments: Vec<String>,
    pub(crate) cpus: Option<u32>,
    /// Descriptions in qemu/firmware, one for each boot; the last one is for all that follow.
    /// Empty: QEMU's own firmware.
    pub(crate) firmware: Vec<String>,
}

/// How often a script is run, and under which modules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Boots {
    /// Once, in any boot.
    Shared,
    /// Once in each of this number of boots of its own. The NVDIMMs keep their contents.
    Own(u32),
    /// One boot of its own under each of these stacks. The NVDIMMs keep their contents.
    Stacks(Vec<Stack>),
}

impl Boots {
    /// Returns this number of boots, if it has boots of its own. The sequence of stacks is
    /// repeated.
    pub(crate) fn prolonged(&self, boots: u32) -> Self {
        match self {
            Self::Shared => Self::Shared,
            Self::Own(_) => Self::Own(boots),
            Self::Stacks(stacks) => Self::Stacks(
                stacks
                    .iter()
                    .copied()
                    .cycle()
                    .take(boots as usize)
                    .collect(),
            ),
        }
    }
}

/// A test script.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Script {
    /// `group/name`: the path in the directory of the tests, without `.sh`.
    pub(crate) name: String,
    /// The first sentence of its head.
    pub(crate) description: String,
    pub(crate) hardware: Hardware,
    /// The stacks under which it is run separately.
    pub(crate) stacks: Vec<Stack>,
    /// Whether its output must be the same under all its stacks.
    pub(crate) compare: bool,
    pub(crate) timeout: Duration,
    pub(crate) boots: Boots,
    /// Bytes of the first NVDIMM in each boot, in turns. Empty if it always has its full size.
    pub(crate) sizes: Vec<u64>,
    /// Its arguments.
    pub(crate) arguments: String,
    pub(crate) tags: Vec<Tag>,
    /// Options of the kernel that it needs.
    pub(crate) options: Vec<KernelOption>,
}

/// An option of the kernel's configuration that a test needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KernelOption {
    /// Without `CONFIG_`.
    pub(crate) name: String,
    /// Whether it must be set, built in or as a module, or must not.
    pub(crate) set: bool,
}

/// A property by which tests are selected.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(crate) enum Tag {
    /// It takes a few seconds. Together these tests cover a bit of everything.
    Quick,
    /// It runs only when it is selected.
    Slow,
    /// Its output must be the same under both stacks. Follows from the line `# compare`.
    Compare,
    /// It uses simulated buses. Follows from what the script calls.
    #[value(name = "nfit_test")]
    NfitTest,
}

impl Tag {
    /// Returns the name in heads, lists and arguments.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Slow => "slow",
            Self::Compare => "compare",
            Self::NfitTest => "nfit_test",
        }
    }
}

/// The directory of libraries and programs of the tests, beside the groups.
const COMMON: &str = "common";

impl Script {
    /// Returns its group.
    pub(crate) fn group(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Returns `true` if it runs only when it is selected.
    pub(crate) fn is_slow(&self) -> bool {
        self.tags.contains(&Tag::Slow)
    }

    /// Returns the stacks for which it has results.
    pub(crate) fn tested_stacks(&self) -> &[Stack] {
        match self.boots {
            // A test of both stacks in turns counts as a test of ours.
            Boots::Stacks(_) => &[Stack::Rust],
            Boots::Shared | Boots::Own(_) => &self.stacks,
        }
    }

    /// Reads all `group/name.sh` in the directory of the tests, sorted by name.
    pub(crate) fn read_all(directory: &Path) -> Result<Vec<Self>> {
        let mut scripts = Vec::new();
        for group in entries(directory)? {
            if !group.is_dir() || group.ends_with(COMMON) {
                continue;
            }
            for path in entries(&group)? {
                let relative = path.strip_prefix(directory).ok().and_then(Path::to_str);
                let Some(name) = relative.and_then(|path| path.strip_suffix(".sh")) else {
                    continue;
                };
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                scripts.push(
                    Self::parse(name, &text)
                        .with_context(|| format!("in the head of {}", path.display()))?,
                );
            }
        }
        scripts.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(scripts)
    }

    /// Returns a script with a head that says nothing.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            hardware: Hardware::default(),
            stacks: vec![Stack::Rust],
            compare: false,
            timeout: DEFAULT_TIMEOUT,
            boots: Boots::Shared,
            sizes: Vec::new(),
            arguments: String::new(),
            tags: Vec::new(),
            options: Vec::new(),
        }
    }

    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut script = Self {
            description: description(text),
            ..Self::named(name)
        };
        let head = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .filter_map(|line| line.strip_prefix("# "));
        for line in head {
            if line == "compare" {
                script.compare = true;
                continue;
            }
            let Some((field, value)) = line.split_once(':') else {
                continue;
            };
            let words = || value.split_whitespace();
            match field {
                "needs" => {
                    script.hardware.nvdimms = words().map(parse_nvdimm).collect::<Result<_>>()?
                }
                "plugs" => {
                    script.hardware.spares = words().map(parse_nvdimm).collect::<Result<_>>()?
                }
                "memmap" => script.hardware.memmap = words().map(str::to_owned).collect(),
                "kernel" => script.hardware.kernel_arguments = words().map(str::to_owned).collect(),
                "cpus" => {
                    script.hardware.cpus = Some(value.trim().parse().context("cpus is no number")?)
                }
                "firmware" => script.hardware.firmware = words().map(str::to_owned).collect(),
                "stacks" => script.stacks = words().map(parse_stack).collect::<Result<_>>()?,
                "timeout" => {
                    script.timeout =
                        Duration::from_secs(value.trim().parse().context("timeout is no number")?)
                }
                "boots" => {
                    script.boots = match value.trim().parse() {
                        Ok(count) => Boots::Own(count),
                        Err(_) => Boots::Stacks(words().map(parse_stack).collect::<Result<_>>()?),
                    }
                }
                "tags" => script.tags = words().map(parse_tag).collect::<Result<_>>()?,
                "config" => script.options = words().map(parse_option).collect::<Result<_>>()?,
                "sizes" => script.sizes = words().map(parse_size).collect::<Result<_>>()?,
                _ => {}
            }
        }
        script.check_sizes()?;
        script.add_tags(text)?;
        ensure!(!script.stacks.is_empty(), "stacks names none");
        ensure!(
            script.hardware.firmware.is_empty()
                || script.hardware.nvdimms.is_empty() && script.hardware.spares.is_empty(),
            "a guest with firmware of ours has no NVDIMMs of QEMU's"
        );
        ensure!(
            !script.compare || script.stacks.len() > 1,
            "compare needs two stacks"
        );
        Ok(script)
    }

    /// Checks `sizes`. A smaller NVDIMM is the beginning of the file. It cannot have labels, which
    /// lie at the end of what QEMU maps and would move.
    fn check_sizes(&self) -> Result<()> {
        if self.sizes.is_empty() {
            return Ok(());
        }
        let first = self.hardware.nvdimms.first();
        let first = first.context("sizes needs an NVDIMM")?;
        ensure!(first.label == 0, "sizes needs an NVDIMM without labels");
        ensure!(
            self.sizes.iter().all(|&size| size <= first.size),
            "sizes has more than the NVDIMM's file"
        );
        ensure!(self.boots != Boots::Shared, "sizes needs boots");
        Ok(())
    }

    /// Adds the tags that follow from the script.
    fn add_tags(&mut self, text: &str) -> Result<()> {
        ensure!(
            !(self.is_slow() && self.tags.contains(&Tag::Quick)),
            "a test is quick or slow"
        );
        if self.compare {
            self.tags.push(Tag::Compare);
        }
        let mut code = text.lines().filter(|line| !line.starts_with('#'));
        if code.any(|line| line.contains("/simulated.sh\"") || line.contains("modprobe nfit_test"))
        {
            self.tags.push(Tag::NfitTest);
        }
        Ok(())
    }

    /// Returns the size of the first NVDIMM in this boot, counted from 1, if it differs between
    /// boots.
    pub(crate) fn first_size(&self, boot: u32) -> Option<u64> {
        let turn = (boot as usize).saturating_sub(1);
        self.sizes.iter().copied().cycle().nth(turn)
    }
}

/// Returns the paths of the entries of a directory.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(|| format!("cannot read {}", directory.display()))
}

/// Returns the first sentence of the head: of the text behind the license.
fn description(text: &str) -> String {
    let head = text.lines().map_while(|line| line.strip_prefix('#'));
    let paragraph = head
        .map(str::trim)
        .skip_while(|line| line.is_empty() || line.starts_with('!') || line.starts_with("SPDX"))
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match paragraph.split_once(". ") {
        Some((sentence, _)) => format!("{sentence}."),
        None => paragraph,
    }
}

fn parse_stack(name: &str) -> Result<Stack> {
    Stack::parse(name).with_context(|| format!("'{name}' is no stack"))
}

/// Only tags that do not follow from the script are written in a head.
fn parse_tag(name: &str) -> Result<Tag> {
    match name {
        "quick" => Ok(Tag::Quick),
        "slow" => Ok(Tag::Slow),
        _ => bail!("'{name}' is no tag for a head, expected quick or slow"),
    }
}

/// `KUNIT`, or `!STRICT_DEVMEM` for an option that must not be set.
fn parse_option(word: &str) -> Result<KernelOption> {
    let (name, set) = match word.strip_prefix('!') {
        Some(name) => (name, false),
        None => (word, true),
    };
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    ensure!(
        !name.is_empty() && !name.starts_with("CONFIG_") && name.bytes().all(is_name),
        "'{word}' is no option of the kernel, expected one like KUNIT or !STRICT_DEVMEM"
    );
    Ok(KernelOption {
        name: name.to_owned(),
        set,
    })
}

/// `nvdimm=128M` or `nvdimm=128M,label=128K`.
fn parse_nvdimm(word: &str) -> Result<NvdimmNeed> {
    let mut need = NvdimmNeed { size: 0, label: 0 };
    for part in word.split(',') {
        match part.split_once('=') {
            Some(("nvdimm", size)) => need.size = parse_size(size)?,
            Some(("label", size)) => need.label = parse_size(size)?,
            _ => bail!("'{part}' of '{word}' is unknown"),
        }
    }
    ensure!(need.size > 0, "'{word}' names no size");
    Ok(need)
}

/// `128M`, `4K`, `4096` in bytes.
fn parse_size(text: &str) -> Result<u64> {
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], KIB),
        Some(b'M') => (&text[..text.len() - 1], MIB),
        Some(b'G') => (&text[..text.len() - 1], 1024 * MIB),
        _ => (text, 1),
    };
    let number = digits
        .parse::<u64>()
        .with_context(|| format!("'{text}' is no size"))?;
    let bytes = number
        .checked_mul(unit)
        .with_context(|| format!("'{text}' is too large"))?;
    ensure!(bytes > 0, "a size of 0");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::fs::PermissionsExt,
        process::Command, //
    };

    #[test]
    fn sizes() {
        assert_eq!(parse_size("4096").unwrap(), 4096);
        assert_eq!(parse_size("16388K").unwrap(), 16388 * KIB);
        assert_eq!(parse_size("1G").unwrap(), 1024 * MIB);
        assert!(parse_size("0").is_err());
        assert!(parse_size("M").is_err());
        assert!(parse_size("99999999999G").is_err());
    }

    #[test]
    fn a_full_head() {
        let text = "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n#\n# needs: nvdimm=128M,label=128K nvdimm=64M\n\
            # plugs: nvdimm=32M\n# memmap: 64M!512M\n# stacks: rust c\n# compare\n# timeout: 30\n# boots: 2\n# cpus: 1\n\n# boots: 9\n";
        let script = Script::parse("btt/x", text).unwrap();
        let labelled = NvdimmNeed {
            size: 128 * MIB,
            label: 128 * KIB,
        };
        assert_eq!(
            script.hardware.nvdimms,
            [
                labelled,
                NvdimmNeed {
                    size: 64 * MIB,
                    label: 0
                }
            ]
        );
        assert_eq!(
            script.hardware.spares,
            [NvdimmNeed {
                size: 32 * MIB,
                label: 0
            }]
        );
        assert_eq!(script.hardware.memmap, ["64M!512M"]);
        assert_eq!(script.hardware.cpus, Some(1));
        assert_eq!(script.stacks, [Stack::Rust, Stack::C]);
        assert!(script.compare);
        assert_eq!(script.timeout, Duration::from_secs(30));
        assert_eq!(script.boots, Boots::Own(2));
    }

    #[test]
    fn descriptions() {
        let text = "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0\n#\n# All of\n# it. More.\n#\n# cpus: 1\n";
        assert_eq!(description(text), "All of it.");
        assert_eq!(description("# One.\n#\n# cpus: 1\nset -eu\n"), "One.");
        let tests = crate::project::root().join("qemu/tests");
        for script in Script::read_all(&tests).unwrap() {
            assert!(script.description.ends_with('.'), "{}", script.name);
        }
    }

    #[test]
    fn an_empty_head() {
        let script = Script::parse("btt/x", "#!/bin/sh\nset -eu\n").unwrap();
        assert_eq!(script.hardware, Hardware::default());
        assert_eq!(script.stacks, [Stack::Rust]);
        assert_eq!(script.boots, Boots::Shared);
    }

    #[test]
    fn tags() {
        let tags = |text| Script::parse("btt/x", text).unwrap().tags;
        assert_eq!(tags("# tags: slow\n"), [Tag::Slow]);
        assert_eq!(tags("# timeout: 9\n"), []);
        assert_eq!(
            tags("# stacks: rust c\n# compare\n# tags: quick\n"),
            [Tag::Quick, Tag::Compare]
        );
        let simulated = [". \"${LIB%/*}/simulated.sh\"\n", "modprobe nfit_test x=1\n"];
        for line in simulated {
            assert_eq!(tags(line), [Tag::NfitTest], "{line}");
        }
        assert_eq!(tags("# After `modprobe nfit_test`.\n"), []);
        for head in [
            "# tags: slwo\n",
            "# tags: compare\n",
            "# tags: quick slow\n",
        ] {
            assert!(Script::parse("btt/x", head).is_err(), "{head}");
        }
    }

    #[test]
    fn options_of_the_kernel() {
        let options = |text| Script::parse("btt/x", text).map(|script| script.options);
        let named = |name: &str, set| KernelOption {
            name: name.to_owned(),
            set,
        };
        assert_eq!(
            options("# config: KUNIT !STRICT_DEVMEM\n").unwrap(),
            [named("KUNIT", true), named("STRICT_DEVMEM", false)]
        );
        for head in [
            "# config: CONFIG_KUNIT\n",
            "# config: kunit\n",
            "# config: !\n",
        ] {
            assert!(options(head).is_err(), "{head}");
        }
    }

    /// Names of files are made from them, in which `/` becomes `-`.
    #[test]
    fn names() {
        let word = |text: &str, more: &str| {
            let ok = |c: char| c.is_ascii_lowercase() || more.contains(c);
            text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(ok)
        };
        let tests = crate::project::root().join("qemu/tests");
        for script in Script::read_all(&tests).unwrap() {
            let (group, name) = script.name.split_once('/').unwrap();
            assert!(
                word(group, "") && word(name, "0123456789-_"),
                "{group}/{name}"
            );
            let path = tests.join(format!("{}.sh", script.name));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o111, 0, "{} is executable", path.display());
        }
    }

    #[test]
    fn the_template_is_a_test() {
        let tests = tempfile::tempdir().unwrap();
        let command = tests.path().join("new");
        fs::copy(crate::project::root().join("qemu/tests/new"), &command).unwrap();
        fs::create_dir(tests.path().join("btt")).unwrap();
        let new = |name| Command::new(&command).arg(name).output().unwrap();
        assert!(new("btt/x").status.success());
        let scripts = Script::read_all(tests.path()).unwrap();
        let [script] = &scripts[..] else {
            panic!("{scripts:?}");
        };
        assert_eq!(script.name, "btt/x");
        assert_eq!(script.hardware.nvdimms.len(), 1);
        for name in ["btt/x", "btt/../y", "btt/X", "y", "tbt/y", "common/y"] {
            assert!(!new(name).status.success(), "{name}");
        }
    }

    #[test]
    fn firmware_for_each_boot() {
        let script = Script::parse("btt/x", "# firmware: large small\n# boots: 2\n").unwrap();
        assert_eq!(script.hardware.firmware, ["large", "small"]);
    }

    #[test]
    fn boots_of_alternating_stacks() {
        let script = Script::parse("btt/x", "# boots: c rust c\n").unwrap();
        assert_eq!(
            script.boots,
            Boots::Stacks(vec![Stack::C, Stack::Rust, Stack::C])
        );
    }

    #[test]
    fn sizes_of_boots() {
        let script = Script::parse(
            "btt/x",
            "# needs: nvdimm=96M\n# boots: 3\n# sizes: 96M 64M 96M\n",
        );
        let script = script.unwrap();
        let sizes = [1, 2, 3, 4].map(|boot| script.first_size(boot));
        assert_eq!(sizes, [96, 64, 96, 96].map(|size| Some(size * MIB)));
        let script = Script::parse("btt/x", "# needs: nvdimm=96M\n# boots: 2\n").unwrap();
        assert_eq!(script.first_size(1), None);
    }

    #[test]
    fn more_boots() {
        let turns = Boots::Stacks(vec![Stack::C, Stack::Rust]);
        let expected = Boots::Stacks(vec![Stack::C, Stack::Rust, Stack::C]);
        assert_eq!(turns.prolonged(3), expected);
        assert_eq!(Boots::Own(2).prolonged(9), Boots::Own(9));
        assert_eq!(Boots::Shared.prolonged(9), Boots::Shared);
    }

    #[test]
    fn mistakes_are_refused() {
        assert!(Script::parse("btt/x", "# needs: nvdimm=12Q\n").is_err());
        assert!(Script::parse("btt/x", "# needs: label=128K\n").is_err());
        assert!(Script::parse("btt/x", "# stacks: zig\n").is_err());
        assert!(Script::parse("btt/x", "# stacks: rust\n# compare\n").is_err());
        for head in [
            "# boots: 2\n# sizes: 64M\n",
            "# needs: nvdimm=64M\n# sizes: 64M\n",
            "# needs: nvdimm=64M\n# boots: 2\n# sizes: 65M\n",
            "# needs: nvdimm=64M,label=128K\n# boots: 2\n# sizes: 32M\n",
        ] {
            assert!(Script::parse("btt/x", head).is_err(), "{head}");
        }
        assert!(Script::parse("btt/x", "# needs: nvdimm=1M\n# firmware: large\n").is_err());
    }
}
