// SPDX-License-Identifier: GPL-2.0

//! Mutations of inputs, the same ones for the same seed.

use rand::{
    rngs::SmallRng,
    seq::IndexedRandom,
    RngExt,
    SeedableRng, //
};

/// Bytes that trigger errors more often than others.
const EDGES: [u8; 7] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];

/// Maximum length of a mutated input.
const LONGEST: usize = 1 << 13;

/// Mutates the inputs of a pool.
pub struct Mutator {
    random: SmallRng,
    pool: Vec<Vec<u8>>,
}

impl Mutator {
    /// Creates a mutator with these inputs and an empty one.
    pub fn new(mut pool: Vec<Vec<u8>>, seed: u64) -> Self {
        pool.push(Vec::new());
        Self {
            random: SmallRng::seed_from_u64(seed),
            pool,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random.random_range(0..limit.max(1))
    }

    fn pick(&mut self) -> Vec<u8> {
        self.pool
            .choose(&mut self.random)
            .cloned()
            .unwrap_or_default()
    }

    /// Returns the next input: one of the pool with one to four changes.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick();
        for _ in 0..=self.below(4) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let place = self.below(input.len());
        let len = self.below(9).min(input.len() - place.min(input.len()));
        match self.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(place) {
                    *byte ^= 1 << self.random.random_range(0..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(place) {
                    *byte = self.random.random();
                }
            }
            2 => {
                let edge = EDGES[self.below(EDGES.len())];
                input[place..place + len].fill(edge);
            }
            3 => drop(input.drain(place..place + len)),
            4 => {
                let byte = self.random.random();
                input.splice(place..place, std::iter::repeat_n(byte, len + 1));
            }
            5 => {
                // A part of the input overwrites another one.
                let to = self.below(input.len());
                let len = len.min(input.len() - to);
                input.copy_within(place..place + len, to);
            }
            6 => {
                let other = self.pick();
                let from = self.below(other.len());
                let at = place.min(input.len());
                input.truncate(at);
                input.extend_from_slice(&other[from.min(other.len())..]);
            }
            _ => input.truncate(place),
        }
    }
}
