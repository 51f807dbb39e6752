//! Both parties have answered: they talk, are held, are transferred, until one hangs up.
//!
//! | | held, resumed, keys | transfer asked | found | not found | party gone | time over |
//! |---|---|---|---|---|---|---|
//! | `Talking` | done | → `Transferring` | cannot | cannot | the call ends | — |
//! | `Transferring` | refused | refused | connected → `Talking` | both are back → `Talking`; if the one whose place it was has hung up, the call ends | that one: goes on; the one who waits: the call ends | — |
//!
//! In a transfer one party keeps its leg and waits, and somebody else takes the place of the other one. A phone that has
//! asked for it (REFER) is told how it goes, and has time to hang up by itself before we do.

use super::{
    Action, Actions, Event, LegEnd, LegId, Scenarios, Search, SearchEnd, Step, Target, Timer, Transfer,
    Wanted, Why, Wish, end,
};
use State::{Talking, Transferring};
use call_control::{End, NotNow, Number, Party, StepKind};
use media_relay::{Keys, Sound};
use std::sync::Arc;
use std::time::Duration;

/// Two legs that were connected.
#[derive(Debug)]
pub struct Conversation {
    scenarios: Arc<dyn Scenarios>,
    from: LegId,
    to: LegId,
    /// Those whom the API holds.
    held: Vec<Party>,
    state: State,
    /// Until now.
    transfers: u8,
    /// A phone that has transferred the call may hang up until then.
    leaving: Option<(LegId, Timer)>,
}

#[derive(Debug)]
enum State {
    Talking,
    Transferring(Box<UnderWay>),
}

/// A transfer.
#[derive(Debug)]
struct UnderWay {
    /// Whose place somebody else is to take.
    place: Party,
    number: Number,
    /// The leg whose phone asked for it.
    by: Option<LegId>,
    /// The one whose place it is has hung up.
    is_vacant: bool,
    /// A menu or a bot speaks, and may lead to somebody.
    is_found: bool,
    how: How,
}

#[derive(Debug)]
enum How {
    Searching(Box<Search>),
    Adopting(LegId),
}

/// How long whoever is to take a party's place is rung: what `to_timeout` is when nobody says otherwise.
const RINGS_FOR: Duration = Duration::from_mins(1);
/// A phone that was told of its success hangs up in this time (RFC 5589 §6.1).
const HANGS_UP_IN: Duration = Duration::from_secs(3);
/// Of one call.
const TRANSFERS_MAX: u8 = 20;

const TRYING: u16 = 100;
const OK: u16 = 200;

impl Conversation {
    /// `from` and `to` are connected from now on.
    pub fn begin(scenarios: Arc<dyn Scenarios>, from: LegId, to: LegId, actions: &mut Actions) -> Self {
        actions.push(Action::Connect(from, to));
        let (held, state) = (Vec::new(), Talking);
        Self { scenarios, from, to, held, state, transfers: 0, leaving: None }
    }

    /// Whether this can be asked now.
    ///
    /// # Errors
    /// Why not.
    pub fn takes(&self, wish: &Wish) -> Result<(), NotNow> {
        if let Transferring(_) = self.state {
            return Err(NotNow::BeingTransferred);
        }
        match wish {
            Wish::Resume(party) if !self.held.contains(party) => Err(NotNow::NotHeld),
            // A phone that has transferred the call has no part in it any more.
            Wish::Transfer(transfer) if transfer.by.is_some_and(|leg| leg != self.leg(transfer.place)) => {
                Err(NotNow::NotConnected)
            }
            Wish::Transfer(_) if self.transfers >= TRANSFERS_MAX => Err(NotNow::TransferredTooOften),
            Wish::Hold(_) | Wish::Resume(_) | Wish::Dial(..) | Wish::Transfer(_) => Ok(()),
        }
    }

    /// Nothing is under way that another call could not take over.
    pub fn can_be_left(&self) -> bool {
        matches!(self.state, Talking) && self.held.is_empty()
    }

