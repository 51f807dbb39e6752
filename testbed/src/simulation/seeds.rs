//! Many stories, one for each seed.

use std::num::NonZero;
use std::ops::Range;
use std::panic::{RefUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the story of each seed from 0 to `usual`, on all cores. `STORY_SEEDS=n` asks for another number of them,
/// `STORY_SEED=n` for one alone.
///
/// # Panics
/// When a story does; its seed is printed then.
pub fn each_seed(usual: u64, story: impl Fn(u64) + Sync + RefUnwindSafe) {
    each_of(seeds(usual), story);
}

fn each_of(seeds: Range<u64>, story: impl Fn(u64) + Sync + RefUnwindSafe) {
    let next = AtomicU64::new(seeds.start);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let tell = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if let Err(panic) = catch_unwind(|| story(seed)) {
                next.store(seeds.end, Ordering::Relaxed);
                eprintln!("failed with STORY_SEED={seed}");
                resume_unwind(panic);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(tell)).collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    });
}

fn seeds(usual: u64) -> Range<u64> {
    let from_environment = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match (from_environment("STORY_SEED"), from_environment("STORY_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..usual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn every_seed_has_its_story_once() {
        let told = Mutex::new(Vec::new());
        each_of(0..100, |seed| told.lock().unwrap().push(seed));
        let mut told = told.into_inner().unwrap();
        told.sort_unstable();
        assert_eq!(told, (0..100).collect::<Vec<_>>());
    }

    #[test]
    #[should_panic(expected = "the story of 37")]
    fn a_story_that_fails_fails_the_test() {
        each_of(0..100, |seed| assert!(seed != 37, "the story of {seed}"));
    }
}
