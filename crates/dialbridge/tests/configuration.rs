//! What is wrong with a configuration is named by line and key, all of it at once.

#[path = "certificates/mod.rs"]
mod certificates;

use certificates::{Authority, VALID};
use dialbridge::config::{self, Fault, Mistake};

/// The mistakes of a text as `LINE KEY: SENTENCE`.
fn mistakes(text: &str) -> Vec<String> {
    let mistakes = config::parse(text).err().unwrap_or_default();
    mistakes
        .iter()
        .map(|Mistake { line, key, what }| format!("{} {key}: {what}", line.unwrap_or(0)))
        .collect()
}

const EXTENSION: &str = "[[extensions]]\nnumber = \"1001\"\npassword = \"a\"\n";
const KEY: &str = "[[api_keys]]\nname = \"a\"\nkey = \"ak_0123456789abcdef0123456789abcdef\"\npermissions = [\"calls.read\"]\n";

/// Each text has the mistake that stands beside it.
fn assert_named(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let found = mistakes(text);
        assert!(
            found.iter().any(|found| found == expected),
            "{text}\nexpected: {expected}\nfound: {found:#?}"
        );
    }
}

#[test]
fn mistakes_in_sections_and_addresses_are_named_by_line_and_key() {
    assert_named(&[
        ("[http]\nlisen = \"0.0.0.0:1\"", "2 http.lisen: there is no such key; is listen meant?"),
        ("[sipp]\ndomain = \"a\"", "1 sipp: there is no such key; is sip meant?"),
        ("\n\nhttp = 3", "3 http: must be a table, not a whole number"),
        (
            "[http]\nproxies = [\"10.0.0.0/33\"]",
            "2 http.proxies[0]: must be a network, such as 10.0.0.0/8, or an IP address; \"10.0.0.0/33\" is not",
        ),
        ("[http]\nlisten = 8000", "2 http.listen: must be a string, not a whole number"),
        (
            "[http]\nlisten = \":8000\"",
            "2 http.listen: must be an IP address and a port, such as 0.0.0.0:8000; \":8000\" is not",
        ),
        ("[sip]\ndomain = \"a b\"", "2 sip.domain: must be a host name or an IP address; \"a b\" is not"),
        ("[sip]\ndomain = \"\"", "2 sip.domain: must not be empty"),
        ("[sip]\nlisten = []", "2 sip.listen: must not be empty"),
        (
            "[sip]\nlisten = [\n  \"udp:0.0.0.0:5060\",\n  \"wss:0.0.0.0:443\",\n]",
            "4 sip.listen[1]: wss is not available in this release; listen on udp, tcp and tls",
        ),
        (
            "\n[sip]\nlisten = [\"tls:0.0.0.0:5061\"]",
            "2 sip.tls: is needed for tls: in listen: { certificate = \"cert.pem\", key = \"key.pem\" }",
        ),
        ("[sip]\ntls = {\ncertificate = \"a\" }", "2 sip.tls.key: is missing"),
        (
            "[sip]\ntls = { certificate = \"/nowhere.pem\",\nkey = \"/dev/null\" }",
            "3 sip.tls.key: the file /dev/null holds no private key in PEM form that needs no password (-----BEGIN PRIVATE KEY-----)",
        ),
        (
            "[sip]\nlisten = [\"udp:0.0.0.0:5060\",\n  \"udp:0.0.0.0:5060\"]",
            "3 sip.listen[1]: \"udp:0.0.0.0:5060\" is already used in line 2",
        ),
        (
            "[sip]\nlisten = [\"udp:0.0.0.0:20000\"]",
            "2 sip.listen[0]: the port of 0.0.0.0:20000 lies in media.ports, where the relay takes any port",
        ),
        (
            "[sip]\nexternal_address = \"0.0.0.0\"",
            "2 sip.external_address: must be an IP address that others can send to; \"0.0.0.0\" is not",
        ),
        (
            "[sip]\nuser_agent = \"a\\r\\nb\"",
            "2 sip.user_agent: must be at most 128 printable ASCII characters; \"a\\r\\nb\" is not",
        ),
        (
            "[sip]\nregistration_seconds = { min = 60, default = 30 }",
            "2 sip.registration_seconds: min, default and max must not become smaller from one to the next",
        ),
        (
            "[sip]\nregistration_seconds = { min = 0 }",
            "2 sip.registration_seconds.min: must be a whole number from 1 to 86400",
        ),
        (
            "[sip]\nsession_expires_seconds = 30",
            "2 sip.session_expires_seconds: must be a whole number from 90 to 86400",
        ),
        ("[http]\nlisten = \"0.0.0.0:1\"\nlisten = \"0.0.0.0:2\"", "3 listen: this key is there twice"),
    ]);
}

