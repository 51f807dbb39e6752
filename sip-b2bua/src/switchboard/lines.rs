//! Who is busy: each leg of each call is told here when it begins and when it is over, whatever the scenario.

use crate::place::CallNumber;
use crate::scenario::LegId;
use call_control::Number;
use std::collections::BTreeMap;

/// The numbers that have a leg, ringing or answered.
#[derive(Debug, Default)]
pub(super) struct Lines {
    numbers: BTreeMap<(CallNumber, LegId), Number>,
    legs: BTreeMap<Number, usize>,
}

impl Lines {
    pub(super) fn begin(&mut self, call: CallNumber, leg: LegId, number: Number) {
        *self.legs.entry(number.clone()).or_default() += 1;
        if let Some(before) = self.numbers.insert((call, leg), number) {
            self.count_down(&before);
        }
    }

    pub(super) fn end(&mut self, call: CallNumber, leg: LegId) {
        if let Some(number) = self.numbers.remove(&(call, leg)) {
            self.count_down(&number);
        }
    }

    /// The leg goes on as one of another call.
    pub(super) fn moved(&mut self, before: (CallNumber, LegId), after: (CallNumber, LegId)) {
        if let Some(number) = self.numbers.remove(&before) {
            self.numbers.insert(after, number);
        }
    }

    /// The call is over, however it came to that.
    pub(super) fn end_all_of(&mut self, call: CallNumber) {
        let legs = self.numbers.range((call, LegId(0))..=(call, LegId(u16::MAX)));
        let legs: Vec<LegId> = legs.map(|((_, leg), _)| *leg).collect();
        legs.into_iter().for_each(|leg| self.end(call, leg));
    }

    /// Is this leg one of that number?
    pub(super) fn is_of(&self, call: CallNumber, leg: LegId, number: &str) -> bool {
        self.numbers.get(&(call, leg)).is_some_and(|known| known.as_str() == number)
    }

    pub(super) fn is_busy(&self, number: &Number) -> bool {
        self.legs.contains_key(number)
    }

    /// Legs of all calls.
    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }

    fn count_down(&mut self, number: &Number) {
        if let Some(count) = self.legs.get_mut(number) {
            *count -= 1;
            if *count == 0 {
                self.legs.remove(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_busy_while_any_leg_of_any_call_has_it() {
        let number = |text| Number::new(text).unwrap();
        let (one, two) = (CallNumber(1), CallNumber(2));
        let mut lines = Lines::default();
        lines.begin(one, LegId(1), number("1001"));
        lines.begin(one, LegId(2), number("1002"));
        lines.begin(two, LegId(1), number("1001"));
        lines.end(one, LegId(1));
        lines.end(one, LegId(1));
        assert!(lines.is_busy(&number("1001")) && lines.is_busy(&number("1002")));
        lines.end_all_of(one);
        assert!(lines.is_busy(&number("1001")) && !lines.is_busy(&number("1002")));
        lines.end_all_of(two);
        assert!(!lines.is_busy(&number("1001")));
        assert_eq!((lines.count(), lines.legs.len()), (0, 0));
    }
}
