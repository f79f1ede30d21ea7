// SPDX-License-Identifier: GPL-2.0

//! Check of comments and documentation: no line is longer than [`WIDTH`] columns, and words that
//! leave open which component acts are rare ([`PRONOUNS`]).
//!
//! rustfmt leaves comments alone, and no formatter looks at shell, Perl, C and Markdown here.

use crate::{
    process,
    project,
    ui, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use regex::Regex;
use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::Command, //
};

/// Columns of a line of a comment or of prose. A tab reaches to the next multiple of eight.
const WIDTH: usize = 100;
const TAB: usize = 8;

/// Words that leave open which component acts. Brackets keep the pattern from matching itself.
const PRONOUNS: &str = r"(?i)\b(?:who[e]ver|no[b]ody|some[b]ody)\b";
/// Uses of [`PRONOUNS`] in the whole tree.
const MOST_PRONOUNS: usize = 10;

/// Number of lines that an error names.
const NAMED: usize = 20;

/// How a file marks its comments.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Language {
    /// Rust, C and ASL: `//` and `/* */`.
    Slashes,
    /// Shell, Perl, make and configurations: `#`.
    Hash,
    /// Everything is prose.
    Markdown,
}

impl Language {
    /// Returns the language of a file, by its name or its first line. `None`: it has no prose.
    fn of(path: &Path, text: &str) -> Option<Self> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("rs" | "c" | "h" | "asl") => Some(Self::Slashes),
            Some("sh" | "pl" | "config" | "nfit") => Some(Self::Hash),
            Some("md") => Some(Self::Markdown),
            Some(_) => None,
            None => {
                let name = path.file_name().unwrap_or_default();
                let is_script = text.starts_with("#!") || name == "Makefile" || name == "Kbuild";
                is_script.then_some(Self::Hash)
            }
        }
    }
}

/// A line that is too long.
#[derive(Debug, PartialEq)]
struct LongLine {
    /// Counted from 1.
    number: usize,
    columns: usize,
}

/// Checks all files of the checkout that git does not ignore.
///
/// # Errors
///
/// The first lines that are too long, and their number; or the first uses of [`PRONOUNS`], and
/// their number.
pub(crate) fn check() -> Result<()> {
    ui::step("comments and prose", |step| {
        let root = project::root();
        let mut list = Command::new("git");
        list.current_dir(&root)
            .args(["ls-files", "-co", "--exclude-standard"]);
        let files = process::output(&mut list)?;
        let pronouns = Regex::new(PRONOUNS).context("the pattern is wrong")?;
        let (mut long, mut unclear) = (Vec::new(), Vec::new());
        let mut count = 0;
        for file in files.lines() {
            // Files that are not text, and those that were removed, are skipped.
            let Ok(text) = fs::read_to_string(root.join(file)) else {
                continue;
            };
            let Some(language) = Language::of(Path::new(file), &text) else {
                continue;
            };
            count += 1;
            for line in long_lines(language, &text) {
                let LongLine { number, columns } = line;
                long.push(format!("{file}:{number}: {columns} columns"));
            }
            for (number, line) in (1..).zip(text.lines()) {
                let uses = pronouns.find_iter(line);
                unclear.extend(uses.map(|word| format!("{file}:{number}: {}", word.as_str())));
            }
        }
        ensure!(
            long.is_empty(),
            "{} lines of comments and prose have more than {WIDTH} columns:{}",
            long.len(),
            first(&long)
        );
        ensure!(
            unclear.len() <= MOST_PRONOUNS,
            "{} words say that someone acts, at most {MOST_PRONOUNS} expected; name the component:{}",
            unclear.len(),
            first(&unclear)
        );
        step.note(format!("{count} files"));
        Ok(())
    })
}

/// Returns the first lines of a list, for an error message.
fn first(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines.iter().take(NAMED) {
        // Writing to a string does not fail.
        let _ = write!(text, "\n    {line}");
    }
    if lines.len() > NAMED {
        text.push_str("\n    ...");
    }
    text
}

/// Returns the lines of comments and prose that are too long, and could be shorter.
///
/// Code blocks are left out, tables of Markdown, and lines that consist of one word or link.
fn long_lines(language: Language, text: &str) -> Vec<LongLine> {
    let mut long = Vec::new();
    let mut in_block_comment = false;
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(prose) = prose(language, line, &mut in_block_comment) else {
            in_code = false;
            continue;
        };
        if prose.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let is_left_out = language == Language::Markdown
            && (prose.starts_with("    ") || prose.trim_start().starts_with('|'));
        let columns = columns(line);
        if columns > WIDTH && !in_code && !is_left_out && can_break(prose) {
            long.push(LongLine { number, columns });
        }
    }
    long
}