#[test]
fn mistakes_in_media_and_limits_are_named_by_line_and_key() {
    assert_named(&[
        ("[media]\nports = \"5\"", "2 media.ports: must be a range of ports such as 20000-29999"),
        (
            "[media]\ncodecs = [\"PCMU\", \"PCMX\"]",
            "2 media.codecs[1]: must be one of opus, G722, PCMA, PCMU; \"PCMX\" is not; is PCMA meant?",
        ),
        ("[media]\ncodecs = [\"PCMU\", \"pcmu\"]", "2 media.codecs[1]: \"pcmu\" is already used in line 2"),
        (
            "[media]\nsilence_timeout_seconds = 1.5",
            "2 media.silence_timeout_seconds: must be a whole number, not a number with a fraction",
        ),
        (
            "[media]\nmusic_folder = \"music\"",
            "2 media.music_folder: music on hold is not available in this release; take this key out",
        ),
        ("[data]\nfolder = true", "2 data.folder: must be a string, not true or false"),
        ("[limits]\ncalls = -1", "2 limits.calls: must be a whole number from 1 to 1000000"),
        (
            "[limits]\ncalls = 99999999999999999999",
            "2 limits.calls: must be a whole number from 1 to 1000000",
        ),
        (
            "[dial_policy]\ncountry = '+91'",
            "2 dial_policy.country: must be the calling code of a country, such as 91",
        ),
        (
            "[dial_policy]\ncountry = '999'",
            "2 dial_policy.country: must be the calling code of a country, such as 91",
        ),
        (
            "[dial_policy]\nnational_prefix = '0'",
            "2 dial_policy.national_prefix: needs country beside it: the calling code, such as 91",
        ),
        (
            "[dial_policy]\ncountry = '91'\nnational_prefix = 'o'",
            "3 dial_policy.national_prefix: must be at most 4 digits, such as 0",
        ),
        (
            "[dial_policy]\nallow = ['+91',\n'india']",
            "3 dial_policy.allow[1]: must be + and the first digits of numbers, such as +91, or a short number as it is dialled, such as 112; \"india\" is not",
        ),
        ("[dial_policy]\nalow = []", "2 dial_policy.alow: there is no such key; is allow meant?"),
        (
            "[[queues]]\nname = \"a\"\n[[queues]]",
            "1 queues: queues are not available in this release; take this key out",
        ),
    ]);
}

#[test]
fn mistakes_in_extensions_are_named_by_line_and_key() {
    assert_named(&[
        ("[[extensions]]\nnumber = \"1001\"", "1 extensions[0].password: is missing"),
        (
            "[[extensions]]\nnumber = \"100a\"\npassword = \"a\"",
            "2 extensions[0].number: must be an extension or a phone number: digits, with a + in front for an international number",
        ),
        (
            "[[extensions]]\nnumber = 1001\npassword = \"a\"",
            "2 extensions[0].number: must be a string, not a whole number",
        ),
        (
            "[[extensions]]\nnumber = \"1001\"\npassword = 1234",
            "3 extensions[0].password: must be a string, { env = \"NAME\" } or { file = \"PATH\" }",
        ),
        (
            "[[extensions]]\nnumber = \"1001\"\npassword = { evn = \"A\" }",
            "3 extensions[0].password.evn: there is no such key; is env meant?",
        ),
        (
            "[[extensions]]\nnumber = \"1001\"\npassword = \"hunter\\t2\"",
            "3 extensions[0].password: must be at most 256 octets, none of them a control character",
        ),
        ("[extensions]\nnumber = \"1001\"", "1 extensions: must be a list of tables, not a table"),
        (&format!("{EXTENSION}\n{EXTENSION}"), "6 extensions[1].number: \"1001\" is already used in line 2"),
        (
            &format!("{EXTENSION}codecs = [\"GSM\"]"),
            "4 extensions[0].codecs[0]: must be one of opus, G722, PCMA, PCMU; \"GSM\" is not",
        ),
        (
            &format!("{EXTENSION}name = \"a<b\""),
            "4 extensions[0].name: must be at most 64 characters without quotes, \\, < and >; \"a<b\" is not",
        ),
    ]);
}

