//! Who may talk with whom by click-to-call: every kind of `from` with every kind of `to`, SIPp being phones and carriers.

use WhoseFrom::{Away, Here, Outside};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use testbed::line::{FROM_TONE, SOON, TO_TONE};
use testbed::{Extension, Loopback, Registration, RtpPeer, Server, ServerOptions, Sipp, Transport};

/// Of `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhoseFrom {
    /// An extension with a phone.
    Here,
    /// An extension without one, whose user is to be called at a number outside.
    Away,
    /// A number outside.
    Outside,
}

/// What comes of it.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// Both are rung and hear each other, and the call is of this direction.
    Talk(&'static str),
    /// Nobody is rung: status and code.
    Refused(u16, &'static str),
}

use Outcome::{Refused, Talk};

const NO_QUEUE: Outcome = Refused(404, "destination_not_found");
const NO_MENU: Outcome = Refused(404, "destination_not_found");
const NO_AGENT: Outcome = Refused(404, "destination_not_found");

/// `from`, number and `to_type` of `to`, and what comes of it.
const PAIRS: [(WhoseFrom, &str, Option<&str>, Outcome); 21] = [
    (Here, "1002", Some("extension"), Talk("internal")),
    (Here, "5001", Some("queue"), NO_QUEUE),
    (Here, "7000", Some("ivr"), NO_MENU),
    (Here, "9001", Some("ai_agent"), NO_AGENT),
    (Here, "+919944421125", Some("external"), Talk("outbound")),
    (Here, "1002", None, Talk("internal")),
    (Here, "+919944421125", None, Talk("outbound")),
    (Away, "1002", Some("extension"), Talk("outbound")),
    (Away, "5001", Some("queue"), NO_QUEUE),
    (Away, "7000", Some("ivr"), NO_MENU),
    (Away, "9001", Some("ai_agent"), NO_AGENT),
    (Away, "+919944421125", Some("external"), Talk("outbound")),
    (Away, "1002", None, Talk("outbound")),
    (Away, "+919944421125", None, Talk("outbound")),
    (Outside, "1002", Some("extension"), Talk("outbound")),
    (Outside, "5001", Some("queue"), NO_QUEUE),
    (Outside, "7000", Some("ivr"), NO_MENU),
    (Outside, "9001", Some("ai_agent"), NO_AGENT),
    (Outside, "+919944421125", Some("external"), Talk("outbound")),
    (Outside, "1002", None, Talk("outbound")),
    (Outside, "+919944421125", None, Talk("outbound")),
];

/// The first one is ours at both carriers; the second one is shown to `to`.
const NUMBERS: [&str; 2] = ["+918065978015", "+918065978016"];
/// Reached through the carrier of `from`, all others through that of `to`.
const MOBILE: &str = "+919800112233";

/// A server with phones of 1001 and 1002, 1003 whose user is away, and a carrier for either party.
struct Site {
    server: Server,
    phones: [SocketAddr; 2],
    carriers: [SocketAddr; 2],
    audio: [RtpPeer; 2],
    _ips: [Loopback; 4],
}

impl Site {
    fn open() -> Self {
        let ips = [(); 4].map(|()| Loopback::claim());
        let (phones, carriers) =
            ([ips[0].free_port(), ips[1].free_port()], [ips[2].free_port(), ips[3].free_port()]);
        let trunk = |name: &str, address: SocketAddr, prefix: &str| {
            format!(
                "[[trunks]]\nname = \"{name}\"\naddress = \"sip:{address}\"\nprobe_seconds = 0\n\
                 numbers = [\"{}\", \"{}\"]\nprefixes = [\"{prefix}\"]\n",
                NUMBERS[0], NUMBERS[1]
            )
        };
        let tables = [
            "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n",
            &format!(
                "[[extensions]]\nnumber = \"1003\"\npassword = \"pw-1003\"\nforward_to = \"{MOBILE}\"\n"
            ),
            &trunk("of-from", carriers[0], "+9198"),
            &trunk("of-to", carriers[1], "+91"),
        ]
        .concat();
        let server = Server::start_with(&ServerOptions { tables, ..ServerOptions::default() });
        for (at, extension) in phones.iter().zip(&server.extensions) {
            let extension: &Extension = extension;
            Registration::new(Transport::Udp, *at, server.sip, extension.credentials()).register(600);
        }
        let audio = [0, 1].map(|index: usize| RtpPeer::bind(ips[index].ip()));
        Self { server, phones, carriers, audio, _ips: ips }
    }

    fn at(&self, scenario: &str, at: SocketAddr, party: usize) -> Sipp {
        Sipp::start(scenario, at, self.audio[party].address(), "-", self.server.folder())
    }

    fn request(from: WhoseFrom, to: &str, to_type: Option<&str>) -> Value {
        let from = match from {
            Here => "1001",
            Away => "1003",
            Outside => MOBILE,
        };
        let mut body = json!({"from": from, "to": to, "caller_id": NUMBERS[1]});
        if let Some(to_type) = to_type {
            body["to_type"] = json!(to_type);
        }
        body
    }

    fn try_pair(&self, (from, to, to_type, outcome): (WhoseFrom, &str, Option<&str>, Outcome)) {
        let pair = format!("{from:?} to {to} as {to_type:?}");
        let body = Self::request(from, to, to_type);
        match outcome {
            Refused(status, code) => {
                let answer = self.server.api().click_to_call(&body);
                assert_eq!(
                    (answer.status, &answer.body["code"]),
                    (status, &json!(code)),
                    "{pair}: {answer:?}"
                );
            }
            Talk(direction) => self.talk(from, to, &body, direction, &pair),
        }
    }

    fn talk(&self, from: WhoseFrom, to: &str, body: &Value, direction: &str, pair: &str) {
        let is_inside = to == "1002";
        let mut rings_first =
            self.at("answer", if from == Here { self.phones[0] } else { self.carriers[0] }, 0);
        let mut rings_then =
            self.at("answer_and_hang_up", if is_inside { self.phones[1] } else { self.carriers[1] }, 1);
        let api = self.server.api();
        let call = api.place(body);
        let first = rings_first.received("INVITE", SOON).message;
        let then = rings_then.received("INVITE", SOON).message;
        let told = |invite: &testbed::SipText| invite.audio_address().expect("an offer of audio");
        let [of_from, of_to] =
            [self.audio[0].talk(told(&first), FROM_TONE), self.audio[1].talk(told(&then), TO_TONE)];
        rings_then.succeeds(Duration::from_secs(8));
        rings_first.succeeds(SOON);
        let (of_from, of_to) = (of_from.stop(), of_to.stop());
        let heard = (of_from.tone_milliseconds(TO_TONE), of_to.tone_milliseconds(FROM_TONE));
        assert!(heard.0 >= 1000 && heard.1 >= 1000, "{pair}: they heard {heard:?} ms of each other");

        // Whoever is rung outside first sees a number of the trunk, whoever is rung then the one that was asked for.
        let shown = |invite: &testbed::SipText| invite.field("From").unwrap_or_default().to_owned();
        if from != Here {
            assert!(first.start_line().contains(MOBILE), "{pair}: {}", first.start_line());
            assert!(shown(&first).contains(NUMBERS[0]), "{pair}: {}", shown(&first));
        }
        assert!(!first.as_str().contains(NUMBERS[1]), "{pair}: {}", first.as_str());
        assert!(shown(&then).contains(NUMBERS[1]), "{pair}: {}", shown(&then));

        let ended = api.wait_for_state(&call, "ended", SOON);
        let kind = |is_inside: bool| json!(if is_inside { "extension" } else { "external" });
        assert_eq!(
            (&ended["from"]["type"], &ended["to"]["type"]),
            (&kind(from != Outside), &kind(is_inside)),
            "{pair}"
        );
        assert_eq!(
            ended["from"]["trunk"],
            if from == Here { Value::Null } else { json!("of-from") },
            "{pair}: {ended:#}"
        );
        assert_eq!(
            ended["to"]["trunk"],
            if is_inside { Value::Null } else { json!("of-to") },
            "{pair}: {ended:#}"
        );
        assert_eq!(ended["direction"], json!(direction), "{pair}: {ended:#}");
        assert_eq!(
            (&ended["end"]["reason"], &ended["end"]["by"]),
            (&json!("hung_up"), &json!("to")),
            "{pair}"
        );
    }
}

#[test]
fn every_from_is_connected_with_every_to_or_refused_before_anything_rings() {
    std::thread::scope(|scope| {
        for from in [Here, Away, Outside] {
            scope.spawn(move || {
                let site = Site::open();
                PAIRS.into_iter().filter(|pair| pair.0 == from).for_each(|pair| site.try_pair(pair));
            });
        }
    });
}
