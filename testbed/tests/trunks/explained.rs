//! What is said of a call that went through trunks: which of them were tried, and why the next one was.

use super::carrier::{Outside, number, numbered};
use call_control::{Finding, FindingCode, Severity};
use sip_b2bua::TrunkSettings;
use testbed::simulation::{RawScript, Zone, answers_after, says, says_with, seconds};

/// A call through two trunks whose gateways do this; and what is said of it.
fn explained(first: RawScript, second: RawScript) -> (Outside, Vec<Finding>) {
    let mut outside = Outside::with(&[first, second]);
    let call = outside.call();
    outside.end(call);
    let findings = outside.world.explanation(call).findings;
    (outside, findings)
}

fn of_trunks(findings: &[Finding]) -> Vec<(FindingCode, Severity, &str)> {
    let of_trunks = findings.iter().filter(|finding| finding.sentence.starts_with("The trunk"));
    of_trunks.map(|finding| (finding.code, finding.severity, finding.sentence.as_str())).collect()
}

#[test]
fn each_trunk_that_was_tried_is_named_with_why_the_next_one_was() {
    let (second, hint) = (RawScript::answers_after(0.3), Severity::Hint);
    let next = "It was tried next through the trunk trunk 2 at 192.0.2.2:5060.";
    let (outside, findings) = explained(RawScript::new([says(0.1, 503)]), second.clone());
    let first = format!(
        "The trunk trunk 1 at 192.0.2.1:5060 did not take the call: 503 Service Unavailable. The carrier cannot take \
         calls there at present. {next}"
    );
    assert_eq!(of_trunks(&findings), [(FindingCode::Refused, hint, first.as_str())]);
    let ladder = outside.world.ladder(findings_call(&outside));
    let trunks: Vec<_> = ladder.to.devices.iter().map(|device| device.trunk.as_deref()).collect();
    assert_eq!(trunks, [Some("trunk 1"), Some("trunk 2")]);
    assert!(ladder.from.devices.iter().all(|device| device.trunk.is_none()));

    let (_, findings) = explained(RawScript::new([]), second);
    let [(code, severity, sentence)] = of_trunks(&findings)[..] else { panic!("{findings:?}") };
    assert_eq!((code, severity), (FindingCode::Unreachable, hint));
    assert!(sentence.contains("said nothing: the INVITE was sent 4 times over UDP"), "{sentence}");
    assert!(sentence.contains("nothing came back within 4.0 s.") && sentence.ends_with(next), "{sentence}");
}

fn findings_call(outside: &Outside) -> call_control::CallId {
    outside.world.records()[0].call_id
}

#[test]
fn a_refusal_of_the_number_is_the_end_and_says_what_to_look_at() {
    for (status, code, said) in [
        (403, FindingCode::Refused, "its account may lack this destination"),
        (404, FindingCode::Refused, "as it was written, sip:+919944421125@192.0.2.1: format and dial_prefix"),
        (486, FindingCode::Busy, "The number is busy."),
        (603, FindingCode::Declined, "declined"),
    ] {
        let (_, findings) = explained(RawScript::new([says(0.1, status)]), RawScript::answers_after(0.3));
        let [(found, severity, sentence)] = of_trunks(&findings)[..] else {
            panic!("{status}: {findings:?}")
        };
        assert_eq!((found, severity), (code, Severity::Fault), "{status}");
        assert!(sentence.contains(said) && !sentence.contains("tried next"), "{sentence}");
        assert!(!findings.iter().any(|finding| finding.sentence.contains("phone of +91")), "{findings:?}");
    }
    let retry = says_with("Retry-After: 30\r\nReason: Q.850;cause=42\r\n", 0.1, 503);
    let both = RawScript::new([retry]);
    let (_, findings) = explained(both.clone(), both);
    let found = of_trunks(&findings);
    let severities: Vec<Severity> = found.iter().map(|(_, severity, _)| *severity).collect();
    assert_eq!(severities, [Severity::Fault, Severity::Hint], "the last one is why it failed");
    assert!(found[0].2.contains("It asks not to be called again for 30 s."), "{found:?}");
    assert!(found[0].2.contains("Q.850"), "{found:?}");
}

#[test]
fn a_trunk_without_a_channel_is_said_to_have_been_passed_over() {
    let first = TrunkSettings { channels: 1, ..numbered(1, "sip:192.0.2.1") };
    let trunks = vec![first, numbered(2, "sip:192.0.2.2")];
    let answers = RawScript::answers_after(0.3);
    let mut outside = Outside::of(trunks, Zone::default(), &[RawScript::rings(), answers]);
    outside.world.phone("1002", answers_after(0.5), 700.0);
    outside.world.register_all();
    let calls = [outside.call(), outside.ask(|request| request.from = number("1002")).unwrap()];
    outside.world.run_for(seconds(3.0));
    for call in calls {
        outside.world.hang_up(call);
        outside.world.run_until_ended(call);
    }
    let findings = outside.world.explanation(calls[1]).findings;
    let said = "The trunk trunk 1 was passed over for 9944421125: as many calls as channels or calls_per_second allow.";
    assert_eq!(of_trunks(&findings), [(FindingCode::LimitReached, Severity::Hint, said)]);
    assert_eq!(outside.world.ladder(calls[1]).to.passed_over, ["trunk 1"]);
    assert_eq!(of_trunks(&outside.world.explanation(calls[0]).findings), []);
}
