//! What is known of one INVITE usage: what lasts, and what belongs to the stage that it is in.

use super::TransactionId;
use super::acknowledging::Acks;
use super::outbox::Outbox;
use super::provisional::Provisionals;
use super::session_timer::SessionTerms;
use crate::authentication::Authentication;
use crate::dialog::{Dialog, Way};
use crate::invite::{self, Action, Ending, Established, Held, Incoming, Outgoing};
use crate::{Flow, Reach, Timers, transport};
use sip_message::{CallId, Contacts, FieldName, Method, NameAddr, Request, Response, SipUri, Uri};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// An INVITE usage: its machine, and what its messages are made of.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) call_id: CallId,
    pub(super) local_tag: u64,
    /// Along which the INVITE went or came.
    pub(super) flow: Flow,
    /// Request-URI of our INVITE.
    pub(super) sent_to: Option<Uri>,
    pub(super) reach: Reach,
    pub(super) contact: Contacts,
    pub(super) stage: Stage,
    /// The session description that the peer has of us: sent again by a refresh.
    pub(super) session: Vec<u8>,
    pub(super) terms: SessionTerms,
    pub(super) identity: ConnectedIdentity,
    /// What the peer's last Allow lists, if it sent one.
    pub(super) peer_allows: Option<Vec<Method>>,
    pub(super) authentication: Authentication,
    pub(super) acks: Acks,
    /// When the peer sent the last requests that are not of the session.
    pub(super) asked_at: VecDeque<Instant>,
    /// Client INVITE transactions that may still bring a 2xx to acknowledge: it is held as long, even when it is over.
    pub(super) holds: usize,
    /// The user was told that it is over, or never knew of it.
    pub(super) gone: bool,
    pub(super) due: Option<Instant>,
}

/// Whom the peer talks to (RFC 4916).
#[derive(Debug, Default)]
pub(super) struct ConnectedIdentity {
    fields: Vec<(FieldName, Box<str>)>,
    /// No request has told it yet.
    is_new: bool,
}

impl ConnectedIdentity {
    pub(super) fn new(fields: Vec<(FieldName, Box<str>)>) -> Self {
        Self { fields, is_new: true }
    }

    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn tell_in(&mut self, request: &mut Request) {
        for (name, value) in &self.fields {
            request.header.fields.set(name.clone(), value);
        }
        self.is_new = false;
    }
}

/// How far a usage has come, and what is known of it there. The machine alone knows whether it is over.
#[derive(Debug)]
pub(super) enum Stage {
    /// We sent the INVITE.
    Outgoing {
        machine: Outgoing,
        first: FirstInvite,
        /// It waits to be sent, under this branch.
        held: Option<Box<(Request, u64)>>,
        /// `None` until it is sent.
        transaction: Option<TransactionId>,
        early: EarlyDialogs,
    },
    /// The peer sent the INVITE.
    Incoming { machine: Incoming, first: FirstInvite, dialog: Dialog, provisionals: Provisionals },
    /// The INVITE was answered.
    Established {
        machine: Established,
        first: FirstInvite,
        dialog: Dialog,
        origin: Origin,
        /// Our last one.
        reinvite: Option<TransactionId>,
        /// Our last 2xx to an INVITE, repeated until its ACK.
        accepted: Option<(Flow, Vec<u8>)>,
        outbox: Outbox,
    },
}

/// The INVITE that made a usage.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstInvite {
    pub(super) cseq: u32,
    /// It made no offer.
    pub(super) late_offer: bool,
}

/// Who sent the first INVITE, and what is left of the time before its answer.
#[derive(Debug)]
pub(super) enum Origin {
    /// We did, and made the Call-ID.
    Ours(EarlyDialogs),
    Theirs(Provisionals),
}

/// In which we acknowledged reliable provisional responses, by the tag of the peer.
pub(super) type EarlyDialogs = BTreeMap<Box<str>, Dialog>;

impl Usage {
    /// One of which nothing else is known yet.
    pub(super) fn new(call_id: CallId, local_tag: u64, flow: Flow, contact: Contacts, stage: Stage) -> Self {
        Self {
            call_id,
            local_tag,
            flow,
            sent_to: None,
            reach: Reach::AlongFlow,
            contact,
            stage,
            session: Vec::new(),
            terms: SessionTerms::default(),
            identity: ConnectedIdentity::default(),
            peer_allows: None,
            authentication: Authentication::new(None),
            acks: Acks::default(),
            asked_at: VecDeque::new(),
            holds: 0,
            gone: false,
            due: None,
        }
    }
}

impl Usage {
    /// The user was told: what follows needs no more than to acknowledge and end what still comes.
    pub(super) fn is_gone(&mut self) {
        self.gone = true;
        self.session = Vec::new();
        self.peer_allows = None;
        self.asked_at = VecDeque::new();
    }
}

impl Stage {
    /// Our INVITE is about to be sent.
    pub(super) fn outgoing(machine: Outgoing, first: FirstInvite) -> Self {
        Self::Outgoing { machine, first, held: None, transaction: None, early: EarlyDialogs::new() }
    }

    /// A dialog that an INVITE of ours made, and of which nobody knows how it came to be.
    pub(super) fn resumed(machine: Established, cseq: u32, dialog: Dialog) -> Self {
        let first = FirstInvite { cseq, late_offer: false };
        Self::established(machine, first, dialog, Origin::Ours(EarlyDialogs::new()))
    }

    fn established(machine: Established, first: FirstInvite, dialog: Dialog, origin: Origin) -> Self {
        let (reinvite, accepted, outbox) = (None, None, Outbox::default());
        Self::Established { machine, first, dialog, origin, reinvite, accepted, outbox }
    }

