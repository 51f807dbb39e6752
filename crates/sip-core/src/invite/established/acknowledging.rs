//! The ACK, of either side: ours that waits, and theirs that our 2xx is repeated for (RFC 3261 §13.2.2.4, §13.3.1.4).

use super::{Accepted, Established, Held, State, Timer};
use crate::invite::{Action, Ending, patience};
use crate::{GoneCause, InviteEvent};
use std::time::Instant;

impl Established {
    pub(super) fn handle_acknowledge(&mut self) {
        match &self.state {
            State::AckHeld(Held::ForUser) => {
                self.actions.push_back(Action::Acknowledge { body: None });
                self.settle();
            }
            State::AckHeld(Held::ForAnswer)
            | State::AwaitingAck(_)
            | State::Stable
            | State::Offering { .. }
            | State::BackingOff { .. }
            | State::Answering(_)
            | State::Ending(_)
            | State::Gone => {}
        }
    }

    pub(super) fn handle_ack(&mut self, cseq: u32, body: Option<Vec<u8>>) {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::AwaitingAck(accepted) if accepted.cseq == cseq => {
                if accepted.initial {
                    self.emit(InviteEvent::Confirmed { body });
                } else if accepted.offers {
                    self.emit(InviteEvent::Reanswered {
                        body: body.unwrap_or_default(),
                        is_overtaken: false,
                    });
                }
                match accepted.unwanted {
                    Some(reason) => self.bye(Ending::new(GoneCause::HungUp, reason)),
                    None => self.settle(),
                }
            }
            other @ (State::AwaitingAck(_)
            | State::AckHeld(_)
            | State::Stable
            | State::Offering { .. }
            | State::BackingOff { .. }
            | State::Answering(_)
            | State::Ending(_)
            | State::Gone) => self.state = other,
        }
    }

    pub(super) fn retransmit(&mut self, now: Instant) {
        if let State::AwaitingAck(accepted) = &mut self.state {
            accepted.retransmit_after = (accepted.retransmit_after * 2).min(self.timers.t2);
            self.deadlines.set(Timer::Retransmit, now + accepted.retransmit_after);
            self.actions.push_back(Action::RepeatAccepted);
        }
    }

    pub(super) fn give_up_ack(&mut self, now: Instant) {
        if let State::AwaitingAck(_) = &self.state {
            self.actions.push_back(Action::Bye { reason: None, watched: false });
            self.end(Ending::new(GoneCause::NoAck, None), now);
        }
    }

    pub(super) fn await_ack(&mut self, cseq: u32, initial: bool, offers: bool, now: Instant) {
        let retransmit_after = self.timers.t1;
        self.enter(State::AwaitingAck(Accepted { cseq, initial, offers, retransmit_after, unwanted: None }));
        self.deadlines.set(Timer::Retransmit, now + retransmit_after);
        self.deadlines.set(Timer::NoAck, now + patience(self.timers));
    }

    pub(super) fn hang_up_unacknowledged(&mut self, ending: Ending) {
        self.actions.push_back(Action::Acknowledge { body: None });
        self.bye(ending);
    }
}