#[test]
fn mistakes_in_api_keys_are_named_by_line_and_key() {
    let sha256 = "0".repeat(64);
    assert_named(&[
        (
            &KEY.replace("ak_", "no_"),
            "3 api_keys[0].key: must be ak_ and 32 to 128 hexadecimal digits; `dialbridge key` makes one",
        ),
        (
            &KEY.replace("calls.read", "calls.raed"),
            "4 api_keys[0].permissions[0]: must be one of calls.click_to_call, calls.originate_ai, calls.read, calls.live, calls.hangup, calls.transfer, calls.hold, calls.recording, calls.write, config.read, config.write; \"calls.raed\" is not; is calls.read meant?",
        ),
        (
            &format!("{KEY}caller_ids = [\"x\"]"),
            "5 api_keys[0].caller_ids[0]: must be an extension or a phone number: digits, with a + in front for an international number",
        ),
        (
            &format!("{KEY}key_sha256 = \"{sha256}\""),
            "5 api_keys[0].key_sha256: key and key_sha256 exclude each other; give one of them",
        ),
        (
            &format!("{KEY}{}", KEY.replace("\"a\"", "\"b\"")),
            "7 api_keys[1].key: this is the key of line 3 again; each client needs one of its own",
        ),
        (
            &format!("{KEY}{}", KEY.replace("ef\"", "ee\"")),
            "6 api_keys[1].name: \"a\" is already used in line 2",
        ),
        (
            "[[api_keys]]\nname = \"a\"\npermissions = [\"calls.*\"]",
            "1 api_keys[0]: needs key or key_sha256; `dialbridge key` makes one",
        ),
        (
            "[[api_keys]]\nname = \"a\"\nkey_sha256 = \"00\"\npermissions = [\"calls.*\"]",
            "3 api_keys[0].key_sha256: must be 64 hexadecimal digits, as `dialbridge key` prints them",
        ),
    ]);
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_lines() {
    let text = "[[extensions]]\nnumber = \"x\"\n\n[media]\nports = 3\nringback = \"mars\"\n\n[htp]\n\n[sip]\nlisten = [\"a\", 5]\n";
    let found = config::parse(text).unwrap_err();
    let places: Vec<(usize, &str)> = found.iter().map(|m| (m.line.unwrap(), m.key.as_str())).collect();
    let expected = [
        (1, "extensions[0].password"),
        (2, "extensions[0].number"),
        (5, "media.ports"),
        (6, "media.ringback"),
        (8, "htp"),
        (11, "sip.listen[0]"),
        (11, "sip.listen[1]"),
    ];
    assert_eq!(places, expected);
}

#[test]
fn what_is_not_toml_is_one_mistake_and_shows_no_text() {
    let found = config::parse("[[extensions]]\nnumber = \"1001\"\npassword = hunter2\n").unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].line, Some(3));
    assert!(matches!(found[0].what, Fault::Syntax(_)));
    assert!(!found[0].what.to_string().contains("hunter2"), "{}", found[0].what);
}

#[test]
fn no_mistake_shows_a_secret() {
    let wrong = "[[extensions]]\nnumber = \"1001\"\npassword = \"hunter2\\n\"\n[[api_keys]]\nname = \"a\"\nkey = \"hunter2\"\npermissions = []\n[[api_keys]]\nname = \"b\"\nkey_sha256 = \"hunter2\"\npermissions = [\"calls.*\"]\n";
    let found = config::parse(wrong).unwrap_err();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(!format!("{found:?}{}", mistakes(wrong).join("")).contains("hunter2"));
    let right = config::parse(EXTENSION).unwrap();
    assert!(!format!("{right:?}").contains("\"a\""));
}

