//! Requests with a name take turns: a repeat waits until the first has been answered.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::OwnedMutexGuard;

/// SHA-256 of the API key, and the `Idempotency-Key`.
pub(crate) type Name = ([u8; 32], Box<str>);

/// The names that are in use; each is forgotten with its last request. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<Name, Weak<Gate>>>>);

type Gate = tokio::sync::Mutex<()>;

impl Turns {
    /// Waits until no other request has this name; holds it until the answer is dropped.
    pub(crate) async fn turn(&self, name: Name) -> OwnedMutexGuard<()> {
        self.gate(name).lock_owned().await
    }

    fn gate(&self, name: Name) -> Arc<Gate> {
        let mut gates = self.0.lock();
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(&name).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::default();
        gates.insert(name, Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_name_is_one_turn_and_what_is_over_is_forgotten() {
        let turns = Turns::default();
        let name = |text: &str| ([1; 32], text.into());
        let first = turns.turn(name("a")).await;
        let repeat = tokio::spawn({
            let turns = turns.clone();
            async move { drop(turns.turn(name("a")).await) }
        });
        for n in 0..1000 {
            drop(turns.turn(name(&n.to_string())).await);
        }
        assert!(!repeat.is_finished());
        drop(first);
        repeat.await.unwrap();
        drop(turns.turn(name("b")).await);
        assert_eq!(turns.0.lock().len(), 1);
    }
}
