//! Stories: a party refuses, in every way and on either leg.

use call_control::EndReason::{Busy, Declined, NoCommonCodec, NotFound, Refused, Unreachable};
use call_control::{EndReason, EndedBy, Party, PartyState};
use sip_message::{Method, StatusCode};
use testbed::simulation::{RawScript, Story, says, says_with};

/// Status, reason, and Q.850 cause (RFC 3398 §8.2.6.1).
const REFUSALS: [(u16, EndReason, Option<u8>); 25] = [
    (300, Refused, None),
    (301, Refused, None),
    (302, Refused, None),
    (400, Refused, Some(41)),
    (401, Refused, Some(21)),
    (403, Refused, Some(21)),
    (404, NotFound, Some(1)),
    (407, Refused, Some(21)),
    (408, Unreachable, Some(102)),
    (410, NotFound, Some(22)),
    (480, Unreachable, Some(18)),
    (481, Refused, Some(41)),
    (484, NotFound, Some(28)),
    (486, Busy, Some(17)),
    (487, Refused, Some(127)),
    (488, NoCommonCodec, Some(65)),
    (491, Refused, None),
    (500, Unreachable, Some(41)),
    (501, Refused, Some(79)),
    (503, Unreachable, Some(41)),
    (600, Busy, Some(17)),
    (603, Declined, Some(21)),
    (604, NotFound, Some(1)),
    (606, NoCommonCodec, Some(65)),
    (607, Declined, Some(21)),
];

/// What a phone says beside the status.
const fn fields(status: u16) -> &'static str {
    match status {
        300..=399 => "Contact: <sip:1003@10.0.9.9:5060>\r\n",
        503 => "Retry-After: 120\r\n",
        _ => "",
    }
}

#[test]
fn every_refusal_of_either_party_ends_the_call_with_its_reason() {
    for party in [Party::From, Party::To] {
        for (status, reason, cause) in REFUSALS {
            for rings in [true, false] {
                let refusal = says_with(fields(status), 0.4, status);
                let deeds = if rings { vec![says(0.0, 180), refusal] } else { vec![refusal] };
                let mut story = Story::where_one_is(party, &[RawScript::new(deeds)]);
                let call = story.end();
                let end = call.end.as_ref().unwrap();
                let found = (end.reason, end.by, end.party, end.sip_status, end.q850_cause);
                let by: EndedBy = party.into();
                assert_eq!(found, (reason, by, Some(party), Some(status), cause), "{status} of {party:?}");
                assert_eq!(call.party(party).sip_status, Some(status));
                assert_eq!(story.count(party, 0, &Method::INVITE), 1, "{status}: not asked again");
                assert_eq!(story.count(party, 0, &Method::ACK), 1, "{status} of {party:?}");
                the_other_is_let_go(&story, party, status);
            }
        }
    }
}

fn the_other_is_let_go(story: &Story, party: Party, status: u16) {
    match party {
        Party::From => {
            assert_eq!(story.world.call(story.call).to.state, PartyState::Waiting);
            assert!(story.phone(Party::To, 0).log().is_empty(), "{status}: to was touched");
        }
        Party::To => {
            assert_eq!(story.count(Party::From, 0, &Method::BYE), 1);
            let told = story.told(Party::From, 0).expect("a Reason");
            let text = StatusCode::new(status).expect("a status").reason();
            assert_eq!((told.cause, told.text.as_deref()), (Some(status), Some(text)), "RFC 3326");
            assert!(told.is_protocol("SIP"));
        }
    }
}

#[test]
fn a_redirection_is_not_followed() {
    for party in [Party::From, Party::To] {
        let elsewhere = "Contact: <sip:raw@10.0.1.2:5060>\r\n";
        let mut story = Story::where_one_is(party, &[RawScript::new([says_with(elsewhere, 0.1, 302)])]);
        story.end();
        let other = usize::from(party == Party::To);
        assert_eq!(story.count(party.other(), 0, &Method::INVITE), other, "rung by a Contact of a stranger");
    }
}
