//! Every order of what phones and time can do to a leg.

use super::by_hand::{call, gone, refused, ringing, route, two_hundred};
use super::*;
use crate::place::Place;
use audio::Codec;

const STEP: Duration = Duration::from_millis(100);
const NO_ANSWER: Duration = Duration::from_secs(30);

/// A leg with phones that keep the promises of the INVITE usage.
struct World {
    leg: Leg,
    now: Instant,
    phones: Vec<Phone>,
    answered: usize,
    ends: Vec<LegEnd>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Phone {
    invited: bool,
    heard_of: bool,
    answered: bool,
    hung_up: bool,
    gone: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Rings(usize),
    Answers(usize),
    AnswersBadly(usize),
    Refuses(usize, u16),
    HangsUp(usize),
    ConfirmsEnd(usize),
    WeHangUp,
    TimePasses,
}

impl World {
    fn new(phones: usize) -> Self {
        Self::with_groups(&[phones])
    }

    /// Groups of so many phones each, rung one after the other.
    fn with_groups(groups: &[usize]) -> Self {
        let now = Instant::now();
        let phones: usize = groups.iter().sum();
        let mut ports = 6000..;
        let groups = groups.iter().map(|phones| ports.by_ref().take(*phones).map(route).collect()).collect();
        let termination = Termination { session: SessionId(1), id: TerminationId(2) };
        let mut leg = Leg::outgoing(call(), LegId(2), termination, 7, now + NO_ANSWER);
        leg.ring(Routes { groups, codecs: vec![Codec::Pcmu], ..Routes::default() }, now);
        let phone = Phone { invited: false, heard_of: false, answered: false, hung_up: false, gone: false };
        let mut world = Self { leg, now, phones: vec![phone; phones], answered: 0, ends: Vec::new() };
        world.drain();
        world
    }

    fn after(phones: usize, steps: &[Step]) -> Self {
        Self::after_groups(&[phones], steps)
    }

    fn after_groups(groups: &[usize], steps: &[Step]) -> Self {
        let mut world = Self::with_groups(groups);
        for step in steps {
            world.step(*step);
        }
        world
    }

    fn step(&mut self, step: Step) {
        self.now += STEP;
        match step {
            Step::Rings(phone) => {
                self.phones[phone].heard_of = true;
                self.handle(phone, ringing());
            }
            Step::Answers(phone) => {
                self.phones[phone].heard_of = true;
                self.phones[phone].answered = true;
                self.handle(phone, two_hundred("0"));
            }
            Step::AnswersBadly(phone) => {
                self.phones[phone].heard_of = true;
                self.phones[phone].answered = true;
                self.handle(phone, two_hundred("18"));
            }
            Step::Refuses(phone, status) => self.end(phone, refused(status)),
            Step::HangsUp(phone) => self.end(phone, gone(GoneCause::HungUpByPeer)),
            Step::ConfirmsEnd(phone) => self.end(phone, gone(GoneCause::Cancelled)),
            Step::WeHangUp => self.leg.hang_up(Why::Over, self.now),
            Step::TimePasses => {
                self.now += NO_ANSWER;
                self.leg.handle_timeout(self.now);
            }
        }
        self.drain();
    }

    fn end(&mut self, phone: usize, event: InviteEvent) {
        self.phones[phone].gone = true;
        self.handle(phone, event);
    }

    fn handle(&mut self, phone: usize, event: InviteEvent) {
        self.leg.handle_invite(u16::try_from(phone).unwrap(), event, self.now);
    }

    fn drain(&mut self) {
        while let Some(action) = self.leg.poll_action() {
            assert!(self.ends.is_empty(), "{action:?} after Gone");
            match action {
                LegAction::Sip(Command::Invite { invite, .. }) => self.phone(invite).invited = true,
                LegAction::Sip(Command::HangUp { invite, .. }) => {
                    let phone = self.phone(invite);
                    assert!(!phone.hung_up && !phone.gone, "hung up twice");
                    phone.hung_up = true;
                }
                LegAction::Tell(LegEvent::Answered { .. }) => self.answered += 1,
                LegAction::Tell(LegEvent::Gone(end)) => self.ends.push(end),
                LegAction::Sip(_) | LegAction::Relay(_) | LegAction::Tell(_) => {}
            }
        }
    }

