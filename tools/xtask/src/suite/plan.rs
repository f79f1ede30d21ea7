// SPDX-License-Identifier: GPL-2.0

//! Which tests share a boot, and the order of boots.

use super::{
    powercut::Chain,
    script::{
        Boots,
        Hardware,
        Script, //
    },
};
use crate::modules::Stack;
use std::{
    collections::BTreeMap,
    time::Duration, //
};

/// Maximum number of tests in a boot. Boots are short, and more boots use more cores.
const TESTS_A_BOOT: usize = 6;

/// A unit of work of a worker, which boots one machine after the other.
pub(super) enum Job {
    /// Scripts that share boots.
    Shared {
        stack: Stack,
        hardware: Hardware,
        scripts: Vec<Script>,
    },
    /// A script with boots of its own.
    Own { stack: Stack, script: Script },
    /// A chain of power cuts.
    PowerCuts(Chain),
}

impl Job {
    /// Returns the stacks whose modules it needs.
    pub(super) fn stacks(&self) -> Vec<Stack> {
        match self {
            Self::Own {
                script:
                    Script {
                        boots: Boots::Stacks(stacks),
                        ..
                    },
                ..
            } => stacks.clone(),
            Self::Shared { stack, .. } | Self::Own { stack, .. } => vec![*stack],
            Self::PowerCuts(chain) => chain.stacks(),
        }
    }

    fn longest(&self) -> Duration {
        match self {
            Self::Shared { scripts, .. } => scripts.iter().map(|script| script.timeout).sum(),
            Self::Own { script, .. } => script.timeout,
            Self::PowerCuts(chain) => chain.longest(),
        }
    }
}

/// Sorts tests into jobs, the longest first, so that no core is idle at the end.
pub(super) fn plan(scripts: &[Script], chains: Vec<Chain>, only: Option<Stack>) -> Vec<Job> {
    let selected = |stack: Stack| only.is_none_or(|only| only == stack);
    let mut shared: BTreeMap<(Stack, &Hardware), Vec<Script>> = BTreeMap::new();
    let chains = chains.into_iter().filter(|chain| selected(chain.stack));
    let mut jobs = chains.map(Job::PowerCuts).collect::<Vec<_>>();
    for script in scripts {
        let stacks = script.tested_stacks().iter();
        for &stack in stacks.filter(|&&stack| selected(stack)) {
            match script.boots {
                Boots::Shared => shared
                    .entry((stack, &script.hardware))
                    .or_default()
                    .push(script.clone()),
                Boots::Own(_) | Boots::Stacks(_) => jobs.push(Job::Own {
                    stack,
                    script: script.clone(),
                }),
            }
        }
    }
    for ((stack, hardware), scripts) in shared {
        for scripts in scripts.chunks(TESTS_A_BOOT) {
            jobs.push(Job::Shared {
                stack,
                hardware: hardware.clone(),
                scripts: scripts.to_vec(),
            });
        }
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.longest()));
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_needs_share_a_job() {
        let script = |name: &str, cpus| {
            let mut script = Script::named(name);
            script.hardware.cpus = cpus;
            script.stacks = vec![Stack::Rust, Stack::C];
            script
        };
        let mut scripts = vec![script("1", None), script("2", Some(1)), script("3", None)];
        assert_eq!(plan(&scripts, Vec::new(), None).len(), 4);
        assert_eq!(plan(&scripts, Vec::new(), Some(Stack::C)).len(), 2);
        scripts[2].boots = Boots::Own(2);
        assert_eq!(plan(&scripts, Vec::new(), Some(Stack::C)).len(), 3);
    }
}
