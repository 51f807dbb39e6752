//! Offers and answers after the first: what a party wants, what it is told of the other one, and how it is numbered.

use super::super::by_hand::{call, ringing, route, two_hundred};
use super::super::*;
use crate::place::Place;
use audio::Codec;
use sdp::Direction;
use sip_core::Transport;
use std::net::SocketAddr;

/// A leg with one phone.
struct World {
    leg: Leg,
    now: Instant,
    /// What it was sent, in order.
    sent: Vec<Sent>,
    told: Vec<LegEvent>,
}

/// What a phone was sent of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Offer(String),
    Answer(String),
    Refusal(u16),
    Information(Vec<u8>),
    Status(u16),
}

impl World {
    fn ringing() -> Self {
        let now = Instant::now();
        let termination = Termination { session: SessionId(1), id: TerminationId(2) };
        let mut leg = Leg::outgoing(call(), LegId(2), termination, 7, now + Duration::from_secs(30));
        let codecs = vec![Codec::Pcma, Codec::Pcmu];
        leg.ring(Routes { groups: [vec![route(6000)]].into(), codecs, ..Routes::default() }, now);
        let mut world = Self { leg, now, sent: Vec::new(), told: Vec::new() };
        world.drain();
        world.hear(ringing());
        world
    }

    fn talking() -> Self {
        let mut world = Self::ringing();
        world.hear(two_hundred("0"));
        world.sent.clear();
        world.told.clear();
        world
    }

    fn hear(&mut self, event: InviteEvent) {
        self.leg.handle_invite(0, event, self.now);
        self.drain();
    }

    /// The phone offers PCMU, to be sent and heard like that.
    fn offers(&mut self, direction: &str) {
        self.offers_as(|body| body.replace("sendrecv", direction));
    }

    /// It offers what is made of a usual description.
    fn offers_as(&mut self, change: impl FnOnce(String) -> String) {
        self.offers_from(([127, 0, 0, 1], 6000).into(), change);
    }

    fn offers_from(&mut self, remote: SocketAddr, change: impl FnOnce(String) -> String) {
        let flow =
            Flow { transport: Transport::Udp, local: ([127, 0, 0, 1], 5060).into(), remote, peer: None };
        let body = change(description("sendrecv"));
        self.hear(InviteEvent::Offered { body: Some(body.into_bytes()), flow });
    }

    fn answers(&mut self, direction: &str) {
        self.hears_answer(direction, false);
    }

    fn hears_answer(&mut self, direction: &str, is_overtaken: bool) {
        self.hear(InviteEvent::Reanswered { body: description(direction).into_bytes(), is_overtaken });
    }

    fn other_wants(&mut self, direction: Direction) {
        self.leg.tell_wish(direction);
        self.drain();
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is of no session is of no interest here")]
    fn drain(&mut self) {
        while let Some(action) = self.leg.poll_action() {
            match action {
                LegAction::Sip(Command::Offer { invite, body }) => {
                    assert_eq!(Place::from(invite).leg, LegId(2));
                    self.sent.push(Sent::Offer(String::from_utf8(body).unwrap()));
                }
                LegAction::Sip(Command::AnswerOffer { body, .. }) => {
                    self.sent.push(Sent::Answer(String::from_utf8(body).unwrap()));
                }
                LegAction::Sip(Command::RefuseOffer { status, .. }) => {
                    self.sent.push(Sent::Refusal(status.code()));
                }
                LegAction::Sip(Command::Respond { status, .. }) => {
                    self.sent.push(Sent::Status(status.code()))
                }
                LegAction::Sip(Command::Request { body, .. }) => self.sent.push(Sent::Information(body)),
                LegAction::Tell(event) => self.told.push(event),
                _ => {}
            }
        }
    }

    /// The versions in `o=` of what was sent (RFC 8866 §5.2).
    fn versions(&self) -> Vec<u64> {
        let version = |text: &String| {
            let origin = text.lines().find_map(|line| line.strip_prefix("o=")).unwrap();
            origin.split(' ').nth(2).unwrap().parse().unwrap()
        };
        let described = self.sent.iter().filter_map(|sent| match sent {
            Sent::Offer(text) | Sent::Answer(text) => Some(version(text)),
            Sent::Refusal(_) | Sent::Information(_) | Sent::Status(_) => None,
        });
        described.collect()
    }

    fn last_direction(&self) -> &'static str {
        let Some(Sent::Offer(text) | Sent::Answer(text)) = self.sent.last() else {
            panic!("{:?}", self.sent)
        };
        let directions = ["sendonly", "recvonly", "inactive", "sendrecv"];
        let found = directions.into_iter().find(|direction| text.contains(&format!("a={direction}\r\n")));
        found.unwrap_or("sendrecv")
    }
}

