//! URIs in zones as carriers have them, and where the request for each may be sent.

use crate::zone::{BOTH, IPV4, IPV6, NEGATIVE, TTL, Zone, locate, locate_with, search, uri};
use locating::{AFTER_FAILURE, Answer, Families, Locating, Question, VALID_MAX, VALID_MIN};
use sip_message::Transport::{self, Tcp, Tls, Udp};
use std::time::Duration;

/// NAPTR and SRV only: the domain itself has no address.
const CARRIER: &str = "
    NAPTR carrier.example 10 50 s SIPS+D2T _sips._tcp.carrier.example.
    NAPTR carrier.example 20 50 s SIP+D2T _sip._tcp.carrier.example.
    NAPTR carrier.example 30 50 s SIP+D2U _sip._udp.carrier.example.
    SRV _sips._tcp.carrier.example 0 1 5061 tls.carrier.example.
    SRV _sip._tcp.carrier.example 10 1 5070 two.carrier.example.
    SRV _sip._tcp.carrier.example 0 1 5060 one.carrier.example.
    SRV _sip._udp.carrier.example 0 1 5060 one.carrier.example.
    A tls.carrier.example 192.0.2.9
    A one.carrier.example 192.0.2.1
    AAAA one.carrier.example 2001:db8::1
    A two.carrier.example 192.0.2.2";

/// SRV only; its own address is a web server's.
const PLAIN: &str = "
    SRV _sip._udp.plain.example 0 0 5062 pbx.elsewhere.example
    SRV _sips._tcp.plain.example 0 0 5063 pbx.elsewhere.example
    A plain.example 198.51.100.80
    A pbx.elsewhere.example 192.0.2.3";

/// An address and nothing else.
const BARE: &str = "
    A bare.example 192.0.2.4
    A bare.example 192.0.2.5
    AAAA bare.example 2001:db8::4";

fn check(zone: &str, cases: &[(&str, &str)]) {
    let zone = Zone::new(zone);
    for (uri, expected) in cases {
        let search = locate(uri, &zone);
        assert_eq!(search.words(), *expected, "{uri}\n{}", search.steps);
    }
}

fn check_with(speaks: &[Transport], families: Families, zone: &str, cases: &[(&str, &str)]) {
    let zone = Zone::new(zone);
    for (uri, expected) in cases {
        let search = locate_with(uri, &zone, speaks, families);
        assert_eq!(search.words(), *expected, "{uri} {speaks:?}\n{}", search.steps);
    }
}

#[test]
fn an_address_is_asked_for_by_nobody() {
    for (uri, expected) in [
        ("sip:a@192.0.2.1", "UDP 192.0.2.1:5060"),
        ("sip:a@192.0.2.1;transport=TCP", "TCP 192.0.2.1:5060"),
        ("sip:a@192.0.2.1;transport=tls", "TLS 192.0.2.1:5061"),
        ("sip:a@192.0.2.1:5080;transport=tls", "TLS 192.0.2.1:5080"),
        ("sips:a@192.0.2.1", "TLS 192.0.2.1:5061"),
        ("sips:a@[2001:db8::1]:5080", "TLS [2001:db8::1]:5080"),
        ("sip:a@carrier.example;maddr=192.0.2.8", "UDP 192.0.2.8:5060"),
        ("sip:a@[::ffff:192.0.2.1]", "UDP 192.0.2.1:5060"),
    ] {
        let search = locate(uri, &Zone::default());
        assert_eq!((search.words().as_str(), search.asked.len()), (expected, 0), "{uri}");
        assert_eq!(search.valid(), VALID_MAX);
    }
}

