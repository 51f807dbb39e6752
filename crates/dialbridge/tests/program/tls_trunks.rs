//! Trunks over TLS: whose certificate is believed, and what is said to them.

use crate::carrier::{Carrier, Shows};
use crate::certificates::Authority;
use crate::names::Names;
use crate::running::{KEY, Phone, Running};
use crate::tls::configured;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Its trunk takes numbers that begin so; whoever calls one of them wants that trunk.
fn trunk(name: &str, prefix: &str, address: &str, more: &str) -> String {
    let head = format!("[[trunks]]\nname = \"{name}\"\naddress = \"{address}\"\nprobe_seconds = 0\n");
    format!("{head}numbers = [\"{prefix}65978015\"]\nprefixes = [\"{prefix}\"]\n{more}\n")
}

/// A server with a phone that answers, and these trunks.
struct Outside {
    running: Running,
    _phone: Phone,
}

impl Outside {
    fn start(folder: &Path, rtp: &str, ours: &Authority, names: &Names, trunks: &[String]) -> Self {
        let policy = "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n";
        let resolvers = format!("resolvers = [\"{}\"]\n[media]", names.address());
        let running = configured(folder, rtp, ours, &(policy.to_owned() + &trunks.concat()), &resolvers);
        let phone = Phone::answering(&running, "1001", "secret-of-1001");
        Self { running, _phone: phone }
    }

    /// Calls when the call before is over: there is one phone.
    fn call(&self, number: &str) {
        let begun = Instant::now();
        while !self.running.get("/api/v1/calls/count").contains("\"live\":0") {
            assert!(begun.elapsed() < Duration::from_secs(20), "the call before does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(self.running.click_to_call_of(KEY, "1001", number), 200);
    }

    /// The trunk is not reached, and the log says why.
    fn fails(&mut self, number: &str, carrier: &Carrier, trunk: &str, why: &str) {
        self.call(number);
        let line = self.running.wait_for("a trunk is not reached over TLS");
        assert!(line.contains(&format!("trunk=\"{trunk}\"")) && line.contains(why), "{line}");
        assert!(carrier.invites().is_empty(), "an INVITE went to somebody else");
    }
}

fn at(name: &str, address: SocketAddr) -> String {
    format!("sip:{name}:{};transport=tls", address.port())
}

#[test]
fn the_name_that_a_trunk_has_to_prove_is_the_configured_one_whatever_name_servers_say() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let right = Carrier::start(Shows::plain(&ours.certify(&["carrier.test"])));
    let lie = Carrier::start(Shows::plain(&ours.certify(&["edge.lie.test"])));
    let address = Carrier::start(Shows::plain(&ours.certify(&["127.0.0.1"])));
    let wildcard = Carrier::start(Shows::plain(&ours.certify(&["*.wild.test"])));
    let names = Names::start(&[
        ("_sips._tcp.carrier.test", "edge.other.test", right.address.port()),
        ("_sips._tcp.secure.carrier.test", "edge.other.test", right.address.port()),
        ("_sips._tcp.lie.test", "edge.lie.test", lie.address.port()),
    ]);
    let roots = format!("tls = {{ roots = \"{}\" }}", ours.roots());
    let trunks = [
        trunk("right", "+9199", "sip:carrier.test;transport=tls", &roots),
        trunk("lie", "+9198", "sip:lie.test;transport=tls", &roots),
        trunk("address", "+9197", &at("127.0.0.1", address.address), &roots),
        trunk("wrong-address", "+9196", &at("127.0.0.1", right.address), &roots),
        trunk("wildcard", "+9195", &at("a.wild.test", wildcard.address), &roots),
        trunk("proxied", "+9194", "sip:home.test", &format!("proxy = \"sips:carrier.test;lr\"\n{roots}")),
    ];
    let mut outside = Outside::start(folder.path(), "44500-44599", &ours, &names, &trunks);

    outside.call("+919944421125");
    let invite = right.next();
    assert_eq!(invite.sni.as_deref(), Some("carrier.test"));
    assert!(invite.text.starts_with("INVITE sip:+919944421125@carrier.test SIP/2.0\r\n"), "{}", invite.text);
    let tls = outside.running.sip("tls");
    for expected in [format!("Via: SIP/2.0/TLS {tls};"), format!("@{tls};transport=tls>")] {
        assert!(invite.text.contains(&expected), "{expected} is not in {}", invite.text);
    }

    outside.fails("+919844421125", &lie, "lie", "its certificate is for edge.lie.test, and not for lie.test");
    outside.call("+919744421125");
    assert_eq!(address.next().sni, None);
    let why = "its certificate is for carrier.test, and not for 127.0.0.1";
    outside.fails("+919644421125", &right, "wrong-address", why);
    outside.call("+919544421125");
    assert_eq!(wildcard.next().sni.as_deref(), Some("a.wild.test"));

    outside.call("+919444421125");
    let invite = right.next();
    assert_eq!(invite.sni.as_deref(), Some("carrier.test"));
    assert!(invite.text.starts_with("INVITE sip:+919444421125@home.test SIP/2.0\r\n"), "{}", invite.text);
    // RFC 3261 section 8.1.1.8.
    let contact = invite.text.lines().find(|line| line.starts_with("Contact: ")).unwrap();
    assert!(contact.contains("<sips:") && contact.contains(tls_of(&outside)), "{contact}");
}

fn tls_of(outside: &Outside) -> &str {
    outside.running.sip("tls")
}

#[test]
fn a_trunk_is_believed_by_its_roots_or_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "theirs"));
    let signed = Carrier::start(Shows::plain(&theirs.certify(&["carrier.test"])));
    let expired = Carrier::start(Shows::plain(&theirs.certify_for(&["old.test"], 2001..2002)));
    let names = Names::start(&[]);
    let roots = format!("tls = {{ roots = \"{}\" }}", theirs.roots());
    let other_roots = format!("tls = {{ roots = \"{}\" }}", ours.roots());
    let trunks = [
        trunk("no-roots", "+9199", &at("carrier.test", signed.address), ""),
        trunk("other-roots", "+9198", &at("carrier.test", signed.address), &other_roots),
        trunk("believed", "+9197", &at("carrier.test", signed.address), &roots),
        trunk("old", "+9196", &at("old.test", expired.address), &roots),
        trunk("careless", "+9195", &at("elsewhere.test", expired.address), "tls = { verify = false }"),
    ];
    let mut outside = Outside::start(folder.path(), "44600-44699", &ours, &names, &trunks);
    assert!(
        outside.running.seen.contains("tls of trunk careless: verify = false"),
        "{}",
        outside.running.seen
    );

    let unknown = "nobody who is trusted here has signed its certificate";
    outside.fails("+919944421125", &signed, "no-roots", unknown);
    outside.fails("+919844421125", &signed, "other-roots", unknown);
    outside.call("+919744421125");
    assert!(signed.next().text.starts_with("INVITE sip:+919744421125@carrier.test:"));
    outside.fails("+919644421125", &expired, "old", "its certificate has expired");
    outside.call("+919544421125");
    assert_eq!(expired.next().sni.as_deref(), Some("elsewhere.test"));
}

