//! Two phones, played by hand, that talk.
#![expect(clippy::unwrap_used, reason = "what a test cannot set up fails it")]
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use audio::tone_share;
use call_control::{Call, CallId, CallState, EndReason};
use std::sync::Arc;
use std::time::Instant;
use testbed::SipText;
use testbed::simulation::{ByHand, PhoneId, World, seconds};

pub(crate) const FROM_HERTZ: f64 = 700.0;
pub(crate) const TO_HERTZ: f64 = 1100.0;

/// A moment, and a later one.
pub(crate) type Stretch = (Instant, Instant);

pub(crate) struct Talk {
    pub(crate) world: World,
    pub(crate) id: CallId,
    pub(crate) from: PhoneId,
    pub(crate) to: PhoneId,
}

impl Talk {
    /// 1001 and 1002, or with every codec 1008 and 1009, each prepared like this, are in a call and rung.
    pub(crate) fn ringing([one, two]: [&str; 2], prepare: impl Fn(&mut ByHand, bool)) -> Self {
        let mut world = World::with_seed(61);
        let from = world.phone_by_hand(one, FROM_HERTZ);
        let to = world.phone_by_hand(two, TO_HERTZ);
        world.play(from, |phone, _| prepare(phone, true));
        world.play(to, |phone, _| prepare(phone, false));
        world.register_all();
        let id = world.click_to_call(World::request(one, two)).unwrap();
        Self { world, id, from, to }
    }

    pub(crate) fn prepared(prepare: impl Fn(&mut ByHand, bool)) -> Self {
        Self::ringing(["1001", "1002"], prepare).talking()
    }

    pub(crate) fn new() -> Self {
        Self::prepared(|_, _| {})
    }

    /// Runs until both talk, and for a second.
    pub(crate) fn talking(mut self) -> Self {
        let id = self.id;
        let talks = self.world.run_until(seconds(10.0), |world| world.state(id) == CallState::Talking);
        assert!(talks, "{}", self.world.story());
        self.world.run_for(seconds(1.0));
        self
    }

    pub(crate) fn parties(&self, first_is_from: bool) -> (PhoneId, PhoneId) {
        if first_is_from { (self.from, self.to) } else { (self.to, self.from) }
    }

    /// Runs on for a second, then for so long, and says when that was.
    pub(crate) fn stretch(&mut self, time: f64) -> Stretch {
        self.world.run_for(seconds(1.0));
        let from = self.world.now();
        self.world.run_for(seconds(time));
        (from, self.world.now())
    }

    pub(crate) fn packets(&self, phone: PhoneId, (from, until): Stretch) -> usize {
        let heard = self.world.by_hand(phone).heard().unwrap();
        heard.arrivals.iter().filter(|arrival| arrival.at >= from && arrival.at < until).count()
    }

    /// The share of the other party's tone in what a phone heard.
    pub(crate) fn share(&self, phone: PhoneId, (from, until): Stretch) -> f64 {
        let heard = self.world.by_hand(phone).heard().unwrap();
        let hertz = if phone == self.from { TO_HERTZ } else { FROM_HERTZ };
        tone_share(heard.between(from, until), heard.sample_rate, hertz)
    }

    /// Both hear each other for two seconds from now on, without a hole.
    pub(crate) fn assert_both_hear(&mut self, what: &str) {
        let talk = self.stretch(2.0);
        for phone in [self.from, self.to] {
            let share = self.share(phone, talk);
            assert!(share > 0.95, "{what}: {phone:?} hears {share}\n{}", self.world.story());
        }
    }

    /// Methods of the requests and final responses that a phone received, in their order.
    pub(crate) fn seen(&self, phone: PhoneId) -> Vec<String> {
        let word = |message: &SipText| match (message.method(), message.status()) {
            (Some(method), _) => Some(method.to_owned()),
            (None, Some(status)) if status >= 200 => Some(status.to_string()),
            (None, _) => None,
        };
        self.world.by_hand(phone).received().iter().filter_map(word).collect()
    }

    /// The API hangs up, and everything ends as it should.
    pub(crate) fn end(mut self) -> Arc<Call> {
        self.world.hang_up(self.id);
        let call = self.ended();
        assert_eq!(call.end.as_ref().unwrap().reason, EndReason::HungUp, "{}", self.world.story());
        call
    }

    /// The call ends by itself; neither phone is in a call any more.
    pub(crate) fn ended(&mut self) -> Arc<Call> {
        let call = self.world.run_until_ended(self.id);
        for phone in [self.from, self.to] {
            assert!(!self.world.by_hand(phone).is_in_call(), "{phone:?}\n{}", self.world.story());
        }
        call
    }
}
