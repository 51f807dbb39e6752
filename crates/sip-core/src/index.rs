//! Names to numbers, for as many as a burst of calls brings, and no room kept for them afterwards.

use std::collections::HashMap;
use std::hash::Hash;

/// A hash map that gives its room back when most of it is empty.
#[derive(Debug)]
pub(crate) struct Index<K, V>(HashMap<K, V>);

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V> Index<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.0.insert(key, value);
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn has(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.0.remove(key);
        // Half of what is kept is free then, so that the next shrinking, or growing, is as far away as this one was.
        if self.0.capacity() > KEPT && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(2 * self.0.len());
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

/// Entries for which there is always room.
const KEPT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_its_room_is_given_back_and_the_rest_is_found() {
        let mut index = Index::default();
        (0..100_000).for_each(|number| index.insert(number, number));
        assert!(index.capacity() >= 100_000);
        (0..99_900).for_each(|number| index.remove(&number));
        assert!(index.capacity() <= 2 * KEPT, "{}", index.capacity());
        assert!((99_900..100_000).all(|number| index.get(&number) == Some(&number)));
        assert_eq!(index.get(&0), None);
    }
}