/// Returns the prose in a line that is a comment or a part of one; `None` if it is code.
fn prose<'l>(language: Language, line: &'l str, in_block: &mut bool) -> Option<&'l str> {
    let text = line.trim_start();
    match language {
        Language::Markdown => Some(line),
        Language::Hash => text.strip_prefix('#'),
        Language::Slashes if *in_block => {
            *in_block = !text.contains("*/");
            Some(text.trim_start_matches('*').trim_end_matches("*/"))
        }
        Language::Slashes => match text.strip_prefix("/*") {
            Some(rest) => {
                *in_block = !rest.contains("*/");
                Some(rest.trim_start_matches('*').trim_end_matches("*/"))
            }
            None => text
                .strip_prefix("//")
                .map(|rest| rest.strip_prefix(['/', '!']).unwrap_or(rest)),
        },
    }
}

/// Returns `true` if there is more than one word, a marker of a list apart. A link is one word.
fn can_break(prose: &str) -> bool {
    let text = prose.trim();
    let text = text.strip_prefix("- ").unwrap_or(text);
    let is_link = text.starts_with('[')
        && text.find("](").is_some_and(|middle| {
            let target = &text[middle..];
            !target.contains(' ') && target.trim_end_matches(['.', ',', ';', ':']).ends_with(')')
        });
    text.contains(char::is_whitespace) && !is_link
}

/// Returns the width of a line.
fn columns(line: &str) -> usize {
    line.chars().fold(0, |column, character| match character {
        '\t' => (column / TAB + 1) * TAB,
        _ => column + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns words that fill so many columns.
    fn words(columns: usize) -> String {
        "ab ".repeat(columns)[..columns - 1].to_owned() + "c"
    }

    /// Returns the widths of the lines that are found.
    fn found(language: Language, text: &str) -> Vec<usize> {
        let lines = long_lines(language, text);
        lines.into_iter().map(|line| line.columns).collect()
    }

    #[test]
    fn long_comments_are_found_and_long_code_is_not() {
        let text = words(101);
        let rust = format!("let a = \"{text}\";\n    // {text}\n/// {text}\n//! short\n");
        assert_eq!(found(Language::Slashes, &rust), [108, 105]);
        let c = format!("/*\n * {text}\n */\nint a; /* {text} */\n/* {text} */\nint b{text};\n");
        assert_eq!(found(Language::Slashes, &c), [104, 107]);
        let shell = format!("echo {text}\n\t# {text}\n# {}\n", words(98));
        assert_eq!(found(Language::Hash, &shell), [111]);
        assert_eq!(
            long_lines(Language::Hash, &shell),
            [LongLine {
                number: 2,
                columns: 111
            }]
        );
    }

    #[test]
    fn what_cannot_be_broken_may_be_long() {
        let (text, address) = (words(101), "a".repeat(101));
        let markdown = format!(
            "| {text} |\n    {text}\n```\n{text}\n```\n- [two words]({address}).\n{text}\n"
        );
        assert_eq!(found(Language::Markdown, &markdown), [101]);
        let rust = format!("//! ```text\n//! {text}\n//! ```\n/// {address}\n");
        assert!(found(Language::Slashes, &rust).is_empty());
        let table = format!("//! | {text} |\n");
        assert_eq!(found(Language::Slashes, &table), [109]);
        let ended = format!("//! ```text\n\n//! {text}\n");
        assert_eq!(found(Language::Slashes, &ended), [105]);
    }

    #[test]
    fn languages() {
        let of = |name: &str, text| Language::of(Path::new(name), text);
        assert_eq!(of("a/b.rs", ""), Some(Language::Slashes));
        assert_eq!(of("qemu/firmware/x.asl", ""), Some(Language::Slashes));
        assert_eq!(of("a.pl", ""), Some(Language::Hash));
        assert_eq!(of("qemu/guest/init", "#!/bin/sh\n"), Some(Language::Hash));
        assert_eq!(of("README.md", ""), Some(Language::Markdown));
        assert_eq!(of("LICENSE", "GPL"), None);
        assert_eq!(of("Cargo.lock", ""), None);
    }

    #[test]
    fn pronouns() {
        let pattern = Regex::new(PRONOUNS).unwrap();
        for word in ["Who", "No", "Some"].map(|start| format!("{start}{}", "body")) {
            assert_eq!(pattern.is_match(&word), !word.starts_with("Who"));
        }
        assert!(pattern.is_match(&["who", "ever"].concat()));
        assert!(!pattern.is_match(PRONOUNS));
        assert!(!pattern.is_match("somebodyelse"));
    }
}