fn description(direction: &str) -> String {
    format!(
        "v=0\r\no=- 1 9 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na={direction}\r\n"
    )
}

#[test]
fn each_description_of_ours_has_a_higher_version() {
    let mut world = World::talking();
    world.other_wants(Direction::SendOnly);
    world.answers("recvonly");
    world.offers("sendonly");
    world.other_wants(Direction::SendRecv);
    world.answers("sendrecv");
    let versions = world.versions();
    assert_eq!(versions.len(), 3, "{:?}", world.sent);
    assert!(versions[0] > 1, "the first offer had 1");
    assert!(versions.is_sorted_by(|before, after| before < after), "{versions:?}");
}

#[test]
fn an_offer_of_ours_that_waits_is_made_anew_behind_an_answer() {
    let mut world = World::talking();
    world.other_wants(Direction::SendOnly);
    // Before it is answered the phone offers something itself.
    world.offers("sendrecv");
    assert!(matches!(world.sent[..], [Sent::Offer(_), Sent::Answer(_), Sent::Offer(_)]), "{:?}", world.sent);
    let versions = world.versions();
    assert!(versions[2] > versions[1], "{versions:?}");
    assert_eq!(world.last_direction(), "sendonly");
    // One that was answered does not wait.
    world.answers("recvonly");
    world.sent.clear();
    world.offers("sendrecv");
    assert!(matches!(world.sent[..], [Sent::Answer(_)]), "{:?}", world.sent);
}

#[test]
fn an_offer_that_was_refused_waits_no_more() {
    let mut world = World::talking();
    world.other_wants(Direction::SendOnly);
    world.hear(InviteEvent::ReofferRefused { status: StatusCode::NOT_ACCEPTABLE_HERE });
    world.sent.clear();
    world.offers("sendrecv");
    assert!(matches!(world.sent[..], [Sent::Answer(_)]), "{:?}", world.sent);
}

#[test]
fn the_answer_to_an_offer_that_allows_less_is_not_what_the_party_wants() {
    let mut world = World::talking();
    // The other party holds: this one may only listen, and answers so, or does not even do that.
    for answer in ["recvonly", "inactive"] {
        world.other_wants(Direction::SendOnly);
        world.answers(answer);
        assert_eq!(world.leg.wish(), Direction::SendRecv, "{answer}");
        world.other_wants(Direction::Inactive);
        world.answers("inactive");
        assert_eq!(world.leg.wish(), Direction::SendRecv);
    }
    assert!(!world.told.iter().any(|event| matches!(event, LegEvent::Wishes)), "{:?}", world.told);
    // Where everything is allowed, an answer says what it wants.
    world.other_wants(Direction::SendRecv);
    world.answers("recvonly");
    assert_eq!(world.leg.wish(), Direction::RecvOnly);
    assert!(matches!(world.told[..], [LegEvent::Wishes]), "{:?}", world.told);
}

#[test]
fn what_a_party_leaves_out_because_the_other_one_holds_it_still_wants() {
    let mut world = World::talking();
    world.other_wants(Direction::SendOnly);
    world.answers("recvonly");
    world.offers("recvonly");
    assert_eq!(world.leg.wish(), Direction::SendRecv);
    assert_eq!(world.last_direction(), "sendonly");
}

#[test]
fn a_hold_is_told_once_and_limits_what_is_answered() {
    let mut world = World::talking();
    world.offers("sendonly");
    assert_eq!((world.leg.wish(), world.last_direction()), (Direction::SendOnly, "recvonly"));
    world.offers("sendonly");
    assert!(matches!(world.told[..], [LegEvent::Wishes]), "{:?}", world.told);
    world.offers("sendrecv");
    assert_eq!(world.leg.wish(), Direction::SendRecv);
    assert!(matches!(world.told[..], [LegEvent::Wishes, LegEvent::Wishes]), "{:?}", world.told);
}

