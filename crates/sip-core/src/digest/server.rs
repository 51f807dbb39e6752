//! Digest as a server: challenges, and the judgement of credentials.

use super::nonce::Nonces;
use super::{Algorithm, Secret, Vouched, is_digest};
use sip_message::{AuthParams, FieldName, Request, SipUri, Uri};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The server side. Nonces are time, random and HMAC, so that nothing is kept before a login; they are good for
/// `nonce_lifetime`. A nonce count that does not rise is stale; counts are kept for nonces that passed only, in a
/// bounded table.
pub struct Authenticator {
    realm: Box<str>,
    nonces: Nonces,
    nobody: Secret,
}

/// What the credentials of a request are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The credentials are right for this user name.
    Accepted {
        /// As it stands in the field.
        username: Box<str>,
    },
    /// None given, or not filled in, for another realm, of an unknown scheme or algorithm, with a nonce that is not ours
    /// (such as one from before a restart) or was given to somebody else, or right with a stale nonce: challenge.
    Challenge {
        /// The nonce was too old, used, or somebody else's: the client may try again by itself.
        stale: bool,
    },
    /// Wrong: challenge as for an unknown user, and count it.
    Wrong {
        /// As it stands in the field.
        username: Box<str>,
    },
    /// The field cannot be read, or was made for another Request-URI: 400 (RFC 7616 §3.4.6).
    Malformed,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Authorization fields of one request that are looked at, of which one is judged: a request is one guess.
const FIELDS_MAX: usize = 4;

impl Authenticator {
    /// `key` signs the nonces: 32 random octets, drawn at start.
    pub fn new(realm: &str, key: [u8; 32], nonce_lifetime: Duration) -> Self {
        Self {
            realm: realm.into(),
            nonces: Nonces::new(realm, key, nonce_lifetime),
            nobody: Secret { sha256: key, md5: [0; 16] },
        }
    }

    /// The WWW-Authenticate values of a 401, one for each of `algorithms`; RFC 8760 §2.4 wants the strongest first. `now`
    /// since the start of the process; `random` makes each nonce different.
    pub fn challenges(
        &self,
        algorithms: &[Algorithm],
        stale: bool,
        now: Duration,
        random: u64,
    ) -> Vec<String> {
        let nonce = self.nonces.issue(now, random);
        let challenge = |algorithm: &Algorithm| {
            let mut challenge = AuthParams::new("Digest");
            let parameters = &mut challenge.parameters;
            parameters.set_quoted("realm", &self.realm);
            parameters.set_quoted("nonce", &nonce);
            parameters.set("algorithm", Some(algorithm.token()));
            parameters.set_quoted("qop", "auth");
            if stale {
                parameters.set("stale", Some("true"));
            }
            challenge.to_string()
        };
        algorithms.iter().map(challenge).collect()
    }

    /// Checks the Authorization fields of `request`; `secret_of` gives the secret of a user name. For an unknown user
    /// the same work is done with a secret of nobody. Compares in constant time. At most a small fixed number of
    /// Authorization fields is looked at, and the first for this realm is judged.
    ///
    /// `is_given` says of the random number of a nonce whether whoever sends the request was given it. With any other
    /// nonce nothing can be learned of a password: what is answered does not depend on it.
    ///
    /// Credentials without `qop` are taken for an unused nonce only: they have no count that would show a repeat.
    pub fn verify(
        &mut self,
        request: &Request,
        now: Duration,
        is_given: impl Fn(u64) -> bool,
        secret_of: impl Fn(&str) -> Option<Secret>,
    ) -> Verdict {
        let values = request.header.fields.get_all(&FieldName::AUTHORIZATION).take(FIELDS_MAX);
        for value in values.filter(|value| is_digest(value)) {
            let Ok(params) = value.parse::<AuthParams>() else { return Verdict::Malformed };
            if is_unfilled(&params) {
                continue;
            }
            match Credentials::read(&params) {
                None => return Verdict::Malformed,
                Some(credentials) if credentials.realm == &*self.realm => {
                    return self.judge(&credentials, request, now, is_given, secret_of);
                }
                Some(_) => {}
            }
        }
        Verdict::Challenge { stale: false }
    }

