//! What the user of an [`Endpoint`](crate::Endpoint) asks of it.

use crate::{Flow, Incoming, PeerId, Responder, digest};
use sip_message::{CallId, Contacts, FieldName, Method, NameAddr, Reason, StatusCode, Uri};

/// Names an INVITE usage. The user chooses it, below 2⁶³ and never twice for one endpoint; the endpoint names what it
/// ends for nobody from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId(pub u64);

/// What is asked of an endpoint about its INVITE usages. What comes too late, or for a usage that is over or that
/// never was, does nothing.
#[derive(Debug, Clone)]
pub enum Command {
    /// Sends an INVITE. [`Sent`](crate::InviteEvent::Sent) comes before its octets.
    Invite {
        /// Names the usage from now on.
        invite: InviteId,
        /// What it says.
        new: Box<NewInvite>,
    },
    /// Whom the peer talks to now (RFC 3325 §9.1, RFC 4916 §4.3): every offer and refresh of ours says so from here on.
    Identify {
        /// A usage.
        invite: InviteId,
        /// Such as P-Asserted-Identity.
        fields: Vec<(FieldName, Box<str>)>,
    },
    /// What [`Command::Identify`] has said goes out now by UPDATE, unless it has gone out already, something of ours is
    /// under way that will carry it, or the peer takes no UPDATE.
    TellIdentity {
        /// A usage.
        invite: InviteId,
    },
    /// Sends an INVITE that waits ([`NewInvite::waits`]). Idempotent.
    Send {
        /// An INVITE of ours.
        invite: InviteId,
    },
    /// Makes a usage of an INVITE that came in: server transaction, 100 Trying, a To tag.
    Take {
        /// Names the usage from now on.
        invite: InviteId,
        /// As [`Event::Request`](crate::Event::Request) brought it.
        incoming: Box<Incoming>,
        /// How the peer is reached from then on.
        reach: Reach,
        /// What its challenges to requests of ours in the dialog are answered with.
        credentials: Option<digest::Identity>,
    },
    /// 180, or 183 with a body. Sent reliably (RFC 3262) when the INVITE asks for it: then the next one and, behind a
    /// body, the 2xx wait for the PRACK; without a PRACK in 64*T1 the INVITE is answered 500.
    Ring {
        /// An INVITE that came in.
        invite: InviteId,
        /// 101 to 199.
        status: StatusCode,
        /// A session description.
        body: Option<Vec<u8>>,
    },
    /// 200 with a session description; repeated until the ACK.
    Accept {
        /// An INVITE that came in.
        invite: InviteId,
        /// The answer, or the offer to an INVITE that made none.
        body: Vec<u8>,
    },
    /// A final response of 300 or above. `Gone` follows.
    Reject {
        /// An INVITE that came in.
        invite: InviteId,
        /// 300 to 699; 500 is sent for any other.
        status: StatusCode,
        /// Further header fields.
        fields: Vec<(FieldName, Box<str>)>,
    },
    /// Ends a usage in whatever state it is: CANCEL (held back until a provisional response, RFC 3261 §9.1), BYE
    /// (held back until the ACK of our 2xx, §15), or a final response (`480`) to an INVITE that we have not answered.
    /// Idempotent. `Gone` follows.
    HangUp {
        /// Which.
        invite: InviteId,
        /// Goes with it (RFC 3326).
        reason: Option<Reason>,
    },
    /// Sends a re-INVITE with this offer as soon as the session is stable; glare is resolved inside (RFC 3261 §14.1).
    /// Of several offers that wait only the last is sent.
    Offer {
        /// An answered INVITE.
        invite: InviteId,
        /// A session description.
        body: Vec<u8>,
    },
    /// Answers what [`Offered`](crate::InviteEvent::Offered) brought, or the offer in the 2xx to an INVITE that made
    /// none: its ACK waits for this.
    AnswerOffer {
        /// An answered INVITE.
        invite: InviteId,
        /// A session description.
        body: Vec<u8>,
    },
    /// Refuses what [`Offered`](crate::InviteEvent::Offered) brought; the session stays as it was. The offer in a 2xx
    /// cannot be refused: the call is hung up.
    RefuseOffer {
        /// An answered INVITE.
        invite: InviteId,
        /// 300 to 699.
        status: StatusCode,
    },
    /// Sends the ACK that was held back ([`Config::holds_ack`](crate::Config::holds_ack)). Idempotent.
    Acknowledge {
        /// An INVITE of ours.
        invite: InviteId,
    },
    /// Sends INFO and the like in the dialog; not to a peer whose Allow lacks the method, unless it is the NOTIFY that its
    /// own REFER asks for. Whatever becomes of it the session stands, but for a 481: the peer knows no such dialog. To a
    /// NOTIFY that says no more than that nobody there waits for it any longer (RFC 3515 §2.4.4).
    Request {
        /// An answered INVITE.
        invite: InviteId,
        /// Neither INVITE, ACK, CANCEL nor BYE.
        method: Method,
        /// Further header fields.
        fields: Vec<(FieldName, Box<str>)>,
        /// Of the body.
        content_type: Box<str>,
        /// May be empty.
        body: Vec<u8>,
    },
    /// Answers what [`Requested`](crate::InviteEvent::Requested) brought.
    Respond {
        /// As it came with the request.
        responder: Responder,
        /// Of the response.
        status: StatusCode,
        /// Further header fields.
        fields: Vec<(FieldName, Box<str>)>,
    },
    /// Ends what an endpoint of an earlier life began: CANCEL, or BYE. `Gone` follows; at once, with
    /// [`NothingToEnd`](crate::GoneCause::NothingToEnd), when what was saved cannot be read or is known here already.
    EndSaved {
        /// Names the usage from now on.
        invite: InviteId,
        /// What [`Endpoint::saved`](crate::Endpoint::saved) gave in that life.
        saved: SavedInvite,
        /// Goes with the CANCEL or BYE (RFC 3326).
        reason: Option<Reason>,
    },
}