#[test]
fn an_offer_without_a_codec_of_ours_is_refused_and_the_session_stands() {
    let mut world = World::talking();
    let flow = Flow {
        transport: Transport::Udp,
        local: ([127, 0, 0, 1], 5060).into(),
        remote: ([127, 0, 0, 1], 6000).into(),
        peer: None,
    };
    let body = description("sendonly").replace("RTP/AVP 0", "RTP/AVP 18");
    world.hear(InviteEvent::Offered { body: Some(body.into_bytes()), flow });
    assert_eq!(world.sent, [Sent::Refusal(488)]);
    assert_eq!(world.leg.wish(), Direction::SendRecv);
}

/// Some phones hold with port 0, and take it back with a port.
#[test]
fn a_stream_that_is_closed_is_a_hold_until_it_is_open_again() {
    let mut world = World::talking();
    world.offers_as(|body| body.replace("m=audio 4000", "m=audio 0"));
    let Some(Sent::Answer(answer)) = world.sent.last() else { panic!("{:?}", world.sent) };
    assert!(answer.contains("\r\nm=audio 0 RTP/AVP 0\r\n"), "{answer}");
    assert_eq!(world.leg.wish(), Direction::Inactive);
    assert!(matches!(world.told[..], [LegEvent::Wishes]), "{:?}", world.told);
    world.offers("sendrecv");
    assert_eq!((world.leg.wish(), world.last_direction()), (Direction::SendRecv, "sendrecv"));
    let Some(Sent::Answer(answer)) = world.sent.last() else { panic!("{:?}", world.sent) };
    assert!(!answer.contains("m=audio 0 "), "{answer}");
}

#[test]
fn an_answer_that_closes_the_stream_holds_too() {
    let mut world = World::talking();
    world.other_wants(Direction::SendOnly);
    world.other_wants(Direction::SendRecv);
    let body = description("sendrecv").replace("m=audio 4000", "m=audio 0");
    world.hear(InviteEvent::Reanswered { body: body.into_bytes(), is_overtaken: false });
    assert_eq!(world.leg.wish(), Direction::Inactive);
}

#[test]
fn audio_at_an_address_that_only_somebody_else_knows_is_refused() {
    for (address, status) in [
        ("169.254.1.1", Some(488)),
        ("240.0.0.1", Some(488)),
        ("255.255.255.255", Some(488)),
        ("0.1.2.3", Some(488)),
        ("10.1.2.3", None),
        ("127.0.0.1", None),
    ] {
        let mut world = World::talking();
        world.offers_as(|body| body.replace("c=IN IP4 127.0.0.1", &format!("c=IN IP4 {address}")));
        match status {
            Some(status) => assert_eq!(world.sent, [Sent::Refusal(status)], "{address}"),
            None => assert!(matches!(world.sent[..], [Sent::Answer(_)]), "{address}"),
        }
    }
    // Reports alone are no reason.
    let mut world = World::talking();
    world.offers_as(|body| format!("{body}a=rtcp:4001 IN IP4 169.254.1.1\r\n"));
    assert!(matches!(world.sent[..], [Sent::Answer(_)]), "{:?}", world.sent);
    // From elsewhere the loopback address is another one.
    let mut world = World::talking();
    world.offers_from(([192, 0, 2, 7], 6000).into(), |body| body);
    assert_eq!(world.sent, [Sent::Refusal(488)]);
}

#[test]
fn the_other_party_is_told_nothing_before_this_one_has_answered() {
    let mut world = World::ringing();
    world.other_wants(Direction::SendOnly);
    assert_eq!(world.sent, []);
}

#[test]
fn the_answer_to_an_offer_that_was_overtaken_is_not_what_the_party_wants() {
    let mut world = World::talking();
    world.other_wants(Direction::SendOnly);
    world.other_wants(Direction::SendRecv);
    // To the first of them.
    world.hears_answer("recvonly", true);
    assert_eq!(world.leg.wish(), Direction::SendRecv);
    world.answers("sendrecv");
    assert_eq!(world.leg.wish(), Direction::SendRecv);
    assert!(!world.told.iter().any(|event| matches!(event, LegEvent::Wishes)), "{:?}", world.told);
}
