//! Kamailio as the carrier: it registers us, challenges us, and stands between us and SIPp with Record-Route.

mod failover;
mod registered;
mod restarted;
mod secured;

use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use testbed::line::{FROM_TONE, SOON, TO_TONE};
use testbed::{
    Api, Caller, CarrierOptions, Heard, Kamailio, Loopback, Records, Registration, RtpPeer, Server,
    ServerOptions, Sipp, Talking, Transport,
};

const NUMBER: &str = "+918065978015";
const CALLED: &str = "+919944421125";

/// Lines of a `[[trunks]]` with the account of Kamailio's customer.
fn trunk(address: &str, lines: &str) -> String {
    format!(
        "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n[[trunks]]\nname = \"carrier\"\naddress = \"{address}\"\n\
         username = \"{}\"\npassword = \"{}\"\nnumbers = [\"{NUMBER}\"]\n\
         destinations = {{ \"{NUMBER}\" = {{ type = \"extension\", to = \"1001\" }} }}\n{lines}\n",
        Kamailio::ACCOUNT,
        Kamailio::PASSWORD
    )
}

/// The phone of 1001, and somebody outside, each with its sound.
struct Ends {
    phone: SocketAddr,
    outside: SocketAddr,
    audio: [RtpPeer; 2],
    ips: [Loopback; 2],
}

impl Ends {
    fn claim() -> Self {
        let ips = [Loopback::claim(), Loopback::claim()];
        let audio = [0, 1].map(|index: usize| RtpPeer::bind(ips[index].ip()));
        Self { phone: ips[0].free_port(), outside: ips[1].free_port(), audio, ips }
    }

    /// For a name server.
    fn ip(&self) -> IpAddr {
        self.ips[0].ip()
    }

    fn phone(&self, scenario: &str, server: &Server) -> Sipp {
        Sipp::start(scenario, self.phone, self.audio[0].address(), "-", server.folder())
    }

    fn outside(&self, scenario: &str, server: &Server) -> Sipp {
        Sipp::start(scenario, self.outside, self.audio[1].address(), "-", server.folder())
    }

    /// Who is outside calls our number.
    fn calls(&self, carrier: &Kamailio, server: &Server) -> Sipp {
        let caller =
            Caller { server: carrier.sip, domain: "carrier.test", own_number: CALLED, password: "none" };
        Sipp::invite(caller, NUMBER, self.outside, self.audio[1].address(), server.folder())
    }

    fn register(&self, server: &Server) {
        let credentials = server.extensions[0].credentials();
        let answer = Registration::new(Transport::Udp, self.phone, server.sip, credentials).register(600);
        assert_eq!(answer.status(), Some(200));
    }

    /// Both talk, each to where it was told.
    fn talk(&self, phone: SocketAddr, outside: SocketAddr) -> [Talking; 2] {
        [self.audio[0].talk(phone, FROM_TONE), self.audio[1].talk(outside, TO_TONE)]
    }
}

/// A server that was told of a trunk, with the phone of 1001 registered.
fn serve(tables: String, sip: String, tls: bool, ends: &Ends) -> Server {
    let server = Server::start_with(&ServerOptions { tables, sip, tls, ..ServerOptions::default() });
    ends.register(&server);
    server
}

/// Where `[sip] resolvers` finds these names.
fn resolved_by(names: &testbed::NameServer) -> String {
    format!("resolvers = [\"{}\"]", names.address)
}

fn offered(phone: &Sipp) -> SocketAddr {
    phone.received("INVITE", SOON).message.audio_address().expect("an offer of audio")
}

fn registered(api: &Api, limit: Duration) -> Value {
    api.wait_for_trunk("carrier", limit, "registered", |it| it["registration"] == "registered")
}

/// Each has heard the other, and nothing of itself.
fn both_heard([phone, outside]: [Talking; 2]) {
    let heard = |who: &str, heard: Heard, other: f64, own: f64| {
        let (other, echo) = (heard.tone_milliseconds(other), heard.tone_milliseconds(own));
        assert!(other >= 800 && echo < 100, "{who} heard {other} ms of the other and {echo} ms of itself");
    };
    heard("the phone", phone.stop(), TO_TONE, FROM_TONE);
    heard("who is outside", outside.stop(), FROM_TONE, TO_TONE);
}

/// Who hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HangsUp {
    Phone,
    Outside,
}

/// 1001 and the number outside are called, talk and hang up: the INVITE as it came behind Kamailio.
fn calls_outside(server: &Server, ends: &Ends, hangs_up: HangsUp) -> testbed::Seen {
    let ends_it = |who: HangsUp| if who == hangs_up { "answer_and_hang_up" } else { "answer" };
    let mut phone = ends.phone(ends_it(HangsUp::Phone), server);
    let mut outside = ends.outside(ends_it(HangsUp::Outside), server);
    let api = server.api();
    let call = api.place(&json!({"from": "1001", "to": CALLED, "to_type": "external"}));
    let invite = outside.received("INVITE", Duration::from_secs(8));
    let talking = ends.talk(offered(&phone), offered(&outside));
    phone.succeeds(Duration::from_secs(8));
    outside.succeeds(SOON);
    both_heard(talking);
    let ended = api.wait_for_state(&call, "ended", SOON);
    let by = if hangs_up == HangsUp::Phone { "from" } else { "to" };
    assert_eq!((&ended["end"]["reason"], &ended["end"]["by"]), (&json!("hung_up"), &json!(by)), "{ended:#}");
    assert_eq!(ended["to"]["trunk"], json!("carrier"));
    invite
}
