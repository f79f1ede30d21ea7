// SPDX-License-Identifier: GPL-2.0

//! Power failures: every image that a power failure can leave of a state, judged, and the states
//! that recovery makes of them.
//!
//! What recovery does depends on the metadata only, so each combination of metadata is recovered
//! once. Then every block that the recovered map names must hold, in each of its possible contents,
//! something that its sector may read as. No state follows an image in which the flog of a lane is
//! lost: the engine must refuse it.

use crate::{
    access::{
        next_seq,
        Block,
        First,
        Map,
        Second,
        Value,
        BLANK,
        JUNK,
        TOKEN_FIRST,
        TOKEN_JUNK,
        TOKEN_LOST,
        TOKEN_TORN, //
    },
    cell::Cell,
    encoding::Encoding,
    foreign,
    image::{
        Image,
        Lost, //
    },
    judge,
    layout::{
        Layout,
        Place, //
    },
    state::{
        contents,
        Shape,
        State, //
    },
    step::{
        token_name,
        token_names, //
    },
};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::rc::Rc;

/// Words for the two ends of a torn block. No sector ever holds them whole.
const TORN: [u64; 2] = [0x7041, 0x7042];

/// The result of recovering the metadata of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Recovered {
    map: Vec<Value>,
    /// Newest entry of each lane.
    entries: Vec<[Value; 2]>,
    /// Second half of the older slot of each lane.
    older: Vec<Value>,
    /// Arenas that are read-only, one bit each.
    read_only: u8,
}

/// `None` if the flog of a lane is lost: there is no recovery then.
type Verdict = Result<Option<Rc<Recovered>>, String>;

/// An image that violates the claim.
pub(crate) struct Bad {
    /// A description of the violation.
    pub(crate) what: String,
    /// The image, and the layout it belongs to.
    pub(crate) image: Image,
    pub(crate) layout: Layout,
}

/// Records that `what` was met after a history of `depth`. Returns `false` if it was met before
/// after a history that was as short.
pub(crate) fn is_news<K: Eq + Hash>(met: &mut FxHashMap<K, u16>, what: K, depth: u16) -> bool {
    match met.entry(what) {
        Entry::Vacant(new) => {
            new.insert(depth);
            true
        }
        Entry::Occupied(mut least) => {
            let shorter = depth < *least.get();
            if shorter {
                least.insert(depth);
            }
            shorter
        }
    }
}

/// Judges images.
pub(crate) struct Court {
    layouts: Vec<Layout>,
    shape: Shape,
    /// `true` if each image is written in all formats, not in one that depends on the image.
    all_formats: bool,
    verdicts: FxHashMap<Vec<Value>, Verdict>,
    /// Known states after recovery, each with the length of the shortest history that leads to it.
    known: FxHashMap<Vec<Value>, u16>,
    /// Number of images that were judged, repetitions included.
    pub(crate) images: u64,
    /// Number of images of interrupted recoveries.
    pub(crate) nested: u64,
}

