//! What the API asks of calls that run: hold, keys, a transfer.

use super::admission::{Known, RETRY_WRITING};
use super::calls::Stage;
use super::{Action, Switchboard, Ticket};
use crate::moment::Moment;
use crate::place::CallNumber;
use crate::scenario::{Shows, Target, Transfer, Whom, Wish};
use call_control::{CallId, CallerId, Number, Party, Refusal, WishRefusal};

impl Switchboard {
    pub(super) fn ask(&mut self, ticket: Ticket, id: CallId, wish: &call_control::Wish, moment: Moment) {
        let answer = self.ask_call(id, wish, moment);
        self.actions.push_back(Action::AnswerAsk { ticket, answer });
    }

    fn ask_call(&mut self, id: CallId, wish: &call_control::Wish, moment: Moment) -> Result<(), WishRefusal> {
        let number = self.calls.number_of(id);
        let number = number.filter(|number| matches!(self.calls.stage(*number), Some(Stage::Running { .. })));
        let number = number.ok_or(WishRefusal::NotFound(id))?;
        let wish = match wish {
            call_control::Wish::Hold(party) => Wish::Hold(*party),
            call_control::Wish::Resume(party) => Wish::Resume(*party),
            call_control::Wish::Dial(party, digits) => Wish::Dial(*party, digits.clone()),
            call_control::Wish::Transfer(transfer) => {
                let call_control::Transfer { party, to, to_type, caller_ids } = transfer;
                let whom = self.directory.find(to, *to_type, "to")?;
                let place = party.other();
                self.can_take_place(number, place, &whom, moment)?;
                let shows = self.shown_of(number, *party, caller_ids);
                Wish::Transfer(Box::new(Transfer { place, to: Target::Rung { whom, shows }, by: None }))
            }
        };
        let call = self.calls.machine(number).ok_or(WishRefusal::NotFound(id))?;
        call.takes(&wish)?;
        self.with_call(number, moment, |call| call.ask(wish, moment));
        Ok(())
    }

    /// Whether somebody can be rung to take the place of a party, as for a new call.
    pub(super) fn can_take_place(
        &self,
        number: CallNumber,
        place: Party,
        whom: &Whom,
        moment: Moment,
    ) -> Result<(), Refusal> {
        if self.admission.is_ending() {
            return Err(Refusal::Draining);
        }
        let Some(Stage::Running { call }) = self.calls.stage(number) else { return Ok(()) };
        let is_here = |party| call.leg_of(party).is_some_and(|(_, here)| here == whom);
        if is_here(place) || is_here(place.other()) {
            return Err(Refusal::SameParty);
        }
        let (directory, registrar, trunks) = (&self.directory, &self.registrar, &self.trunks);
        let known = Known { calls: &self.calls, directory, registrar, trunks };
        known.can_be_rung(whom, "to", moment.now)?;
        if !self.journal.can_write() {
            return Err(Refusal::StorageUnavailable { retry_after: RETRY_WRITING });
        }
        Ok(())
    }

    /// What whoever is rung sees of the party that waits for it.
    pub(super) fn shown_of(&self, number: CallNumber, party: Party, caller_ids: &[Number]) -> Shows {
        let Some(Stage::Running { call }) = self.calls.stage(number) else {
            return Shows::number(Number::anonymous());
        };
        let mut shows = call.shown_of(party);
        if !caller_ids.is_empty() {
            // A key shows no number but its own, whoever has placed the call.
            let is_its =
                |shown: &CallerId| shown.number.as_ref().is_none_or(|number| caller_ids.contains(number));
            shows.caller_id = shows.caller_id.filter(is_its);
            shows.caller_ids = caller_ids.to_vec();
        }
        shows
    }
}
