//! Over TLS: the configured domain is what Kamailio has to prove.

use super::*;
use testbed::Authority;

/// A server that registers at `domain` at a Kamailio with a certificate for `carrier.test`.
fn registers_at(domain: &str) -> (Ends, Kamailio, Server, tempfile::TempDir) {
    let ends = Ends::claim();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new(folder.path());
    let tls = Some(authority.certify("carrier", &["carrier.test"]));
    let carrier = Kamailio::start(&CarrierOptions { tls, ..CarrierOptions::with_outside(ends.outside) });
    let names = Records::default()
        .srv(&format!("_sips._tcp.{domain}"), &[(10, carrier.tls.port(), "edge.other.test")])
        .host("edge.other.test", &[carrier.tls.ip()])
        .serve(ends.ip());
    let roots = format!("register = true\ntls = {{ roots = \"{}\" }}", authority.roots().display());
    let tables = trunk(&format!("sip:{domain};transport=tls"), &roots);
    let server = serve(tables, resolved_by(&names), true, &ends);
    (ends, carrier, server, folder)
}

#[test]
fn a_trunk_is_registered_and_called_through_over_tls() {
    let (ends, carrier, server, _folder) = registers_at("carrier.test");
    let view = registered(&server.api(), SOON);
    assert_eq!(view["reached_at"][0]["transport"], json!("tls"), "{view:#}");
    calls_outside(&server, &ends, HangsUp::Outside);
    calls_outside(&server, &ends, HangsUp::Phone);
    let log = carrier.log();
    let ours: Vec<&str> =
        log.lines().filter(|line| line.contains("carrier: ") && line.contains("tls:")).collect();
    assert!(
        ours.iter().any(|line| line.contains("INVITE")) && ours.iter().any(|line| line.contains("BYE")),
        "{log}"
    );
    // One connection carries them all.
    let port = |line: &&str| line.split("tls:").nth(1).and_then(|it| it.split(' ').next()).map(str::to_owned);
    let first = ours.first().and_then(port);
    assert!(ours.iter().all(|line| port(line) == first), "{ours:#?}");
}

#[test]
fn a_call_from_outside_comes_along_the_connection_that_was_registered() {
    let (ends, carrier, server, _folder) = registers_at("carrier.test");
    registered(&server.api(), SOON);
    let mut phone = ends.phone("answer", &server);
    let mut outside = ends.calls(&carrier, &server);
    let answer = outside.answered(SOON).message;
    let talking = ends.talk(offered(&phone), answer.audio_address().expect("an answer"));
    phone.succeeds(Duration::from_secs(8));
    outside.succeeds(SOON);
    both_heard(talking);
}

#[test]
fn a_certificate_for_another_name_is_refused_and_the_trunk_says_so() {
    let (_ends, carrier, server, _folder) = registers_at("bank.test");
    let api = server.api();
    let view = api.wait_for_trunk("carrier", SOON, "failed", |it| it["registration"] == "failed");
    let why = "its certificate is for carrier.test, and not for bank.test";
    assert!(
        view["last_failure"].as_str().is_some_and(|failure| failure.starts_with(&format!("TLS: {why}"))),
        "{view:#}"
    );
    assert!(!carrier.log().contains("carrier: REGISTER"), "it was told something: {}", carrier.log());
    assert!(server.log().contains(why));
}