#[test]
fn a_secret_may_come_from_a_file_or_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "from the file\n").unwrap();
    let home = std::env::var("PATH").unwrap();
    let text = format!(
        "[[extensions]]\nnumber = \"1001\"\npassword = {{ file = \"{}\" }}\n[[extensions]]\nnumber = \"1002\"\npassword = {{ env = \"PATH\" }}\n",
        file.display()
    );
    let extensions = config::parse(&text).unwrap().extensions;
    assert_eq!(extensions[0].password.expose(), "from the file");
    assert_eq!(extensions[1].password.expose(), home);

    let unset = text.replace("PATH", "DIALBRIDGE_TEST_UNSET").replace("/password\"", "/absent\"");
    let found = mistakes(&unset);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("3 extensions[0].password: the file "), "{found:?}");
    assert_eq!(
        found[1],
        "6 extensions[1].password: the environment variable DIALBRIDGE_TEST_UNSET is not set"
    );
}

#[test]
fn the_example_is_accepted_with_its_optional_keys_and_without() {
    let example = include_str!("../dialbridge.example.toml");
    let plain = config::parse(example).expect("the example is right");
    let default = config::Configuration::default();
    assert_eq!((plain.http, &plain.sip.listen), (default.http, &default.sip.listen));
    assert_eq!((plain.media.ports, plain.media.codecs), (default.media.ports, default.media.codecs));
    assert_eq!(plain.limits.calls, default.limits.calls);
    let numbers: Vec<&str> = plain.extensions.iter().map(|extension| extension.number.as_str()).collect();
    assert_eq!(numbers, ["1001", "1002"]);

    let is_key = |line: &str| {
        line.starts_with("[[") || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    let whole: Vec<&str> = example
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "our");
    let files = authority.certify(&["pbx.example.com"]);
    let mut whole = whole.join("\n");
    for (name, file) in [
        ("cert.pem", &files.certificate),
        ("key.pem", &files.key),
        ("ca.pem", &authority.roots()),
        ("client.pem", &files.certificate),
        ("client.key", &files.key),
    ] {
        assert!(whole.contains(&format!("\"{name}\"")), "{name}");
        whole = whole.replace(&format!("\"{name}\""), &format!("\"{file}\""));
    }
    let whole = config::parse(&whole).expect("its optional keys are right");
    assert!(whole.sip.tls.is_some() && whole.client_certificates.len() == 1);
    assert_eq!(whole.sip.domain.as_deref(), Some("pbx.example.com"));
    assert!(whole.sip.external_address.is_some() && whole.media.address.is_some());
    assert!(whole.api_keys[0].key.caller_ids.is_some() && whole.extensions[0].codecs.is_some());
    let [trunk] = &whole.trunks[..] else { panic!("{:?}", whole.trunks) };
    assert_eq!(trunk.credentials.as_ref().map(|own| &*own.username), Some("acct-77@ims.carrier.example"));
    assert_eq!(trunk.next_hop().to_string(), "sip:edge.carrier.example;lr");
}

fn trunk(lines: &str) -> String {
    format!(
        "[[trunks]]\nname = \"carrier\"\naddress = \"sip:192.0.2.1\"\nnumbers = [\"+918065978015\"]\n{lines}"
    )
}

