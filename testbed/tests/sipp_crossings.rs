//! Crossings against SIPp: what passes each other on the wire, on either leg.

use serde_json::Value;
use testbed::line::{Line, SOON, end, refused, register};
use testbed::{RtpPeer, Sipp};

/// Either party with that scenario while the other one answers; the call once `party` was in it as far as it goes.
struct Crossing {
    line: Line,
    call: String,
    phone: Sipp,
    other: Sipp,
    party: &'static str,
}

const PARTIES: [&str; 2] = ["from", "to"];

const fn other(party: &str) -> &'static str {
    if matches!(party.as_bytes(), b"from") { "to" } else { "from" }
}

impl Crossing {
    fn begin(party: &'static str, scenario: &str, status: &str) -> Self {
        let line = Line::open();
        let (phone, other) =
            (line.phone_of(party, scenario, status), line.phone_of(other(party), "answer", "-"));
        let call = line.call();
        Self { line, call, phone, other, party }
    }

    fn rung(party: &'static str, scenario: &str, status: &str) -> Self {
        let crossing = Self::begin(party, scenario, status);
        crossing.line.api.wait(&crossing.call, SOON, "ringing", |it| it[party]["state"] == "ringing");
        crossing
    }

    fn connected(party: &'static str, scenario: &str, status: &str) -> Self {
        let crossing = Self::begin(party, scenario, status);
        crossing.line.api.wait_for_state(&crossing.call, "connected", SOON);
        crossing
    }

    fn hang_up(&self) {
        assert_eq!(self.line.api.hang_up(&self.call).status, 200);
    }

    /// Both phones saw what they waited for, the other one its own end.
    fn ended(&mut self) -> Value {
        self.phone.succeeds(SOON);
        if self.party == "to" {
            self.other.succeeds(SOON);
        }
        self.line.ended(&self.call)
    }
}

