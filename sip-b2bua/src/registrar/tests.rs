use super::*;
use sip_core::digest::{Identity, answer};
use sip_message::{Message, NameAddr};
use std::net::{IpAddr, SocketAddr};

const DOMAIN: &str = "example.com";
const WALL: i64 = 1_795_255_200_000;
const USERS: [&str; 6] = ["1001", "1002", "null-%00-null", "watson", "user", "j.user"];
const PHONE: &str = "192.0.2.7:5062";

struct World {
    registrar: Registrar,
    start: Instant,
    now: Instant,
    random: u64,
}

/// What became of a REGISTER with the right password.
struct Answer {
    response: Response,
    changed: Option<Changed>,
}

impl World {
    fn new() -> Self {
        let mut registrar = Registrar::new(config(), USERS.map(|name| (name.into(), secret(name, name))));
        registrar.set_local_hosts([Host::new("127.0.0.1").unwrap()]);
        let start = Instant::now();
        Self { registrar, start, now: start, random: 0 }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn wall(&self) -> i64 {
        WALL + i64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    /// A REGISTER whose bindings are on disk at once.
    fn register(&mut self, request: &Request, flow: Flow) -> Registration {
        let registration = self.register_unwritten(request, flow);
        if let Registration::Answered { changed: Some((user, _)), .. } = &registration {
            self.registrar.written(user);
        }
        registration
    }

    fn register_unwritten(&mut self, request: &Request, flow: Flow) -> Registration {
        self.random += 1;
        let incoming = Incoming { request: request.clone(), flow };
        let wall = self.wall();
        self.registrar.register(&incoming, self.now, wall, self.random)
    }

    /// A REGISTER of 1001 from its phone, answered but not yet written. Returns the URIs that are to be written.
    fn phone_unwritten(&mut self, lines: &str) -> Vec<String> {
        let plain = request("1001", lines);
        let Registration::Stateless(challenge) = self.register_unwritten(&plain, udp(PHONE)) else {
            panic!("no challenge");
        };
        let with = with_credentials(&plain, &challenge, "1001", "1001");
        match self.register_unwritten(&with, udp(PHONE)) {
            Registration::Answered { changed: Some((_, bindings)), .. } => contacts_of(&bindings),
            other @ (Registration::Answered { .. } | Registration::Stateless(_) | Registration::Dropped) => {
                panic!("{other:?}")
            }
        }
    }

    /// The answer to the request once its challenge is met with this name and password.
    fn log_in_as(&mut self, request: &Request, flow: Flow, name: &str, password: &str) -> Registration {
        let challenge = match self.register(request, flow) {
            Registration::Stateless(response) => response,
            other @ (Registration::Answered { .. } | Registration::Dropped) => return other,
        };
        self.register(&with_credentials(request, &challenge, name, password), flow)
    }

    fn log_in(&mut self, request: &Request, flow: Flow, name: &str) -> Answer {
        match self.log_in_as(request, flow, name, name) {
            Registration::Answered { response, changed, .. } => Answer { response, changed },
            other @ (Registration::Stateless(_) | Registration::Dropped) => panic!("{name}: {other:?}"),
        }
    }

    /// A REGISTER of 1001 from its phone with these lines.
    fn phone(&mut self, lines: &str) -> Answer {
        self.log_in(&request("1001", lines), udp(PHONE), "1001")
    }

    fn status(&mut self, lines: &str) -> u16 {
        let Answer { response, changed } = self.phone(lines);
        assert!(response.status == StatusCode::OK || changed.is_none(), "{lines}");
        response.status.code()
    }

    fn uris(&self, name: &str) -> Vec<String> {
        self.registrar
            .bindings_of(name, self.now)
            .iter()
            .map(|binding| binding.contact.uri.to_string())
            .collect()
    }

    /// Seconds that are left of each binding of 1001.
    fn left(&self) -> Vec<u64> {
        let bindings = self.registrar.bindings_of("1001", self.now);
        bindings.iter().map(|binding| (binding.expires - self.now).as_secs()).collect()
    }
}

fn contacts_of(bindings: &[StoredBinding]) -> Vec<String> {
    bindings.iter().map(|binding| binding.contact.to_string()).collect()
}

fn config() -> RegistrarConfig {
    RegistrarConfig {
        domain: DOMAIN.into(),
        min: Duration::from_secs(60),
        default: Duration::from_secs(600),
        max: Duration::from_secs(3600),
        bindings_max: 3,
        nonce_key: [7; 32],
    }
}

fn secret(name: &str, password: &str) -> Secret {
    Secret::new(name, DOMAIN, password)
}

fn udp(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: address("198.51.100.1:5060"),
        remote: address(remote),
        peer: None,
    }
}

fn tcp(remote: &str) -> Flow {
    Flow { transport: Transport::Tcp, ..udp(remote) }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn parsed(octets: &[u8]) -> Request {
    match Message::parse(octets).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

/// Call-ID and CSeq are `call` and 10 unless `lines` begin with others.
fn request(user: &str, lines: &str) -> Request {
    let order = if lines.contains("CSeq") { "" } else { "CSeq: 10 REGISTER\r\n" };
    let call = if lines.contains("Call-ID") { "" } else { "Call-ID: call\r\n" };
    let text = format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@{DOMAIN}>;tag=1\r\nTo: <sip:{user}@{DOMAIN}>\r\n{call}{order}{}\r\n\r\n",
        lines.replace('\n', "\r\n")
    );
    parsed(text.replace("\r\n\r\n\r\n", "\r\n\r\n").as_bytes())
}

fn with_credentials(request: &Request, challenge: &Response, name: &str, password: &str) -> Request {
    let identity = Identity::new(name, password);
    let uri = request.uri.to_string();
    let (field, value) = answer(&identity, &request.method, &uri, challenge, 1, "cnonce").unwrap();
    let mut request = request.clone();
    request.header.fields.push(field, value);
    request
}

fn contacts(response: &Response) -> Vec<String> {
    match &response.header.contact {
        None => Vec::new(),
        Some(Contacts::Star) => vec!["*".to_owned()],
        Some(Contacts::List(list)) => list.iter().map(ToString::to_string).collect(),
    }
}

fn status_of(registration: &Registration) -> Option<u16> {
    match registration {
        Registration::Stateless(response) | Registration::Answered { response, .. } => {
            Some(response.status.code())
        }
        Registration::Dropped => None,
    }
}

mod login {
    use super::*;

    const CONTACT: &str = "Contact: <sip:1001@192.0.2.7:5062>";

    fn wrong(world: &mut World, remote: &str, name: &str) -> Option<u16> {
        let registration = world.log_in_as(&request("1001", CONTACT), udp(remote), name, "guess");
        assert!(!matches!(registration, Registration::Answered { .. }));
        status_of(&registration)
    }

    /// The algorithms with which a phone is challenged, in order.
    fn challenges_to(user_agent: &str) -> Vec<&'static str> {
        let mut world = World::new();
        let lines = format!("{CONTACT}{user_agent}");
        let Registration::Stateless(response) = world.register(&request("1001", &lines), udp(PHONE)) else {
            panic!("a stranger got in")
        };
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        assert_eq!(world.uris("1001"), Vec::<String>::new());
        let values = response.header.fields.get_all(&FieldName::WWW_AUTHENTICATE);
        values.map(|value| if value.contains("SHA-256") { "SHA-256" } else { "MD5" }).collect()
    }

    #[test]
    fn a_stranger_is_challenged_with_both_algorithms_the_strongest_first_and_nothing_is_kept() {
        assert_eq!(challenges_to("\nUser-Agent: Phone/1"), ["SHA-256", "MD5"]);
    }

    #[test]
    fn a_phone_that_gives_up_at_what_it_does_not_know_is_given_what_it_knows() {
        assert_eq!(challenges_to("\nUser-Agent: baresip v1.0.0 (x86_64/linux)"), ["MD5"]);
        assert_eq!(challenges_to("\nUser-Agent: baresip v3.9.0 (x86_64/Linux)"), ["SHA-256", "MD5"]);
        assert_eq!(challenges_to("\nUser-Agent: SIPp v3.6"), ["MD5", "SHA-256"]);
        assert_eq!(challenges_to(""), ["MD5", "SHA-256"]);
    }

    /// The algorithms of each challenge to a phone that comes again and again and answers none.
    fn challenges_again(world: &mut World, lines: &str, numbers: std::ops::Range<u32>) -> Vec<String> {
        let challenge = |number: u32| {
            let request = request("1001", &format!("CSeq: {number} REGISTER\n{CONTACT}\n{lines}"));
            let Registration::Stateless(response) = world.register(&request, udp(PHONE)) else {
                panic!("401")
            };
            let values = response.header.fields.get_all(&FieldName::WWW_AUTHENTICATE);
            let words = values.map(|value| if value.contains("SHA-256") { "SHA" } else { "MD5" });
            words.collect::<Vec<_>>().join(" ")
        };
        numbers.map(challenge).collect()
    }

    #[test]
    fn a_phone_that_does_not_answer_its_challenge_is_given_another_one() {
        let empty =
            "Authorization: Digest username=\"1001\", realm=\"\", nonce=\"\", uri=\"sip:a\", response=\"\"";
        for credentials in ["", empty, &format!("{empty}, algorithm=MD5"), "Authorization: Basic MTAwMTo="] {
            let (mut world, lines) = (World::new(), format!("User-Agent: Phone/1\n{credentials}"));
            let tries = challenges_again(&mut world, lines.trim_end(), 1..6);
            assert_eq!(tries, ["SHA MD5", "MD5 SHA", "MD5", "SHA MD5", "MD5"], "{credentials}");
            let again = challenges_again(&mut world, lines.trim_end(), 5..6);
            assert_eq!(again, ["MD5"], "the same one, sent again");
        }
    }

    #[test]
    fn a_phone_that_answers_is_given_the_strongest_first_each_time() {
        let mut world = World::new();
        for number in 1..6 {
            let lines = format!("CSeq: {number} REGISTER\n{CONTACT}\nUser-Agent: Phone/1");
            let password = if number == 3 { "guess" } else { "1001" };
            let request = request("1001", &lines);
            let Registration::Stateless(response) = world.register(&request, udp(PHONE)) else {
                panic!("401")
            };
            let first = response.header.fields.get(&FieldName::WWW_AUTHENTICATE).unwrap();
            assert!(first.contains("SHA-256"), "{number}: {first}");
            world.register(&with_credentials(&request, &response, "1001", password), udp(PHONE));
        }
    }

    #[test]
    fn credentials_that_are_not_filled_in_are_challenged() {
        for value in [
            "Digest username=\"1001\", realm=\"example.com\", nonce=\"\", uri=\"sip:example.com\", response=\"\"",
            "Digest username=\"1001\", realm=\"\", nonce=\"\", uri=\"sip:example.com\", response=\"\", algorithm=MD5",
            "Digest username=\"1001\", realm=\"example.com\", uri=\"sip:example.com\"",
            "Digest username=\"1001\", realm=\"example.com\", nonce=\"\", uri=\"sip:example.com\", response=\"\", algorithm=AKAv1-MD5",
            "Digest username=\"1001\", realm=\"example.com\", nonce=\"x\", uri=\"sip:example.com\", response=\"\"",
        ] {
            let mut request = request("1001", CONTACT);
            request.header.fields.push(FieldName::AUTHORIZATION, value);
            assert_eq!(status_of(&World::new().register(&request, udp(PHONE))), Some(401), "{value}");
        }
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
        let mut world = World::new();
        let mut answers = Vec::new();
        for name in ["1001", "4711"] {
            let answer = world.log_in_as(&request("1001", CONTACT), udp(PHONE), name, "guess");
            let Registration::Stateless(response) = answer else { panic!("{answer:?}") };
            let fields = response.header.fields.iter().map(|(name, value)| {
                let (before, nonce) = value.split_once("nonce=\"").unwrap();
                format!("{name}: {before}{}", nonce.get(48..).unwrap())
            });
            answers.push((response.status, response.reason.clone(), fields.collect::<Vec<_>>()));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
        assert!(!answers[0].2.join("").contains("stale"), "{answers:?}");
    }

    #[test]
    fn strangers_learn_nothing_of_domains_extensions_or_users() {
        let mut world = World::new();
        let foreign = parsed(
            b"REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
              To: <isbn:1>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nRequire: x\r\nContact: *\r\n\r\n",
        );
        assert_eq!(status_of(&world.register(&foreign, udp(PHONE))), Some(401));
    }

    #[test]
    fn the_account_of_a_carrier_calls_and_does_not_register() {
        let mut world = World::new();
        let own = [Identity::new("acct-77", "secret"), Identity::new("1001", "not the phone's")];
        world.registrar.set_accounts(&own);
        let mut invite = request("acct-77", "");
        invite.method = Method::INVITE;
        let mut logged_in = |name: &str, password: &str, method: Method| {
            invite.method = method;
            let first = Incoming { request: invite.clone(), flow: udp(PHONE) };
            world.random += 1;
            let Authenticated::Challenge(challenge) =
                world.registrar.authenticate(&first, world.now, world.random)
            else {
                panic!("no challenge")
            };
            let request = with_credentials(&invite, &challenge, name, password);
            let again = Incoming { request, flow: udp(PHONE) };
            format!("{:?}", world.registrar.authenticate(&again, world.now, world.random))
        };
        assert_eq!(logged_in("acct-77", "secret", Method::INVITE), "Account(\"acct-77\")");
        for (name, password, method) in [
            ("acct-77", "secret", Method::REGISTER),
            ("acct-77", "secret", Method::OPTIONS),
            ("acct-77", "wrong", Method::INVITE),
            ("1001", "not the phone's", Method::INVITE),
        ] {
            let found = logged_in(name, password, method);
            assert!(found.starts_with("Challenge"), "{name}: {found}");
        }
        assert_eq!(logged_in("1001", "1001", Method::INVITE), "Extension(\"1001\")");
    }

    #[test]
    fn a_replayed_login_is_stale() {
        let mut world = World::new();
        let plain = request("1001", CONTACT);
        let Registration::Stateless(challenge) = world.register(&plain, udp(PHONE)) else { panic!("no 401") };
        let with = with_credentials(&plain, &challenge, "1001", "1001");
        assert_eq!(status_of(&world.register(&with, udp(PHONE))), Some(200));
        let Registration::Stateless(again) = world.register(&with, udp("203.0.113.9:5060")) else {
            panic!("a replay got in")
        };
        let values: Vec<_> = again.header.fields.get_all(&FieldName::WWW_AUTHENTICATE).collect();
        assert!(values.len() == 2 && values.iter().all(|value| value.contains("stale=true")), "{values:?}");
    }

    #[test]
    fn a_login_is_good_for_other_methods_too() {
        let mut world = World::new();
        let mut options = request("1001", "");
        options.method = Method::OPTIONS;
        let incoming = |request: &Request| Incoming { request: request.clone(), flow: udp(PHONE) };
        let Authenticated::Challenge(challenge) =
            world.registrar.authenticate(&incoming(&options), world.now, 1)
        else {
            panic!("no challenge")
        };
        let with = with_credentials(&options, &challenge, "1001", "1001");
        let authenticated = world.registrar.authenticate(&incoming(&with), world.now, 2);
        assert!(matches!(authenticated, Authenticated::Extension(name) if &*name == "1001"));
    }

    #[test]
    fn a_source_that_guesses_is_not_heard_for_two_minutes() {
        let mut world = World::new();
        for guess in 0..=20 {
            assert_eq!(wrong(&mut world, "203.0.113.9:1000", "1001"), Some(401), "{guess}");
        }
        for (remote, heard) in
            [("203.0.113.9:1000", None), ("203.0.113.9:2000", None), ("203.0.113.8:1", Some(401))]
        {
            assert_eq!(wrong(&mut world, remote, "1002"), heard, "{remote}");
        }
        let right = world.log_in_as(&request("1001", CONTACT), udp("203.0.113.9:1000"), "1001", "1001");
        assert!(matches!(right, Registration::Dropped));
        world.wait(121);
        let right = world.log_in_as(&request("1001", CONTACT), udp("203.0.113.9:1000"), "1001", "1001");
        assert_eq!(status_of(&right), Some(200));
    }

    #[test]
    fn with_the_challenge_of_another_address_nothing_is_learned_of_a_password() {
        let mut world = World::new();
        let plain = request("1001", CONTACT);
        let (challenged, guesser) = (udp("203.0.113.9:1"), udp("198.51.100.1:1"));
        let Registration::Stateless(challenge) = world.register(&plain, challenged) else { panic!("no 401") };
        for password in ["1001", "guess"].repeat(100) {
            let with = with_credentials(&plain, &challenge, "1001", password);
            let Registration::Stateless(again) = world.register(&with, guesser) else { panic!("{password}") };
            assert_eq!(again.status, StatusCode::UNAUTHORIZED, "{password}");
            let values: Vec<_> = again.header.fields.get_all(&FieldName::WWW_AUTHENTICATE).collect();
            assert!(values.iter().all(|value| value.contains("stale=true")), "{password}: {values:?}");
        }
        // Nobody is silenced for it, and the one that was challenged gets in.
        let right = with_credentials(&plain, &challenge, "1001", "1001");
        assert_eq!(status_of(&world.register(&right, challenged)), Some(200));
        let own = world.log_in_as(&request("1002", "Contact: <sip:1002@192.0.2.7>"), guesser, "1002", "1002");
        assert_eq!(status_of(&own), Some(200));
    }

    #[test]
    fn guesses_that_are_far_apart_do_not_add_up() {
        let mut world = World::new();
        for _ in 0..40 {
            assert_eq!(wrong(&mut world, "203.0.113.9:1000", "1001"), Some(401));
            world.wait(4);
        }
    }

    #[test]
    fn a_phone_is_not_locked_out_by_guesses_from_its_own_address_or_at_its_name() {
        let mut world = World::new();
        assert_eq!(world.status(CONTACT), 200);
        for _ in 0..30 {
            wrong(&mut world, PHONE, "1002");
        }
        assert_eq!(wrong(&mut world, PHONE, "1002"), None);
        assert_eq!(world.status(&format!("CSeq: 11 REGISTER\n{CONTACT}")), 200);
        let other =
            world.log_in_as(&request("1002", "Contact: <sip:1002@192.0.2.7>"), udp(PHONE), "1002", "1002");
        assert!(matches!(other, Registration::Dropped), "the right password of one that was not here before");
        for source in 0..10 {
            for _ in 0..12 {
                wrong(&mut world, &format!("203.0.113.{source}:1"), "1001");
            }
        }
        assert_eq!(wrong(&mut world, "203.0.113.77:1", "1001"), None);
        assert_eq!(world.status(&format!("CSeq: 12 REGISTER\n{CONTACT}")), 200);
        let elsewhere = udp("203.0.113.99:1");
        let lines = format!("Call-ID: new\n{CONTACT}");
        let right = world.log_in_as(&request("1001", &lines), elsewhere, "1001", "1001");
        assert_eq!(status_of(&right), Some(200), "the right password at once, from a new address");
        wrong(&mut world, "203.0.113.78:1", "1001");
        wrong(&mut world, "203.0.113.78:1", "1001");
        let third = world.log_in_as(&request("1001", &lines), udp("203.0.113.78:1"), "1001", "1001");
        assert!(matches!(third, Registration::Dropped), "of one that has guessed");
    }

    #[test]
    fn a_user_stays_silenced_whatever_other_names_are_guessed_at() {
        let mut world = World::new();
        for source in 0..10 {
            for _ in 0..12 {
                wrong(&mut world, &format!("203.0.113.{source}:1"), "1001");
            }
        }
        for number in 0..10_500_u32 {
            let source = std::net::Ipv4Addr::from(0x0a00_0000 + number);
            wrong(&mut world, &format!("{source}:1"), &format!("no{number}"));
        }
        assert_eq!(wrong(&mut world, "198.51.100.66:1", "1001"), None);
    }

    #[test]
    fn credentials_that_cannot_be_read_are_refused_without_state() {
        let mut world = World::new();
        let no_uri = "Digest username=\"1001\", realm=\"example.com\", nonce=\"1\", response=\"2\"";
        for value in ["Digest username=\"1001", no_uri] {
            let mut request = request("1001", CONTACT);
            request.header.fields.push(FieldName::AUTHORIZATION, value);
            let registration = world.register(&request, udp(PHONE));
            assert!(matches!(&registration, Registration::Stateless(_)), "{value}");
            assert_eq!(status_of(&registration), Some(400), "{value}");
        }
    }
}

mod bindings {
    use super::*;

    #[test]
    fn a_registration_is_kept_listed_and_stored() {
        let mut world = World::new();
        let Answer { response, changed } = world.phone(
            "Contact: \"Desk\" <sip:1001@10.0.0.7:5062;ob>;q=0.5;+sip.instance=\"<urn:uuid:1>\"\nExpires: 120\n\
             Supported: path\nPath: <sip:edge.example.com;lr>\nUser-Agent: Phone/1",
        );
        assert_eq!(response.status, StatusCode::OK);
        let listed = "\"Desk\" <sip:1001@10.0.0.7:5062;ob>;q=0.5;+sip.instance=\"<urn:uuid:1>\";expires=120";
        assert_eq!(contacts(&response), [listed]);
        let fields = &response.header.fields;
        assert_eq!(fields.get(&FieldName::PATH), Some("<sip:edge.example.com;lr>"));
        assert_eq!(fields.get(&FieldName::SUPPORTED), Some("path"));
        assert_eq!(fields.get(&FieldName::DATE), Some("Sat, 21 Nov 2026 10:00:00 GMT"));
        let (user, stored) = changed.unwrap();
        assert_eq!((&*user, stored.len()), ("1001", 1));
        assert_eq!((&*stored[0].transport, &*stored[0].remote), ("udp", PHONE));
        assert_eq!((&*stored[0].call_id, stored[0].cseq), ("call", 10));
        assert_eq!(stored[0].expires_at, WALL + 120_000);
        let [binding] = &world.registrar.bindings_of("1001", world.now)[..] else { panic!("not one") };
        assert_eq!((binding.flow, binding.instance.as_deref()), (udp(PHONE), Some("<urn:uuid:1>")));
        assert_eq!((binding.path.len(), binding.user_agent.as_deref()), (1, Some("Phone/1")));
    }

    #[test]
    fn a_query_lists_and_changes_nothing() {
        let mut world = World::new();
        assert_eq!(contacts(&world.phone("").response), Vec::<String>::new());
        assert_eq!(world.status("Contact: <sip:1001@192.0.2.7>;expires=100"), 200);
        world.wait(30);
        let Answer { response, changed } = world.phone("CSeq: 11 REGISTER\nExpires: 0");
        assert_eq!(contacts(&response), ["<sip:1001@192.0.2.7>;expires=70"]);
        assert_eq!(changed, None);
    }

    #[test]
    fn the_wish_of_the_phone_is_kept_within_bounds() {
        for (lines, left) in [
            ("Contact: <sip:1@192.0.2.7>", 600),
            ("Contact: <sip:1@192.0.2.7>\nExpires: 60", 60),
            ("Contact: <sip:1@192.0.2.7>;expires=90\nExpires: 1200", 90),
            ("Contact: <sip:1@192.0.2.7>;expires=\"90\"", 90),
            ("Contact: <sip:1@192.0.2.7>\nExpires: 3601", 3600),
            ("Contact: <sip:1@192.0.2.7>\nExpires: 4294967296", 3600),
            ("Contact: <sip:1@192.0.2.7>;expires=99999999999999999999", 3600),
            ("Contact: <sip:1@192.0.2.7>\nExpires: soon", 600),
            ("Contact: <sip:1@192.0.2.7>\nExpires: -1", 600),
            ("Contact: <sip:1@192.0.2.7>;expires=-1\nExpires: 70", 600),
            ("Contact: <sip:1@192.0.2.7>;expires\nExpires: 70", 70),
        ] {
            let mut world = World::new();
            assert_eq!(world.status(lines), 200, "{lines}");
            assert_eq!(world.left(), [left], "{lines}");
        }
    }

    #[test]
    fn too_brief_a_wish_is_told_the_shortest() {
        for lines in ["Expires: 59\nContact: <sip:1@192.0.2.7>", "Contact: <sip:1@192.0.2.7>;expires=1"] {
            let mut world = World::new();
            let Answer { response, changed } = world.phone(lines);
            assert_eq!(response.status, StatusCode::INTERVAL_TOO_BRIEF);
            assert_eq!(response.header.fields.get(&FieldName::MIN_EXPIRES), Some("60"));
            assert_eq!((changed, world.left()), (None, vec![]));
        }
    }

    #[test]
    fn an_equivalent_contact_is_a_refresh() {
        let mut world = World::new();
        assert_eq!(world.status("Contact: <sip:1001@phone.example.net>"), 200);
        world.wait(100);
        assert_eq!(world.status("CSeq: 11 REGISTER\nContact: <sip:%31001@PHONE.example.net;x=y>"), 200);
        assert_eq!(world.left(), [600]);
        assert_eq!(world.status("Call-ID: 2\nContact: <sip:1001@phone.example.net:5060>"), 200);
        assert_eq!(world.left(), [600, 600]);
    }

    #[test]
    fn a_phone_that_comes_back_with_another_address_replaces_itself() {
        let mut world = World::new();
        let contact = |host: &str, more: &str| {
            format!("Call-ID: {host}\nContact: <sip:1001@{host}>;+sip.instance=\"<urn:uuid:1>\"{more}")
        };
        assert_eq!(world.status(&contact("192.0.2.1", "")), 200);
        assert_eq!(world.status(&contact("192.0.2.2", "")), 200);
        assert_eq!(world.uris("1001"), ["sip:1001@192.0.2.2"]);
        assert_eq!(world.status(&contact("192.0.2.3", ";reg-id=1")), 200);
        assert_eq!(world.status(&contact("192.0.2.4", ";reg-id=2")), 200);
        assert_eq!(world.uris("1001").len(), 3);
        assert_eq!(world.status(&contact("192.0.2.5", ";reg-id=2")), 200);
        assert_eq!(world.uris("1001").len(), 3);
    }

    #[test]
    fn zero_removes_one_and_star_removes_all() {
        let mut world = World::new();
        assert_eq!(world.status("Contact: <sip:a@192.0.2.7>, <sip:b@192.0.2.7>, <sip:c@192.0.2.7>"), 200);
        let Answer { response, changed } =
            world.phone("CSeq: 11 REGISTER\nContact: <sip:b@192.0.2.7>;expires=0\nExpires: 600");
        assert_eq!(contacts(&response).len(), 2);
        assert_eq!(changed.unwrap().1.len(), 2);
        assert!(!world.uris("1001").contains(&"sip:b@192.0.2.7".to_owned()));
        let Answer { response, changed } = world.phone("CSeq: 12 REGISTER\nContact: *\nExpires: 0");
        assert_eq!((response.status, contacts(&response).len()), (StatusCode::OK, 0));
        assert_eq!(changed, Some(("1001".into(), Vec::new())));
        let Answer { changed, .. } = world.phone("CSeq: 13 REGISTER\nContact: *\nExpires: 0");
        assert_eq!(changed, None);
        let Answer { response, changed } =
            world.phone("CSeq: 14 REGISTER\nContact: <sip:b@192.0.2.7>;expires=0");
        assert_eq!((response.status, changed), (StatusCode::OK, None));
    }

    #[test]
    fn star_without_expires_0_removes_nothing() {
        let mut world = World::new();
        assert_eq!(world.status("Contact: <sip:a@192.0.2.7>"), 200);
        for lines in [
            "Contact: *",
            "Contact: *\nExpires: 600",
            "Contact: *\nExpires: soon",
            "Contact: *\nExpires: 00x",
        ] {
            assert_eq!(world.status(&format!("CSeq: 11 REGISTER\n{lines}")), 400, "{lines}");
        }
        assert_eq!(world.uris("1001").len(), 1);
    }

    #[test]
    fn a_request_that_was_overtaken_changes_nothing() {
        let mut world = World::new();
        assert_eq!(world.status("CSeq: 20 REGISTER\nContact: <sip:a@192.0.2.7>"), 200);
        for lines in [
            "CSeq: 20 REGISTER\nContact: <sip:a@192.0.2.7>;expires=0",
            "CSeq: 19 REGISTER\nContact: <sip:b@192.0.2.7>, <sip:a@192.0.2.7>;expires=100",
            "CSeq: 19 REGISTER\nContact: *\nExpires: 0",
        ] {
            assert_eq!(world.status(lines), 500, "{lines}");
            assert_eq!(
                (world.uris("1001"), world.left()),
                (vec!["sip:a@192.0.2.7".into()], vec![600]),
                "{lines}"
            );
        }
        assert_eq!(
            world.status("CSeq: 1 REGISTER\nCall-ID: new\nContact: <sip:a@192.0.2.7>;expires=100"),
            200
        );
        assert_eq!(world.left(), [100]);
        assert_eq!(world.status("CSeq: 1 REGISTER\nCall-ID: call\nContact: <sip:b@192.0.2.7>"), 200);
    }

    #[test]
    fn one_request_may_name_a_contact_twice() {
        let mut world = World::new();
        assert_eq!(
            world.status("Contact: <sip:a@192.0.2.7>;expires=100, <sip:a@192.0.2.7>;expires=200"),
            200
        );
        assert_eq!(world.left(), [200]);
    }

    #[test]
    fn too_many_contacts_are_refused_all_or_nothing() {
        let mut world = World::new();
        let four = "Contact: <sip:a@192.0.2.7>, <sip:b@192.0.2.7>, <sip:c@192.0.2.7>, <sip:d@192.0.2.7>";
        assert_eq!(world.status(four), 403);
        assert_eq!(world.uris("1001").len(), 0);
    }

    #[test]
    fn when_there_is_no_room_the_oldest_gives_way() {
        let mut world = World::new();
        for (number, user) in ["a", "b", "c"].into_iter().enumerate() {
            let lines = format!("Call-ID: {user}\nCSeq: {number} REGISTER\nContact: <sip:{user}@192.0.2.7>");
            assert_eq!(world.status(&lines), 200);
            world.wait(1);
        }
        assert_eq!(world.status("Call-ID: a\nCSeq: 9 REGISTER\nContact: <sip:a@192.0.2.7>"), 200);
        world.wait(1);
        assert_eq!(world.status("Call-ID: d\nContact: <sip:d@192.0.2.7>"), 200);
        assert_eq!(
            world.uris("1001"),
            ["sip:d@192.0.2.7", "sip:a@192.0.2.7", "sip:c@192.0.2.7"],
            "b came longest ago"
        );
    }

    #[test]
    fn a_phone_that_connects_again_and_again_is_not_locked_out_and_open_connections_stay() {
        let mut world = World::new();
        let log_in = |world: &mut World, port: u16| {
            let lines = format!("Call-ID: {port}\nContact: <sip:1001@10.0.0.7:{port};transport=tcp>");
            let flow = tcp(&format!("192.0.2.7:{port}"));
            world.wait(1);
            (status_of(&world.log_in_as(&request("1001", &lines), flow, "1001", "1001")), flow)
        };
        for port in 40_000..40_011 {
            let (status, flow) = log_in(&mut world, port);
            assert_eq!(status, Some(200), "{port}");
            // It goes without a word; the listening form of it stays in the list.
            world.registrar.flow_closed(flow, world.now);
        }
        for port in 41_000..41_003 {
            assert_eq!(log_in(&mut world, port).0, Some(200));
        }
        assert_eq!(log_in(&mut world, 41_003).0, Some(403), "three connections are open");
        assert_eq!(world.uris("1001").len(), 3);
    }

    #[test]
    fn a_phone_with_a_new_port_takes_the_place_it_had() {
        let mut world = World::new();
        for number in 1..12 {
            let lines = format!("CSeq: {number} REGISTER\nContact: <sip:1001@192.0.2.7:{}>", 5_000 + number);
            assert_eq!(world.status(&lines), 200);
            assert_eq!(world.uris("1001").len(), 1, "the same Call-ID, another port");
        }
        assert_eq!(world.status("CSeq: 20 REGISTER\nContact: <sip:1001@192.0.2.8:5000>"), 200);
        assert_eq!(world.uris("1001").len(), 2, "another host is another contact");
        assert_eq!(world.status("CSeq: 3 REGISTER\nContact: <sip:1001@192.0.2.7:5003>"), 500, "overtaken");
        assert_eq!(world.status("Call-ID: 2\nContact: <sip:1001@192.0.2.7:6000>"), 200);
        assert_eq!(world.uris("1001").len(), 3, "another phone behind the same address");
    }

    #[test]
    fn an_instance_without_a_connection_is_replaced_and_one_with_it_is_not() {
        let mut world = World::new();
        let log_in = |world: &mut World, port: u16| {
            let lines = format!(
                "Call-ID: {port}\nContact: <sip:1001@192.0.2.7:{port};transport=tcp>;+sip.instance=\"<urn:uuid:1>\""
            );
            let flow = tcp(&format!("192.0.2.7:{port}"));
            assert_eq!(
                status_of(&world.log_in_as(&request("1001", &lines), flow, "1001", "1001")),
                Some(200)
            );
            flow
        };
        let first = log_in(&mut world, 40_001);
        log_in(&mut world, 40_002);
        assert_eq!(world.uris("1001").len(), 2);
        world.registrar.flow_closed(first, world.now);
        log_in(&mut world, 40_003);
        let uris = world.uris("1001");
        assert!(uris.len() == 2 && !uris.iter().any(|uri| uri.contains("40001")), "{uris:?}");
    }

    #[test]
    fn a_phone_that_comes_back_is_said_to_have_moved() {
        let mut world = World::new();
        // Behind a NAT: its binding goes with the connection.
        let mut log_in = |port: u16, number: u32, closed: Option<Flow>| {
            if let Some(flow) = closed {
                world.registrar.flow_closed(flow, world.now);
            }
            let lines = format!("CSeq: {number} REGISTER\nContact: <sip:1001@10.0.0.7:{port};transport=tcp>");
            let flow = tcp(&format!("192.0.2.7:{port}"));
            match world.log_in_as(&request("1001", &lines), flow, "1001", "1001") {
                Registration::Answered { moved, .. } => (flow, moved),
                other @ (Registration::Stateless(_) | Registration::Dropped) => panic!("{other:?}"),
            }
        };
        let (first, moved) = log_in(40_001, 1, None);
        assert_eq!(moved, []);
        let (second, moved) = log_in(40_002, 2, Some(first));
        assert_eq!(moved, [(first, second)]);
        assert_eq!(log_in(40_002, 3, None).1, [], "a refresh");
        let (third, moved) = log_in(40_003, 4, Some(second));
        assert_eq!(moved, [(second, third)]);
    }

    #[test]
    fn a_phone_that_moved_and_takes_back_where_it_was_is_where_it_is() {
        let instance = ";+sip.instance=\"<urn:uuid:1>\"";
        for reg_id in ["", ";reg-id=1"] {
            for swapped in [false, true] {
                let mut world = World::new();
                let old = format!("<sip:1001@192.0.2.7:5000>{instance}{reg_id}");
                let new = format!("<sip:1001@192.0.2.7:5001>{instance}{reg_id}");
                assert_eq!(world.status(&format!("CSeq: 1 REGISTER\nContact: {old}")), 200);
                let gone = format!("{old};expires=0");
                let contacts = if swapped { [&gone, &new] } else { [&new, &gone] };
                let lines = format!("CSeq: 2 REGISTER\nContact: {}\nContact: {}", contacts[0], contacts[1]);
                assert_eq!(world.status(&lines), 200);
                assert_eq!(world.uris("1001"), ["sip:1001@192.0.2.7:5001"], "{reg_id} {swapped}");
            }
        }
    }

    #[test]
    fn a_phone_that_listens_elsewhere_than_it_sends_from_is_rung_where_it_listens() {
        for (via, contact, rung) in [
            ("192.0.2.7:5060", "192.0.2.7:5070", "192.0.2.7:5070"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.7:5060"),
            ("phone.example.com", "192.0.2.7:5070", "192.0.2.7:5070"),
            ("192.0.2.7:5060;rport", "192.0.2.7:5070", PHONE),
            ("10.0.0.7:5060", "10.0.0.7:5060", PHONE),
            ("10.0.0.7:5060", "192.0.2.7:5070", PHONE),
            ("192.0.2.7:5060", "10.0.0.7:5070", PHONE),
        ] {
            let mut world = World::new();
            let mut request = request("1001", &format!("Contact: <sip:1001@{contact}>"));
            request.header.via = parsed(
                format!("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n").as_bytes(),
            ).header.via;
            world.log_in(&request, udp(PHONE), "1001");
            let [binding] = &world.registrar.bindings_of("1001", world.now)[..] else { panic!("not one") };
            assert_eq!(binding.flow, udp(rung), "{via} {contact}");
        }
    }

    #[test]
    fn one_contact_that_is_refused_fails_the_whole_request() {
        for bad in [
            "<mailto:a@b.example>",
            "<sip:a@198.51.100.1>",
            "<sip:a@198.51.100.1:5060>",
            "<sip:b@192.0.2.7>;expires=1",
        ] {
            let mut world = World::new();
            let status = world.status(&format!("Contact: <sip:a@192.0.2.7>, {bad}"));
            assert!([400, 403, 423].contains(&status), "{bad}");
            assert_eq!(world.left(), Vec::<u64>::new(), "{bad}");
        }
        let mut world = World::new();
        assert_eq!(world.status(&format!("Contact: <sip:a@192.0.2.7;x={}>", "x".repeat(2048))), 513);
        assert_eq!(world.status("Contact: <sip:a@192.0.2.7>\nPath: <sip:a"), 400);
        assert_eq!(world.status("Contact: <sip:a@198.51.100.1:5062>"), 200);
    }

    #[test]
    fn the_server_is_not_its_own_phone() {
        let mut world = World::new();
        let request = request("1001", "Contact: <sip:1001@pbx.example.net>");
        let loops = world.log_in(&request, udp("198.51.100.1:5060"), "1001");
        assert_eq!(loops.response.status, StatusCode::FORBIDDEN);
    }

    #[test]
    fn nobody_registers_for_another() {
        let mut world = World::new();
        let other = request("1002", "Contact: <sip:1001@192.0.2.7>");
        let Answer { response, changed } = world.log_in(&other, udp(PHONE), "1001");
        assert_eq!((response.status, changed), (StatusCode::FORBIDDEN, None));
        let nobody = request("4711", "Contact: <sip:1001@192.0.2.7>");
        assert_eq!(world.log_in(&nobody, udp(PHONE), "1001").response.status, StatusCode::FORBIDDEN);
        assert!(world.uris("1002").is_empty() && world.uris("1001").is_empty());
    }

    #[test]
    fn the_domain_is_ours_by_each_of_its_names() {
        let mut world = World::new();
        for (to, status) in [
            ("sip:1001@EXAMPLE.COM:5060", 200),
            ("sips:1001@example.com;transport=tcp", 200),
            ("sip:1001@127.0.0.1:5062", 200),
            ("sip:1001@198.51.100.1", 200),
            ("sip:1001@198.51.100.2", 404),
            ("sip:1001@example.org", 404),
            ("sip:1001@127.0.0.2", 404),
            ("sip:example.com", 403),
            ("tel:1001", 400),
        ] {
            let mut request = request("1001", "");
            request.header.to = to.parse::<NameAddr>().unwrap_or_else(|_| format!("<{to}>").parse().unwrap());
            assert_eq!(world.log_in(&request, udp(PHONE), "1001").response.status.code(), status, "{to}");
        }
    }

    #[test]
    fn the_preferred_phone_comes_first_then_the_most_recent() {
        let mut world = World::new();
        assert_eq!(world.status("Contact: <sip:old@192.0.2.7>;q=0.8"), 200);
        world.wait(1);
        assert_eq!(world.status("CSeq: 11 REGISTER\nContact: <sip:low@192.0.2.7>;q=0.1"), 200);
        world.wait(1);
        assert_eq!(world.status("CSeq: 12 REGISTER\nContact: <sip:new@192.0.2.7>;q=0.8"), 200);
        assert_eq!(world.uris("1001"), ["sip:new@192.0.2.7", "sip:old@192.0.2.7", "sip:low@192.0.2.7"]);
    }
}

mod time_and_flows {
    use super::*;

    #[test]
    fn a_binding_that_expires_goes_and_is_told() {
        let mut world = World::new();
        assert_eq!(world.registrar.poll_timeout(), None);
        assert_eq!(world.status("Contact: <sip:a@192.0.2.7>;expires=60, <sip:b@192.0.2.7>;expires=90"), 200);
        assert_eq!(world.registrar.poll_timeout(), Some(world.now + Duration::from_secs(60)));
        world.wait(59);
        assert!(world.registrar.handle_timeout(world.now).is_empty());
        world.wait(1);
        assert_eq!(world.uris("1001"), ["sip:b@192.0.2.7"]);
        let changed = world.registrar.handle_timeout(world.now);
        assert_eq!((changed.len(), changed[0].1.len()), (1, 1));
        assert_eq!(world.registrar.poll_timeout(), Some(world.now + Duration::from_secs(30)));
        world.wait(30);
        assert_eq!(world.registrar.handle_timeout(world.now), [("1001".into(), Vec::new())]);
        assert_eq!(world.registrar.poll_timeout(), None);
    }

    #[test]
    fn after_each_timeout_the_next_one_lies_ahead() {
        let mut world = World::new();
        for (order, seconds) in [(1, 100), (2, 60), (3, 600)] {
            let lines = format!("CSeq: {order} REGISTER\nContact: <sip:a@192.0.2.7>;expires={seconds}");
            assert_eq!(world.status(&lines), 200);
        }
        let mut timeouts = 0;
        while let Some(next) = world.registrar.poll_timeout() {
            assert!(next > world.now && timeouts < 5);
            world.now = next;
            world.registrar.handle_timeout(next);
            timeouts += 1;
        }
        assert_eq!(world.now, world.start + Duration::from_secs(600));
    }

    #[test]
    fn registrations_come_back_after_a_restart() {
        let mut before = World::new();
        let lines = "Contact: \"A\" <sip:a@192.0.2.7;ob>;q=0.3;+sip.instance=\"<urn:uuid:1>\";expires=100\n\
                     Path: <sip:p1;lr>, <sip:p2;lr>\nUser-Agent: Phone/1";
        assert_eq!(before.status(lines), 200);
        let (_, rows) =
            before.phone("CSeq: 11 REGISTER\nContact: <sip:b@10.0.0.1>;expires=200").changed.unwrap();
        let mut world = World::new();
        world.registrar.restore(rows.clone(), world.now, WALL + 40_000);
        assert_eq!(world.left(), [160, 60]);
        let bindings = world.registrar.bindings_of("1001", world.now);
        assert_eq!(bindings[1].contact.display_name.as_deref(), Some("A"));
        assert_eq!(bindings[1].contact.uri.to_string(), "sip:a@192.0.2.7;ob");
        assert_eq!((bindings[1].path.len(), bindings[1].instance.as_deref()), (2, Some("<urn:uuid:1>")));
        assert_eq!((bindings[1].flow, bindings[1].user_agent.as_deref()), (udp(PHONE), Some("Phone/1")));
        assert_eq!(world.status("CSeq: 10 REGISTER\nContact: <sip:a@192.0.2.7;ob>"), 500);
        assert_eq!(world.registrar.poll_timeout(), Some(world.now + Duration::from_secs(60)));
        let again: Vec<_> = bindings.iter().map(|binding| binding.to_stored("1001")).collect();
        assert!(rows.iter().all(|row| again.contains(row)), "{rows:?} {again:?}");
    }

    #[test]
    fn what_cannot_be_taken_back_is_left() {
        let mut before = World::new();
        let (_, rows) = before.phone("Contact: <sip:a@10.0.0.1>").changed.unwrap();
        let restored = |change: &dyn Fn(&mut StoredBinding), wall: i64| {
            let mut world = World::new();
            let mut row = rows[0].clone();
            change(&mut row);
            world.registrar.restore(vec![row], world.now, wall);
            world.left()
        };
        assert_eq!(restored(&|_| {}, WALL), [600]);
        assert_eq!(restored(&|_| {}, WALL - 86_400_000), [3600], "a clock that was set back");
        assert_eq!(restored(&|_| {}, WALL + 600_000), Vec::<u64>::new());
        assert_eq!(restored(&|_| {}, i64::MIN), Vec::<u64>::new());
        assert_eq!(restored(&|row| row.user = "4711".into(), WALL), Vec::<u64>::new());
        assert_eq!(restored(&|row| row.contact = "<".into(), WALL), Vec::<u64>::new());
        assert_eq!(restored(&|row| row.transport = "tls".into(), WALL), Vec::<u64>::new());
        assert_eq!(restored(&|row| row.remote = "nowhere".into(), WALL), Vec::<u64>::new());
        assert_eq!(restored(&|row| row.path = Some("<".into()), WALL), Vec::<u64>::new());
    }

    #[test]
    fn a_phone_behind_nat_goes_with_its_connection_and_one_that_listens_stays() {
        let mut world = World::new();
        let flow = tcp("192.0.2.7:40001");
        let lines = "Contact: <sip:nat@10.0.0.7:5062>, <sip:here@192.0.2.7>";
        world.log_in(&request("1001", lines), flow, "1001");
        let other = request("1001", "Call-ID: 2\nContact: <sip:other@10.0.0.8>");
        world.log_in(&other, tcp("192.0.2.8:40001"), "1001");
        assert!(world.registrar.flow_closed(tcp("192.0.2.7:40002"), world.now).is_empty());
        let changed = world.registrar.flow_closed(flow, world.now);
        assert_eq!((changed.len(), changed[0].1.len()), (1, 2));
        let bindings = world.registrar.bindings_of("1001", world.now);
        let flows: Vec<_> = bindings.iter().map(|binding| binding.flow.remote).collect();
        assert!(
            flows.contains(&address("192.0.2.7:5060")) && flows.contains(&address("192.0.2.8:40001")),
            "{flows:?}"
        );
    }

    #[test]
    fn connections_do_not_outlive_a_restart() {
        let mut before = World::new();
        let request = request("1001", "Contact: <sip:nat@10.0.0.7:5062>, <sip:here@192.0.2.7:5070>");
        let (_, rows) = before.log_in(&request, tcp("192.0.2.7:40001"), "1001").changed.unwrap();
        let mut world = World::new();
        world.registrar.restore(rows, world.now, WALL);
        let [binding] = &world.registrar.bindings_of("1001", world.now)[..] else { panic!("not one") };
        assert_eq!(binding.flow, tcp("192.0.2.7:5070"));
    }

    #[test]
    fn an_unreachable_datagram_address_is_no_closed_connection() {
        let mut world = World::new();
        assert_eq!(world.status("Contact: <sip:a@10.0.0.1>"), 200);
        assert!(world.registrar.flow_closed(udp(PHONE), world.now).is_empty());
        assert_eq!(world.left(), [600]);
    }

    #[test]
    fn phones_that_datagrams_reach_are_told_our_address_of_now_and_those_with_a_connection_keep_theirs() {
        let mut world = World::new();
        let flows = [("1001", udp(PHONE)), ("1002", tcp("192.0.2.7:40001"))];
        for (name, flow) in flows {
            let request = request(name, "Contact: <sip:a@10.0.0.1>");
            assert_eq!(world.log_in(&request, flow, name).response.status, StatusCode::OK);
        }
        let local = "192.0.2.99:5060".parse().unwrap();
        let renewed = |flow: Flow| Flow { local, ..flow };
        let changed = world.registrar.renew_flows(&renewed, world.now);
        let rows = changed.iter().map(|(user, rows)| (&**user, &*rows[0].local)).collect::<Vec<_>>();
        assert_eq!(rows, [("1001", "192.0.2.99:5060")]);
        let reached = flows.map(|(name, _)| world.registrar.bindings_of(name, world.now)[0].flow);
        assert_eq!(reached, [renewed(flows[0].1), flows[1].1]);
        assert!(world.registrar.renew_flows(&renewed, world.now).is_empty(), "nothing is written twice");
    }

    #[test]
    fn other_extensions_take_the_bindings_of_those_that_are_gone_or_have_another_password() {
        let mut world = World::new();
        for name in ["1001", "1002", "user"] {
            let request = request(name, "Contact: <sip:a@10.0.0.1>");
            assert_eq!(world.log_in(&request, udp(PHONE), name).response.status, StatusCode::OK);
        }
        let kept = [("1001", "1001"), ("1002", "new"), ("1003", "1003")];
        let kept = kept.map(|(name, password)| (name.into(), secret(name, password)));
        let gone = world.registrar.replace_extensions(kept);
        assert_eq!(gone, [("1002".into(), Vec::new()), ("user".into(), Vec::new())]);
        assert_eq!((world.left().len(), world.uris("1002").len(), world.uris("user").len()), (1, 0, 0));
        let new = request("1003", "Contact: <sip:a@10.0.0.1>");
        assert_eq!(world.log_in(&new, udp(PHONE), "1003").response.status, StatusCode::OK);
        let old = world.log_in_as(&request("1002", ""), udp(PHONE), "1002", "1002");
        assert_eq!(status_of(&old), Some(401));
    }
}

mod torture {
    use super::*;

    macro_rules! torture {
        ($path:literal) => {
            include_bytes!(concat!("../../../crates/sip-message/tests/torture/", $path))
        };
    }

    /// The answer to a message of the torture sets once `name` has logged in; generated ones are of another domain.
    fn log_in(world: &mut World, octets: &[u8], name: &str) -> Answer {
        let request = parsed(octets);
        assert_eq!(status_of(&world.register(&request, udp(PHONE))), Some(401));
        world.log_in(&request, udp(PHONE), name)
    }

    #[test]
    fn escaped_nulls_make_two_contacts() {
        let mut world = World::new();
        let answer = log_in(&mut world, torture!("rfc4475/escnull.dat"), "null-%00-null");
        assert_eq!(answer.response.status, StatusCode::OK);
        let mut uris = world.uris("null-%00-null");
        uris.sort();
        assert_eq!(uris, ["sip:%00%00@host5.example.com", "sip:%00@host5.example.com"]);
    }

    #[test]
    fn parameters_stay_where_they_were() {
        let mut world = World::new();
        let outside = log_in(&mut world, torture!("rfc4475/cparam01.dat"), "watson");
        assert_eq!(
            contacts(&outside.response),
            ["<sip:+19725552222@gw1.example.net>;unknownparam;expires=600"]
        );
        assert_eq!(world.uris("watson"), ["sip:+19725552222@gw1.example.net"]);
        let mut world = World::new();
        log_in(&mut world, torture!("rfc4475/cparam02.dat"), "watson");
        assert_eq!(world.uris("watson"), ["sip:+19725552222@gw1.example.net;unknownparam"]);
    }

    #[test]
    fn headers_of_a_contact_are_kept() {
        let mut world = World::new();
        log_in(&mut world, torture!("rfc4475/regescrt.dat"), "user");
        assert_eq!(world.uris("user"), ["sip:user@example.com?Route=%3Csip:sip.example.com%3E"]);
    }

    #[test]
    fn what_follows_a_register_is_noise() {
        let mut world = World::new();
        let answer = log_in(&mut world, torture!("rfc4475/dblreq.dat"), "j.user");
        assert_eq!(answer.response.status, StatusCode::OK);
        assert_eq!(world.uris("j.user"), ["sip:j.user@host.example.com"]);
    }

    #[test]
    fn an_address_of_record_is_a_sip_uri() {
        let mut world = World::new();
        let answer = log_in(&mut world, torture!("rfc4475/unksm2.dat"), "user");
        assert_eq!((answer.response.status, answer.changed), (StatusCode::BAD_REQUEST, None));
    }

    #[test]
    fn an_unknown_scheme_is_challenged() {
        let mut world = World::new();
        let registration = world.register(&parsed(torture!("rfc4475/regaut01.dat")), udp(PHONE));
        let Registration::Stateless(response) = registration else { panic!("{registration:?}") };
        assert_eq!(response.status, StatusCode::UNAUTHORIZED);
        let challenge = response.header.fields.get(&FieldName::WWW_AUTHENTICATE).unwrap();
        assert!(challenge.starts_with("Digest "), "{challenge}");
    }

    #[test]
    fn an_ipv6_reference_is_a_contact() {
        for octets in [
            &torture!("rfc5118/ipv6-good.dat")[..],
            torture!("rfc5118/port-ambiguous.dat"),
            torture!("rfc5118/port-unambiguous.dat"),
        ] {
            let mut world = World::new();
            assert_eq!(log_in(&mut world, octets, "user").response.status, StatusCode::OK);
            assert_eq!(world.uris("user"), ["sip:caller@[2001:db8::1]"]);
        }
    }

    #[test]
    fn a_star_that_breaks_the_rules_changes_nothing() {
        for octets in
            [&torture!("generated/star-no-expires.sip")[..], torture!("generated/star-expires600.sip")]
        {
            let mut world = World::new();
            let answer = log_in(&mut world, octets, "1001");
            assert_eq!((answer.response.status, answer.changed), (StatusCode::BAD_REQUEST, None));
        }
    }

    #[test]
    fn what_cannot_be_read_never_comes_here() {
        for octets in [
            &torture!("generated/star-and-other.sip")[..],
            torture!("generated/star-params.sip"),
            torture!("generated/twice-to.sip"),
            torture!("generated/big-contacts.sip"),
            torture!("rfc4475/scalar02.dat"),
            torture!("rfc4475/regbadct.dat"),
            torture!("rfc5118/ipv6-bad.dat"),
        ] {
            assert!(Message::parse(octets).is_err());
        }
    }

    #[test]
    fn odd_expiries_are_bounded() {
        for (octets, status, left) in [
            (&torture!("generated/expires-2p32.sip")[..], 200, Some(3600)),
            (torture!("generated/expires-param-huge.sip"), 200, Some(3600)),
            (torture!("generated/expires-negative.sip"), 200, Some(600)),
            (torture!("generated/expires-word.sip"), 200, Some(600)),
            (torture!("generated/expires-one-second.sip"), 423, None),
        ] {
            let mut world = World::new();
            let answer = log_in(&mut world, octets, "1001");
            assert_eq!(answer.response.status.code(), status);
            assert_eq!(world.left().first().copied(), left);
        }
    }

    #[test]
    fn an_escaped_line_end_stays_escaped() {
        let mut world = World::new();
        let answer = log_in(&mut world, torture!("generated/escape-contact.sip"), "1001");
        assert_eq!(answer.response.status, StatusCode::OK);
        let printed = String::from_utf8(answer.response.print()).unwrap();
        assert!(printed.lines().all(|line| !line.starts_with("X-Evil")), "{printed}");
        assert!(world.uris("1001")[0].contains("%0d%0aX-Evil"));
    }

    #[test]
    fn broken_credentials_let_nobody_in() {
        for octets in [
            &torture!("generated/auth-no-params.sip")[..],
            torture!("generated/auth-open-quote.sip"),
            torture!("generated/auth-empty-response.sip"),
            torture!("generated/auth-many.sip"),
            torture!("generated/auth-long-nonce.sip"),
        ] {
            for domain in [DOMAIN, "127.0.0.1"] {
                let config = RegistrarConfig { domain: domain.into(), ..config() };
                let users = [("1001".into(), Secret::new("1001", domain, "1001"))];
                let mut world = World { registrar: Registrar::new(config, users), ..World::new() };
                let request = match Message::parse(octets) {
                    Ok(Message::Request(request)) => request,
                    Ok(Message::Response(_)) => panic!("a response"),
                    Err(_) => continue,
                };
                let registration = world.register(&request, udp(PHONE));
                assert!(matches!(registration, Registration::Stateless(_)), "{registration:?}");
                assert!(matches!(status_of(&registration), Some(400 | 401)), "{registration:?}");
                assert!(world.uris("1001").is_empty());
            }
        }
    }
}

mod bounds {
    use super::*;

    #[test]
    fn guesses_from_everywhere_fill_no_memory() {
        let mut guesses = Guesses::default();
        let now = Instant::now();
        for number in 0..30_000_u32 {
            let source = IpAddr::from(number.to_be_bytes());
            guesses.note_wrong(source, &format!("{number}{}", "é".repeat(100)), now);
            guesses.note_login(source, &number.to_string());
        }
        assert_eq!(guesses.entries(), [(10_000, 10_000); 3]);
        let (first, last) = (IpAddr::from([0; 4]), IpAddr::from(29_999_u32.to_be_bytes()));
        assert!(!guesses.is_home_of_any(first) && guesses.is_home_of_any(last));
    }

    #[test]
    fn one_user_is_one_entry_however_often_it_comes() {
        let mut guesses = Guesses::default();
        let (source, now) = (IpAddr::from([192, 0, 2, 7]), Instant::now());
        for _ in 0..100 {
            guesses.note_login(source, "1001");
            guesses.note_wrong(source, "1001", now);
        }
        assert_eq!(guesses.entries(), [(1, 1); 3]);
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let mut guesses = Guesses::default();
        let now = Instant::now();
        for number in 0..=20_u16 {
            guesses.note_wrong(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, number]), "1001", now);
        }
        assert!(guesses.is_dropped(IpAddr::from([0x2001, 0xdb8, 0, 1, 9, 9, 9, 9]), now));
        assert!(!guesses.is_dropped(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]), now));
        let home = IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]);
        guesses.note_login(home, "");
        assert!(guesses.is_home_of_any(home));
        assert!(!guesses.is_home_of_any(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, 1])));
    }
}

