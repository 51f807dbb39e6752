//! Which hosts and ports serve, and in which order they are tried (RFC 2782).

use crate::{PassedOver, Record, name};

/// The greatest number of servers of one service that are used.
const SERVERS_MAX: usize = 16;

/// An SRV record that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weighted {
    priority: u16,
    weight: u16,
    pub(crate) port: u16,
    pub(crate) host: Box<str>,
}

pub(crate) fn judge(record: &Record) -> Result<Weighted, PassedOver> {
    let Record::Srv { priority, weight, port, target } = record else {
        return Err(PassedOver::NotAsked);
    };
    if matches!(&**target, "." | "") {
        return Err(PassedOver::NotOffered);
    }
    if *port == 0 {
        return Err(PassedOver::Port);
    }
    let host = name::read(target).ok_or(PassedOver::Name)?;
    Ok(Weighted { priority: *priority, weight: *weight, port: *port, host })
}

/// The lowest priority first; within one priority each place is drawn by weight.
pub(crate) fn in_order(mut records: Vec<Weighted>, random: u64) -> Vec<Weighted> {
    // By all that a record is, so that the draw does not depend on how a name server turns its answers.
    records.sort_by(|a, b| {
        (a.priority, &a.host, a.port, a.weight).cmp(&(b.priority, &b.host, b.port, b.weight))
    });
    records.dedup_by(|a, b| (a.priority, &a.host, a.port) == (b.priority, &b.host, b.port));
    let mut draws = Draws(random);
    let mut order = Vec::new();
    while order.len() < SERVERS_MAX
        && let Some(first) = records.first()
    {
        let equals = records.iter().take_while(|record| record.priority == first.priority);
        let next = draws.draw(equals.map(share));
        order.push(records.remove(next));
    }
    order
}

/// RFC 2782 wants a very small chance for a weight of 0, and draws a number from 0 to the sum of the weights, both
/// included. That gives the first of two records of weight 1 two thirds of the load; with shares it gets its half.
fn share(record: &Weighted) -> u64 {
    (u64::from(record.weight) * 1000).max(1)
}

/// Numbers from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    /// The index of one of the shares, each as likely as it is large.
    fn draw(&mut self, shares: impl Iterator<Item = u64> + Clone) -> usize {
        let sum: u64 = shares.clone().sum();
        let drawn = self.next() % sum.max(1);
        let running = shares.scan(0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        running.take_while(|sum| *sum <= drawn).count()
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(weights: &[(u16, u16)]) -> Vec<Weighted> {
        let record = |(index, &(priority, weight)): (usize, &(u16, u16))| Weighted {
            priority,
            weight,
            port: 5060,
            host: format!("s{index:04}").into(),
        };
        weights.iter().enumerate().map(record).collect()
    }

    /// How often each comes first, of a thousand.
    fn firsts(weights: &[u16]) -> Vec<usize> {
        let records = records(&weights.iter().map(|weight| (0, *weight)).collect::<Vec<_>>());
        let mut counts = vec![0; weights.len()];
        for seed in 0..10_000 {
            let first = &in_order(records.clone(), seed)[0];
            counts[records.iter().position(|record| record == first).unwrap()] += 1;
        }
        counts.into_iter().map(|count| (count + 5) / 10).collect()
    }

    #[test]
    fn the_load_follows_the_weights() {
        for weights in
            [&[1, 1][..], &[10, 20, 70], &[60, 20, 10, 10], &[65535, 65535], &[0, 0, 0, 0], &[0, 1, 1]]
        {
            let sum: usize = weights.iter().map(|weight| usize::from(*weight)).sum();
            for (weight, came) in weights.iter().zip(firsts(weights)) {
                let due = match sum {
                    0 => 1000 / weights.len(),
                    sum => 1000 * usize::from(*weight) / sum,
                };
                assert!(came.abs_diff(due) <= 15, "{weights:?}: {came} for {due}");
            }
        }
    }

    #[test]
    fn a_weight_of_nothing_has_a_very_small_chance() {
        let records = records(&[(0, 0), (0, 1)]);
        let came = (0..100_000).filter(|seed| &*in_order(records.clone(), *seed)[0].host == "s0000").count();
        assert!((50..200).contains(&came), "{came} of 100000");
    }

    proptest! {
        #[test]
        fn priorities_go_first_and_nobody_is_lost_or_doubled(
            weights in prop::collection::vec((0u16..3, prop_oneof![Just(0), Just(65535), 0u16..10]), 0..40),
            seed: u64,
        ) {
            let records = records(&weights);
            let order = in_order(records.clone(), seed);
            prop_assert_eq!(order.len(), records.len().min(SERVERS_MAX));
            prop_assert!(order.is_sorted_by_key(|record| record.priority));
            let mut priorities: Vec<u16> = records.iter().map(|record| record.priority).collect();
            priorities.sort();
            let kept: Vec<u16> = order.iter().map(|record| record.priority).collect();
            prop_assert_eq!(&kept[..], &priorities[..kept.len()], "the best are kept");
            for (index, record) in order.iter().enumerate() {
                prop_assert!(records.contains(record) && !order[..index].contains(record));
            }
            let turned: Vec<_> = records.into_iter().rev().collect();
            prop_assert_eq!(in_order(turned, seed), order);
        }
    }
}
