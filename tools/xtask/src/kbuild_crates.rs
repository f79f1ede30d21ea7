// SPDX-License-Identifier: GPL-2.0

//! The crates as kbuild compiles them, for rustdoc and rust-analyzer.
//!
//! kbuild records the command of each object in a file `.NAME.o.cmd`. The flags, dependencies and
//! configuration of a crate are taken from there, so they are those of the modules.

use crate::{
    modules::{
        self,
        Built, //
    },
    process,
    project,
    ui, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use serde_json::{
    json,
    Value, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
};

/// Where the documentation of the `kernel` crate is.
const KERNEL_DOCUMENTATION: &str = "https://rust.docs.kernel.org/";

/// The compilation of a crate.
#[derive(Debug, PartialEq)]
struct Crate {
    name: String,
    /// The root file.
    root: PathBuf,
    /// The names of the crates that it uses, except for `core`.
    dependencies: Vec<String>,
    /// All arguments of rustc but the root file.
    arguments: Vec<String>,
}

impl Crate {
    /// Reads the contents of a `.cmd` file. `None`: it is not that of a crate.
    fn parse(text: &str) -> Option<Self> {
        let (_, command) = text.lines().next()?.split_once(" := ")?;
        let command = command.split(" ;").next()?;
        let words = words(command);
        let start = words.iter().position(|word| word == "rustc")? + 1;
        let (root, arguments) = words.get(start..)?.split_last()?;
        let after = |option: &str| {
            let option = option.to_owned();
            arguments
                .windows(2)
                .filter_map(move |pair| match pair {
                    [name, value] if *name == option => Some(value.clone()),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        Some(Self {
            name: after("--crate-name").pop()?,
            root: PathBuf::from(root),
            dependencies: after("--extern"),
            arguments: arguments.to_vec(),
        })
    }

    /// Returns the arguments for rustdoc: without those that say what to emit and where.
    fn for_rustdoc(&self) -> Vec<&str> {
        let mut kept = Vec::new();
        let mut arguments = self.arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            if argument == "--out-dir" {
                let _directory = arguments.next();
            } else if !argument.starts_with("--emit=")
                && !argument.starts_with("--remap-path-")
                && !argument.starts_with("-Zbinary_dep_depinfo")
            {
                kept.push(argument);
            }
        }
        kept
    }
}

/// Splits a command as the shell does, if it has no other quotes than `'`.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for (index, part) in command.split('\'').enumerate() {
        if index % 2 == 1 {
            word.push_str(part);
            continue;
        }
        for character in part.chars() {
            if !character.is_whitespace() {
                word.push(character);
            } else if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Returns the crates whose commands are recorded below a directory, in an order in which each one
/// follows those that it uses.
fn crates(directory: &Path) -> Result<Vec<Crate>> {
    let mut found = Vec::new();
    collect(directory, &mut found)?;
    ensure!(!found.is_empty(), "no crate in {}", directory.display());
    let mut sorted: Vec<Crate> = Vec::new();
    while !found.is_empty() {
        let next = found.iter().position(|candidate| {
            let waits_for = |other: &Crate| candidate.dependencies.contains(&other.name);
            !found.iter().any(waits_for)
        });
        let next = next.context("the crates use each other in a circle")?;
        sorted.push(found.swap_remove(next));
    }
    Ok(sorted)
}

/// Collects the crates below a directory. Links are not followed: kbuild makes one to the checkout.
fn collect(directory: &Path, found: &mut Vec<Crate>) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "cmd") {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            found.extend(Crate::parse(&text));
        }
    }
    Ok(())
}

/// `make rustdoc`: builds the documentation of all crates, private items included, in
/// `target/rustdoc`.
pub(crate) fn document() -> Result<()> {
    let built = modules::build_to_inspect()?;
    let output = project::target_directory("rustdoc")?;
    for one in crates(&built.directory)? {
        ui::step(&format!("rustdoc of {}", one.name), |step| {
            let mut rustdoc = Command::new("rustdoc");
            environment(&mut rustdoc, &built);
            rustdoc.args(one.for_rustdoc());
            rustdoc.args(["-Zunstable-options", "--document-private-items"]);
            rustdoc.arg("--generate-link-to-definition");
            rustdoc.arg("-Arustdoc::private_intra_doc_links");
            rustdoc.arg("--extern-html-root-takes-precedence");
            for theirs in ["kernel", "core", "pin_init", "zerocopy"] {
                rustdoc.args([
                    "--extern-html-root-url",
                    &format!("{theirs}={KERNEL_DOCUMENTATION}"),
                ]);
            }
            // rustdoc does not record this flag, and the check of it fails (as in the kernel's
            // rust/Makefile).
            rustdoc.arg("-Cunsafe-allow-abi-mismatch=fixed-x18");
            rustdoc.arg("--output").arg(&output).arg(&one.root);
            process::run(&mut rustdoc, &built.cache.log("rustdoc"), step)
        })?;
    }
    println!("{}", output.join("nd/index.html").display());
    Ok(())
}

/// Sets what kbuild exports to rustc.
fn environment(command: &mut Command, built: &Built) {
    command
        .current_dir(&built.directory)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("OBJTREE", &built.kernel.tree)
        .env("RUST_MODFILE", "rustdoc")
        .env("ND_OBJTREE", &built.directory);
}

/// `make rust-analyzer`: writes `rust-project.json` for the crates of the modules.
///
/// The kernel's own target describes the crates of the kernel. It finds none of ours, as it looks
/// for a `Kbuild` file beside each crate root.
pub(crate) fn analyze() -> Result<()> {
    let built = modules::build_to_inspect()?;
    let theirs = kernel_project(&built)?;
    let ours = crates(&built.directory)?;
    let project = with_crates(theirs, &ours, &built.kernel.tree, &built.directory)?;
    let file = project::root().join("rust-project.json");
    let text = serde_json::to_string_pretty(&project)?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{}", file.display());
    Ok(())
}

/// Returns the description of the kernel's crates.
fn kernel_project(built: &Built) -> Result<Value> {
    ui::step("rust-project.json of the kernel", |step| {
        let mut make = built.kbuild()?;
        make.arg("rust-analyzer");
        process::run(&mut make, &built.cache.log("rust-analyzer"), step)?;
        let file = built.directory.join("rust-project.json");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}: not JSON", file.display()))
    })
}

