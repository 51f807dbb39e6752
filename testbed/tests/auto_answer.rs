//! Stories: `from` is asked to answer by itself.

use call_control::{EndReason, PartyState};
use test_phone::{Answering, PhoneEvent, Reply, Script};
use testbed::simulation::{World, answers_after, seconds};

#[test]
fn a_phone_that_obeys_answers_and_one_that_only_rings_is_waited_for() {
    for (obeys, asked, answers) in [(true, true, true), (true, false, false), (false, true, false)] {
        let mut world = World::with_seed(3);
        let answering = Answering { auto_answer: obeys, reply: Reply::Never, ..Answering::default() };
        let from = world.phone("1001", Script { answering, ..Script::default() }, 500.0);
        let to = world.phone("1002", answers_after(0.5), 700.0);
        world.register_all();
        let mut request = World::request("1001", "1002");
        request.auto_answer = asked;
        request.timeout = seconds(10.0);
        let call = world.click_to_call(request).unwrap();
        world.run_for(seconds(3.0));
        let state = world.call(call).from.state;
        assert_eq!(state == PartyState::Answered, answers, "{obeys} {asked}");
        world.run_for(seconds(10.0));
        if world.is_live(call) {
            world.hang_up(call);
        }
        let reason = world.run_until_ended(call).end.as_ref().unwrap().reason;
        assert_eq!(reason, if answers { EndReason::HungUp } else { EndReason::NoAnswer }, "{obeys} {asked}");
        // Whoever is called behind it is not asked to.
        let asked_to = world
            .phone_events(to)
            .iter()
            .any(|event| matches!(event, PhoneEvent::Incoming { auto_answer: true, .. }));
        assert!(!asked_to);
        let asked_from = world
            .phone_events(from)
            .iter()
            .any(|event| matches!(event, PhoneEvent::Incoming { auto_answer: true, .. }));
        assert_eq!(asked_from, asked);
    }
}