#[test]
fn a_refusal_that_crosses_the_cancel_is_acknowledged() {
    for party in PARTIES {
        for status in ["487 Request Terminated", "486 Busy Here", "603 Decline", "408 Request Timeout"] {
            let mut crossing = Crossing::rung(party, "refuse_while_cancelled", status);
            crossing.hang_up();
            let ended = crossing.ended();
            assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", "api"), "{status} of {party}");
        }
    }
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up_on_either_leg() {
    for party in PARTIES {
        let mut crossing = Crossing::rung(party, "answer_while_cancelled", "-");
        crossing.hang_up();
        let ended = crossing.ended();
        assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", "api"), "{party}");
    }
}

#[test]
fn a_phone_that_ignores_the_cancel_does_not_keep_the_call() {
    for party in PARTIES {
        let mut crossing = Crossing::rung(party, "ignore_cancel", "-");
        crossing.hang_up();
        let ended = crossing.line.api.wait_for_state(&crossing.call, "ended", 2 * SOON);
        crossing.phone.succeeds(SOON);
        assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", "api"), "{party}");
    }
}

#[test]
fn of_two_devices_that_both_answer_one_has_the_call() {
    for party in PARTIES {
        let line = Line::open();
        let (index, at) = if party == "from" { (0, line.from) } else { (1, line.to) };
        let second = std::net::SocketAddr::new(at.ip(), at.port() ^ 1);
        register(&line.server, second, &line.server.extensions[index]);
        let audio = RtpPeer::bind(second.ip());
        let mut crossing =
            Sipp::start("answer_while_cancelled", second, audio.address(), "-", line.server.folder());
        let (mut from, mut to) = (line.phone_of_from("answer", "-"), line.phone_of_to("answer", "-"));
        let call = line.call();
        line.api.wait_for_state(&call, "connected", SOON);
        crossing.succeeds(SOON);
        let cancel = crossing.received("CANCEL", SOON).message;
        let told = cancel.field("Reason").expect("a Reason");
        assert!(told.contains("cause=200") && told.contains("Call completed elsewhere"), "{told}");
        assert_eq!(line.api.hang_up(&call).status, 200);
        from.succeeds(SOON);
        to.succeeds(SOON);
        let ended = line.ended(&call);
        assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"), "{party}");
    }
}

#[test]
fn a_second_2xx_of_one_device_is_acknowledged_and_hung_up() {
    for party in PARTIES {
        let mut crossing = Crossing::connected(party, "answer_twice", "-");
        let second = testbed::wait_for(SOON, || (crossing.phone.count("BYE") == 1).then_some(()));
        assert!(second.is_some(), "{party}: no BYE of the second branch");
        crossing.hang_up();
        let ended = crossing.ended();
        assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"), "{party}");
    }
}

#[test]
fn a_2xx_whose_ack_is_lost_is_acknowledged_again() {
    for party in PARTIES {
        let mut crossing = Crossing::connected(party, "answer_deaf", "-");
        let answers = |phone: &Sipp| {
            phone.seen().iter().filter(|it| it.sent && it.message.status() == Some(200)).count()
        };
        let third = testbed::wait_for(SOON, || {
            let counts = (answers(&crossing.phone), crossing.phone.count("ACK"));
            (counts == (3, 3)).then_some(())
        });
        assert!(third.is_some(), "{party}: {} copies of the 200", answers(&crossing.phone));
        crossing.hang_up();
        let ended = crossing.ended();
        assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"), "{party}");
    }
}

#[test]
fn byes_that_cross_are_both_answered() {
    for party in PARTIES {
        let mut crossing = Crossing::connected(party, "cross_bye", "-");
        crossing.hang_up();
        let ended = crossing.ended();
        assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"), "{party}");
    }
}

#[test]
fn whatever_a_phone_says_to_a_bye_it_is_over() {
    for party in PARTIES {
        for status in [
            "481 Call/Transaction Does Not Exist",
            "401 Unauthorized\n      WWW-Authenticate: Digest realm=\"elsewhere\", nonce=\"1\"",
            "407 Proxy Authentication Required\n      Proxy-Authenticate: Digest realm=\"elsewhere\", nonce=\"1\"",
            "408 Request Timeout",
            "500 Server Internal Error",
        ] {
            let mut crossing = Crossing::connected(party, "refuse_bye", status);
            crossing.hang_up();
            let ended = crossing.ended();
            assert_eq!((end(&ended).0, end(&ended).1), ("hung_up", "api"), "{status} of {party}");
            assert_eq!(crossing.phone.count("BYE"), 1, "{status} of {party}");
        }
    }
}

#[test]
fn a_bye_that_overtakes_its_2xx_ends_the_call() {
    for party in PARTIES {
        let mut crossing = Crossing::begin(party, "overtake", "-");
        let ended = crossing.ended();
        assert_eq!((end(&ended).0, end(&ended).1), ("cancelled", party));
    }
}

#[test]
fn a_redirection_ends_the_call() {
    for party in PARTIES {
        refused(party, "302 Moved Temporarily\n      Contact: <sip:1003@127.0.0.1:9>", "refused");
        refused(party, "300 Multiple Choices\n      Contact: <sip:1003@127.0.0.1:9>", "refused");
    }
}

#[test]
fn an_overloaded_or_challenging_phone_ends_the_call() {
    for party in PARTIES {
        refused(party, "503 Service Unavailable\n      Retry-After: 120", "unreachable");
        refused(
            party,
            "401 Unauthorized\n      WWW-Authenticate: Digest realm=\"e\", nonce=\"1\"",
            "refused",
        );
        refused(
            party,
            "407 Proxy Authentication Required\n      Proxy-Authenticate: Digest realm=\"e\", nonce=\"1\"",
            "refused",
        );
    }
}

#[test]
fn each_other_refusal_ends_the_call() {
    for party in PARTIES {
        for (status, reason) in [
            ("408 Request Timeout", "unreachable"),
            ("480 Temporarily Unavailable", "unreachable"),
            ("481 Call/Transaction Does Not Exist", "refused"),
            ("487 Request Terminated", "refused"),
            ("491 Request Pending", "refused"),
            ("500 Server Internal Error", "unreachable"),
            ("600 Busy Everywhere", "busy"),
            ("606 Not Acceptable", "no_common_codec"),
        ] {
            refused(party, status, reason);
        }
    }
}