#[test]
fn naptr_chooses_the_transport_and_srv_the_servers() {
    let [tls, tcp, udp] = [
        "TLS 192.0.2.9:5061",
        "TCP [2001:db8::1]:5060, TCP 192.0.2.1:5060, TCP 192.0.2.2:5070",
        "UDP [2001:db8::1]:5060, UDP 192.0.2.1:5060",
    ];
    let all = format!("{tls}, {tcp}, {udp}");
    check(
        CARRIER,
        &[
            ("sip:carrier.example", &all),
            ("sip:+4930@Carrier.EXAMPLE.", &all),
            ("sips:carrier.example", tls),
            ("sip:carrier.example;transport=tls", tls),
            ("sips:carrier.example;transport=tcp", tls),
            ("sip:carrier.example;transport=tcp", tcp),
            ("sip:carrier.example;transport=udp", udp),
            ("sip:carrier.example:5060", "! the DNS has no address for carrier.example"),
        ],
    );
    check_with(&[Tcp, Udp], BOTH, CARRIER, &[("sip:carrier.example", &format!("{tcp}, {udp}"))]);
    check_with(&[Udp], IPV4, CARRIER, &[("sip:carrier.example", "UDP 192.0.2.1:5060")]);
    check_with(&[Udp], IPV6, CARRIER, &[("sip:carrier.example", "UDP [2001:db8::1]:5060")]);
}

#[test]
fn only_what_is_needed_is_asked() {
    let zone = Zone::new(BARE);
    let naptr = "NAPTR bare.example, SRV _sip._udp.bare.example, SRV _sip._tcp.bare.example, \
                 SRV _sips._tcp.bare.example, AAAA bare.example, A bare.example";
    for (uri, asked) in [
        ("sip:bare.example", naptr),
        ("sip:bare.example:5060", "AAAA bare.example, A bare.example"),
        ("sip:bare.example;transport=tcp", "SRV _sip._tcp.bare.example, AAAA bare.example, A bare.example"),
        (
            "sips:bare.example",
            "NAPTR bare.example, SRV _sips._tcp.bare.example, SRV _sip._tls.bare.example, AAAA bare.example, \
             A bare.example",
        ),
    ] {
        assert_eq!(locate(uri, &zone).asked(), asked, "{uri}");
    }
    assert_eq!(locate_with("sip:bare.example:1", &zone, &[Udp], IPV4).asked(), "A bare.example");
    assert_eq!(locate_with("sip:bare.example:1", &zone, &[Udp], IPV6).asked(), "AAAA bare.example");
}

#[test]
fn without_naptr_each_transport_is_looked_for() {
    check(
        PLAIN,
        &[
            ("sip:plain.example", "UDP 192.0.2.3:5062, TLS 192.0.2.3:5063"),
            ("sips:plain.example", "TLS 192.0.2.3:5063"),
            ("sip:plain.example;transport=tcp", "TCP 198.51.100.80:5060"),
            ("sip:plain.example:5060", "UDP 198.51.100.80:5060"),
            ("sip:plain.example:5060;transport=tcp", "TCP 198.51.100.80:5060"),
            ("sips:plain.example:5070", "TLS 198.51.100.80:5070"),
        ],
    );
}

#[test]
fn without_srv_the_domain_is_a_host() {
    let of_bare = |transport: &str, port: u16| {
        let hosts = ["[2001:db8::4]", "192.0.2.4", "192.0.2.5"];
        hosts.map(|host| format!("{transport} {host}:{port}")).join(", ")
    };
    let [udp, tcp, tls] =
        [("UDP", 5060), ("TCP", 5060), ("TLS", 5061)].map(|(word, port)| of_bare(word, port));
    check(
        BARE,
        &[
            ("sip:bare.example", &udp),
            ("sip:bare.example;transport=tcp", &tcp),
            ("sip:bare.example;transport=tls", &tls),
            ("sips:bare.example", &tls),
            ("sip:nobody.example", "! the DNS has no address for nobody.example"),
        ],
    );
    check_with(&[Tls, Tcp], BOTH, BARE, &[("sip:bare.example", &tcp)]);
}