/// An INVITE that a phone knows of, or the dialog that it made: all that CANCEL and BYE are made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SavedInvite {
    /// The one in `request`.
    pub call_id: CallId,
    /// The way to the phone.
    pub flow: Flow,
    /// The INVITE without its body as long as it has no answer, and then a BYE.
    pub request: Vec<u8>,
}

/// What an outgoing INVITE says.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// Along which it goes.
    pub flow: Flow,
    /// Request-URI: the contact URI of the registration, or the number at the trunk.
    pub uri: Uri,
    /// A tag is added.
    pub from: NameAddr,
    /// Without a tag.
    pub to: NameAddr,
    /// User part of our Contact.
    pub contact_user: Option<Box<str>>,
    /// Preloaded Route values (Path of the registration, RFC 3327 §5.3).
    pub route: Vec<NameAddr>,
    /// Further header fields.
    pub fields: Vec<(FieldName, Box<str>)>,
    /// The offer; `None` for a late offer.
    pub offer: Option<Vec<u8>>,
    /// Answered to a 401/407 only when given: never to strangers.
    pub credentials: Option<digest::Identity>,
    /// How the peer is reached from then on.
    pub reach: Reach,
    /// It is sent only at `Command::Send`: for users who keep on disk first what it is taken back with.
    pub waits: bool,
    /// Of an INVITE that goes on from another one (RFC 7332 §4); 70 when it is absent.
    pub max_forwards: Option<u8>,
}

/// Where the requests of a dialog go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Along the flow of the INVITE, whatever Contact and Route say: the peer may be behind a NAT (RFC 5626).
    #[default]
    AlongFlow,
    /// Where its route set leads, else its Contact (RFC 3261 §12.2.1.1), when that is an address that can be reached from
    /// here. Names are not looked up: whoever uses them is reached along the flow. The peer has to be this one where
    /// a connection is opened to it.
    ByRoute(Option<PeerId>),
}

/// A request outside of any dialog that is no INVITE (REGISTER by the test phone, OPTIONS …).
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// Along which it goes.
    pub flow: Flow,
    /// Neither INVITE, ACK, CANCEL nor BYE.
    pub method: Method,
    /// Request-URI.
    pub uri: Uri,
    /// A tag is added when it has none.
    pub from: NameAddr,
    /// Without a tag.
    pub to: NameAddr,
    /// Kept over refreshes of a registration (RFC 3261 §10.2).
    pub call_id: Option<CallId>,
    /// 1 when absent; one more is used for each challenge that is answered.
    pub cseq: Option<u32>,
    /// As it is to stand in the request.
    pub contact: Option<Contacts>,
    /// Further header fields.
    pub fields: Vec<(FieldName, Box<str>)>,
    /// Answered to a 401/407 only when given: never to strangers.
    pub credentials: Option<digest::Identity>,
}
