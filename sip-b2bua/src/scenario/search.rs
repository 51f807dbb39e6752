//! A destination at work. Where it leads to another one, that one goes on; what either began and did not hand over
//! ends with it.

use super::{
    Action, Actions, Destination, Event, Found, LegEnd, LegId, Scenarios, SoundId, Timer, Wanted, Whom, Why,
};
use std::sync::Arc;

/// The destinations of one call, one after the other.
#[derive(Debug)]
pub struct Search {
    scenarios: Arc<dyn Scenarios>,
    for_whom: LegId,
    wanted: Wanted,
    destination: Option<Box<dyn Destination>>,
    /// Destinations until now.
    count: u8,
    begun: Begun,
}

/// What a destination has begun.
#[derive(Debug, Default)]
struct Begun {
    legs: Vec<LegId>,
    sounds: Vec<SoundId>,
    timers: Vec<Timer>,
}

/// What came of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchEnd {
    /// This leg is the other party. [`Search::let_go_of_the_rest`] ends what is not needed any more.
    Reached(LegId),
    /// The destination itself is the other party while it speaks; the search goes on.
    Itself,
    /// Nobody was found.
    Failed(LegEnd),
    /// A twentieth destination led to yet another one.
    Loop,
}

/// Destinations of one call.
const DESTINATIONS_MAX: u8 = 20;

impl Search {
    /// Looks for somebody; `for_whom` waits.
    pub fn begin(
        scenarios: Arc<dyn Scenarios>,
        for_whom: LegId,
        whom: &Whom,
        wanted: Wanted,
        actions: &mut Actions,
    ) -> (Self, Option<SearchEnd>) {
        let (destination, begun) = (None, Begun::default());
        let mut search = Self { scenarios, for_whom, wanted, destination, count: 0, begun };
        let end = search.go_to(whom.clone(), actions);
        (search, end)
    }

    /// Something happened.
    pub fn handle(&mut self, event: &Event, actions: &mut Actions) -> Option<SearchEnd> {
        let mark = actions.len();
        let found = self.destination.as_mut()?.handle(event, actions);
        self.begun.note(actions, mark);
        self.follow(found, actions)
    }

    /// Ends what was begun, but for the leg that was reached.
    pub fn let_go_of_the_rest(self, reached: LegId, actions: &mut Actions) {
        self.begun.end(Some(reached), actions);
    }

    /// Ends what was begun.
    pub fn give_up(self, actions: &mut Actions) {
        self.begun.end(None, actions);
    }

    fn go_to(&mut self, whom: Whom, actions: &mut Actions) -> Option<SearchEnd> {
        self.count += 1;
        if self.count > DESTINATIONS_MAX {
            return Some(SearchEnd::Loop);
        }
        let Some(mut destination) = self.scenarios.destination(&whom, &self.wanted) else {
            return Some(SearchEnd::Failed(LegEnd::Unreachable));
        };
        let mark = actions.len();
        let found = destination.begin(self.for_whom, actions);
        self.begun.note(actions, mark);
        self.destination = Some(destination);
        self.follow(found, actions)
    }

    fn follow(&mut self, found: Option<Found>, actions: &mut Actions) -> Option<SearchEnd> {
        match found? {
            Found::Reached(leg) => Some(SearchEnd::Reached(leg)),
            Found::Itself => Some(SearchEnd::Itself),
            Found::Failed(why) => Some(SearchEnd::Failed(why)),
            Found::Instead(whom) => {
                std::mem::take(&mut self.begun).end(None, actions);
                self.go_to(whom, actions)
            }
        }
    }
}

impl Begun {
    fn note(&mut self, actions: &Actions, mark: usize) {
        for action in actions.since(mark) {
            match action {
                Action::Call { leg, .. } => self.legs.push(*leg),
                Action::Play { id, .. } => self.sounds.push(*id),
                Action::After(timer, _) => self.timers.push(*timer),
                Action::Progress(..)
                | Action::Answer(_)
                | Action::HangUp(..)
                | Action::Stop(_)
                | Action::Hear { .. }
                | Action::Connect(..)
                | Action::Adopt { .. }
                | Action::Part(..)
                | Action::Hold(_)
                | Action::Resume(_)
                | Action::Notify(..)
                | Action::Note(_)
                | Action::Ask(_)
                | Action::Forget(_)
                | Action::Show(_)
                | Action::Finish(_) => {}
            }
        }
    }

    /// What is over already is not touched by it.
    fn end(self, kept: Option<LegId>, actions: &mut Actions) {
        let why = if kept.is_some() { Why::AnsweredElsewhere } else { Why::Over };
        for leg in self.legs.into_iter().filter(|leg| Some(*leg) != kept) {
            actions.push(Action::HangUp(leg, why));
        }
        self.sounds.into_iter().for_each(|sound| actions.push(Action::Stop(sound)));
        self.timers.into_iter().for_each(|timer| actions.push(Action::Forget(timer)));
    }
}
