// SPDX-License-Identifier: GPL-2.0

//! Tests that need options which the kernel of this run was built without.

use super::{
    report::{
        self,
        Outcome,
        Verdict, //
    },
    script::Script,
};
use crate::{
    kernel::value_of,
    modules::Stack, //
};
use std::time::Duration;

/// Removes the scripts that need other options than those in `config`. Prints and returns an
/// outcome for each stack that such a script would be tested under.
pub(super) fn without_options(
    scripts: &mut Vec<Script>,
    config: &str,
    only: Option<Stack>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    scripts.retain(|script| {
        let Some(reason) = missing(script, config) else {
            return true;
        };
        let stacks = script.tested_stacks().iter();
        for &stack in stacks.filter(|&&stack| only.is_none_or(|only| only == stack)) {
            let outcome = Outcome {
                name: report::name(&script.name, stack),
                verdict: Verdict::Skipped(reason.clone()),
                time: Duration::ZERO,
            };
            outcome.print();
            outcomes.push(outcome);
        }
        false
    });
    outcomes
}

/// Returns what is wrong with the configuration for this script.
fn missing(script: &Script, config: &str) -> Option<String> {
    let wrong = script.options.iter().find(|option| {
        let set = matches!(
            value_of(config, &format!("CONFIG_{}", option.name)),
            Some("y" | "m")
        );
        set != option.set
    })?;
    let with = if wrong.set { "without" } else { "with" };
    Some(format!("this kernel was built {with} {}", wrong.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::script::KernelOption;

    const CONFIG: &str = "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n";

    #[test]
    fn options_are_looked_up() {
        let reason = |name: &str, set| {
            let mut script = Script::named("a/b");
            script.options.push(KernelOption {
                name: name.to_owned(),
                set,
            });
            missing(&script, CONFIG)
        };
        for (name, set) in [("A", true), ("B", true), ("C", false), ("D", false)] {
            assert_eq!(reason(name, set), None, "{name}");
        }
        let without = reason("C", true);
        assert_eq!(without.as_deref(), Some("this kernel was built without C"));
        let with = reason("A", false);
        assert_eq!(with.as_deref(), Some("this kernel was built with A"));
    }

    #[test]
    fn each_stack_has_an_outcome() {
        let mut two = Script::named("a/two");
        two.stacks = vec![Stack::Rust, Stack::C];
        two.options.push(KernelOption {
            name: "C".to_owned(),
            set: true,
        });
        let scripts = [two, Script::named("a/one")];
        let mut left = scripts.to_vec();
        assert_eq!(without_options(&mut left, CONFIG, None).len(), 2);
        assert_eq!(left, scripts[1..]);
        let mut left = scripts.to_vec();
        let outcomes = without_options(&mut left, CONFIG, Some(Stack::C));
        assert_eq!(outcomes[0].name, "a/two [c]");
        assert_eq!(outcomes.len(), 1);
    }
}