impl Court {
    pub(crate) fn new(layouts: &[Layout], all_formats: bool) -> Self {
        Self {
            shape: Shape::of(&layouts[0]),
            layouts: layouts.to_vec(),
            all_formats,
            verdicts: FxHashMap::default(),
            known: FxHashMap::default(),
            images: 0,
            nested: 0,
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns a court that has not seen anything.
    pub(crate) fn again(&self) -> Self {
        Self::new(&self.layouts, self.all_formats)
    }

    /// Returns the number of combinations of metadata that were recovered.
    pub(crate) fn recoveries(&self) -> usize {
        self.verdicts.len()
    }

    /// Judges every image that a power failure can leave now, after a history of `depth`. Calls
    /// `recovered` with each state after recovery that was not met before after a history that was
    /// as short.
    pub(crate) fn judge(
        &mut self,
        state: &State,
        depth: u16,
        mut recovered: impl FnMut(State),
    ) -> Result<(), Box<Bad>> {
        let metadata = &state.cells[..self.shape.metadata()];
        let choices: Vec<Vec<Value>> = metadata.iter().map(distinct).collect();
        let of_blocks: Vec<Vec<Value>> = state.cells[self.shape.metadata()..]
            .iter()
            .map(distinct)
            .collect();
        let of_data: u64 = of_blocks.iter().map(|values| values.len() as u64).product();
        let mut chosen = vec![0; choices.len()];
        loop {
            let words: Vec<Value> = chosen
                .iter()
                .zip(&choices)
                .map(|(&index, values): (&usize, _)| values[index])
                .collect();
            self.images += of_data;
            let result = match self.verdict(&words, state.lost) {
                Ok(None) => Ok(()),
                Ok(Some(after)) => self.sectors(state, depth, &of_blocks, &after, &mut recovered),
                Err(what) => Err((what, Vec::new())),
            };
            if let Err((what, held)) = result {
                return Err(self.bad(state, &words, &of_blocks, &held, what));
            }
            // Counts up to the next combination, as with the digits of a number.
            let mut digits = chosen.iter_mut().zip(&choices);
            let next = digits.find_map(|(digit, values)| {
                *digit += 1;
                if *digit < values.len() {
                    return Some(());
                }
                *digit = 0;
                None
            });
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Checks what the sectors read as, and makes the states after recovery. An error says what is
    /// wrong and which block holds what.
    fn sectors(
        &mut self,
        state: &State,
        depth: u16,
        of_blocks: &[Vec<Value>],
        after: &Recovered,
        recovered: &mut impl FnMut(State),
    ) -> Result<(), (String, Vec<(Block, Value)>)> {
        let mut reads: Vec<Vec<Value>> = Vec::with_capacity(self.shape.sectors);
        for (sector, &value) in after.map.iter().enumerate() {
            let map = Map::of(value);
            if state.lost.word(sector) {
                check_lost(state, sector).map_err(|what| (what, Vec::new()))?;
                reads.push(vec![TOKEN_JUNK]);
                continue;
            }
            let bad = state.bad & 1 << map.block != 0;
            let held = &of_blocks[usize::from(map.block)];
            for &token in held {
                let reads_as = contents(map, bad, token);
                if state.allowed[sector] & 1 << reads_as == 0 {
                    let what = format!(
                        "sector {sector} reads as {}, expected {}",
                        token_name(reads_as),
                        token_names(state.allowed[sector])
                    );
                    return Err((what, vec![(map.block, token)]));
                }
            }
            reads.push(held.clone());
        }
        let mut chosen = vec![0; reads.len()];
        loop {
            let held = || {
                chosen
                    .iter()
                    .zip(&reads)
                    .map(|(&index, values)| values[index])
            };
            let mut key: Vec<Value> = after.map.clone();
            key.extend(after.entries.iter().flatten());
            key.extend(&after.older);
            key.extend(held());
            key.extend([state.bad as Value, (state.bad >> 16) as Value]);
            key.extend(key_of(state.lost));
            key.push(state.failures.into());
            if is_news(&mut self.known, key, depth) {
                recovered(self.state_after(state, after, held()));
            }
            let mut digits = chosen.iter_mut().zip(&reads);
            let next = digits.find_map(|(digit, values)| {
                *digit += 1;
                if *digit < values.len() {
                    return Some(());
                }
                *digit = 0;
                None
            });
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Returns the state after recovery if the blocks of the sectors hold `held`.
    fn state_after(
        &self,
        state: &State,
        after: &Recovered,
        held: impl Iterator<Item = Value>,
    ) -> State {
        let shape = &self.shape;
        let mut cells = vec![Cell::new(TOKEN_JUNK); state.cells.len()];
        let mut allowed = vec![0; shape.sectors];
        for (sector, (&value, token)) in after.map.iter().zip(held).enumerate() {
            let map = Map::of(value);
            cells[sector] = Cell::new(value);
            if state.lost.word(sector) {
                allowed[sector] = 1 << TOKEN_LOST;
                continue;
            }
            cells[shape.data(map.block)] = Cell::new(token);
            allowed[sector] = 1 << contents(map, state.bad & 1 << map.block != 0, token);
        }
        for (lane, (entry, &older)) in after.entries.iter().zip(&after.older).enumerate() {
            for (half, &value) in entry.iter().enumerate() {
                cells[shape.flog(lane, 0, half)] = Cell::new(value);
            }
            let junk = if older == BLANK { BLANK } else { JUNK };
            cells[shape.flog(lane, 1, 0)] = Cell::new(junk);
            cells[shape.flog(lane, 1, 1)] = Cell::new(older);
        }
        State {
            cells,
            bad: state.bad,
            lost: state.lost,
            closed: after.read_only,
            failures: state.failures,
            allowed,
            threads: [None; 2],
            owners: vec![None; shape.lanes],
            locks: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Returns what recovery makes of metadata.
    fn verdict(&mut self, words: &[Value], lost: Lost) -> Verdict {
        let mut key = words.to_vec();
        key.extend(key_of(lost));
        if let Some(verdict) = self.verdicts.get(&key) {
            return verdict.clone();
        }
        let verdict = self.recover(words, lost);
        self.verdicts.insert(key, verdict.clone());
        verdict
    }

    fn recover(&mut self, words: &[Value], lost: Lost) -> Verdict {
        let count = if self.all_formats {
            self.layouts.len()
        } else {
            1
        };
        let first = hash(words);
        let mut result = None;
        for variety in first..first + count {
            let Some(encoding) = self.encoding(words, &self.initial(words), variety) else {
                continue;
            };
            let mut image = self.image(&encoding, words, None);
            image.lost = lost;
            let (nested, after) = judge::judge(encoding.layout(), &image)?;
            self.nested += nested as u64;
            let Some(after) = after else {
                return Ok(None);
            };
            let after = self.decode(&encoding, words, &after)?;
            if *result.get_or_insert_with(|| after.clone()) != after {
                return Err("the format makes a difference".into());
            }
        }
        let result = result.ok_or("no format fits")?;
        Ok(Some(Rc::new(result)))
    }

    /// Returns the sectors whose map words are the initial ones, and their blocks.
    fn initial(&self, words: &[Value]) -> Vec<(u8, Block)> {
        (0..self.shape.sectors)
            .map(|sector| (sector as u8, Map::of(words[sector])))
            .filter(|(_, map)| map.flags == Map::INITIAL)
            .map(|(sector, map)| (sector, map.block))
            .collect()
    }

    /// Returns an encoding for metadata with the initial map words `initial`.
    pub(crate) fn encoding(
        &self,
        words: &[Value],
        initial: &[(u8, Block)],
        variety: usize,
    ) -> Option<Encoding> {
        let shape = &self.shape;
        let blank = words[shape.sectors..].contains(&BLANK);
        let encoding = Encoding::new(&self.layouts, variety, initial, blank);
        // If no second slot of a flog was ever written, the flog does not show where they are.
        let layout = encoding.layout();
        let tells = layout.arenas().iter().all(|arena| {
            let mut lanes = arena.lanes.clone();
            lanes.any(|lane| (0..2).any(|half| words[shape.flog(lane, 1, half)] != BLANK))
        });
        if tells {
            return Some(encoding);
        }
        (0..self.layouts.len())
            .map(|more| Encoding::new(&self.layouts, variety + more, initial, blank))
            .find(|encoding| encoding.half(1, 0) == 2)
    }

    /// Returns the cell of the layout that corresponds to a cell of the metadata of a state.
    pub(crate) fn place(&self, encoding: &Encoding, cell: usize) -> usize {
        let place = match cell.checked_sub(self.shape.sectors) {
            None => Place::Map(cell),
            Some(half) => encoding.flog_place(half / 4, half / 2 % 2, half % 2),
        };
        encoding.layout().cell(place)
    }

    pub(crate) fn image(
        &self,
        encoding: &Encoding,
        words: &[Value],
        data: Option<&[Value]>,
    ) -> Image {
        let layout = encoding.layout();
        let mut image = Image {
            words: vec![0; layout.cells()],
            bad: 0,
            lost: Lost::default(),
        };
        for (sector, &word) in words[..self.shape.sectors].iter().enumerate() {
            image.words[layout.cell(Place::Map(sector))] = encoding.map_word(word).into();
        }
        for lane in 0..self.shape.lanes {
            for side in 0..2 {
                let [first, second] = [0, 1].map(|half| words[self.shape.flog(lane, side, half)]);
                let halves = [
                    encoding.first_half(lane, first),
                    encoding.second_half(second),
                ];
                for (half, word) in halves.into_iter().enumerate() {
                    image.words[layout.cell(encoding.flog_place(lane, side, half))] = word;
                }
            }
        }
        for (block, &token) in data.into_iter().flatten().enumerate() {
            let real = encoding.real(block as Block);
            for (word, torn) in TORN.into_iter().enumerate() {
                image.words[layout.cell(Place::Data(real, word))] = match token {
                    TOKEN_TORN => torn,
                    token if token < TOKEN_FIRST => 0xdead,
                    token => u64::from(token) << 8 | 0x0100_0000,
                };
            }
        }
        image
    }

    fn decode(
        &self,
        encoding: &Encoding,
        words: &[Value],
        after: &foreign::Recovered,
    ) -> Result<Recovered, String> {
        let shape = &self.shape;
        let map: Option<Vec<Value>> = after
            .map
            .iter()
            .enumerate()
            .map(|(sector, &word)| match word {
                foreign::UNREADABLE => Some(words[sector]),
                word => encoding.map_value(sector, word),
            })
            .collect();
        let map = map.ok_or("the map names a block that is not used")?;
        let mut entries = Vec::new();
        let mut older = Vec::new();
        for lane in 0..shape.lanes {
            let half = |side, half| words[shape.flog(lane, side, half)];
            let seq = |side| Second::of(half(side, 1)).map(|second| second.seq);
            let newest = match (seq(0), seq(1)) {
                (Some(first), Some(second)) if second == next_seq(first) => 1,
                (None, _) => 1,
                _ => 0,
            };
            let entry = [half(newest, 0), half(newest, 1)];
            let free = First::of(entry[0]).map(|first| first.old);
            let arena = encoding.layout().arena_of_lane(lane);
            let found = arena
                .block(after.free[lane])
                .map(|block| encoding.name(block));
            if free.is_none() || free != found {
                return Err(format!(
                    "lane {lane} has free block {found:?}, expected {free:?}"
                ));
            }
            entries.push(entry);
            older.push(match Second::of(half(1 - newest, 1)) {
                Some(second) => Second {
                    new: None,
                    ..second
                }
                .pack(),
                None => BLANK,
            });
        }
        Ok(Recovered {
            map,
            entries,
            older,
            read_only: after.read_only,
        })
    }

    /// Builds the image that violates the claim.
    fn bad(
        &self,
        state: &State,
        words: &[Value],
        of_blocks: &[Vec<Value>],
        held: &[(Block, Value)],
        what: String,
    ) -> Box<Bad> {
        let mut data: Vec<Value> = of_blocks.iter().map(|values| values[0]).collect();
        for &(block, token) in held {
            data[usize::from(block)] = token;
        }
        let encoding = self.encoding(words, &self.initial(words), 0);
        let encoding = encoding.unwrap_or_else(|| Encoding::new(&self.layouts, 0, &[], true));
        let mut image = self.image(&encoding, words, Some(&data));
        image.lost = state.lost;
        for block in 0..self.shape.blocks {
            image.bad |= u64::from(state.bad >> block & 1) << encoding.real(block as Block);
        }
        Box::new(Bad {
            what,
            image,
            layout: encoding.layout().clone(),
        })
    }
}

fn check_lost(state: &State, sector: usize) -> Result<(), String> {
    if state.allowed[sector] & 1 << TOKEN_LOST == 0 {
        let expected = token_names(state.allowed[sector]);
        return Err(format!("sector {sector} is lost, expected {expected}"));
    }
    Ok(())
}

/// Encodes lost metadata as a part of a key. Yields nothing if none are lost.
pub(crate) fn key_of(lost: Lost) -> impl Iterator<Item = Value> {
    let bits = lost.bits();
    let parts = (0..4).map(move |part| (bits >> (16 * part)) as Value);
    parts.take(if lost.is_empty() { 0 } else { 4 })
}

/// Returns the values that a power failure may leave of a word, each once.
fn distinct(cell: &Cell) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for value in cell.candidates() {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// Returns a number that depends on the words only, the same in every run.
fn hash(words: &[Value]) -> usize {
    let mixed = words.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &word| {
        (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3)
    });
    (mixed >> 40) as usize
}