#[test]
fn whoever_does_not_answer_leads_on_to_somebody_who_can_be_rung() {
    let file = |to: &str, rest: &str| {
        format!(
            "[[extensions]]\nnumber = \"1003\"\npassword = \"a\"\nforward_to = \"{to}\"\n\
             [[extensions]]\nnumber = \"1002\"\npassword = \"b\"\n{rest}"
        )
    };
    let policy = "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\ndeny = [\"+91900\"]\n";
    for (to, rest) in [("1002", ""), ("1002", policy), ("099 0011 2233", policy)] {
        assert!(config::parse(&file(to, rest)).is_ok(), "{to}");
    }
    for (to, rest, why) in [
        ("1003", policy, "it is the number of this extension"),
        ("1009", policy, "a short number is dialled only if dial_policy.allow names it, and it has no 1009"),
        ("+919001112233", policy, "dial_policy.deny has +91900"),
        ("+442079460000", policy, "dial_policy.allow has no beginning of +442079460000"),
        ("9900112233", "", "no extension has it, and without [dial_policy] nothing outside is dialled"),
    ] {
        assert_eq!(mistakes(&file(to, rest)), [format!("4 extensions[0].forward_to: is never rung: {why}")]);
    }
}

#[test]
fn a_trunk_is_held_to_what_a_carrier_can_use() {
    let plain = config::parse(&trunk("")).unwrap();
    assert_eq!((plain.trunks[0].channels, plain.trunks[0].priority), (30, 10));
    assert!(config::parse(&trunk("username = \"a\"\npassword = \"\"")).is_ok(), "some carriers have none");
    for (lines, expected) in [
        ("channels = 0", "5 trunks[0].channels: must be a whole number from 1 to 1000000"),
        ("password = \"x\"", "1 trunks[0].username: is missing"),
        ("prefixes = [\"91x\"]", "5 trunks[0].prefixes[0]: must be + and the first digits of numbers"),
        ("format = \"national\"", "1 trunks[0].country: is needed for format = \"national\""),
        ("format = \"e164 \"", "5 trunks[0].format: must be one of e164, national, plain"),
        (
            "identity = \"pai\"",
            "5 trunks[0].identity: must be one of p-asserted-identity, remote-party-id, from",
        ),
        ("country = \"999\"", "5 trunks[0].country: must be the calling code of a country"),
        ("proxy = \"sip:a@b\"", "5 trunks[0].proxy: must be an address such as"),
        ("user_phone = \"yes\"", "5 trunks[0].user_phone: must be true or false, not a string"),
        ("from_user = \"a b\"", "5 trunks[0].from_user: must be at most 128 printable"),
        (
            "destinations = { \"+918065978099\" = { type = \"extension\", to = \"1001\" } }",
            "5 trunks[0].destinations.+918065978099: is none of the numbers of this trunk",
        ),
        (
            "destinations = { \"+918065978015\" = { type = \"extension\", to = \"1001\" } }",
            "5 trunks[0].destinations.+918065978015.to: there is no extension 1001",
        ),
        (
            "destinations = { \"+918065978015\" = { type = \"queue\", to = \"5001\" } }",
            "5 trunks[0].destinations.+918065978015.type: queues are not available",
        ),
        ("destinations = 1", "5 trunks[0].destinations: must be a table such as"),
        ("from = [\"carrier.example\"]", "5 trunks[0].from[0]: must be"),
        ("register = true", "1 trunks[0].username: is missing"),
        ("probe_seconds = 100000", "5 trunks[0].probe_seconds: must be a whole number from 0 to 86400"),
        ("inbound_digest = 1", "5 trunks[0].inbound_digest: must be true or false"),
        ("inbound_digest = true", "1 trunks[0].password: is needed for inbound_digest = true"),
        (
            "inbound_digest = true\nusername = \"a\"\npassword = \"\"",
            "1 trunks[0].password: is needed for inbound_digest = true",
        ),
        ("chanels = 2", "5 trunks[0].chanels: there is no such key; is channels meant?"),
    ] {
        let found = mistakes(&trunk(lines));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{lines}: {found:?}");
    }
}