    /// Whether [`verify`](Self::verify) would find anything to judge: credentials for this realm, or a field that cannot
    /// be read.
    pub fn has_credentials(&self, request: &Request) -> bool {
        let values = request.header.fields.get_all(&FieldName::AUTHORIZATION).take(FIELDS_MAX);
        let mut digests = values.filter(|value| is_digest(value)).map(str::parse::<AuthParams>);
        digests.any(|params| match params {
            Ok(params) if is_unfilled(&params) => false,
            Ok(params) => Credentials::read(&params).is_none_or(|found| found.realm == &*self.realm),
            Err(_) => true,
        })
    }

    fn judge(
        &mut self,
        credentials: &Credentials<'_>,
        request: &Request,
        now: Duration,
        is_given: impl Fn(u64) -> bool,
        secret_of: impl Fn(&str) -> Option<Secret>,
    ) -> Verdict {
        let Some(algorithm) = Algorithm::from_parameter(credentials.algorithm) else {
            return Verdict::Challenge { stale: false };
        };
        let count = match Quality::read(credentials) {
            Quality::Auth { count } => count,
            // The first use of its nonce, and so the only one.
            Quality::Absent => 1,
            Quality::Unknown => return Verdict::Challenge { stale: false },
            Quality::Unreadable => return Verdict::Malformed,
        };
        if !is_for(credentials.uri, &request.uri) {
            return Verdict::Malformed;
        }
        // Before the user is looked up: nothing can be learned with a nonce that we did not give out.
        let Some(nonce) = self.nonces.read(credentials.nonce) else {
            return Verdict::Challenge { stale: false };
        };
        if !is_given(nonce.random()) {
            return Verdict::Challenge { stale: true };
        }
        let username = credentials.username;
        if !self.is_right(credentials, algorithm, request.method.as_str(), secret_of(username)) {
            return Verdict::Wrong { username: username.into() };
        }
        if self.nonces.is_over(nonce, now) || !self.nonces.take(nonce, count, now) {
            return Verdict::Challenge { stale: true };
        }
        Verdict::Accepted { username: username.into() }
    }

    fn is_right(
        &self,
        credentials: &Credentials<'_>,
        algorithm: Algorithm,
        method: &str,
        secret: Option<Secret>,
    ) -> bool {
        let known = secret.is_some();
        let digits = secret.as_ref().unwrap_or(&self.nobody).digits(algorithm);
        let vouched = Vouched {
            method,
            uri: credentials.uri,
            nonce: credentials.nonce,
            counted: credentials.qop.and(credentials.count.zip(credentials.cnonce)),
        };
        let expected = vouched.response(algorithm, &digits);
        let given = credentials.response.to_ascii_lowercase();
        bool::from(expected.as_bytes().ct_eq(given.as_bytes())) & known
    }
}

/// A phone that has no challenge yet may say who it is all the same, with an empty nonce and response (3GPP TS 24.229
/// §5.1.1.2.2) or without them: that is no attempt, and it needs a challenge to make one.
fn is_unfilled(params: &AuthParams) -> bool {
    params.value("response").is_none_or(str::is_empty)
}

/// The parameters of an Authorization field, not yet believed.
struct Credentials<'a> {
    username: &'a str,
    realm: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    algorithm: Option<&'a str>,
    qop: Option<&'a str>,
    count: Option<&'a str>,
    cnonce: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    /// `None` when a parameter that must stand there is absent.
    fn read(params: &'a AuthParams) -> Option<Self> {
        Some(Self {
            username: params.value("username")?,
            realm: params.value("realm")?,
            nonce: params.value("nonce")?,
            uri: params.value("uri")?,
            response: params.value("response")?,
            algorithm: params.value("algorithm"),
            qop: params.value("qop"),
            count: params.value("nc"),
            cnonce: params.value("cnonce"),
        })
    }
}

enum Quality {
    Auth { count: u32 },
    Absent,
    Unknown,
    Unreadable,
}

