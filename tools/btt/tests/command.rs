// SPDX-License-Identifier: GPL-2.0

//! Runs the command as a user does.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{
        Path,
        PathBuf, //
    },
    process::{
        Command,
        Output, //
    },
};

const UUID: &str = "f0d64d51-7ad4-44e2-8757-6b8e8e4f7500";

/// Offsets in a BTT 1.1 on 32 MiB with sectors of 4096 bytes.
const MAP: u64 = 4096 + 0x1ff2000;
const FLOG: u64 = 4096 + 0x1ffa000;
const SECTORS: u32 = 0x1ef0;

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    /// Creates a directory with an image of a new BTT.
    fn new() -> Self {
        let fixture = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::File::create(fixture.path("image"))
            .unwrap()
            .set_len(32 << 20)
            .unwrap();
        assert_eq!(fixture.run(&["create", "--uuid", UUID, "image"]).0, 0);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, offset: u64, bytes: &[u8]) {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(self.path("image"))
            .unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    fn image(&self) -> Vec<u8> {
        fs::read(self.path("image")).unwrap()
    }

    /// Returns the exit code and everything that was printed.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_btt"))
            .current_dir(self.directory.path())
            .args(arguments)
            .output()
            .unwrap();
        let text = [stdout, stderr].concat();
        (status.code().unwrap(), String::from_utf8(text).unwrap())
    }
}

#[test]
fn a_new_btt_is_good() {
    let fixture = Fixture::new();
    let before = fixture.image();
    let (code, text) = fixture.run(&["check", "image"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains(UUID) && text.contains("7920 never written") && text.ends_with("good\n"),
        "{text}"
    );
    let (code, text) = fixture.run(&["info", "--json", "image"]);
    assert_eq!(code, 0);
    let info: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&info["version"], &info["sectors"]),
        (&"1.1".into(), &SECTORS.into())
    );
    let (code, text) = fixture.run(&["map", "image", "5"]);
    assert_eq!(
        (code, text.as_str()),
        (0, "arena 0 sector 5: Initial, block 5 at 0x7000\n")
    );
    assert!(fixture.image() == before, "looking changes nothing");
}

#[test]
fn an_existing_btt_is_not_overwritten() {
    let fixture = Fixture::new();
    let (code, text) = fixture.run(&["create", "image"]);
    assert_eq!(code, 2);
    assert!(text.contains("--force"), "{text}");
    assert_eq!(fixture.run(&["create", "--force", "image"]).0, 0);
}