#[test]
fn a_trunk_has_an_address_that_leads_somewhere_and_numbers_of_its_own() {
    for (address, expected) in [
        ("sip:", "must be an address such as"),
        ("http://carrier.example", "must be an address such as"),
        ("sip:a..b", "must be"),
        ("sip:192.0.2.1;transport=sctp", "must be one of udp, tcp, tls"),
        ("sips:carrier.example;transport=udp", "must be one of tls, tcp"),
        ("sips:carrier.example", "needs a tls: address in sip.listen"),
        ("sip:carrier.example;transport=tls", "needs a tls: address in sip.listen"),
        ("sip:192.0.2.1:0", "must be an address such as"),
    ] {
        let found = mistakes(&trunk("").replace("sip:192.0.2.1", address));
        assert!(
            found.len() == 1 && found[0].starts_with(&format!("3 trunks[0].address: {expected}")),
            "{address}: {found:?}"
        );
    }
    for numbers in ["[]", "[\"918065978015\"]", "[\"+91806597801X\"]"] {
        let found = mistakes(&trunk("").replace("[\"+918065978015\"]", numbers));
        assert_eq!(found.len(), 1, "{numbers}: {found:?}");
    }
    let twice = mistakes(&(trunk("") + &trunk("")));
    let apart = "5 trunks[1].numbers: has a number that the trunk carrier has at the same address: their calls could not be told apart";
    assert_eq!(twice, [apart, "6 trunks[1].name: \"carrier\" is already used in line 2"]);
}

#[test]
fn trunks_whose_calls_prove_whose_they_are_have_accounts_of_their_own() {
    let trunk = |name: &str, username: &str, lines: &str| {
        format!(
            "[[trunks]]\nname = \"{name}\"\naddress = \"sip:192.0.2.1\"\nnumbers = [\"+918065978015\"]\n\
             username = \"{username}\"\npassword = \"{username}-password\"\n{lines}\n"
        )
    };
    let digest = "inbound_digest = true";
    let apart = config::parse(&(trunk("one", "a", digest) + &trunk("two", "b", digest))).unwrap();
    assert!(apart.trunks.iter().all(|trunk| trunk.inbound_digest));
    for second in [trunk("two", "b", ""), trunk("two", "a", digest)] {
        let found = mistakes(&(trunk("one", "a", digest) + &second));
        assert!(found.len() == 1 && found[0].contains("trunks[1].numbers: has a number that"), "{found:?}");
    }
    let elsewhere = trunk("two", "a", digest).replace("192.0.2.1", "192.0.2.2");
    assert!(config::parse(&(trunk("one", "a", digest) + &elsewhere)).is_ok(), "one account at two addresses");
    let found = mistakes(&(trunk("one", "a", digest) + &elsewhere.replace("a-password", "other")));
    assert!(found.len() == 1 && found[0].contains("trunks[1].password: is another one than"), "{found:?}");
    let extension = "[[extensions]]\nnumber = \"1001\"\npassword = \"a long password\"\n";
    let found = mistakes(&(trunk("one", "1001", digest) + extension));
    assert!(found.len() == 1 && found[0].contains("trunks[0].username: 1001 is an extension"), "{found:?}");
}

/// The lines of `[sip]` with this certificate and key, and a trunk with these lines.
fn over_tls(certificate: &str, key: &str, trunk: &str) -> String {
    format!(
        "[sip]\ndomain = \"pbx.test\"\nlisten = [\"tls:127.0.0.1:5061\"]\ntls = {{ certificate = \"{certificate}\",\n  key = \"{key}\" }}\n\
         [[trunks]]\nname = \"carrier\"\nnumbers = [\"+918065978015\"]\n{trunk}\n"
    )
}

