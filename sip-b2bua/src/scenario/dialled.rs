//! Somebody calls us: the phone of an extension, or somebody outside through a trunk. The whole scenario.
//!
//! 1. The caller is here: its INVITE waits. Call `to`, and pass on how it goes.
//! 2. When `to` answers, answer the caller.
//! 3. When the caller is answered, connect their media.
//! 4. When either hangs up, end the call.
//!
//! | | offered | `to` rings | `to` found | caller answered | caller gone | `to` gone, or not found | end requested |
//! |---|---|---|---|---|---|---|---|
//! | `New` | **1** → `Calling` | cannot | cannot | cannot | **4** → `Ended` | cannot | → `Ended` |
//! | `Calling` | cannot | told to the caller | **2** → `Answering` | cannot | **4** → `Ended` | **4** → `Ended` | → `Ended` |
//! | `Answering` | cannot | — | cannot | **3** → `Connected` | **4** → `Ended` | **4** → `Ended` | → `Ended` |
//! | `Connected` | cannot | — | cannot | cannot | **4** → `Ended` | **4** → `Ended` | → `Ended` |
//!
//! `Connected` has holds and transfers in it: `conversation.rs`. A menu or a bot that speaks has been answered for: the
//! caller is answered then, and `Calling` goes on, as it may lead to somebody. The end hangs up on all legs that are left; a
//! caller that was not answered is refused with the status of whoever refused.

use super::{
    Action, Actions, Conversation, Event, LegEnd, LegId, Scenario, Scenarios, Search, SearchEnd, Shows,
    Wanted, Whom, Wish, end,
};
use State::{Answering, Calling, Connected, Ended, New};
use call_control::{CallState, End, NotNow, Party};
use std::sync::Arc;
use std::time::Duration;

/// One call that somebody began by dialling.
#[derive(Debug)]
pub struct Dialled {
    dialling: Dialling,
    scenarios: Arc<dyn Scenarios>,
    state: State,
    is_connected: bool,
}

/// Who calls, and whom.
#[derive(Debug, Clone)]
pub struct Dialling {
    /// Of the caller.
    pub leg: LegId,
    /// Who is called; or why it cannot be.
    pub to: Result<Whom, LegEnd>,
    /// What is shown of the caller.
    pub shows: Shows,
}

#[derive(Debug)]
enum State {
    New,
    Calling { search: Box<Search> },
    Answering { to: LegId },
    Connected(Box<Conversation>),
    Ended,
}

/// The caller decides for how long it waits; this is when nobody else does (RFC 3261 §16.6 step 11).
const RINGS_FOR: Duration = Duration::from_mins(3);

impl Scenario for Dialled {
    fn begin(&mut self, _: &mut Actions) {}

    fn handle(&mut self, event: Event, actions: &mut Actions) {
        let caller = self.dialling.leg;
        self.state = match (std::mem::replace(&mut self.state, Ended), event) {
            (_, Event::EndRequested(cause)) => self.finish(end::requested(cause, self.is_connected), actions),
            // 4. When either hangs up, end the call.
            (Connected(mut conversation), event) => match conversation.handle(&event, actions) {
                Some(end) => self.finish(end, actions),
                None => Connected(conversation),
            },
            (_, Event::Gone(leg, why)) if leg == caller => self.gone(Party::From, why, actions),
            (Answering { to }, Event::Gone(leg, why)) if leg == to => self.gone(Party::To, why, actions),
            // 1. The caller is here: call `to`.
            (New, Event::Offered(_)) => self.call_to(actions),
            // 2. When `to` answers, answer the caller.
            (Calling { search }, event) => self.search_on(search, &event, actions),
            // 3. When the caller is answered, connect their media.
            (Answering { to }, Event::Answered(leg)) if leg == caller => self.connect(to, actions),
            (state @ (New | Answering { .. } | Ended), _) => state, // Nothing follows from it.
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

impl Dialled {
    /// The call that `dialling` begins.
    pub fn new(dialling: Dialling, scenarios: Arc<dyn Scenarios>) -> Self {
        Self { dialling, scenarios, state: New, is_connected: false }
    }

    fn call_to(&mut self, actions: &mut Actions) -> State {
        let to = match &self.dialling.to {
            Ok(to) => to.clone(),
            Err(why) => return self.gone(Party::To, *why, actions),
        };
        let wanted = Wanted { party: Party::To, time: RINGS_FOR, shows: self.dialling.shows.clone() };
        let (search, end) =
            Search::begin(Arc::clone(&self.scenarios), self.dialling.leg, &to, wanted, actions);
        self.follow(Box::new(search), end, actions)
    }

    fn search_on(&mut self, mut search: Box<Search>, event: &Event, actions: &mut Actions) -> State {
        let caller = self.dialling.leg;
        if let Event::Rings(leg, progress) = event
            && *leg != caller
            && !self.is_connected
        {
            actions.push(Action::Progress(caller, *progress));
        }
        let end = search.handle(event, actions);
        self.follow(search, end, actions)
    }

    fn follow(&mut self, search: Box<Search>, end: Option<SearchEnd>, actions: &mut Actions) -> State {
        let caller = self.dialling.leg;
        match end {
            None => Calling { search },
            Some(SearchEnd::Itself) => {
                actions.push(Action::Answer(caller));
                self.connected(actions);
                Calling { search }
            }
            Some(SearchEnd::Reached(to)) => {
                search.let_go_of_the_rest(to, actions);
                if self.is_connected {
                    return self.connect(to, actions);
                }
                actions.push(Action::Answer(caller));
                Answering { to }
            }
            Some(SearchEnd::Failed(why)) => self.gone(Party::To, why, actions),
            Some(SearchEnd::Loop) => self.finish(end::looped(), actions),
        }
    }

    fn connect(&mut self, to: LegId, actions: &mut Actions) -> State {
        let scenarios = Arc::clone(&self.scenarios);
        let conversation = Conversation::begin(scenarios, self.dialling.leg, to, actions);
        self.connected(actions);
        Connected(Box::new(conversation))
    }

    fn connected(&mut self, actions: &mut Actions) {
        if !std::mem::replace(&mut self.is_connected, true) {
            actions.push(Action::Show(CallState::Connected));
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
