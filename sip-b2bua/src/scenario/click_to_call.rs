//! Click-to-call, the whole scenario.
//!
//! 1. Call `from`.
//! 2. When `from` answers, call `to`.
//! 3. When both have answered, connect their media.
//! 4. When either hangs up, end the call.
//!
//! | | `from` answered | `to` found | `from` gone | `to` gone, or not found | end requested |
//! |---|---|---|---|---|---|
//! | `CallingFrom` | **2** → `CallingTo` | cannot | **4** → `Ended` | cannot | → `Ended` |
//! | `CallingTo` | cannot | **3** → `Connected` | **4** → `Ended` | **4** → `Ended` | → `Ended` |
//! | `Connected` | cannot | cannot | **4** → `Ended` | **4** → `Ended` | → `Ended` |
//!
//! `Connected` has holds and transfers in it: `conversation.rs`. A menu or a bot that speaks is connected; it stays in `CallingTo`, as it may lead to somebody. The end hangs up on all
//! legs that are left. The tests below try every order of these; `call/crossings.md` says what becomes of the legs.

use super::{
    Action, Actions, Conversation, EndCause, Event, LegEnd, LegId, Order, Scenario, Scenarios, Search,
    SearchEnd, Shows, Timer, Wanted, Whom, Wish, end,
};
use State::{CallingFrom, CallingTo, Connected, Ended, New};
use call_control::{CallState, End, NotNow, Party};
use std::sync::Arc;

/// One click-to-call.
#[derive(Debug)]
pub struct ClickToCall {
    request: call_control::ClickToCall,
    from: Whom,
    to: Whom,
    scenarios: Arc<dyn Scenarios>,
    state: State,
    is_connected: bool,
    time_limit: Option<Timer>,
}

#[derive(Debug)]
enum State {
    New,
    CallingFrom { from: LegId },
    CallingTo { from: LegId, search: Box<Search> },
    Connected(Box<Conversation>),
    Ended,
}

impl Scenario for ClickToCall {
    fn begin(&mut self, actions: &mut Actions) {
        // 1. Call `from`.
        let from = actions.call(Order {
            party: Party::From,
            whom: self.from.clone(),
            rings_for: self.request.timeout,
            offers_codec_of: None,
            will_be_joined_by: Some(self.to.clone()),
            shows: Shows::number(self.request.to.clone()),
            answers_by_itself: self.request.auto_answer,
        });
        self.state = CallingFrom { from };
    }

    fn handle(&mut self, event: Event, actions: &mut Actions) {
        self.state = match (std::mem::replace(&mut self.state, Ended), event) {
            // 2. When `from` answers, call `to`.
            (CallingFrom { from }, Event::Answered(leg)) if leg == from => self.call_to(from, actions),
            (CallingFrom { from } | CallingTo { from, .. }, Event::Gone(leg, why)) if leg == from => {
                self.gone(Party::From, why, actions)
            }
            (_, Event::EndRequested(cause)) => self.finish(end::requested(cause, self.is_connected), actions),
            (_, Event::Due(timer)) if Some(timer) == self.time_limit => {
                self.finish(end::requested(EndCause::MaxDuration, true), actions)
            }
            // 3. When both have answered, connect their media.
            (CallingTo { from, mut search }, event) => {
                let end = search.handle(&event, actions);
                self.follow(from, search, end, actions)
            }
            // 4. When either hangs up, end the call.
            (Connected(mut conversation), event) => match conversation.handle(&event, actions) {
                Some(end) => self.finish(end, actions),
                None => Connected(conversation),
            },
            (state @ (New | CallingFrom { .. } | Ended), _) => state, // Nothing follows from it.
        };
    }

    fn takes(&self, wish: &Wish) -> Result<(), NotNow> {
        let Connected(conversation) = &self.state else { return Err(NotNow::NotConnected) };
        conversation.takes(wish)
    }

    fn can_be_left(&self) -> bool {
        matches!(&self.state, Connected(conversation) if conversation.can_be_left())
    }
}

impl ClickToCall {
    /// The call that `request` asks for.
    pub fn new(
        request: &call_control::ClickToCall,
        [from, to]: [Whom; 2],
        scenarios: Arc<dyn Scenarios>,
    ) -> Self {
        let request = request.clone();
        Self { request, from, to, scenarios, state: New, is_connected: false, time_limit: None }
    }

