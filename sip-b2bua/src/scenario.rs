//! How a call goes: what it can be told, what it can want done, and who decides.
//!
//! A [`Scenario`] is the story of a call: the way in which it began, and what follows. A [`Destination`] is a way to find
//! the other party; every scenario uses it alike. Both speak of legs, sounds and timers by their names, and of nothing
//! else: SIP, the relay, the disk and the API are somebody else's. A new way for a call to begin is one new file that
//! implements [`Scenario`], a new kind of destination one that implements [`Destination`]; [`Scenarios`] says which there
//! are.
//!
//! | file | what |
//! |---|---|
//! | `click_to_call.rs` | the HTTP API asks for a call: the whole story on one page |
//! | `dialled.rs` | a phone or a carrier calls: the same for those who dial |
//! | `ring.rs` | the phones of one extension are rung, or a number outside |
//! | `search.rs` | a destination at work: where it leads to, and what it leaves behind |
//! | `conversation.rs` | both parties talk: held, transferred, until one hangs up |
//! | `end.rs` | from what happened to a leg to the end that the API shows |

mod click_to_call;
mod conversation;
mod dialled;
pub mod end;
mod ring;
mod search;

pub use click_to_call::ClickToCall;
pub use conversation::Conversation;
pub use dialled::{Dialled, Dialling};
pub use end::{EndCause, LegEnd};
pub use ring::Ring;
pub use search::{Search, SearchEnd};

use crate::place::CallNumber;
use crate::routing::Diversion;
use call_control::{CallState, CallerId, Digits, End, NotNow, Number, Party, PartyType, StepKind};
use media_relay::Sound;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Names a leg of a call; never used again in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub(crate) u16);

/// Names something that is played in a call; never used again in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SoundId(u32);

impl From<SoundId> for media_relay::PlayId {
    fn from(sound: SoundId) -> Self {
        Self(sound.0)
    }
}

/// Names a timer of a call; never used again in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timer(u32);

/// What happened. What comes late for a leg, sound or timer that is gone does not come at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A phone calls: its INVITE waits for progress, an answer or a refusal.
    Offered(LegId),
    /// A phone that is rung says how it goes.
    Rings(LegId, Progress),
    /// The party accepted our INVITE; what was agreed is known to the relay.
    Answered(LegId),
    /// The leg will never speak again.
    Gone(LegId, LegEnd),
    /// The time is over.
    Due(Timer),
    /// Somebody wants something of the two who talk; [`Scenario::takes`] has said that it is possible.
    Asked(Wish),
    /// The answer to [`Action::Ask`].
    Told(Told),
    /// The API, the relay or the end of the server asks for the end of the call.
    EndRequested(EndCause),
}

/// How it goes with a phone that is rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// 180 Ringing, 181 Call Is Being Forwarded, 182 Queued, 183 Session Progress.
    Status(u16),
    /// It may send audio already (RFC 3960), as this provisional response says.
    EarlyMedia(u16),
}

/// What a call wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ring somebody.
    Call {
        /// As whom.
        leg: LegId,
        /// Whom and how.
        order: Box<Order>,
    },
    /// Tell a phone that called how it goes.
    Progress(LegId, Progress),
    /// Accept the call of a phone.
    Answer(LegId),
    /// CANCEL, BYE with a Reason (RFC 3326), or the final response to a phone that called: as its state asks for.
    HangUp(LegId, Why),
    /// Let a leg hear a sound, until it is stopped or the leg is connected. One that has not answered hears nothing.
    Play {
        /// Who hears it.
        leg: LegId,
        /// What.
        sound: Sound,
        /// Its name.
        id: SoundId,
    },
    /// Stop a sound; one that plays no more is not touched.
    Stop(SoundId),
    /// Let a leg hear another one that has not answered yet; the sound that it hears returns when nothing comes.
    Hear {
        /// Who hears.
        who: LegId,
        /// Whom.
        whom: LegId,
    },
    /// Let two legs hear each other; what one says of holding or in an INFO is passed to the other from now on.
    Connect(LegId, LegId),
    /// Take over a leg of another call: [`Event::Answered`] follows.
    Adopt {
        /// As whom.
        leg: LegId,
        /// In whose place.
        party: Party,
        /// Which.
        foreign: Foreign,
    },
    /// Let two legs that are connected not hear each other.
    Part(LegId, LegId),
    /// Hold a leg: it is told to send nothing, and hears what is played to it. Being connected ends it.
    Hold(LegId),
    /// What was held is held no more, though nobody is to be heard yet.
    Resume(LegId),
    /// Tell a phone what has become of the transfer that it asked for (RFC 3515 §2.4.4): 100 to 699.
    Notify(LegId, u16),
    /// Keep what has happened.
    Note(Step),
    /// Ask what calls have in common; answered by [`Event::Told`].
    Ask(Ask),
    /// Start a timer.
    After(Timer, Duration),
    /// Stop a timer.
    Forget(Timer),
    /// What the API shows from now on.
    Show(CallState),
    /// The call ends, and this is why: whatever leg is left is hung up on. Nothing more is told.
    Finish(End),
}

