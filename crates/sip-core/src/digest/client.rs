//! Digest as a client: from a challenge to credentials.

use super::{Algorithm, Identity, Vouched, is_digest};
use sip_message::{AuthParams, FieldName, Method, Response, StatusCode};

/// The field that answers the strongest challenge of a 401 or 407 which we can serve, with `nc` and `cnonce` where the
/// challenge has `qop`. `uri` is the Request-URI as it is sent.
///
/// `None` for other responses, and when no challenge is of scheme Digest with MD5 or SHA-256 and without `qop` or with
/// `qop=auth`.
pub fn answer(
    identity: &Identity,
    method: &Method,
    uri: &str,
    response: &Response,
    nonce_count: u32,
    cnonce: &str,
) -> Option<(FieldName, String)> {
    let (_, answer_field) = fields_of(response.status)?;
    let challenge = strongest(identity, response)?;
    let secret = identity.secret(challenge.algorithm, &challenge.realm);
    let count = format!("{nonce_count:08x}");
    let vouched = Vouched {
        method: method.as_str(),
        uri,
        nonce: &challenge.nonce,
        counted: challenge.has_qop.then_some((&*count, cnonce)),
    };
    let mut credentials = AuthParams::new("Digest");
    let parameters = &mut credentials.parameters;
    parameters.set_quoted("username", &identity.username);
    parameters.set_quoted("realm", &challenge.realm);
    parameters.set_quoted("nonce", &challenge.nonce);
    parameters.set_quoted("uri", uri);
    parameters.set_quoted("response", &vouched.response(challenge.algorithm, &secret));
    parameters.set("algorithm", Some(challenge.algorithm.token()));
    if let Some(opaque) = &challenge.opaque {
        parameters.set_quoted("opaque", opaque);
    }
    if challenge.has_qop {
        parameters.set("qop", Some("auth"));
        parameters.set("nc", Some(&count));
        parameters.set_quoted("cnonce", cnonce);
    }
    Some((answer_field, credentials.to_string()))
}

/// The nonce of the challenge that [`answer`] would answer, and whether the server calls the one before it stale: a
/// client that has answered and is challenged again without `stale` has the wrong password and stops (RFC 7616 §3.3).
pub fn challenge_nonce(identity: &Identity, response: &Response) -> Option<(Box<str>, bool)> {
    strongest(identity, response).map(|challenge| (challenge.nonce, challenge.stale))
}

struct Challenge {
    algorithm: Algorithm,
    realm: Box<str>,
    nonce: Box<str>,
    opaque: Option<Box<str>>,
    has_qop: bool,
    stale: bool,
}

/// Challenges of one response that are looked at.
const CHALLENGES_MAX: usize = 8;

fn strongest(identity: &Identity, response: &Response) -> Option<Challenge> {
    let (challenge_field, _) = fields_of(response.status)?;
    let values = response.header.fields.get_all(&challenge_field).take(CHALLENGES_MAX);
    let mut challenges: Vec<Challenge> =
        values.filter_map(read).filter(|challenge| identity.is_of(&challenge.realm)).collect();
    let best = challenges.iter().position(|challenge| challenge.algorithm == Algorithm::Sha256).unwrap_or(0);
    (best < challenges.len()).then(|| challenges.swap_remove(best))
}

/// The fields of challenge and credentials that go with a status (RFC 3261 §22.2, §22.3).
fn fields_of(status: StatusCode) -> Option<(FieldName, FieldName)> {
    match status {
        StatusCode::UNAUTHORIZED => Some((FieldName::WWW_AUTHENTICATE, FieldName::AUTHORIZATION)),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Some((
            FieldName::from_static("Proxy-Authenticate"),
            FieldName::from_static("Proxy-Authorization"),
        )),
        _ => None,
    }
}

