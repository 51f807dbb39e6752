//! Click-to-call, the whole scenario.
//!
//! 1. Call `from`.
//! 2. When `from` answers, call `to`.
//! 3. When both have answered, connect their media.
//! 4. When either hangs up, end the call.
//!
//! Both parties are callees in the sense of RFC 3261 §6: we send both INVITEs. Each leg has its own
//! offer/answer exchange with us, because the relay anchors the media; this is why none of the flows of
//! RFC 3725 §4 is needed.
//!
//! | | `from` answered | `to` answered | `from` gone | `to` gone | end requested |
//! |---|---|---|---|---|---|
//! | `CallingFrom` | **2** → `CallingTo` | cannot | → `Ended` | cannot | hang up `from` → `Ending` |
//! | `CallingTo` | cannot | **3** → `Connected` | **4** hang up `to` → `Ending` | **4** hang up `from` → `Ending` | hang up both → `Ending` |
//! | `Connected` | cannot | cannot | **4** hang up `to` → `Ending` | **4** hang up `from` → `Ending` | hang up both → `Ending` |
//! | `Ending` | ignored | ignored | last one → `Ended` | last one → `Ended` | ignored |
//! | `Ended` | cannot | cannot | cannot | cannot | ignored |
//!
//! The tests below try every order of these. What comes of each event on the legs and the relay stands in
//! `call/crossings.md`, with the name of its test.

use crate::end::{self, EndCause, LegEnd};
use Action::{ConnectMedia, Finish, HangUp, Invite, PlayRingback};
use Event::{Answered, EndRequested, Gone};
use Legs::{Both, Only};
use State::{CallingFrom, CallingTo, Connected, Ended, Ending};
use call_control::Party::{From, To};
use call_control::{End, Party};
use std::collections::VecDeque;

/// What happened to a leg, or was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The party accepted our INVITE; its answer is known to the relay.
    Answered(Party),
    /// The party's leg is over: refused, timed out, or hung up.
    Gone(Party, LegEnd),
    /// The API, a limit or the end of the server asks for the end of the call.
    EndRequested(EndCause),
}

/// What the call wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ring the party's phones.
    Invite(Party),
    /// CANCEL or BYE, whichever the leg's state calls for.
    HangUp(Party),
    /// Let the party hear that the other one is being rung.
    PlayRingback(Party),
    /// Let both hear each other.
    ConnectMedia,
    /// Both legs are over.
    Finish(End),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    CallingFrom,
    CallingTo,
    Connected,
    /// We hung up; these legs have not confirmed it yet.
    Ending {
        open: Legs,
        end: End,
    },
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Legs {
    Only(Party),
    Both,
}

/// One click-to-call.
#[derive(Debug)]
pub(crate) struct ClickToCall {
    state: State,
    actions: VecDeque<Action>,
}

impl ClickToCall {
    pub(crate) fn start() -> Self {
        // 1. Call `from`.
        Self { state: CallingFrom, actions: VecDeque::from([Invite(From)]) }
    }