#[test]
fn a_trunk_that_asks_who_calls_is_shown_the_certificate_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let client = ours.certify(&["pbx-at-carrier.test"]);
    let carrier = Carrier::start(Shows::plain(&ours.certify(&["carrier.test"])).asking_for(&ours.roots()));
    let names = Names::start(&[]);
    let (roots, address) = (ours.roots(), at("carrier.test", carrier.address));
    let shows = format!(
        "tls = {{ roots = \"{roots}\", certificate = \"{}\", key = \"{}\" }}",
        client.certificate, client.key
    );
    let trunks = [
        trunk("shows", "+9199", &address, &shows),
        trunk("does-not", "+9198", &address, &format!("tls = {{ roots = \"{roots}\" }}")),
    ];
    let outside = Outside::start(folder.path(), "44700-44799", &ours, &names, &trunks);
    outside.call("+919844421125");
    assert!(carrier.refused(), "whoever shows nothing was let in");
    outside.call("+919944421125");
    let invite = carrier.next();
    assert!(invite.shown && invite.text.contains("sip:+919944421125@"), "{}", invite.text);
}

#[test]
fn two_names_at_one_address_are_two_connections_and_one_name_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let both = Carrier::start(Shows::plain(&ours.certify(&["one.test", "two.test"])));
    let names = Names::start(&[]);
    let roots = format!("tls = {{ roots = \"{}\" }}", ours.roots());
    let trunks = [
        trunk("one", "+9199", &at("one.test", both.address), &roots),
        trunk("two", "+9198", &at("two.test", both.address), &roots),
    ];
    let outside = Outside::start(folder.path(), "44800-44899", &ours, &names, &trunks);
    let mut connections = Vec::new();
    for (number, sni) in
        [("+919944421125", "one.test"), ("+919844421125", "two.test"), ("+919944421126", "one.test")]
    {
        outside.call(number);
        let invite = both.next();
        assert_eq!(invite.sni.as_deref(), Some(sni));
        connections.push(invite.connection);
    }
    assert_eq!(connections, [0, 1, 0]);
}