/// Adds our crates to the description of the kernel's.
fn with_crates(
    mut project: Value,
    ours: &[Crate],
    kernel_tree: &Path,
    directory: &Path,
) -> Result<Value> {
    let list = project["crates"]
        .as_array_mut()
        .context("the kernel's rust-project.json has no crates")?;
    let index =
        |list: &[Value], name: &str| list.iter().position(|known| known["display_name"] == name);
    let kernel_crate = index(list, "kernel").context("the kernel crate is not described")?;
    let configuration = list[kernel_crate]["cfg"].clone();
    for one in ours {
        let mut dependencies = Vec::new();
        for name in ["core"]
            .into_iter()
            .chain(one.dependencies.iter().map(String::as_str))
        {
            let index = index(list, name).with_context(|| format!("{name} is not described"))?;
            dependencies.push(json!({ "crate": index, "name": name }));
        }
        let source = one.root.parent().context("a crate root in no directory")?;
        let described = json!({
            "display_name": one.name,
            "root_module": one.root,
            "is_workspace_member": true,
            "deps": dependencies,
            "cfg": configuration,
            "edition": "2021",
            "env": {
                "OBJTREE": kernel_tree,
                "ND_OBJTREE": directory,
                "RUST_MODFILE": "This is only for rust-analyzer",
            },
            "source": { "include_dirs": [source, directory.join("rust")], "exclude_dirs": [] },
        });
        list.push(described);
    }
    Ok(project)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &str = "savedcmd_rust/nd/nd.o := OBJTREE=/k RUST_MODFILE=./nd rustc --edition=2021 \
        --crate-name nd --emit=metadata=./x.rmeta --extern nd_format -Zcrate-attr='feature(a,b c)' \
        --extern kernel --out-dir rust/nd/ --emit=dep-info=d /work/rust/nd.rs ;llvm-link x\n\nsource\n";

    #[test]
    fn commands_are_understood() {
        let nd = Crate::parse(COMMAND).unwrap();
        assert_eq!(nd.name, "nd");
        assert_eq!(nd.root, Path::new("/work/rust/nd.rs"));
        assert_eq!(nd.dependencies, ["nd_format", "kernel"]);
        let kept = nd.for_rustdoc();
        assert!(kept.contains(&"-Zcrate-attr=feature(a,b c)"));
        assert!(!kept
            .iter()
            .any(|word| word.contains("emit") || word.contains("out-dir")));
        assert!(Crate::parse("savedcmd_x.o := clang -c x.c\n").is_none());
    }

    #[test]
    fn crates_follow_what_they_use() {
        let kernel = json!({ "crates": [
            { "display_name": "core" }, { "display_name": "kernel", "cfg": ["A"] }
        ] });
        let one = |name: &str, dependencies: &[&str]| Crate {
            name: name.to_owned(),
            root: PathBuf::from(format!("/r/{name}.rs")),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            arguments: Vec::new(),
        };
        let ours = [
            one("nd_format", &["kernel"]),
            one("nd", &["nd_format", "kernel"]),
        ];
        let project = with_crates(kernel, &ours, Path::new("/k"), Path::new("/m")).unwrap();
        let deps = &project["crates"][3]["deps"];
        assert_eq!(deps[1], json!({ "crate": 2, "name": "nd_format" }));
        assert_eq!(project["crates"][2]["cfg"], json!(["A"]));
    }
}