#[test]
fn naptr_records_are_read_as_people_write_them() {
    let hosts = "
        SRV _sip._udp.other.test 0 0 5060 sip.other.test
        SRV _sip._tcp.other.test 0 0 5060 sip.other.test
        A sip.other.test 192.0.2.6
        A a.example 198.51.100.80";
    let [udp, tcp] = ["UDP 192.0.2.6:5060", "TCP 192.0.2.6:5060"];
    let both = format!("{tcp}, {udp}");
    for (records, expected) in [
        // Another domain, in any case.
        ("NAPTR a.example 1 1 S sip+d2u _SIP._UDP.Other.Test.", udp),
        // The order goes before the preference, whichever comes first.
        (
            "NAPTR a.example 2 1 s SIP+D2U _sip._udp.other.test\nNAPTR a.example 1 9 s SIP+D2T _sip._tcp.other.test",
            &both,
        ),
        (
            "NAPTR a.example 1 2 s SIP+D2U _sip._udp.other.test\nNAPTR a.example 1 1 s SIP+D2T _sip._tcp.other.test",
            &both,
        ),
        // The same twice is once.
        (
            "NAPTR a.example 1 2 s SIP+D2U _sip._udp.other.test\nNAPTR a.example 1 1 s SIP+D2U _sip._udp.other.test",
            udp,
        ),
        // Addresses behind it, without SRV.
        ("NAPTR a.example 1 1 a SIP+D2T sip.other.test", tcp),
        ("NAPTR a.example 1 1 A SIPS+D2T sip.other.test", "TLS 192.0.2.6:5061"),
        // What is of no use is passed over.
        ("NAPTR a.example 1 1 u E2U+sip .\nNAPTR a.example 2 1 s SIP+D2U _sip._udp.other.test", udp),
        (
            "NAPTR a.example 1 1 s SIP+D2S _sip._sctp.other.test\nNAPTR a.example 2 1 s SIP+D2U _sip._udp.other.test",
            udp,
        ),
        (
            "NAPTR a.example 1 1 \"\" SIP+D2T a.example\nNAPTR a.example 2 1 s SIP+D2U _sip._udp.other.test",
            udp,
        ),
        ("NAPTR a.example 1 1 s SIP+D2T .\nNAPTR a.example 2 1 s SIP+D2U _sip._udp.other.test", udp),
        // Nothing of use: as if there were none.
        ("NAPTR a.example 1 1 u E2U+sip .\nSRV _sip._tcp.a.example 0 0 5060 sip.other.test", tcp),
        ("NAPTR a.example 1 1 u E2U+sip .", "UDP 198.51.100.80:5060"),
        // Services without servers: the transport is what the NAPTR record says (RFC 3263 §4.2).
        ("NAPTR a.example 1 1 s SIP+D2T _sip._tcp.nowhere.test", "TCP 198.51.100.80:5060"),
    ] {
        check(&format!("{hosts}\n{records}"), &[("sip:a.example", expected)]);
    }
}

#[test]
fn a_service_that_is_listed_again_takes_no_place_of_another() {
    let again = "NAPTR a.example 1 1 s SIP+D2T _sip._tcp.a.example\n".repeat(20);
    let zone = format!(
        "{again}
         NAPTR a.example 2 1 s SIP+D2U _sip._udp.a.example
         SRV _sip._udp.a.example 0 0 5060 b.example
         A b.example 192.0.2.1"
    );
    check(&zone, &[("sip:a.example", "UDP 192.0.2.1:5060")]);
}

#[test]
fn a_domain_of_other_transports_only_is_said_to_be_one() {
    let none = "! a.example offers SIP, but over no transport that this server can use for it";
    let zone = "NAPTR a.example 1 1 s SIPS+D2T _sips._tcp.a.example\nA a.example 198.51.100.80";
    check_with(&[Udp, Tcp], BOTH, zone, &[("sip:a.example", none)]);
    let zone = "NAPTR a.example 1 1 s SIP+D2U _sip._udp.a.example\nA a.example 198.51.100.80";
    check(zone, &[("sips:a.example", none)]);
    // Its SRV records know better.
    let zone = format!("{zone}\nSRV _sips._tcp.a.example 0 0 5061 a.example");
    check(&zone, &[("sips:a.example", "TLS 198.51.100.80:5061")]);
}

#[test]
fn a_service_that_is_declined_is_not_looked_for_elsewhere() {
    let none = "! a.example offers SIP, but over no transport that this server can use for it";
    let zone = "SRV _sip._udp.a.example 0 0 0 .\nA a.example 198.51.100.80";
    check(zone, &[("sip:a.example", none), ("sip:a.example;transport=udp", none)]);
    let zone = format!("{zone}\nSRV _sip._tcp.a.example 0 0 5060 a.example");
    check(&zone, &[("sip:a.example", "TCP 198.51.100.80:5060")]);
    let zone = "SRV _sips._tcp.a.example 0 0 0 .\nSRV _sip._tls.a.example 0 0 5061 a.example\nA a.example 198.51.100.80";
    check(zone, &[("sips:a.example", none)]);
}