/// Whom a leg rings, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Which party of the call it stands for.
    pub party: Party,
    /// Who is rung.
    pub whom: Whom,
    /// For how long.
    pub rings_for: Duration,
    /// The leg whose codec is offered first, so that nothing needs to be transcoded where it can do without.
    pub offers_codec_of: Option<LegId>,
    /// Codecs that this one does not know are left out of the offer, if any remain: the other party will be offered what
    /// this one takes.
    pub will_be_joined_by: Option<Whom>,
    /// What the phone shows.
    pub shows: Shows,
    /// The phone is asked to answer by itself.
    pub answers_by_itself: bool,
}

/// A number, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    /// As it was asked for.
    pub number: Number,
    /// The kind.
    pub party_type: PartyType,
}

/// What whoever is rung sees of the other party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shows {
    /// Its number, which phones here show with the name that it has here.
    pub number: Number,
    /// What is shown instead.
    pub caller_id: Option<CallerId>,
    /// Shown outside in the place of the trunk's first number, where the trunk owns it.
    pub prefers: Option<Number>,
    /// Numbers that may be shown outside, whether the trunk owns them or not; the first one that it owns goes before its
    /// own first number.
    pub caller_ids: Vec<Number>,
    /// Who was to be rung before, the last one first.
    pub diverted: Vec<Diversion>,
}

impl Shows {
    /// The number, and outside that of the trunk.
    pub const fn number(number: Number) -> Self {
        Self { number, caller_id: None, prefers: None, caller_ids: Vec::new(), diverted: Vec::new() }
    }

    /// What `to` is to see of `from`.
    pub fn asked_for(request: &call_control::ClickToCall) -> Self {
        Self {
            caller_id: request.caller_id.clone(),
            caller_ids: request.caller_ids.clone(),
            ..Self::number(request.from.clone())
        }
    }
}

/// What somebody wants of two who talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Hold this party.
    Hold(Party),
    /// Hold it no more.
    Resume(Party),
    /// Let this party hear keys.
    Dial(Party, Digits),
    /// Let somebody else take the place of a party; the other party waits meanwhile.
    Transfer(Box<Transfer>),
}

/// Somebody is to take the place of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Whose place.
    pub place: Party,
    /// Who is to take it.
    pub to: Target,
    /// The leg whose phone asked for it and is told how it goes; `None`: the API did.
    pub by: Option<LegId>,
}

/// Who is to take the place of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// It is rung.
    Rung {
        /// Whom.
        whom: Whom,
        /// What is shown to it.
        shows: Shows,
    },
    /// It talks to the same phone in another call (RFC 3891).
    Foreign {
        /// Its number.
        number: Number,
        /// Where it is.
        leg: Foreign,
    },
}

/// A leg of another call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    pub(crate) call: CallNumber,
    pub(crate) leg: LegId,
}

/// What is kept of a call beyond its two parties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What happened.
    pub step: StepKind,
    /// Whose place it concerns.
    pub party: Party,
    /// Where it leads to.
    pub number: Option<Number>,
    /// Why it failed.
    pub sip_status: Option<u16>,
}

/// Why we hang up on a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The call is over, or nobody needs this leg any more.
    Over,
    /// Another leg has taken the call.
    AnsweredElsewhere,
    /// The other party refused with this status (300 to 699).
    Refused(u16),
}

/// A question about what calls have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Is a leg of any call, ringing or answered, with this number?
    IsBusy(Number),
}

/// What is known of what calls have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// To [`Ask::IsBusy`].
    Busy(Number, bool),
}

/// What a scenario wants done, and the names that it gives.
#[derive(Debug, Default)]
pub struct Actions {
    queue: VecDeque<Action>,
    legs: u16,
    sounds: u32,
    timers: u32,
}

impl Actions {
    /// Takes over a leg of another call.
    pub fn adopt(&mut self, party: Party, foreign: Foreign) -> LegId {
        let leg = self.next_leg();
        self.push(Action::Adopt { leg, party, foreign });
        leg
    }