    /// Something happened; the end of the call, if that is it.
    pub fn handle(&mut self, event: &Event, actions: &mut Actions) -> Option<End> {
        match event {
            Event::Gone(leg, _) if self.leaving.is_some_and(|(leaving, _)| leaving == *leg) => {
                let (_, timer) = self.leaving.take()?;
                actions.push(Action::Forget(timer));
                None
            }
            Event::Due(timer) if self.leaving.is_some_and(|(_, until)| until == *timer) => {
                self.let_go(actions);
                None
            }
            Event::Gone(leg, why) if *leg == self.from => self.gone(Party::From, *why, actions),
            Event::Gone(leg, why) if *leg == self.to => self.gone(Party::To, *why, actions),
            Event::Asked(wish) => self.asked(wish, actions),
            Event::Offered(_)
            | Event::Rings(..)
            | Event::Answered(_)
            | Event::Gone(..)
            | Event::Told(_)
            | Event::Due(_)
            | Event::EndRequested(_) => self.go_on(event, actions),
        }
    }

    const fn leg(&self, party: Party) -> LegId {
        match party {
            Party::From => self.from,
            Party::To => self.to,
        }
    }

    fn gone(&mut self, party: Party, why: LegEnd, actions: &mut Actions) -> Option<End> {
        match &mut self.state {
            Transferring(transfer) if transfer.place == party && !transfer.is_vacant => {
                transfer.is_vacant = true;
                None
            }
            Transferring(_) | Talking => {
                self.let_go(actions);
                Some(end::of_party(party, why, true))
            }
        }
    }

    fn asked(&mut self, wish: &Wish, actions: &mut Actions) -> Option<End> {
        self.takes(wish).ok()?;
        match wish {
            Wish::Hold(party) => self.hold(*party, actions),
            Wish::Resume(party) => self.resume(*party, actions),
            Wish::Dial(party, digits) => {
                let keys = Keys::from_text(digits.as_str())?;
                actions.play(self.leg(*party), Sound::Keys(keys));
            }
            Wish::Transfer(transfer) => return self.transfer(transfer, actions),
        }
        None
    }
}

/// Holding.
impl Conversation {
    fn hold(&mut self, party: Party, actions: &mut Actions) {
        if self.held.contains(&party) {
            return;
        }
        if self.held.is_empty() {
            actions.push(Action::Part(self.from, self.to));
        }
        self.held.push(party);
        actions.push(Action::Hold(self.leg(party)));
        self.play_to_held(actions);
        note(StepKind::Held, party, None, None, actions);
    }

    fn resume(&mut self, party: Party, actions: &mut Actions) {
        self.held.retain(|held| *held != party);
        if self.held.is_empty() {
            actions.push(Action::Connect(self.from, self.to));
        } else {
            actions.push(Action::Resume(self.leg(party)));
        }
        note(StepKind::Resumed, party, None, None, actions);
    }

    /// Whoever is held hears that it is; so does the other one, who would hear nothing and might think that the line is
    /// dead.
    fn play_to_held(&self, actions: &mut Actions) {
        if !self.held.is_empty() {
            actions.play(self.from, Sound::Hold);
            actions.play(self.to, Sound::Hold);
        }
    }
}

/// Transfers.
impl Conversation {
    fn transfer(&mut self, transfer: &Transfer, actions: &mut Actions) -> Option<End> {
        let Transfer { place, to, by } = transfer;
        let (waits, leaves) = (self.leg(place.other()), self.leg(*place));
        self.transfers += 1;
        if self.held.is_empty() {
            actions.push(Action::Part(self.from, self.to));
        }
        // A hold ends with it, however it ends.
        for party in std::mem::take(&mut self.held) {
            note(StepKind::Resumed, party, None, None, actions);
        }
        actions.push(Action::Hold(waits));
        actions.play(leaves, Sound::Hold);
        let (by, place) = (*by, *place);
        if let Some(leg) = by {
            actions.push(Action::Notify(leg, TRYING));
        }
        let under_way = |number: &Number, how| {
            let number = number.clone();
            Box::new(UnderWay { place, number, by, is_vacant: false, is_found: false, how })
        };
        match to {
            Target::Rung { whom, shows } => {
                note(StepKind::TransferStarted, place, Some(&whom.number), None, actions);
                let wanted = Wanted { party: place, time: RINGS_FOR, shows: shows.clone() };
                let (search, end) = Search::begin(Arc::clone(&self.scenarios), waits, whom, wanted, actions);
                self.state = Transferring(under_way(&whom.number, How::Searching(Box::new(search))));
                self.follow(end, actions)
            }
            Target::Foreign { number, leg } => {
                note(StepKind::TransferStarted, place, Some(number), None, actions);
                let leg = actions.adopt(place, *leg);
                self.state = Transferring(under_way(number, How::Adopting(leg)));
                None
            }
        }
    }