#[test]
fn tls_by_habit_is_the_last_try_before_the_host() {
    let zone = "
        SRV _sip._tls.a.example 0 0 443 edge.a.example
        A edge.a.example 192.0.2.7
        A a.example 198.51.100.80";
    check(
        zone,
        &[
            ("sip:a.example;transport=tls", "TLS 192.0.2.7:443"),
            ("sips:a.example", "TLS 192.0.2.7:443"),
            ("sip:a.example", "UDP 198.51.100.80:5060"),
            ("sip:a.example;transport=tcp", "TCP 198.51.100.80:5060"),
        ],
    );
    let zone = format!("{zone}\nSRV _sips._tcp.a.example 0 0 5061 a.example");
    check(&zone, &[("sips:a.example", "TLS 198.51.100.80:5061")]);
    let naptr = "NAPTR a.example 1 1 s SIPS+D2T _sip._tls.a.example\nA a.example 198.51.100.80";
    check(naptr, &[("sips:a.example", "TLS 198.51.100.80:5061")]);
}

#[test]
fn servers_that_are_none_are_passed_over() {
    let zone = "
        SRV _sip._udp.a.example 0 0 0 good.a.example
        SRV _sip._udp.a.example 1 0 5060 192.0.2.1
        SRV _sip._udp.a.example 2 0 5060 nowhere.a.example
        SRV _sip._udp.a.example 3 0 5060 good.a.example
        SRV _sip._udp.a.example 4 0 5060 good.a.example
        A good.a.example 0.0.0.0
        A good.a.example 255.255.255.255
        A good.a.example 224.0.1.75
        A good.a.example 192.0.2.8
        AAAA good.a.example ::
        AAAA good.a.example ::ffff:192.0.2.8
        A a.example 198.51.100.80";
    check(zone, &[("sip:a.example", "UDP 192.0.2.8:5060")]);
    let zone = "SRV _sip._udp.a.example 0 0 0 a.example\nA a.example 198.51.100.80";
    check(zone, &[("sip:a.example", "! the DNS has no address for _sip._udp.a.example")]);
    let zone = "SRV _sip._udp.a.example 0 0 5060 nowhere.a.example\nA a.example 198.51.100.80";
    check(zone, &[("sip:a.example", "! the DNS has no address for nowhere.a.example")]);
}

#[test]
fn what_failed_is_not_absent() {
    let none = "! no name server answered for _sip._udp.a.example";
    for (zone, expected) in [
        ("SRV _sip._udp.a.example fails\nA a.example 198.51.100.80", none),
        (
            "SRV _sip._udp.a.example fails\nSRV _sip._tcp.a.example 0 0 5060 b.example\nA b.example 192.0.2.1",
            "TCP 192.0.2.1:5060",
        ),
        (
            "NAPTR a.example fails\nSRV _sip._tcp.a.example 0 0 5060 b.example\nA b.example 192.0.2.1",
            "TCP 192.0.2.1:5060",
        ),
        ("NAPTR a.example fails\nA a.example 198.51.100.80", "UDP 198.51.100.80:5060"),
        ("AAAA a.example fails\nA a.example 198.51.100.80", "UDP 198.51.100.80:5060"),
        ("AAAA a.example fails", "! no name server answered for a.example"),
        (
            "NAPTR a.example 1 1 s SIP+D2U _sip._udp.a.example\nSRV _sip._udp.a.example fails\nA a.example 192.0.2.1",
            none,
        ),
    ] {
        let search = locate("sip:a.example", &Zone::new(zone));
        assert_eq!((search.words().as_str(), search.valid()), (expected, AFTER_FAILURE), "{zone}");
    }
}

#[test]
fn the_shortest_time_to_live_counts_within_bounds() {
    for (zone, valid) in [
        ("NAPTR a.example nothing ttl=2000\nA a.example 192.0.2.1", TTL),
        ("A a.example 192.0.2.1 ttl=1200", NEGATIVE),
        ("A a.example 192.0.2.1 ttl=60", Duration::from_secs(60)),
        ("NAPTR a.example nothing ttl=30\nA a.example 192.0.2.1", Duration::from_secs(30)),
        ("A a.example 192.0.2.1 ttl=0", VALID_MIN),
        ("", NEGATIVE),
        ("A a.example nothing ttl=0", VALID_MIN),
        ("SRV _sip._udp.a.example 0 0 0 . ttl=70", Duration::from_secs(70)),
    ] {
        assert_eq!(locate("sip:a.example", &Zone::new(zone)).valid(), valid, "{zone}");
    }
    let long = Zone::new("A a.example 192.0.2.1 ttl=600000\nAAAA a.example nothing ttl=600000");
    assert_eq!(locate("sip:a.example:5060", &long).valid(), VALID_MAX);
    let answer = |_: &Question| Answer::Nothing { valid: Duration::MAX };
    let locating = Locating::new(&uri("sip:a.example"), &[Udp], BOTH, 0);
    assert_eq!(search(locating, answer, |_| 0).valid(), VALID_MAX);
}