/// A challenge that we can answer.
fn read(value: &str) -> Option<Challenge> {
    let params: AuthParams = value.parse().ok().filter(|_| is_digest(value))?;
    let has_qop = match params.value("qop") {
        None | Some("") => false,
        Some(list) => list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")).then_some(true)?,
    };
    Some(Challenge {
        algorithm: Algorithm::from_parameter(params.value("algorithm"))?,
        realm: params.value("realm")?.into(),
        nonce: params.value("nonce")?.into(),
        opaque: params.value("opaque").map(Into::into),
        has_qop,
        stale: params.value("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::{CallId, NameAddr, Request, Uri};

    const SHA256: &str =
        r#"Digest realm="biloxi.com", nonce="one", qop="auth,auth-int", algorithm=SHA-256, opaque="a\"b""#;
    const MD5: &str = r#"Digest realm="biloxi.com", nonce="two", algorithm=MD5"#;

    fn response(status: StatusCode, field: FieldName, challenges: &[&str]) -> Response {
        let party = || NameAddr::new(Uri::parse(b"sip:bob@biloxi.com").expect("a URI"));
        let uri = Uri::parse(b"sip:biloxi.com").expect("a URI");
        let request = Request::new(Method::REGISTER, uri, party(), party(), CallId("a".into()), 1);
        let mut response = request.response(status);
        for challenge in challenges {
            response.header.fields.push(field.clone(), challenge);
        }
        response
    }

    fn unauthorized(challenges: &[&str]) -> Response {
        response(StatusCode::UNAUTHORIZED, FieldName::WWW_AUTHENTICATE, challenges)
    }

    fn bob(response: &Response) -> Option<(FieldName, String)> {
        let identity = Identity::new("bob", "zanzibar");
        answer(&identity, &Method::REGISTER, "sip:biloxi.com", response, 10, "cn")
    }

    fn nonce(challenges: &[&str]) -> Option<String> {
        challenge_nonce(&Identity::new("bob", ""), &unauthorized(challenges)).map(|(nonce, _)| nonce.into())
    }

    #[test]
    fn every_parameter_is_printed_as_its_grammar_asks() {
        let (name, value) = bob(&unauthorized(&[SHA256])).unwrap();
        assert_eq!(name, FieldName::AUTHORIZATION);
        let hashed = Algorithm::Sha256;
        let secret = hashed.hash(&["bob", "biloxi.com", "zanzibar"]);
        let request = hashed.hash(&["REGISTER", "sip:biloxi.com"]);
        let proof = hashed.hash(&[&secret, "one", "0000000a", "cn", "auth", &request]);
        assert_eq!(
            value,
            format!(
                "Digest username=\"bob\", realm=\"biloxi.com\", nonce=\"one\", uri=\"sip:biloxi.com\", \
                 response=\"{proof}\", algorithm=SHA-256, opaque=\"a\\\"b\", qop=auth, nc=0000000a, cnonce=\"cn\""
            )
        );
    }

    #[test]
    fn a_proxy_is_answered_in_its_own_field() {
        let proxy =
            |challenges: FieldName| response(StatusCode::PROXY_AUTHENTICATION_REQUIRED, challenges, &[MD5]);
        let (name, _) = bob(&proxy(FieldName::PROXY_AUTHENTICATE)).unwrap();
        assert_eq!(name, FieldName::PROXY_AUTHORIZATION);
        assert_eq!(bob(&proxy(FieldName::WWW_AUTHENTICATE)), None);
    }

    #[test]
    fn only_challenges_are_answered() {
        for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::PROXY_AUTHENTICATION_REQUIRED] {
            assert_eq!(bob(&response(status, FieldName::WWW_AUTHENTICATE, &[MD5])), None);
        }
        assert_eq!(bob(&unauthorized(&[])), None);
    }

    #[test]
    fn the_strongest_that_we_serve_is_answered_and_of_equals_the_first() {
        let other_md5 = MD5.replace("two", "three");
        assert_eq!(nonce(&[MD5, SHA256]).as_deref(), Some("one"));
        assert_eq!(nonce(&[MD5, &other_md5]).as_deref(), Some("two"));
        let unserved = [
            SHA256.replace("SHA-256", "SHA-512-256"),
            SHA256.replace("SHA-256", "SHA-256-sess"),
            SHA256.replace("auth,auth-int", "auth-int"),
            SHA256.replace("Digest", "Hawk"),
            SHA256.replace("realm=\"biloxi.com\", ", ""),
            SHA256.replace("nonce=\"one\", ", ""),
            SHA256.trim_end_matches('"').to_owned(),
            "Digest".to_owned(),
        ];
        for challenge in &unserved {
            assert_eq!(nonce(&[challenge]), None, "{challenge}");
            assert_eq!(nonce(&[challenge, MD5]).as_deref(), Some("two"), "{challenge}");
        }
    }

    #[test]
    fn only_the_realm_that_we_are_known_in_is_answered() {
        let identity = Identity { realm: Some("biloxi.com".into()), ..Identity::new("bob", "zanzibar") };
        let other = SHA256.replace("biloxi.com", "elsewhere.example");
        let nonce = |challenges: &[&str]| {
            challenge_nonce(&identity, &unauthorized(challenges)).map(|(nonce, _)| nonce)
        };
        assert_eq!(nonce(&[&other]), None);
        assert_eq!(nonce(&[&other, MD5]).as_deref(), Some("two"));
        assert_eq!(nonce(&[SHA256]).as_deref(), Some("one"));
    }

    #[test]
    fn a_challenge_without_algorithm_and_qop_is_answered_as_of_old() {
        let (_, value) = bob(&unauthorized(&[r#"Digest realm="biloxi.com", nonce="n""#])).unwrap();
        let md5 = Algorithm::Md5;
        let secret = md5.hash(&["bob", "biloxi.com", "zanzibar"]);
        let proof = md5.hash(&[&secret, "n", &md5.hash(&["REGISTER", "sip:biloxi.com"])]);
        assert!(value.contains(&format!("response=\"{proof}\"")), "{value}");
        assert!(!value.contains("qop") && !value.contains("cnonce") && !value.contains("nc="), "{value}");
    }

    #[test]
    fn the_example_of_rfc_3665_comes_out() {
        // RFC 3665 §2.1, F2 and F3; its printed response is no digest of its password, so ours is computed.
        let challenge = r#"Digest realm="atlanta.example.com", qop="auth",
            nonce="ea9c8e88df84f1cec4341ae6cbe5a359", opaque="", stale=FALSE, algorithm=MD5"#;
        let (_, value) = bob(&unauthorized(&[&challenge.replace('\n', " ")])).unwrap();
        let md5 = Algorithm::Md5;
        let secret = md5.hash(&["bob", "atlanta.example.com", "zanzibar"]);
        let request = md5.hash(&["REGISTER", "sip:biloxi.com"]);
        let proof =
            md5.hash(&[&secret, "ea9c8e88df84f1cec4341ae6cbe5a359", "0000000a", "cn", "auth", &request]);
        assert!(value.contains(&proof) && value.contains("opaque=\"\""), "{value}");
    }

    #[test]
    fn stale_is_told() {
        let stale = |text: &str| {
            challenge_nonce(&Identity::new("bob", ""), &unauthorized(&[text])).map(|(_, stale)| stale)
        };
        assert_eq!(stale(&format!("{MD5}, stale=TRUE")), Some(true));
        assert_eq!(stale(&format!("{MD5}, stale=\"true\"")), Some(true));
        assert_eq!(stale(&format!("{MD5}, stale=false")), Some(false));
        assert_eq!(stale(MD5), Some(false));
    }
}