    fn call_to(&mut self, from: LegId, actions: &mut Actions) -> State {
        actions.push(Action::Show(CallState::CallingTo));
        let shows = Shows::asked_for(&self.request);
        let wanted = Wanted { party: Party::To, time: self.request.to_timeout, shows };
        let (search, end) = Search::begin(Arc::clone(&self.scenarios), from, &self.to, wanted, actions);
        self.follow(from, Box::new(search), end, actions)
    }

    fn follow(
        &mut self,
        from: LegId,
        search: Box<Search>,
        end: Option<SearchEnd>,
        actions: &mut Actions,
    ) -> State {
        match end {
            None => CallingTo { from, search },
            Some(SearchEnd::Itself) => {
                self.connected(actions);
                CallingTo { from, search }
            }
            Some(SearchEnd::Reached(to)) => {
                let conversation = Conversation::begin(Arc::clone(&self.scenarios), from, to, actions);
                search.let_go_of_the_rest(to, actions);
                self.connected(actions);
                Connected(Box::new(conversation))
            }
            Some(SearchEnd::Failed(why)) => self.gone(Party::To, why, actions),
            Some(SearchEnd::Loop) => self.finish(end::looped(), actions),
        }
    }

    fn connected(&mut self, actions: &mut Actions) {
        if !std::mem::replace(&mut self.is_connected, true) {
            actions.push(Action::Show(CallState::Connected));
            self.time_limit = self.request.max_duration.map(|time| actions.after(time));
        }
    }

    fn gone(&self, party: Party, why: LegEnd, actions: &mut Actions) -> State {
        self.finish(end::of_party(party, why, self.is_connected), actions)
    }

    fn finish(&self, end: End, actions: &mut Actions) -> State {
        actions.push(Action::Finish(end));
        Ended
    }
}

#[cfg(test)]
mod tests {
    use super::super::Standard;
    use super::*;
    use call_control::{EndReason, EndedBy, Number, PartyType};
    use std::collections::BTreeMap;
    use std::time::Duration;

    const FROM: LegId = LegId(1);
    const TO: LegId = LegId(2);