    fn phone(&mut self, invite: InviteId) -> &mut Phone {
        let place = Place::from(invite);
        assert_eq!((place.call, place.leg), (call(), LegId(2)));
        &mut self.phones[usize::from(place.fork)]
    }

    fn possible(&self) -> Vec<Step> {
        let mut steps = vec![Step::WeHangUp, Step::TimePasses];
        for (index, phone) in self.phones.iter().enumerate().filter(|(_, phone)| phone.invited && !phone.gone)
        {
            steps.push(Step::ConfirmsEnd(index));
            if phone.hung_up {
                continue; // The usage reports nothing but the end after it was hung up.
            }
            steps.pop();
            if phone.answered {
                steps.push(Step::HangsUp(index));
            } else {
                let next = [Step::Rings(index), Step::Answers(index), Step::AnswersBadly(index)];
                steps.extend(next);
                steps.extend([Step::Refuses(index, 486), Step::Refuses(index, 603)]);
            }
        }
        steps
    }
}

fn explore(groups: &[usize], path: &mut Vec<Step>, depth: usize, orders: &mut usize) {
    let world = World::after_groups(groups, path);
    *orders += 1;
    assert!(world.ends.len() <= 1 && world.answered <= 1, "{path:?}");
    if !world.ends.is_empty() {
        let left = world.phones.iter().any(|phone| phone.invited && !phone.gone && !phone.hung_up);
        assert!(!left, "a phone is left ringing or talking: {path:?}");
        assert_eq!(world.leg.poll_timeout(), None, "{path:?}");
    }
    if path.len() == depth {
        return;
    }
    for step in world.possible() {
        path.push(step);
        explore(groups, path, depth, orders);
        path.pop();
    }
}

#[test]
fn every_order_of_events_leaves_no_phone_behind_and_ends_at_most_once() {
    let mut orders = 0;
    for (groups, length) in [(&[1][..], 6), (&[2], 5), (&[1, 1], 5), (&[2, 1], 4)] {
        explore(groups, &mut Vec::new(), length, &mut orders);
    }
    assert!(orders > 8_000, "only {orders} orders were tried");
}

#[test]
fn no_answer_rings_for_exactly_as_long_as_it_may() {
    let mut world = World::after(1, &[Step::Rings(0)]);
    let due = world.leg.poll_timeout().unwrap();
    assert_eq!(due, world.now - STEP + NO_ANSWER);
    world.leg.handle_timeout(due);
    world.drain();
    assert!(world.phones[0].hung_up && world.ends.is_empty());
    world.step(Step::ConfirmsEnd(0));
    assert_eq!(world.ends, [LegEnd::NoAnswer]);
}

#[test]
fn a_phone_that_never_confirms_is_given_up_after_five_seconds() {
    let mut world = World::after(1, &[Step::Rings(0), Step::WeHangUp]);
    assert_eq!(world.leg.poll_timeout(), Some(world.now + RELEASE));
    world.step(Step::TimePasses);
    assert_eq!(world.ends, [LegEnd::HungUpByUs]);
}

#[test]
fn one_busy_phone_does_not_stop_the_other_but_a_6xx_does() {
    let world = World::after(2, &[Step::Rings(0), Step::Rings(1), Step::Refuses(0, 486)]);
    assert!(!world.phones[1].hung_up);
    let mut world = World::after(2, &[Step::Rings(0), Step::Rings(1), Step::Refuses(0, 603)]);
    assert!(world.phones[1].hung_up);
    world.step(Step::ConfirmsEnd(1));
    assert_eq!(world.ends, [LegEnd::Refused { status: 603 }]);
}

#[test]
fn busy_says_more_than_unavailable() {
    let world = World::after(2, &[Step::Refuses(0, 480), Step::Refuses(1, 486)]);
    assert_eq!(world.ends, [LegEnd::Refused { status: 486 }]);
}

/// What becomes of the leg when its phone sends these in provisional responses and then answers without a body.
fn after_early_answers(early: &[(&str, &str)]) -> Vec<LegAction> {
    let mut world = World::new(1);
    for (branch, codec) in early {
        let InviteEvent::Answered { response } = two_hundred(codec) else { unreachable!() };
        let status = StatusCode::SESSION_PROGRESS;
        let (body, branch) = (Some(response.body.to_vec()), Some((*branch).into()));
        world.handle(0, InviteEvent::Progress { status, body, branch });
    }
    let InviteEvent::Answered { mut response } = two_hundred("0") else { unreachable!() };
    response.set_body("application/sdp", Vec::new());
    response.header.to = response.header.to.clone().with_tag("b");
    world.handle(0, InviteEvent::Answered { response });
    std::iter::from_fn(|| world.leg.poll_action()).collect()
}

#[test]
fn an_early_answer_holds_when_the_final_one_is_empty() {
    let outputs = after_early_answers(&[("b", "0"), ("b", "0"), ("c", "0")]);
    let early = outputs
        .iter()
        .filter(|output| matches!(output, LegAction::Tell(LegEvent::EarlyMedia { .. })))
        .count();
    assert_eq!(early, 1, "{outputs:?}");
    assert!(outputs.iter().any(|output| matches!(output, LegAction::Tell(LegEvent::Answered { .. }))));
}

#[test]
fn an_early_answer_of_another_branch_or_without_a_codec_is_none() {
    for early in [("c", "0"), ("b", "18")] {
        let outputs = after_early_answers(&[early]);
        assert!(
            outputs.iter().any(|output| matches!(output, LegAction::Sip(Command::HangUp { .. }))),
            "{outputs:?}"
        );
    }
}

#[test]
fn a_party_without_phones_is_unreachable() {
    assert_eq!(World::new(0).ends, [LegEnd::Unreachable]);
}

#[test]
fn an_answer_without_a_codec_of_the_offer_is_hung_up() {
    let mut world = World::after(1, &[Step::AnswersBadly(0)]);
    assert!(world.phones[0].hung_up && world.answered == 0);
    world.step(Step::ConfirmsEnd(0));
    assert_eq!(world.ends, [LegEnd::NoCommonCodec]);
}

#[test]
fn the_next_group_is_rung_when_nobody_of_the_first_answers() {
    let mut world = World::with_groups(&[2, 0, 1]);
    world.step(Step::Refuses(0, 486));
    assert!(!world.phones[2].invited, "one of the first group still rings");
    world.step(Step::Refuses(1, 480));
    assert!(world.phones[2].invited && world.ends.is_empty());
    world.step(Step::Refuses(2, 480));
    assert_eq!(world.ends, [LegEnd::Refused { status: 486 }], "the best of all that were rung");
}

#[test]
fn nobody_is_rung_after_a_6xx_or_when_the_time_is_over() {
    let mut world = World::with_groups(&[1, 1]);
    world.step(Step::Refuses(0, 603));
    assert!(!world.phones[1].invited);
    assert_eq!(world.ends, [LegEnd::Refused { status: 603 }]);
    let mut world = World::with_groups(&[1, 1]);
    world.step(Step::Rings(0));
    world.step(Step::TimePasses);
    world.step(Step::ConfirmsEnd(0));
    assert!(!world.phones[1].invited);
    assert_eq!(world.ends, [LegEnd::NoAnswer]);
}

#[test]
fn a_leg_that_is_hung_up_on_before_it_is_known_whom_to_ring_rings_nobody() {
    let termination = Termination { session: SessionId(1), id: TerminationId(2) };
    let now = Instant::now();
    let mut leg = Leg::outgoing(call(), LegId(2), termination, 7, now + NO_ANSWER);
    leg.hang_up(Why::Over, now);
    leg.ring(
        Routes { groups: [vec![route(6000)]].into(), codecs: vec![Codec::Pcmu], ..Routes::default() },
        now,
    );
    let actions: Vec<_> = std::iter::from_fn(|| leg.poll_action()).collect();
    assert!(matches!(actions[..], [LegAction::Tell(LegEvent::Gone(LegEnd::HungUpByUs))]), "{actions:?}");
}

/// Along which transports a leg was rung whose INVITE has a field of so many octets, when this happens to the first one.
fn rung_along(octets: usize, first: InviteEvent) -> Vec<sip_core::Transport> {
    let now = Instant::now();
    let termination = Termination { session: SessionId(1), id: TerminationId(0) };
    let mut leg = Leg::outgoing(call(), LegId(2), termination, 1, now + NO_ANSWER);
    let mut route = route(5071);
    let tcp = Flow { transport: sip_core::Transport::Tcp, ..route.invite.flow };
    route.stream = Some((tcp, now + Duration::from_secs(2)));
    let field = sip_message::FieldName::new("X-Variable-a").unwrap();
    route.invite.fields.push((field, "x".repeat(octets).into()));
    let codecs = vec![Codec::Pcmu];
    leg.ring(Routes { groups: [vec![route]].into(), codecs, ..Routes::default() }, now);
    leg.handle_invite(0, first, now);
    let mut along = Vec::new();
    while let Some(action) = leg.poll_action() {
        if let LegAction::Sip(Command::Invite { new, .. }) = action {
            assert!(new.offer.is_some());
            along.push(new.flow.transport);
        }
    }
    along
}

#[test]
fn what_is_too_large_for_a_datagram_goes_by_stream_and_by_datagram_where_there_is_none() {
    use sip_core::Transport::{Tcp, Udp};
    assert_eq!(rung_along(100, gone(GoneCause::Unreachable)), [Udp]);
    assert_eq!(rung_along(1_000, gone(GoneCause::Unreachable)), [Tcp, Udp]);
    assert_eq!(rung_along(1_000, refused(486)), [Tcp], "it was heard");
    assert_eq!(rung_along(1_000, refused(503)), [Tcp]);
    assert_eq!(rung_along(1_000, ringing()), [Tcp]);
}

/// Which phones a leg has rung, one after the other, when its first one says this and then loses its connection.
fn rung_after(is_outside: bool, said: Option<InviteEvent>, seconds: u64) -> usize {
    let now = Instant::now();
    let termination = Termination { session: SessionId(1), id: TerminationId(0) };
    let mut leg = Leg::outgoing(call(), LegId(2), termination, 1, now + NO_ANSWER);
    let groups = [vec![route(5071)], vec![route(5072)]].into();
    let trunk = is_outside.then(|| "carrier".into());
    leg.ring(Routes { groups, codecs: vec![Codec::Pcmu], trunk, ..Routes::default() }, now);
    for event in [Some(InviteEvent::Trying), said, Some(InviteEvent::Disconnected)].into_iter().flatten() {
        leg.handle_invite(0, event, now);
    }
    leg.handle_timeout(now + Duration::from_secs(seconds));
    let actions = std::iter::from_fn(|| leg.poll_action());
    actions.filter(|action| matches!(action, LegAction::Sip(Command::Invite { .. }))).count()
}

#[test]
fn a_carrier_that_is_gone_after_its_100_is_waited_for_no_longer_than_one_that_is_silent() {
    assert_eq!(rung_after(true, None, 3), 1);
    assert_eq!(rung_after(true, None, 4), 2);
    assert_eq!(rung_after(true, Some(ringing()), 4), 1, "it rings, and answers along another connection");
    assert_eq!(rung_after(false, None, 4), 1, "a phone comes back");
}