    /// Our INVITE has its 2xx.
    pub(super) fn answered(
        self,
        response: &Response,
        way: Way<'_>,
        ending: Option<Ending>,
        held: Option<Held>,
        timers: Timers,
    ) -> Self {
        match self {
            Self::Outgoing { first, mut early, .. } => {
                let begun = early.remove(response.header.to.tag().unwrap_or_default());
                let dialog = Dialog::confirm(response, way, begun);
                let machine = match ending {
                    Some(ending) => Established::unwanted(ending, timers),
                    None => {
                        let held = if first.late_offer { Some(Held::ForAnswer) } else { held };
                        Established::answered(held, timers)
                    }
                };
                Self::established(machine, first, dialog, Origin::Ours(early))
            }
            other @ (Self::Incoming { .. } | Self::Established { .. }) => other,
        }
    }

    /// The peer's INVITE gets our 2xx, with a session description or without.
    pub(super) fn accepted(self, describes: bool, timers: Timers, now: Instant) -> Self {
        match self {
            Self::Incoming { first, dialog, provisionals, .. } => {
                let offers = first.late_offer && describes;
                let machine = Established::accepted(first.cseq, offers, timers, now);
                Self::established(machine, first, dialog, Origin::Theirs(provisionals))
            }
            other @ (Self::Outgoing { .. } | Self::Established { .. }) => other,
        }
    }

    /// From the moment at which it stands for us: our 2xx, or theirs; for an INVITE of the peer from the beginning.
    pub(super) fn dialog(&self) -> Option<&Dialog> {
        match self {
            Self::Outgoing { .. } => None,
            Self::Incoming { dialog, .. } | Self::Established { dialog, .. } => Some(dialog),
        }
    }

    pub(super) fn dialog_mut(&mut self) -> Option<&mut Dialog> {
        match self {
            Self::Outgoing { .. } => None,
            Self::Incoming { dialog, .. } | Self::Established { dialog, .. } => Some(dialog),
        }
    }

    /// Early dialogs of an INVITE of ours.
    pub(super) fn early_mut(&mut self) -> Option<&mut EarlyDialogs> {
        match self {
            Self::Outgoing { early, .. } | Self::Established { origin: Origin::Ours(early), .. } => {
                Some(early)
            }
            Self::Incoming { .. } | Self::Established { origin: Origin::Theirs(_), .. } => None,
        }
    }

    /// The dialog with the peer of that tag, early or not.
    pub(super) fn dialog_with(&mut self, tag: &str) -> Option<&mut Dialog> {
        if self.early_mut().is_some_and(|early| early.contains_key(tag)) {
            return self.early_mut()?.get_mut(tag);
        }
        self.dialog_mut()
    }

    /// What is known of our provisional responses to an INVITE of the peer.
    pub(super) fn provisionals_mut(&mut self) -> Option<(FirstInvite, &mut Provisionals)> {
        match self {
            Self::Incoming { first, provisionals, .. }
            | Self::Established { first, origin: Origin::Theirs(provisionals), .. } => {
                Some((*first, provisionals))
            }
            Self::Outgoing { .. } | Self::Established { origin: Origin::Ours(_), .. } => None,
        }
    }

    /// We sent the first INVITE.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Outgoing { .. } | Self::Established { origin: Origin::Ours(_), .. } => true,
            Self::Incoming { .. } | Self::Established { origin: Origin::Theirs(_), .. } => false,
        }
    }

    /// The INVITE that is under way: the first, or our last re-INVITE.
    pub(super) fn invite_transaction(&self) -> Option<TransactionId> {
        match self {
            Self::Outgoing { transaction, .. } => *transaction,
            Self::Incoming { machine, .. } => Some(machine.transaction()),
            Self::Established { reinvite, .. } => *reinvite,
        }
    }

    /// It was answered, and a BYE was sent or came.
    pub(super) fn is_ending(&self) -> bool {
        match self {
            Self::Established { machine, .. } => !machine.is_live(),
            Self::Outgoing { .. } | Self::Incoming { .. } => false,
        }
    }

    pub(super) fn hang_up(&mut self, reason: Option<sip_message::Reason>, now: Instant) {
        match self {
            Self::Outgoing { machine, .. } => {
                machine.handle_event(invite::OutgoingEvent::HangUp(reason), now)
            }
            Self::Incoming { machine, .. } => {
                machine.handle_event(invite::IncomingEvent::HangUp(reason), now)
            }
            Self::Established { machine, .. } => {
                machine.handle_event(invite::EstablishedEvent::HangUp(reason), now);
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Outgoing { machine, .. } => machine.handle_timeout(now),
            Self::Incoming { machine, .. } => machine.handle_timeout(now),
            Self::Established { machine, .. } => machine.handle_timeout(now),
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::Outgoing { machine, .. } => machine.poll_action(),
            Self::Incoming { machine, .. } => machine.poll_action(),
            Self::Established { machine, .. } => machine.poll_action(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Outgoing { machine, .. } => machine.poll_timeout(),
            Self::Incoming { machine, .. } => machine.poll_timeout(),
            Self::Established { machine, .. } => machine.poll_timeout(),
        }
    }
}

/// Our Contact on another way.
pub(super) fn moved(old: &Contacts, flow: Flow) -> Contacts {
    let uri = match old {
        Contacts::List(list) => list.first().and_then(|address| address.uri.as_sip()),
        Contacts::Star => None,
    };
    let user = uri.and_then(SipUri::decoded_user);
    contact(user.as_deref(), flow, uri.is_some_and(|uri| uri.secure))
}

/// `is_secure`: as those of a dialog of `sips` URIs have to be.
pub(super) fn contact(user: Option<&str>, flow: Flow, is_secure: bool) -> Contacts {
    Contacts::List(vec![NameAddr::new(transport::contact(user, flow, is_secure))])
}