    /// Legs that keep their promises: called once, answer at most once, gone exactly once.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Leg {
        Ringing,
        Answered,
        Gone,
    }

    struct World {
        call: ClickToCall,
        actions: Actions,
        legs: BTreeMap<LegId, Leg>,
        connected: usize,
        limits: Vec<Timer>,
        finished: Vec<End>,
    }

    impl World {
        fn after(events: &[Event]) -> Self {
            let number = |text| Number::new(text).unwrap();
            let request = call_control::ClickToCall {
                from: number("1001"),
                to: number("1002"),
                to_type: None,
                caller_id: None,
                caller_ids: Vec::new(),
                timeout: Duration::from_secs(30),
                to_timeout: Duration::from_secs(60),
                max_duration: Some(Duration::from_secs(600)),
                variables: BTreeMap::new(),
                auto_answer: false,
                key_name: "test".into(),
                repeatable: None,
            };
            let extension =
                |number: &Number| Whom { number: number.clone(), party_type: PartyType::Extension };
            let parties = [&request.from, &request.to].map(extension);
            let mut world = Self {
                call: ClickToCall::new(&request, parties, Arc::new(Standard)),
                actions: Actions::default(),
                legs: BTreeMap::new(),
                connected: 0,
                limits: Vec::new(),
                finished: Vec::new(),
            };
            world.call.begin(&mut world.actions);
            world.perform();
            for event in events {
                world.apply(event.clone());
            }
            world
        }

        fn apply(&mut self, event: Event) {
            match &event {
                Event::Answered(leg) => drop(self.legs.insert(*leg, Leg::Answered)),
                Event::Gone(leg, _) => drop(self.legs.insert(*leg, Leg::Gone)),
                Event::Offered(_)
                | Event::Rings(..)
                | Event::Due(_)
                | Event::Asked(_)
                | Event::Told(_)
                | Event::EndRequested(_) => {}
            }
            self.call.handle(event, &mut self.actions);
            self.perform();
        }

        fn perform(&mut self) {
            while let Some(action) = self.actions.poll() {
                assert!(self.finished.is_empty(), "{action:?} behind the end");
                match action {
                    Action::Call { leg, .. } => assert_eq!(self.legs.insert(leg, Leg::Ringing), None),
                    Action::Play { leg, .. } => assert_eq!((leg, self.legs[&FROM]), (FROM, Leg::Answered)),
                    Action::Connect(one, other) => {
                        assert_eq!([self.legs[&one], self.legs[&other]], [Leg::Answered; 2]);
                        self.connected += 1;
                    }
                    Action::After(timer, _) => self.limits.push(timer),
                    Action::Finish(end) => self.finished.push(end),
                    Action::Stop(_) | Action::Show(_) => {}
                    other @ (Action::Progress(..)
                    | Action::Answer(_)
                    | Action::HangUp(..)
                    | Action::Hear { .. }
                    | Action::Adopt { .. }
                    | Action::Part(..)
                    | Action::Hold(_)
                    | Action::Resume(_)
                    | Action::Notify(..)
                    | Action::Note(_)
                    | Action::Ask(_)
                    | Action::Forget(_)) => panic!("{other:?}"),
                }
            }
        }

        /// What legs that keep their promises can do next, and the API and the time at any moment.
        fn possible(&self) -> Vec<Event> {
            if !self.finished.is_empty() {
                return Vec::new();
            }
            let mut events = vec![Event::EndRequested(EndCause::Api)];
            events.extend(self.limits.iter().map(|timer| Event::Due(*timer)));
            for (leg, state) in &self.legs {
                match state {
                    Leg::Ringing => {
                        events.push(Event::Answered(*leg));
                        events.push(Event::Gone(*leg, LegEnd::Refused { status: 486 }));
                    }
                    Leg::Answered => events.push(Event::Gone(*leg, LegEnd::HungUp)),
                    Leg::Gone => {}
                }
            }
            events
        }
    }

    fn explore(path: &mut Vec<Event>, orders: &mut usize) {
        let world = World::after(path);
        *orders += 1;
        assert!(world.connected <= 1 && world.finished.len() <= 1, "{path:?}");
        let anybody_is_gone = world.legs.values().any(|leg| *leg == Leg::Gone);
        assert!(!anybody_is_gone || world.finished.len() == 1, "a leg is alone: {path:?}");
        assert!(path.len() < 6, "it never ends: {path:?}");
        for event in world.possible() {
            path.push(event);
            explore(path, orders);
            path.pop();
        }
    }

    #[test]
    fn every_order_of_events_ends_once_and_leaves_nobody_alone() {
        let mut orders = 0;
        explore(&mut Vec::new(), &mut orders);
        assert_eq!(orders, 12, "from calling, to calling, connected, and what ends each");
    }

    fn end_after(events: &[Event]) -> End {
        let mut finished = World::after(events).finished;
        assert_eq!(finished.len(), 1, "{events:?}");
        finished.remove(0)
    }

    const TALK: [Event; 2] = [Event::Answered(FROM), Event::Answered(TO)];

    #[test]
    fn a_busy_from_ends_the_call_before_to_is_touched() {
        let end = end_after(&[Event::Gone(FROM, LegEnd::Refused { status: 486 })]);
        assert_eq!((end.reason, end.by, end.party), (EndReason::Busy, EndedBy::From, Some(Party::From)));
        assert_eq!((end.sip_status, end.q850_cause), (Some(486), Some(17)));
    }

    #[test]
    fn a_party_that_does_not_answer_has_the_cause_no_answer() {
        let end = end_after(&[Event::Answered(FROM), Event::Gone(TO, LegEnd::NoAnswer)]);
        assert_eq!((end.reason, end.by, end.party), (EndReason::NoAnswer, EndedBy::Server, Some(Party::To)));
        // No answer from user (ITU-T Q.850 §2.2.7.1.15).
        assert_eq!((end.sip_status, end.q850_cause), (None, Some(19)));
    }

    #[test]
    fn from_that_hangs_up_while_to_rings_has_cancelled() {
        let end = end_after(&[Event::Answered(FROM), Event::Gone(FROM, LegEnd::HungUp)]);
        assert_eq!((end.reason, end.by, end.party), (EndReason::Cancelled, EndedBy::From, None));
    }

    #[test]
    fn the_first_to_hang_up_is_named() {
        let end = end_after(&[&TALK[..], &[Event::Gone(TO, LegEnd::HungUp)]].concat());
        assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::To));
    }

    #[test]
    fn an_end_by_the_api_is_a_cancel_before_and_a_hang_up_after_the_connection() {
        let asked = [Event::EndRequested(EndCause::Api)];
        let cancelled = end_after(&asked);
        assert_eq!((cancelled.reason, cancelled.by), (EndReason::Cancelled, EndedBy::Api));
        let hung_up = end_after(&[&TALK[..], &asked].concat());
        assert_eq!((hung_up.reason, hung_up.by), (EndReason::HungUp, EndedBy::Api));
    }
}