#[test]
fn damage_is_found_and_not_repaired() {
    let fixture = Fixture::new();
    // Two sectors in one block, a sector in a free block, a sector in a block that does not exist.
    fixture.put(MAP + 4 * 10, &(0xc000_0000u32 | 11).to_le_bytes());
    fixture.put(MAP + 4 * 20, &(0xc000_0000 | SECTORS).to_le_bytes());
    fixture.put(MAP + 4 * 30, &u32::MAX.to_le_bytes());
    let (code, text) = fixture.run(&["check", "image"]);
    assert_eq!(code, 1);
    for line in [
        "map entry 11 names block 11, which an earlier entry names as well",
        &format!("free block {SECTORS} of lane 0 is mapped"),
        "map entry 30 names block 1073741823, expected below 8176",
        "block 10 is neither mapped nor free",
        "block 20 is neither mapped nor free",
        "block 30 is neither mapped nor free",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let before = fixture.image();
    assert_eq!(fixture.run(&["repair", "image", "--backup", "backup"]).0, 2);
    assert!(fixture.image() == before && !fixture.path("backup").exists());
}

#[test]
fn a_lost_info_block_and_an_interrupted_write_are_repaired() {
    let fixture = Fixture::new();
    let good = fixture.image();
    // Lane 0 has moved sector 7 to its free block; the map does not have the move.
    let slot: Vec<u8> = [7, 7, SECTORS, 2]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    fixture.put(FLOG + 16, &slot);
    fixture.put(4096, &[0xff; 64]);
    let damaged = fixture.image();
    let (code, text) = fixture.run(&["check", "image"]);
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("restored from its copy") && text.contains("an interrupted write"),
        "{text}"
    );
    let (code, text) = fixture.run(&["repair", "--dry-run", "image"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("8192 bytes would be changed") && fixture.image() == damaged,
        "{text}"
    );
    assert_eq!(fixture.run(&["repair", "image", "--backup", "backup"]).0, 0);
    assert_eq!(fixture.run(&["check", "image"]).0, 0);
    assert_eq!(fixture.image()[4096..8192], good[4096..8192]);
    // The backup undoes it.
    for page in fs::read(fixture.path("backup"))
        .unwrap()
        .chunks_exact(8 + 4096)
    {
        let offset = u64::from_le_bytes(page[..8].try_into().unwrap());
        fixture.put(offset, &page[8..]);
    }
    assert!(fixture.image() == damaged);
}

#[test]
fn what_is_no_btt_gets_one_line() {
    let fixture = Fixture::new();
    fs::write(fixture.path("short"), [0; 100]).unwrap();
    fs::File::create(fixture.path("blank"))
        .unwrap()
        .set_len(32 << 20)
        .unwrap();
    for (arguments, code) in [
        (["check", "short"], 3),
        (["check", "blank"], 3),
        (["check", "missing"], 2),
        (["check", "."], 2),
        (["create", "short"], 2),
    ] {
        let (found, text) = fixture.run(&arguments);
        assert_eq!(
            (found, text.lines().count()),
            (code, 1),
            "{arguments:?}: {text}"
        );
        assert!(text.starts_with("btt: "), "{text}");
    }
    let (code, text) = fixture.run(&["map", "image", "7920"]);
    assert_eq!(
        (code, text.as_str()),
        (2, "btt: sector is 7920, expected below 7920\n")
    );
}

#[test]
fn wrong_arguments_get_one_line() {
    let fixture = Fixture::new();
    for (arguments, expected) in [
        (
            &["create", "--sector-size", "1024", "image"][..],
            "expected one of 512 520 528 4096 4104 4160 4224",
        ),
        (
            &["create", "--uuid", "1-2-3", "image"],
            "expected xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        ),
        (&["create", "--lanes", "0", "image"], "1..=256"),
        (&["create", "--lanes", "257", "image"], "1..=256"),
        (&["map", "image", "x"], "invalid digit"),
        (&["map", "image"], "<LBA>"),
        (&["dump", "info", "image"], "map, flog"),
        (&["repair", "image"], "--backup"),
        (&["check", "image", "other"], "'other'"),
        (&["--layout", "1.2", "check", "image"], "'1.2'"),
        (&["destroy", "image"], "'destroy'"),
    ] {
        let (code, text) = fixture.run(arguments);
        assert_eq!(
            (code, text.lines().count()),
            (2, 1),
            "{arguments:?}: {text}"
        );
        assert!(
            text.starts_with("btt: ") && text.contains(expected),
            "{arguments:?}: {text}"
        );
    }
    assert_eq!(fixture.run(&["--help"]).0, 0);
}

#[test]
fn a_truncated_image_is_damaged_and_not_overwritten() {
    let fixture = Fixture::new();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(fixture.path("image"))
        .unwrap();
    // Also on an image that is too small for the smallest BTT.
    for (mib, most) in [(20, "0x13fe000"), (8, "0x7fe000")] {
        file.set_len(mib << 20).unwrap();
        for command in ["check", "create"] {
            let (code, text) = fixture.run(&[command, "image"]);
            assert_eq!(code, if command == "check" { 1 } else { 2 }, "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
            let words = format!("arena 0: info2off is 0x1ffe000, expected at most {most} ");
            assert!(text.contains(&words), "{text}");
        }
    }
}

#[test]
fn what_was_given_up_comes_back_only_when_asked() {
    let fixture = Fixture::new();
    let good = fixture.image();
    fixture.put(0, &[0; 8192]);
    let (code, text) = fixture.run(&["check", "image"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("--restore-info"), "{text}");
    assert_eq!(fixture.run(&["repair", "image", "--backup", "backup"]).0, 3);
    assert!(!fixture.path("backup").exists());
    let restore = ["repair", "--restore-info", "image", "--backup", "backup"];
    let (code, text) = fixture.run(&restore);
    assert_eq!(code, 0, "{text}");
    assert!(fixture.image() == good);
}

#[test]
fn an_older_copy_does_not_replace_a_whole_info_block() {
    let fixture = Fixture::new();
    let resize = |mib: u64| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(fixture.path("image"))
            .unwrap();
        file.set_len(mib << 20).unwrap();
    };
    // A smaller BTT, then a larger one over it whose data have not reached the copy of the smaller
    // one.
    resize(20);
    assert_eq!(fixture.run(&["create", "--force", "image"]).0, 0);
    resize(32);
    assert_eq!(fixture.run(&["create", "--force", "image"]).0, 0);
    resize(20);
    let before = fixture.image();
    let restore = ["repair", "--restore-info", "image", "--backup", "backup"];
    let (code, text) = fixture.run(&restore);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("info2off is 0x1ffe000"), "{text}");
    assert!(fixture.image() == before);
    // A check does not restore it either where only the signature is left.
    fixture.put(4096 + 16, &[0xff; 4080]);
    let before = fixture.image();
    let (code, text) = fixture.run(&["check", "image"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("was overwritten"), "{text}");
    assert!(fixture.image() == before);
}

#[test]
fn a_copy_that_differs_is_made_anew() {
    let fixture = Fixture::new();
    let good = fixture.image();
    fixture.put((32 << 20) - 4096, &[0; 4096]);
    let (code, text) = fixture.run(&["check", "image"]);
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("copy at 0x1fff000 differs from the info block at 0x1000"),
        "{text}"
    );
    assert_eq!(fixture.run(&["repair", "image", "--backup", "backup"]).0, 0);
    assert!(fixture.image() == good);
    assert_eq!(fixture.run(&["check", "image"]).0, 0);
}

#[test]
fn making_a_btt_keeps_holes() {
    let fixture = Fixture::new();
    let file = fs::File::create(fixture.path("large")).unwrap();
    file.set_len(32 << 30).unwrap();
    assert_eq!(fixture.run(&["create", "large"]).0, 0);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap());
    // The flog and the info blocks.
    assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
    assert_eq!(fixture.run(&["info", "large"]).0, 0);
}

#[test]
fn tables_are_printed() {
    let fixture = Fixture::new();
    fixture.put(MAP + 4 * 10, &(0xc000_0000u32 | 10).to_le_bytes());
    let (code, text) = fixture.run(&["dump", "MAP", "image"]);
    assert_eq!((code, text.as_str()), (0, "arena 0 sector 10: Normal 10\n"));
    let (code, text) = fixture.run(&["dump", "FLOG", "image"]);
    assert_eq!((code, text.lines().count()), (0, 256));
    assert!(
        text.starts_with("arena 0 lane 0 slot 0: lba 0 old 0x1ef0 new 0x1ef0 seq 1\n"),
        "{text}"
    );
}

/// Returns a slot of the flog with these four fields.
fn slot(numbers: [u32; 4]) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[test]
fn a_damaged_flog_is_shown_and_the_damage_is_named() {
    let fixture = Fixture::new();
    let put = |lane: u64, index: u64, numbers| {
        fixture.put(FLOG + lane * 64 + index * 16, &slot(numbers));
    };
    put(3, 1, [3, SECTORS + 3, SECTORS + 3, 1]);
    put(4, 3, [0, 0, 0, 7]);
    put(5, 0, [SECTORS, 5, 0x0fff_ffff, 1]);
    put(6, 0, [6, SECTORS, SECTORS, 1]);
    put(7, 1, [9, 9, SECTORS + 7, 2]);
    let before = fixture.image();
    let (code, text) = fixture.run(&["dump", "FLOG", "image"]);
    assert_eq!(code, 1, "{text}");
    for line in [
        "arena 0 lane 3 slot 0: lba 3 old 0x1ef3 new 0x1ef3 seq 1",
        "arena 0 lane 3: seq pair is (1, 1), expected two of 1, 2, 3 in sequence or (1, 0)",
        "arena 0 lane 4 slot 3: lba 0 old 0x0 new 0x0 seq 7",
        "arena 0 lane 4: used slots are 0 3, expected 0 and 1, or 0 and 2",
        "arena 0 lane 5: lba is 7920, expected below 7920",
        "arena 0 lane 5: new_map is 268435455, expected below 8176",
        "arena 0 lane 6: its free block 7920 is free in lane 0 as well",
        "arena 0 lane 7: an interrupted write: the map still names block 9 for sector 9, expected 7927",
        "arena 0 lane 255 slot 0: lba 255 old 0x1fef new 0x1fef seq 1",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
    }
    assert!(fixture.image() == before);
}

#[test]
fn tables_are_printed_by_the_copy_of_a_lost_info_block() {
    let fixture = Fixture::new();
    fixture.put(MAP + 4 * 10, &(0xc000_0000u32 | 11).to_le_bytes());
    fixture.put(MAP + 4 * 12, &u32::MAX.to_le_bytes());
    fixture.put(4096, &[0; 4096]);
    let (code, text) = fixture.run(&["dump", "MAP", "image"]);
    let lines = [
        "arena 0: info block at 0x1000: signature is wrong, expected BTT_ARENA_INFO; using its copy",
        "arena 0 sector 10: Normal 11",
        "arena 0 sector 11: Initial 11, which an earlier entry names as well",
        "arena 0 sector 12: Normal 1073741823, expected below 8176",
    ];
    assert_eq!(
        (code, text),
        (1, lines.map(|line| format!("{line}\n")).concat())
    );
    let (code, text) = fixture.run(&["dump", "FLOG", "image"]);
    assert_eq!((code, text.lines().count()), (4, 257), "{text}");

    fixture.put((32 << 20) - 4096, &[0; 4096]);
    let (code, text) = fixture.run(&["dump", "FLOG", "image"]);
    assert_eq!((code, text.lines().count()), (3, 1), "{text}");
}

/// Returns what bash offers for the word `part` after `btt`, by the script `completions`.
fn offered(completions: &Path, part: &str) -> String {
    let complete = format!(
        "source \"$0\" && COMP_WORDS=(btt '{part}') COMP_CWORD=1 && _btt btt '{part}' btt && \
         echo \"${{COMPREPLY[@]}}\""
    );
    let bash = Command::new("bash")
        .args(["-c", &complete])
        .arg(completions)
        .output()
        .unwrap();
    assert!(bash.status.success(), "{bash:?}");
    String::from_utf8(bash.stdout).unwrap()
}

#[test]
fn bash_completes_what_the_help_shows() {
    let fixture = Fixture::new();
    let (code, script) = fixture.run(&["completion", "bash"]);
    assert_eq!(code, 0, "{script}");
    assert!(script.contains("--restore-info"), "{script}");
    let path = fixture.path("script");
    fs::write(&path, script).unwrap();
    assert_eq!(offered(&path, "rep"), "repair report\n");
    assert_eq!(offered(&path, "c"), "check create\n");
    assert!(!fixture.run(&["--help"]).1.contains("completion"));
}

#[test]
fn make_installs_the_program_and_what_belongs_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let make = Command::new("make")
        .arg("--directory")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["--silent", "install-tools", "PREFIX=/usr"])
        .arg(concat!("BTT=", env!("CARGO_BIN_EXE_btt")))
        .arg(format!("DESTDIR={}", directory.path().display()))
        .output()
        .unwrap();
    assert!(make.status.success(), "{make:?}");
    let usr = directory.path().join("usr");
    let version = Command::new(usr.join("sbin/btt")).arg("--version").output();
    assert!(version.unwrap().stdout.starts_with(b"btt "));
    for (page, title) in [
        ("man8/btt.8", ".Dt BTT 8"),
        ("man7/nvdimm-rust.7", ".Dt NVDIMM-RUST 7"),
    ] {
        let text = fs::read_to_string(usr.join("share/man").join(page)).unwrap();
        assert!(text.lines().any(|line| line == title), "{page}");
    }
    let completions = usr.join("share/bash-completion/completions/btt");
    assert_eq!(offered(&completions, "rep"), "repair report\n");
}