    pub(crate) fn handle(&mut self, event: Event) {
        let (next, actions) = match (self.state.clone(), event) {
            // 2. When `from` answers, call `to`.
            (CallingFrom, Answered(From)) => (CallingTo, vec![PlayRingback(From), Invite(To)]),

            // 3. When both have answered, connect their media.
            (CallingTo, Answered(To)) => (Connected, vec![ConnectMedia]),

            // 4. When either hangs up, end the call.
            (CallingFrom, Gone(From, why)) => (Ended, vec![Finish(end::before_connect(From, why))]),
            (CallingTo, Gone(party, why)) => self.hang_up(party.other(), end::before_connect(party, why)),
            (Connected, Gone(party, why)) => self.hang_up(party.other(), end::connected(party, why)),
            (CallingFrom, EndRequested(cause)) => self.hang_up(From, end::requested(cause, false)),
            (CallingTo, EndRequested(cause)) => self.hang_up_both(end::requested(cause, false)),
            (Connected, EndRequested(cause)) => self.hang_up_both(end::requested(cause, true)),

            (Ending { open: Both, end }, Gone(party, _)) => {
                (Ending { open: Only(party.other()), end }, vec![])
            }
            (Ending { open: Only(open), end }, Gone(party, _)) if open == party => (Ended, vec![Finish(end)]),

            // An answer that crosses our CANCEL: the leg itself sends ACK, then BYE.
            (Ending { .. }, Answered(_)) => return,
            // The end is already under way.
            (Ending { .. } | Ended, EndRequested(_)) => return,

            // A leg answers at most once and is gone exactly once; `to` exists from step 2.
            (CallingFrom, event @ (Answered(To) | Gone(To, _)))
            | (CallingTo, event @ Answered(From))
            | (Connected, event @ Answered(_))
            | (Ending { open: Only(_), .. } | Ended, event @ Gone(..))
            | (Ended, event @ Answered(_)) => unreachable!("{event:?} in {:?}", self.state),
        };
        self.state = next;
        self.actions.extend(actions);
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn hang_up(&self, party: Party, end: End) -> (State, Vec<Action>) {
        (Ending { open: Only(party), end }, vec![HangUp(party)])
    }

    fn hang_up_both(&self, end: End) -> (State, Vec<Action>) {
        (Ending { open: Both, end }, vec![HangUp(From), HangUp(To)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use call_control::{EndReason, EndedBy};

    /// Legs that keep their promises: invited once, answer at most once, gone exactly once.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Leg {
        Absent,
        Ringing,
        Answered,
        Gone,
    }

    struct World {
        call: ClickToCall,
        legs: [Leg; 2],
        connected: usize,
        finished: Vec<End>,
    }

    const PARTIES: [Party; 2] = [From, To];

    impl World {
        fn after(events: &[Event]) -> Self {
            let mut world = Self {
                call: ClickToCall::start(),
                legs: [Leg::Absent; 2],
                connected: 0,
                finished: Vec::new(),
            };
            world.perform();
            for event in events {
                world.apply(event.clone());
            }
            world
        }

        fn apply(&mut self, event: Event) {
            match &event {
                Answered(party) => self.legs[*party as usize] = Leg::Answered,
                Gone(party, _) => self.legs[*party as usize] = Leg::Gone,
                EndRequested(_) => {}
            }
            self.call.handle(event);
            self.perform();
        }

        fn perform(&mut self) {
            while let Some(action) = self.call.poll_action() {
                match action {
                    Invite(party) => {
                        assert_eq!(self.legs[party as usize], Leg::Absent);
                        self.legs[party as usize] = Leg::Ringing;
                    }
                    HangUp(party) => {
                        assert!(
                            matches!(self.legs[party as usize], Leg::Ringing | Leg::Answered),
                            "{party:?}"
                        );
                    }
                    PlayRingback(party) => assert_eq!((party, self.legs[0]), (From, Leg::Answered)),
                    ConnectMedia => {
                        assert_eq!(self.legs, [Leg::Answered; 2]);
                        self.connected += 1;
                    }
                    Finish(end) => {
                        assert!(self.legs.iter().all(|leg| matches!(leg, Leg::Gone | Leg::Absent)));
                        self.finished.push(end);
                    }
                }
            }
        }

        /// What legs that keep their promises can do next, and the API at any moment.
        fn possible(&self) -> Vec<Event> {
            let mut events = vec![EndRequested(EndCause::Api)];
            for party in PARTIES {
                match self.legs[party as usize] {
                    Leg::Ringing => {
                        events.push(Answered(party));
                        events.push(Gone(party, LegEnd::Refused { status: 486 }));
                    }
                    Leg::Answered => events.push(Gone(party, LegEnd::HungUp)),
                    Leg::Absent | Leg::Gone => {}
                }
            }
            events
        }
    }

    fn explore(path: &mut Vec<Event>, orders: &mut usize) {
        let world = World::after(path);
        *orders += 1;
        assert!(world.connected <= 1 && world.finished.len() <= 1, "{path:?}");
        let all_over = world.legs.iter().all(|leg| matches!(leg, Leg::Gone | Leg::Absent));
        assert_eq!(world.finished.len() == 1, all_over, "{path:?}");
        if path.len() == 7 {
            return;
        }
        for event in world.possible() {
            path.push(event);
            explore(path, orders);
            path.pop();
        }
    }

    #[test]
    fn every_order_of_events_ends_once_and_only_when_both_legs_are_over() {
        let mut orders = 0;
        explore(&mut Vec::new(), &mut orders);
        assert!(orders > 400, "only {orders} orders were tried");
    }

    fn end_after(events: &[Event]) -> End {
        let mut finished = World::after(events).finished;
        assert_eq!(finished.len(), 1, "{events:?}");
        finished.remove(0)
    }

    #[test]
    fn a_busy_from_ends_the_call_before_to_is_touched() {
        let end = end_after(&[Gone(From, LegEnd::Refused { status: 486 })]);
        assert_eq!((end.reason, end.by, end.party), (EndReason::Busy, EndedBy::From, Some(From)));
        assert_eq!((end.sip_status, end.q850_cause), (Some(486), Some(17)));
    }

    #[test]
    fn from_that_hangs_up_while_to_rings_has_cancelled() {
        let end = end_after(&[Answered(From), Gone(From, LegEnd::HungUp), Gone(To, LegEnd::HungUpByUs)]);
        assert_eq!((end.reason, end.by, end.party), (EndReason::Cancelled, EndedBy::From, None));
    }

    #[test]
    fn the_first_to_hang_up_is_named() {
        let talk = [Answered(From), Answered(To)];
        let end = end_after(&[&talk[..], &[Gone(To, LegEnd::HungUp), Gone(From, LegEnd::HungUp)]].concat());
        assert_eq!((end.reason, end.by), (EndReason::HungUp, EndedBy::To));
    }

    #[test]
    fn an_end_by_the_api_is_a_cancel_before_and_a_hang_up_after_the_connection() {
        let cancelled = end_after(&[EndRequested(EndCause::Api), Gone(From, LegEnd::HungUpByUs)]);
        assert_eq!((cancelled.reason, cancelled.by), (EndReason::Cancelled, EndedBy::Api));
        let hung_up = end_after(&[
            Answered(From),
            Answered(To),
            EndRequested(EndCause::Api),
            Gone(To, LegEnd::HungUpByUs),
            Gone(From, LegEnd::HungUpByUs),
        ]);
        assert_eq!((hung_up.reason, hung_up.by), (EndReason::HungUp, EndedBy::Api));
    }
}