impl Quality {
    fn read(credentials: &Credentials<'_>) -> Self {
        match (credentials.qop, credentials.count, credentials.cnonce) {
            (None, _, _) => Self::Absent,
            (Some(qop), _, _) if !qop.eq_ignore_ascii_case("auth") => Self::Unknown,
            (Some(_), Some(count), Some(_)) if is_count(count) => {
                u32::from_str_radix(count, 16).map_or(Self::Unreadable, |count| Self::Auth { count })
            }
            (Some(_), _, _) => Self::Unreadable,
        }
    }
}

/// `8LHEX` (RFC 7616 §3.4), in either case.
fn is_count(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// Whether credentials made for `uri` may stand in a request to `target`.
///
/// RFC 7616 §3.4.6 wants the same resource, RFC 3261 §22.4 allows a server to be milder, since proxies rewrite the
/// Request-URI. User and host have to agree, or whoever sits between could send a call that was logged in somewhere
/// else. Port and parameters need not: phones write `:5060` or `;transport=` into one of the two and not the other.
fn is_for(uri: &str, target: &Uri) -> bool {
    let Ok(uri) = Uri::parse(uri.as_bytes()) else { return false };
    match (&uri, target) {
        (Uri::Sip(uri), Uri::Sip(target)) => is_same_user(uri, target) && uri.host == target.host,
        (Uri::Other { .. }, Uri::Other { .. }) => uri.is_equivalent(target),
        (Uri::Sip(_), Uri::Other { .. }) | (Uri::Other { .. }, Uri::Sip(_)) => false,
    }
}

fn is_same_user(one: &SipUri, other: &SipUri) -> bool {
    one.user == other.user || one.decoded_user().is_some_and(|user| Some(user) == other.decoded_user())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Identity, answer, challenge_nonce};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use sip_message::{CallId, Method, NameAddr, StatusCode};

    /// A challenge for each algorithm.
    fn both(server: &Authenticator, stale: bool, now: Duration, random: u64) -> [String; 2] {
        let challenges = server.challenges(&[Algorithm::Sha256, Algorithm::Md5], stale, now, random);
        challenges.try_into().expect("one for each")
    }

    const REALM: &str = "example.com";
    const LIFETIME: Duration = Duration::from_secs(60);
    const START: Duration = Duration::from_secs(1000);

    fn server() -> Authenticator {
        Authenticator::new(REALM, [7; 32], LIFETIME)
    }

    fn secret_of(username: &str) -> Option<Secret> {
        (username == "1001").then(|| Secret::new("1001", REALM, "opensesame"))
    }

    fn identity(username: &str, password: &str) -> Identity {
        Identity::new(username, password)
    }

    fn phone() -> Identity {
        identity("1001", "opensesame")
    }

    fn uri(text: &str) -> Uri {
        Uri::parse(text.as_bytes()).unwrap()
    }

    fn request_to(target: &str) -> Request {
        let party = || NameAddr::new(uri("sip:1001@example.com"));
        Request::new(Method::REGISTER, uri(target), party(), party(), CallId("a".into()), 1)
    }

    fn request(credentials: &[&str]) -> Request {
        let mut request = request_to("sip:example.com");
        for value in credentials {
            request.header.fields.push(FieldName::AUTHORIZATION, value);
        }
        request
    }

    /// The credentials for the challenges in `values`.
    fn credentials(identity: &Identity, values: &[String], nonce_count: u32) -> String {
        let mut response = request(&[]).response(StatusCode::UNAUTHORIZED);
        for value in values {
            response.header.fields.push(FieldName::WWW_AUTHENTICATE, value);
        }
        let (name, value) =
            answer(identity, &Method::REGISTER, "sip:example.com", &response, nonce_count, "0a4f113b")
                .unwrap();
        assert_eq!(name, FieldName::AUTHORIZATION);
        value
    }

    fn login(server: &Authenticator) -> String {
        credentials(&phone(), &both(server, false, START, 1), 1)
    }

    fn verify(server: &mut Authenticator, credentials: &str) -> Verdict {
        server.verify(&request(&[credentials]), START, |_| true, secret_of)
    }

    fn accepted() -> Verdict {
        Verdict::Accepted { username: "1001".into() }
    }

    const CHALLENGE: Verdict = Verdict::Challenge { stale: false };
    const STALE: Verdict = Verdict::Challenge { stale: true };

    #[test]
    fn a_phone_with_the_password_gets_in_with_either_algorithm() {
        let mut server = server();
        let [sha256, md5] = both(&server, false, START, 1);
        let strong = credentials(&phone(), &[md5.clone(), sha256], 1);
        assert!(strong.contains("algorithm=SHA-256,"), "{strong}");
        assert_eq!(verify(&mut server, &strong), accepted());
        let weak = credentials(&phone(), &[md5], 2);
        assert!(weak.contains("algorithm=MD5,"), "{weak}");
        assert_eq!(verify(&mut server, &weak), accepted());
        assert_eq!(
            verify(&mut server, &weak.replace("=MD5", "=\"md5\"").replace("=auth", "=\"auth\"")),
            STALE
        );
    }

    #[test]
    fn sha_256_is_offered_before_md5_with_qop_and_one_nonce() {
        let [sha256, md5] = both(&server(), true, START, 1);
        assert!(sha256.contains("algorithm=SHA-256") && md5.contains("algorithm=MD5"), "{sha256} {md5}");
        for challenge in [&sha256, &md5] {
            assert!(challenge.starts_with("Digest realm=\"example.com\", nonce=\""), "{challenge}");
            assert!(challenge.contains("qop=\"auth\"") && challenge.contains("stale=true"), "{challenge}");
        }
        assert_ne!(both(&server(), false, START, 1), both(&server(), false, START, 2));
        let mut response = request(&[]).response(StatusCode::UNAUTHORIZED);
        response.header.fields.push(FieldName::WWW_AUTHENTICATE, md5);
        assert!(
            challenge_nonce(&phone(), &response).is_some_and(|(nonce, stale)| nonce.len() == 48 && stale)
        );
    }

    #[test]
    fn a_request_without_credentials_for_us_is_challenged() {
        let mut server = server();
        assert_eq!(server.verify(&request(&[]), START, |_| true, secret_of), CHALLENGE);
        for other in [
            "NoOneKnowsThisScheme opaque-data=here",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Bearer é",
            "Digestive",
        ] {
            assert_eq!(verify(&mut server, other), CHALLENGE, "{other}");
        }
        let elsewhere = Authenticator::new("example.org", [7; 32], LIFETIME);
        assert_eq!(verify(&mut server, &login(&elsewhere)), CHALLENGE);
    }

    #[test]
    fn credentials_for_other_realms_may_stand_before_ours() {
        let mut server = server();
        let elsewhere = login(&Authenticator::new("example.org", [9; 32], LIFETIME));
        let ours = login(&server);
        let both = request(&[&elsewhere, "Basic eA==", &ours]);
        assert_eq!(server.verify(&both, START, |_| true, secret_of), accepted());
        let far = request(&[&elsewhere, &elsewhere, &elsewhere, &elsewhere, &login(&server)]);
        assert_eq!(server.verify(&far, START, |_| true, secret_of), CHALLENGE);
    }

    #[test]
    fn a_request_is_one_guess() {
        let mut server = server();
        let wrong = credentials(&identity("1001", "guess"), &both(&server, false, START, 1), 1);
        let two = request(&[&wrong, &login(&server)]);
        assert_eq!(
            server.verify(&two, START, |_| true, secret_of),
            Verdict::Wrong { username: "1001".into() }
        );
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_are_wrong_alike() {
        let mut server = server();
        for (username, password) in
            [("1001", "opensesam"), ("1009", "opensesame"), ("", ""), ("1001 ", "opensesame")]
        {
            let value = credentials(&identity(username, password), &both(&server, false, START, 1), 1);
            assert_eq!(verify(&mut server, &value), Verdict::Wrong { username: username.into() }, "{value}");
        }
    }

    #[test]
    fn nobody_gets_in_with_the_secret_of_nobody() {
        let mut server = server();
        let [_, md5] = both(&server, false, START, 1);
        let honest = credentials(&phone(), &[md5], 1);
        let nonce = honest.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let vouched = Vouched {
            method: "REGISTER",
            uri: "sip:example.com",
            nonce: &nonce,
            counted: Some(("00000001", "0a4f113b")),
        };
        let response = vouched.response(Algorithm::Md5, &server.nobody.digits(Algorithm::Md5));
        let old = honest.split("response=\"").nth(1).unwrap().split('"').next().unwrap();
        let forged = honest.replace(old, &response).replace("\"1001\"", "\"nobody\"");
        assert_eq!(verify(&mut server, &forged), Verdict::Wrong { username: "nobody".into() });
    }

    #[test]
    fn the_right_password_with_an_old_nonce_is_stale_and_a_wrong_one_is_wrong() {
        let mut server = server();
        let late = START + LIFETIME + Duration::from_secs(1);
        let right = login(&server);
        assert_eq!(server.verify(&request(&[&right]), late, |_| true, secret_of), STALE);
        let wrong = credentials(&identity("1001", "guess"), &both(&server, false, START, 1), 1);
        assert_eq!(
            server.verify(&request(&[&wrong]), late, |_| true, secret_of),
            Verdict::Wrong { username: "1001".into() }
        );
    }

    #[test]
    fn a_nonce_of_another_process_is_challenged_anew_and_nothing_is_learnt() {
        let mut server = server();
        let before = Authenticator::new(REALM, [8; 32], LIFETIME);
        assert_eq!(verify(&mut server, &login(&before)), CHALLENGE);
        let guess = credentials(&identity("1001", "guess"), &both(&before, false, START, 1), 1);
        assert_eq!(verify(&mut server, &guess), CHALLENGE);
    }

    #[test]
    fn a_count_that_does_not_rise_is_stale() {
        let mut server = server();
        let challenges = both(&server, false, START, 1);
        for (count, verdict) in [(1, accepted()), (1, STALE), (3, accepted()), (2, STALE), (4, accepted())] {
            let value = credentials(&phone(), &challenges, count);
            assert_eq!(verify(&mut server, &value), verdict, "{count}");
        }
        let never = credentials(&phone(), &both(&server, false, START, 2), 0);
        assert_eq!(verify(&mut server, &never), STALE);
    }

    #[test]
    fn a_wrong_password_uses_no_count_up() {
        let mut server = server();
        let challenges = both(&server, false, START, 1);
        let wrong = credentials(&identity("1001", "guess"), &challenges, 7);
        assert_eq!(verify(&mut server, &wrong), Verdict::Wrong { username: "1001".into() });
        assert_eq!(verify(&mut server, &credentials(&phone(), &challenges, 1)), accepted());
    }

    #[test]
    fn without_qop_a_nonce_is_good_once() {
        let mut server = server();
        let challenges = both(&server, false, START, 1).map(|value| value.replace(", qop=\"auth\"", ""));
        let value = credentials(&phone(), &challenges, 1);
        assert!(!value.contains("qop") && !value.contains("nc=") && !value.contains("cnonce"), "{value}");
        assert_eq!(verify(&mut server, &value), accepted());
        assert_eq!(verify(&mut server, &value), STALE);
        let counted = both(&server, false, START, 2);
        assert_eq!(verify(&mut server, &credentials(&phone(), &counted, 1)), accepted());
        let uncounted = counted.map(|value| value.replace(", qop=\"auth\"", ""));
        assert_eq!(verify(&mut server, &credentials(&phone(), &uncounted, 1)), STALE);
    }

    #[test]
    fn what_is_missing_or_unreadable_is_malformed() {
        let mut server = server();
        let good = login(&server);
        let parameters = good.strip_prefix("Digest ").unwrap();
        for name in ["username", "realm", "nonce", "uri", "nc", "cnonce"] {
            let kept: Vec<_> =
                parameters.split(", ").filter(|part| !part.starts_with(&format!("{name}="))).collect();
            let value = format!("Digest {}", kept.join(", "));
            assert_eq!(verify(&mut server, &value), Verdict::Malformed, "{value}");
        }
        for value in ["Digest username", "digest \"", &format!("{good}, nc=00000001")] {
            assert_eq!(verify(&mut server, value), Verdict::Malformed, "{value}");
        }
        for (from, to) in
            [("nc=00000001", "nc=+0000001"), ("nc=00000001", "nc=1"), ("nc=00000001", "nc=0000000g")]
        {
            assert_eq!(verify(&mut server, &good.replace(from, to)), Verdict::Malformed, "{to}");
        }
        assert_eq!(verify(&mut server, good.trim_end_matches('"')), Verdict::Malformed);
        let (before, response) = good.split_once("response=\"").unwrap();
        let (_, after) = response.split_once('"').unwrap();
        let empty = format!("{before}response=\"\"{after}");
        for unfilled in [&empty, "Digest", "Digest "] {
            assert_eq!(verify(&mut server, unfilled), CHALLENGE, "{unfilled}");
        }
        assert_eq!(verify(&mut server, &good), accepted());
    }

    #[test]
    fn an_algorithm_or_qop_that_was_not_offered_is_challenged() {
        let mut server = server();
        let good = login(&server);
        for (from, to) in
            [("SHA-256", "SHA-512-256"), ("SHA-256", "SHA-256-sess"), ("qop=auth", "qop=auth-int")]
        {
            assert_eq!(verify(&mut server, &good.replace(from, to)), CHALLENGE, "{to}");
        }
    }

    #[test]
    fn credentials_are_good_for_their_own_resource_only() {
        let cases = [
            ("sip:example.com", "sip:example.com", true),
            ("sip:example.com", "sip:EXAMPLE.com:5060;transport=udp", true),
            ("sip:1002@example.com;user=phone", "sip:1002@example.com", true),
            ("sip:%31002@example.com", "sip:1002@example.com", true),
            ("sip:1002@[2001:db8::1]", "sip:1002@[2001:db8:0::1]:5062", true),
            ("sip:1002@example.com", "sip:1003@example.com", false),
            ("sip:example.com", "sip:1003@example.com", false),
            ("sip:example.com", "sip:example.org", false),
            ("sip:example.com", "tel:1003", false),
            ("tel:1003", "tel:1003", true),
            ("", "sip:example.com", false),
            ("/dir/index.html", "sip:example.com", false),
        ];
        for (written, target, fits) in cases {
            assert_eq!(is_for(written, &uri(target)), fits, "{written} {target}");
        }
        let mut server = server();
        let mut request = request_to("sip:00900@example.com");
        request.header.fields.push(FieldName::AUTHORIZATION, login(&server));
        assert_eq!(server.verify(&request, START, |_| true, secret_of), Verdict::Malformed);
    }

    #[test]
    fn credentials_are_good_for_their_own_method_only() {
        let mut server = server();
        let mut request = request(&[&login(&server)]);
        request.method = Method::INVITE;
        assert_eq!(
            server.verify(&request, START, |_| true, secret_of),
            Verdict::Wrong { username: "1001".into() }
        );
    }

    #[test]
    fn a_field_that_was_tampered_with_is_never_accepted() {
        let mut random = ChaCha8Rng::seed_from_u64(7616);
        let mut server = server();
        let good = login(&server);
        let original = good.parse::<AuthParams>().unwrap();
        for _ in 0..20_000 {
            let mut octets = good.clone().into_bytes();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..octets.len());
                match random.random_range(0..4) {
                    0 => octets[at] = random.random(),
                    1 => octets.truncate(at.max(1)),
                    2 => drop(octets.remove(at)),
                    _ => octets.insert(at, *b"\"\\, =;\0\xff".get(random.random_range(0..8)).unwrap()),
                }
                if octets.is_empty() {
                    break;
                }
            }
            let Ok(changed) = String::from_utf8(octets) else { continue };
            let request = request(&[&changed]);
            let verdict = server.verify(&request, START, |_| true, secret_of);
            if verdict == accepted() || verdict == STALE {
                let received = request.header.fields.get(&FieldName::AUTHORIZATION).unwrap();
                let read = received.parse::<AuthParams>().unwrap();
                for name in
                    ["username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce"]
                {
                    let (before, after) = (original.value(name).unwrap(), read.value(name).unwrap());
                    assert!(before.eq_ignore_ascii_case(after), "{name} of {changed}");
                }
            }
        }
    }
}
