//! What the user wants of its INVITE usages.

use super::Endpoint;
use super::outbox::Letter;
use crate::invite::{EstablishedEvent, IncomingEvent};
use crate::{Command, InviteId};
use std::time::Instant;

/// What the endpoint ends for nobody is named by itself, from here on.
const FIRST_OF_OUR_OWN: u64 = 1 << 63;

impl Endpoint {
    /// Does what the user asks. A name of a usage that is in use already is an error of the user, and its command is
    /// ignored.
    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Invite { invite, new } if self.is_free(invite) => self.invite(invite, *new, now),
            Command::Take { invite, incoming, reach, credentials } if self.is_free(invite) => {
                self.take(invite, *incoming, (reach, credentials), now);
            }
            Command::EndSaved { invite, saved, reason } if self.is_free(invite) => {
                self.end_saved(invite, &saved, reason, now);
            }
            Command::Invite { .. } | Command::Take { .. } | Command::EndSaved { .. } => {}
            Command::Ring { invite, status, body } => self.ring(invite, status, body, now),
            Command::Accept { invite, body } => self.incoming(invite, IncomingEvent::Accept { body }, now),
            Command::Reject { invite, status, fields } => self.reject(invite, status, fields, now),
            Command::HangUp { invite, reason } => self.hang_up(invite, reason, now),
            Command::Offer { invite, body } => self.established(invite, EstablishedEvent::Offer(body), now),
            Command::AnswerOffer { invite, body } => {
                self.established(invite, EstablishedEvent::AnswerOffer(body), now);
            }
            Command::RefuseOffer { invite, status } => {
                self.established(invite, EstablishedEvent::RefuseOffer(status), now);
            }
            Command::Send { invite } => self.send_held(invite, now),
            Command::Identify { invite, fields } => self.identify(invite, fields),
            Command::TellIdentity { invite } => self.tell_identity(invite, now),
            Command::Acknowledge { invite } => self.established(invite, EstablishedEvent::Acknowledge, now),
            Command::Request { invite, method, fields, content_type, body } => {
                self.send_in_dialog(invite, Letter { method, fields, content_type, body }, now);
            }
            Command::Respond { responder, status, fields } => {
                self.respond_in_dialog(&responder, status, fields, now);
            }
        }
    }

    /// The name of a usage that the user knows nothing of.
    pub(super) fn own_invite_id(&mut self) -> InviteId {
        InviteId(FIRST_OF_OUR_OWN | self.next_id())
    }

    fn is_free(&self, invite: InviteId) -> bool {
        let is_free = !self.usages.contains_key(&invite) && invite.0 < FIRST_OF_OUR_OWN;
        debug_assert!(is_free, "{invite:?} is in use, or not one of the user");
        is_free
    }
}