    fn go_on(&mut self, event: &Event, actions: &mut Actions) -> Option<End> {
        let Transferring(transfer) = &mut self.state else { return None };
        let end = match (&mut transfer.how, event) {
            (How::Searching(search), event) => search.handle(event, actions),
            (How::Adopting(leg), Event::Answered(answered)) if answered == leg => {
                Some(SearchEnd::Reached(*leg))
            }
            (How::Adopting(leg), Event::Gone(gone, why)) if gone == leg => Some(SearchEnd::Failed(*why)),
            (How::Adopting(_), _) => None,
        };
        self.follow(end, actions)
    }

    fn follow(&mut self, end: Option<SearchEnd>, actions: &mut Actions) -> Option<End> {
        let end = end?;
        let Transferring(mut transfer) = std::mem::replace(&mut self.state, Talking) else { return None };
        match end {
            SearchEnd::Itself => {
                self.tell_success(&mut transfer, actions);
                self.state = Transferring(transfer);
                None
            }
            SearchEnd::Reached(leg) => {
                self.tell_success(&mut transfer, actions);
                match transfer.place {
                    Party::From => self.from = leg,
                    Party::To => self.to = leg,
                }
                actions.push(Action::Connect(self.from, self.to));
                if let How::Searching(search) = transfer.how {
                    search.let_go_of_the_rest(leg, actions);
                }
                None
            }
            SearchEnd::Failed(why) => self.failed(*transfer, why, actions),
            SearchEnd::Loop => self.failed(*transfer, LegEnd::LOOPED, actions),
        }
    }

    /// Somebody has taken the place: whoever had it is told, once, and let go.
    fn tell_success(&mut self, transfer: &mut UnderWay, actions: &mut Actions) {
        if std::mem::replace(&mut transfer.is_found, true) {
            return;
        }
        note(StepKind::TransferCompleted, transfer.place, Some(&transfer.number), None, actions);
        if transfer.is_vacant {
            return;
        }
        self.let_go(actions);
        let leaves = self.leg(transfer.place);
        match transfer.by {
            Some(leg) => {
                actions.push(Action::Notify(leg, OK));
                self.leaving = Some((leaves, actions.after(HANGS_UP_IN)));
            }
            None => actions.push(Action::HangUp(leaves, Why::Over)),
        }
    }

    fn failed(&mut self, transfer: UnderWay, why: LegEnd, actions: &mut Actions) -> Option<End> {
        let UnderWay { place, number, by, is_vacant, is_found, how } = transfer;
        if let How::Searching(search) = how {
            search.give_up(actions);
        }
        if is_found {
            return Some(end::of_party(place, why, true));
        }
        let status = end::status_of(why);
        note(StepKind::TransferFailed, place, Some(&number), Some(status), actions);
        if is_vacant {
            return Some(end::not_transferred(place, status));
        }
        if let Some(leg) = by {
            actions.push(Action::Notify(leg, status));
        }
        actions.push(Action::Connect(self.from, self.to));
        None
    }

    /// A phone that has transferred the call and has not hung up yet.
    fn let_go(&mut self, actions: &mut Actions) {
        if let Some((leg, timer)) = self.leaving.take() {
            actions.push(Action::Forget(timer));
            actions.push(Action::HangUp(leg, Why::Over));
        }
    }
}

fn note(
    step: StepKind,
    party: Party,
    number: Option<&Number>,
    sip_status: Option<u16>,
    actions: &mut Actions,
) {
    actions.push(Action::Note(Step { step, party, number: number.cloned(), sip_status }));
}
