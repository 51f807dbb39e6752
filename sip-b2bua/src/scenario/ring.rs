//! One extension: its phones are rung, and whoever waits hears that they are.

use super::{Action, Actions, Destination, Event, Found, LegId, Order, Progress, Wanted, Whom};
use media_relay::Sound;

/// The phones of an extension.
#[derive(Debug)]
pub struct Ring {
    whom: Whom,
    wanted: Wanted,
    /// Who waits, and who is rung.
    legs: Option<(LegId, LegId)>,
}

impl Ring {
    /// Rings `whom`.
    pub const fn new(whom: Whom, wanted: Wanted) -> Self {
        Self { whom, wanted, legs: None }
    }
}

impl Destination for Ring {
    fn begin(&mut self, for_whom: LegId, actions: &mut Actions) -> Option<Found> {
        actions.play(for_whom, Sound::Ringback);
        let rung = actions.call(Order {
            party: self.wanted.party,
            whom: self.whom.clone(),
            rings_for: self.wanted.time,
            offers_codec_of: Some(for_whom),
            will_be_joined_by: None,
            shows: self.wanted.shows.clone(),
            answers_by_itself: false,
        });
        self.legs = Some((for_whom, rung));
        None
    }

    fn handle(&mut self, event: &Event, actions: &mut Actions) -> Option<Found> {
        let (who, whom) = self.legs?;
        match event {
            // Its audio takes the place of the tone.
            Event::Rings(leg, Progress::EarlyMedia(_)) if *leg == whom => {
                actions.push(Action::Hear { who, whom });
                None
            }
            Event::Answered(leg) if *leg == whom => Some(Found::Reached(whom)),
            Event::Gone(leg, why) if *leg == whom => Some(Found::Failed(*why)),
            Event::Offered(_)
            | Event::Rings(..)
            | Event::Answered(_)
            | Event::Gone(..)
            | Event::Due(_)
            | Event::Asked(_)
            | Event::Told(_)
            | Event::EndRequested(_) => None,
        }
    }
}