#[test]
fn files_for_tls_that_will_not_do_are_named_by_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "our");
    let (ours, other) = (authority.certify(&["pbx.test"]), authority.certify(&["other.test"]));
    let written = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let empty = written("empty.pem", "");
    let broken = written("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let useless = written("useless.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let (good, key) = (&ours.certificate, &ours.key);
    let at = |more: &str| format!("address = \"sips:carrier.test\"\n{more}");
    let plain = at("");
    for (text, expected) in [
        (
            over_tls("/nowhere.pem", key, &plain),
            "4 sip.tls.certificate: the file /nowhere.pem cannot be read: ".into(),
        ),
        (over_tls(&empty, key, &plain), "4 sip.tls.certificate: the file ".into()),
        (over_tls(key, key, &plain), "holds no certificate in PEM form".into()),
        (over_tls(&broken, key, &plain), "holds a certificate that cannot be read".into()),
        (over_tls(good, good, &plain), "holds no private key in PEM form".into()),
        (over_tls(good, &useless, &plain), "5 sip.tls.key: the key in ".into()),
        (
            over_tls(good, &other.key, &plain),
            "5 sip.tls.key: this is not the key of the first certificate in ".into(),
        ),
        (
            over_tls(good, key, &at("tls = { roots = \"/nowhere.pem\" }")),
            "10 trunks[0].tls.roots: the file /nowhere.pem".into(),
        ),
        (
            over_tls(good, key, &at(&format!("tls = {{ certificate = \"{good}\" }}"))),
            "10 trunks[0].tls.key: is missing".into(),
        ),
        (
            over_tls(good, key, &at("tls = { verify = 0 }")),
            "10 trunks[0].tls.verify: must be true or false".into(),
        ),
        (
            over_tls(good, key, &at("tls = { verfy = true }")),
            "10 trunks[0].tls.verfy: there is no such key; is verify meant?".into(),
        ),
        (
            over_tls(good, key, &at("proxy = \"sip:edge.test\"")),
            "10 trunks[0].proxy: must be reached over TLS".into(),
        ),
    ] as [(String, String); _]
    {
        let found = mistakes(&text);
        assert!(found.len() == 1 && found[0].contains(&expected), "{expected}: {found:?}");
    }
    // The same pair at a trunk, and files in one.
    let both = written(
        "both.pem",
        &(std::fs::read_to_string(key).unwrap() + &std::fs::read_to_string(good).unwrap()),
    );
    let table = format!("tls = {{ certificate = \"{both}\", key = \"{both}\" }}");
    assert_eq!(mistakes(&over_tls(&both, &both, &at(&table))), [""; 0]);
}

#[test]
fn certificates_that_end_or_are_for_another_name_and_trunks_that_are_not_verified_are_doubts() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "our");
    let doubts = |files: &certificates::Files, more: &str| {
        let text =
            over_tls(&files.certificate, &files.key, &format!("address = \"sips:carrier.test\"\n{more}"));
        config::parse(&text).unwrap().doubts()
    };
    let good = authority.certify(&["pbx.test"]);
    assert_eq!(doubts(&good, ""), [""; 0]);
    let other = doubts(&authority.certify(&["other.test"]), "");
    assert!(other.len() == 1 && other[0].contains("the certificate is not for pbx.test"), "{other:?}");
    let expired = authority.certify_for(&["pbx.test"], VALID.start..2001);
    assert!(doubts(&expired, "")[0].starts_with("sip.tls: the certificate has expired"));
    let future = authority.certify_for(&["pbx.test"], 2099..VALID.end);
    assert!(doubts(&future, "")[0].starts_with("sip.tls: the certificate is not valid yet"));
    let good = authority.certify(&["pbx.test"]);
    let old = authority.certify_for(&["client.test"], VALID.start..2001);
    let found = doubts(&good, &format!("tls = {}", old.table().replace(" }", ", verify = false }")));
    assert!(
        found.len() == 2
            && found[0].starts_with("tls of trunk carrier: the certificate has expired")
            && found[1].starts_with("tls of trunk carrier: verify = false"),
        "{found:?}"
    );
    let text = over_tls(&good.certificate, &good.key, "address = \"sip:carrier.test\"");
    let unused = config::parse(&text.replace("tls:127.0.0.1", "udp:127.0.0.1")).unwrap().doubts();
    assert_eq!(unused, ["sip.tls is of no use: sip.listen has no tls: address"]);
}

#[test]
fn an_empty_file_means_the_defaults_and_the_domain_is_an_address_that_phones_can_use() {
    let empty = config::parse("").unwrap();
    let address: std::net::IpAddr = empty.domain().parse().unwrap();
    assert!(!address.is_unspecified());
    let listening = config::parse("[sip]\nlisten = [\"udp:127.0.0.1:0\"]").unwrap();
    assert_eq!(&*listening.domain(), "127.0.0.1");
    let six = config::parse("[sip]\nlisten = [\"udp:[::1]:0\"]").unwrap();
    assert_eq!(&*six.domain(), "[::1]");
}