#[test]
fn a_uri_that_cannot_be_followed_is_refused_at_once() {
    let long = format!("sip:{}example", "a.".repeat(120));
    let long_name = format!("! {}example is not a host name", "a.".repeat(120));
    for (text, speaks, families, expected) in [
        ("sip:a.example:0", &Transport::ALL[..], BOTH, "! port 0 cannot be reached"),
        ("sip:192.0.2.1:0", &Transport::ALL, BOTH, "! port 0 cannot be reached"),
        (
            "sip:a.example;transport=sctp",
            &Transport::ALL,
            BOTH,
            "! sip over sctp is not spoken by this server",
        ),
        (
            "sips:a.example;transport=udp",
            &Transport::ALL,
            BOTH,
            "! sips over udp is not spoken by this server",
        ),
        ("sips:a.example", &[Udp, Tcp], BOTH, "! sips over tls is not spoken by this server"),
        ("sip:192.0.2.1;transport=tls", &[Udp, Tcp], BOTH, "! sip over tls is not spoken by this server"),
        ("sip:a.example", &[], BOTH, "! sip over any transport is not spoken by this server"),
        ("sip:192.0.2.1", &[Udp], IPV6, "! this server can send nothing to the address 192.0.2.1"),
        ("sip:[2001:db8::1]", &[Udp], IPV4, "! this server can send nothing to the address 2001:db8::1"),
        ("sip:0.0.0.0", &[Udp], BOTH, "! this server can send nothing to the address 0.0.0.0"),
        ("sip:a.example;maddr=a..b", &[Udp], BOTH, "! a..b is not a host name"),
        (&long, &[Udp], BOTH, &long_name),
    ] {
        let locating = Locating::new(&uri(text), speaks, families, 0);
        let search = search(locating, |question| panic!("{question}"), |_| 0);
        assert_eq!(search.words(), expected);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_changes_nothing() {
    let mut locating = Locating::new(&uri("sip:a.example:5060"), &[Udp], BOTH, 0);
    let [a, aaaa] = [Question::A("a.example".into()), Question::Aaaa("a.example".into())];
    let zone = Zone::new("A a.example 192.0.2.1\nAAAA a.example 2001:db8::1");
    // It is in the queue, and nobody has taken it from there.
    locating.handle_answer(&a, &Answer::Failed("too early".into()));
    assert_eq!(locating.poll_question(), Some(aaaa.clone()));
    assert_eq!(locating.poll_question(), Some(a.clone()));
    assert_eq!(locating.poll_question(), None);
    locating.handle_answer(&Question::A("b.example".into()), &zone.answer(&a));
    locating.handle_answer(&a, &zone.answer(&a));
    locating.handle_answer(&a, &Answer::Failed("twice".into()));
    assert_eq!(locating.outcome(), None);
    locating.handle_answer(&aaaa, &zone.answer(&aaaa));
    let located = locating.outcome().unwrap().unwrap();
    locating.handle_answer(&aaaa, &Answer::Failed("late".into()));
    assert_eq!(locating.outcome(), Some(Ok(located.clone())));
    assert_eq!((located.targets.len(), located.steps.len(), located.valid), (2, 2, TTL));
}

#[test]
fn records_of_another_type_are_no_answer() {
    let zone = Zone::new("A a.example 192.0.2.1");
    let answer = |question: &Question| match question {
        Question::Naptr(_) | Question::Srv(_) => zone.answer(&Question::A("a.example".into())),
        Question::A(_) | Question::Aaaa(_) => zone.answer(question),
    };
    let locating = Locating::new(&uri("sip:a.example"), &[Udp], BOTH, 0);
    assert_eq!(search(locating, answer, |_| 0).words(), "UDP 192.0.2.1:5060");
}

#[test]
fn the_way_can_be_read() {
    let zone = Zone::new(
        "NAPTR carrier.example 10 50 s SIPS+D2T _sips._tcp.carrier.example.
         NAPTR carrier.example 20 50 s SIP+D2U _sip._udp.carrier.example.
         SRV _sip._udp.carrier.example 10 60 5060 sip1.carrier.example.
         SRV _sip._udp.carrier.example 20 60 0 sip2.carrier.example.
         AAAA sip1.carrier.example fails
         A sip1.carrier.example 192.0.2.1",
    );
    let located = locate_with("sip:carrier.example", &zone, &[Udp, Tcp], BOTH).outcome.unwrap();
    assert_eq!(
        located.to_string(),
        r#"NAPTR carrier.example: 10 50 "s" "SIPS+D2T" -> _sips._tcp.carrier.example. (passed over: its transport is not used here)
NAPTR carrier.example: 20 50 "s" "SIP+D2U" -> _sip._udp.carrier.example.
SRV _sip._udp.carrier.example: 10 60 5060 -> sip1.carrier.example.
SRV _sip._udp.carrier.example: 20 60 0 -> sip2.carrier.example. (passed over: port 0 cannot be reached)
AAAA sip1.carrier.example: no answer: timed out
A sip1.carrier.example: 192.0.2.1
-> UDP 192.0.2.1:5060"#
    );
    let search = locate("sip:nobody.example:5060", &Zone::default());
    assert_eq!(search.steps, "AAAA nobody.example: nothing\nA nobody.example: nothing\n");
}

#[test]
fn the_same_number_chooses_the_same_servers_and_another_number_others() {
    let zone = Zone::new(
        "SRV _sip._udp.a.example 0 1 5060 one.example
         SRV _sip._udp.a.example 0 1 5060 two.example
         A one.example 192.0.2.1
         A two.example 192.0.2.2",
    );
    let first = |random: u64, last: bool| {
        let locating = Locating::new(&uri("sip:a.example"), &[Tcp, Udp], BOTH, random);
        let pick = |outstanding: usize| if last { outstanding - 1 } else { 0 };
        search(locating, |question| zone.answer(question), pick).outcome.unwrap().targets[0]
    };
    let of_one =
        (0..1000).filter(|random| first(*random, false).address.to_string() == "192.0.2.1:5060").count();
    assert!((450..550).contains(&of_one), "{of_one}");
    for random in [0, 1, 2, u64::MAX] {
        assert_eq!(first(random, false), first(random, true), "whatever is answered first");
    }
}

#[test]
fn a_zone_of_thousands_of_records_costs_little() {
    let mut text = String::new();
    for n in 0..3000 {
        text += &format!("NAPTR a.example {n} 1 s SIP+D2U s{n}.a.example\n");
        text += &format!(
            "SRV s0.a.example {n} {n} 5060 h{n}.a.example\nSRV s1.a.example 1 {n} 5060 h{n}.a.example\n"
        );
        text += &format!("A h0.a.example 10.0.{}.{}\n", n / 250, n % 250 + 1);
    }
    for n in 2000..3000 {
        text += &format!("SRV s2.a.example {} 1 5060 h{n}.a.example\n", 3000 - n);
    }
    for n in 1..3000 {
        text += &format!("A h{n}.a.example 192.0.2.{}\n", n % 250 + 1);
    }
    let search = locate("sip:a.example", &Zone::new(&text));
    let located = search.outcome.as_ref().unwrap();
    assert_eq!(located.targets.len(), locating::TARGETS_MAX);
    assert_eq!(located.targets[8].address.to_string(), "192.0.2.2:5060", "eight of the first host");
    assert_eq!(search.asked.iter().filter(|q| matches!(q, Question::Srv(_))).count(), 8);
    let hosts = search.asked.iter().filter(|q| matches!(q, Question::A(_))).count();
    assert!(hosts <= locating::TARGETS_MAX, "{hosts}");
    assert!(search.asked.len() <= locating::QUESTIONS_MAX, "{}", search.asked.len());
    assert!(search.steps.lines().count() < 500 && search.steps.contains("NAPTR a.example: and 2984 more\n"));
}
