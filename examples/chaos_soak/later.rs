//! What a task is told to be after it was told to have ended: Mesos allows some of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::word::Word;

/// One kind of a later state.
#[derive(Clone, Debug)]
struct Kind {
    count: usize,
    explanation: &'static str,
    example: String,
}

/// All later states, by kind.
#[derive(Clone, Debug, Default)]
pub struct Later {
    kinds: BTreeMap<(String, String), Kind>,
}

impl Later {
    pub fn count(&self) -> usize {
        self.kinds.values().map(|kind| kind.count).sum()
    }

    /// `second` was told after the end `first`; `is_new`: by an update that had not come before.
    ///
    /// # Errors
    /// If Mesos may not say so.
    pub fn note(
        &mut self,
        id: &str,
        first: &Word,
        second: &Word,
        is_new: bool,
    ) -> Result<(), String> {
        let is_denied_twice = second.denies() && (first.denies() || first.is_of_driver());
        if is_denied_twice || first.state == second.state && !is_new {
            return Ok(());
        }
        let example = format!("{id}: {:?}, then {:?}", first.message, second.message);
        let (key, explanation) = ((first.kind(), second.kind()), explain(first, second));
        let is_end = second.is_terminal() && first.state != second.state;
        match explanation {
            // The same end once more, or a state before it, from whom may say so.
            _ if !is_end && (!is_new || !first.is_of_executor() || !second.is_of_executor()) => {
                Ok(())
            }
            Some(explanation) => {
                let kind = self.kinds.entry(key).or_insert(Kind {
                    count: 0,
                    explanation,
                    example,
                });
                kind.count += 1;
                Ok(())
            }
            None => {
                let (first, second) = key;
                Err(format!(
                    "{first} and then {second} has no explanation: {example}"
                ))
            }
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (key, kind) in &other.kinds {
            let own = self.kinds.entry(key.clone()).or_insert_with(|| Kind {
                count: 0,
                ..kind.clone()
            });
            own.count += kind.count;
        }
    }
}

/// Why Mesos may say `second` of a task of which it said `first`; none: it may not.
fn explain(first: &Word, second: &Word) -> Option<&'static str> {
    if first.is_of_driver() {
        return None;
    }
    // `Master::acknowledge` drops what is for an agent that is not connected, and `Master::__removeSlave` ends every
    // task that is not acknowledged, also those that have ended (`src/master/master.cpp`).
    if second.is_agent_lost() {
        return Some("the agent was given up before it was acknowledged that the task had ended");
    }
    if second.denies() {
        return Some(
            "the task had ended and was forgotten, when a question of before was answered",
        );
    }
    let is_by_master = first.is_answer() || first.is_of_master();
    is_by_master.then_some(
        "the master went by what it knew; the agent, cut off from it, told the end when it was back",
    )
}

/// A table.
impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} later terminal states", self.count())?;
        for ((first, second), kind) in &self.kinds {
            writeln!(f, "{:>7}  {first}, then {second}", kind.count)?;
            writeln!(f, "         {}", kind.explanation)?;
            writeln!(f, "         such as {}", kind.example)?;
        }
        Ok(())
    }
}