    /// Rings somebody.
    pub fn call(&mut self, order: Order) -> LegId {
        let leg = self.next_leg();
        self.push(Action::Call { leg, order: Box::new(order) });
        leg
    }

    /// Plays a sound to a leg.
    pub fn play(&mut self, leg: LegId, sound: Sound) -> SoundId {
        self.sounds += 1;
        let id = SoundId(self.sounds);
        self.push(Action::Play { leg, sound, id });
        id
    }

    /// Starts a timer.
    pub fn after(&mut self, time: Duration) -> Timer {
        self.timers += 1;
        let timer = Timer(self.timers);
        self.push(Action::After(timer, time));
        timer
    }

    /// Wants anything else.
    pub fn push(&mut self, action: Action) {
        self.queue.push_back(action);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Action> {
        self.queue.pop_front()
    }

    /// A name for a leg that a phone began. Beyond 65,535 legs the last name is given again: no call has so many, as the
    /// twentieth destination is its last.
    pub(crate) fn next_leg(&mut self) -> LegId {
        self.legs = self.legs.saturating_add(1);
        LegId(self.legs)
    }

    /// What was wanted since `mark` actions were queued.
    fn since(&self, mark: usize) -> impl Iterator<Item = &Action> {
        self.queue.iter().skip(mark)
    }

    fn len(&self) -> usize {
        self.queue.len()
    }
}

/// The story of a call. It never waits: what it wants to know comes back as an event.
pub trait Scenario: Debug + Send {
    /// The call begins.
    fn begin(&mut self, actions: &mut Actions);

    /// Something happened. Nothing is told after `Action::Finish`.
    fn handle(&mut self, event: Event, actions: &mut Actions);

    /// Whether this can be asked now.
    ///
    /// # Errors
    /// Why not.
    fn takes(&self, wish: &Wish) -> Result<(), NotNow>;

    /// Both parties talk, and nothing is under way that another call could not take over.
    fn can_be_left(&self) -> bool;
}

/// A way to find the other party.
pub trait Destination: Debug + Send {
    /// It begins to look for it; `for_whom` waits.
    fn begin(&mut self, for_whom: LegId, actions: &mut Actions) -> Option<Found>;

    /// Something happened, not always to what it began itself.
    fn handle(&mut self, event: &Event, actions: &mut Actions) -> Option<Found>;
}

/// What came of a destination.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// This leg is the other party.
    Reached(LegId),
    /// The destination itself is the other party while it speaks: a menu, a bot. It goes on.
    Itself,
    /// Another destination is to be tried: what a menu's option or a queue's timeout leads to.
    Instead(Whom),
    /// Nobody was found.
    Failed(LegEnd),
}

/// What a destination is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which party of the call is looked for.
    pub party: Party,
    /// How long it may take.
    pub time: Duration,
    /// What phones show of the one who waits.
    pub shows: Shows,
}

/// The ways in which calls begin, and the destinations that there are.
pub trait Scenarios: Debug + Send + Sync {
    /// The API asks for a call; `parties` are its `from` and its `to`.
    fn click_to_call(
        self: Arc<Self>,
        request: &call_control::ClickToCall,
        parties: [Whom; 2],
    ) -> Box<dyn Scenario>;

    /// A phone calls, or somebody outside.
    fn dialled(self: Arc<Self>, dialling: Dialling) -> Box<dyn Scenario>;

    /// A destination; `None` when there is none of that kind.
    fn destination(&self, whom: &Whom, wanted: &Wanted) -> Option<Box<dyn Destination>>;
}

/// What this server offers.
#[derive(Debug)]
pub struct Standard;

impl Scenarios for Standard {
    fn click_to_call(
        self: Arc<Self>,
        request: &call_control::ClickToCall,
        parties: [Whom; 2],
    ) -> Box<dyn Scenario> {
        Box::new(ClickToCall::new(request, parties, self))
    }

    fn dialled(self: Arc<Self>, dialling: Dialling) -> Box<dyn Scenario> {
        Box::new(Dialled::new(dialling, self))
    }

    fn destination(&self, whom: &Whom, wanted: &Wanted) -> Option<Box<dyn Destination>> {
        match whom.party_type {
            PartyType::Extension | PartyType::External => {
                Some(Box::new(Ring::new(whom.clone(), wanted.clone())))
            }
            PartyType::Queue | PartyType::Ivr | PartyType::AiAgent => None,
        }
    }
}