#[test]
fn a_register_takes_effect_when_it_is_on_disk() {
    let mut world = World::new();
    let one = "Contact: <sip:1001@192.0.2.7:5062>\nCall-ID: one";
    let other = "Contact: <sip:1001@192.0.2.8:5062>\nCall-ID: other";
    assert_eq!(world.phone_unwritten(one).len(), 1);
    assert_eq!(world.phone_unwritten(other).len(), 2);
    assert!(world.uris("1001").is_empty());
    world.registrar.written("1001");
    assert_eq!(world.uris("1001"), ["sip:1001@192.0.2.7:5062"]);
    world.registrar.written("1001");
    assert_eq!(world.uris("1001").len(), 2);
    world.registrar.written("1001");
    assert_eq!(world.uris("1001").len(), 2);
}

/// RFC 3261 §10.3 step 7.
#[test]
fn a_register_that_cannot_be_written_changes_nothing() {
    let mut world = World::new();
    assert_eq!(world.status("Contact: <sip:1001@192.0.2.7:5062>\nCall-ID: one"), 200);
    let before = world.uris("1001");
    let removal = "Contact: <sip:1001@192.0.2.7:5062>;expires=0\nCall-ID: one\nCSeq: 11 REGISTER";
    let other = "Contact: <sip:1001@192.0.2.8:5062>\nCall-ID: other";
    assert!(world.phone_unwritten(removal).is_empty());
    assert_eq!(world.phone_unwritten(other).len(), 1);
    assert_eq!(world.uris("1001"), before);
    let (user, bindings) = world.registrar.take_back("1001").expect("two REGISTERs are taken back");
    assert_eq!((&*user, contacts_of(&bindings)), ("1001", vec!["<sip:1001@192.0.2.7:5062>".to_owned()]));
    assert!(world.registrar.take_back("1001").is_none());
    assert_eq!(world.uris("1001"), before);
    // The same REGISTER is in order when it comes again.
    assert_eq!(world.status(removal), 200);
    assert!(world.uris("1001").is_empty());
}

#[test]
fn a_connection_that_closes_takes_its_phone_out_of_what_waits_too() {
    let mut world = World::new();
    let plain = request("1001", "Contact: <sip:1001@10.0.0.7:5062;transport=tcp>");
    let flow = tcp("192.0.2.7:40000");
    let Registration::Stateless(challenge) = world.register_unwritten(&plain, flow) else { panic!("no 401") };
    let with = with_credentials(&plain, &challenge, "1001", "1001");
    assert_eq!(status_of(&world.register_unwritten(&with, flow)), Some(200));
    let changed = world.registrar.flow_closed(flow, world.now);
    assert_eq!(changed.len(), 1);
    world.registrar.written("1001");
    assert!(world.uris("1001").is_empty());
}
