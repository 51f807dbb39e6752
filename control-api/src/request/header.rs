//! The header fields that change how a click-to-call is answered: its content type, `Prefer: wait` (RFC 7240 §4.3) and
//! `Idempotency-Key`.

use crate::error::{ApiError, Code};
use axum::http::{HeaderMap, HeaderName, header};
use std::time::Duration;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Seconds.
const WAIT_MAX: u64 = 600;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_KEY_MAX: usize = 255;

/// `application/json`, with any parameters, and not compressed.
///
/// # Errors
/// 415 for anything else.
pub(crate) fn must_be_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let json = types
        .next()
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    if !json || types.next().is_some() {
        return Err(ApiError::new(Code::UnsupportedMediaType, "The Content-Type must be application/json"));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::new(
            Code::UnsupportedMediaType,
            "The body must be plain JSON, without a Content-Encoding",
        ));
    }
    Ok(())
}

/// How long the client is ready to wait, 600 s at most. What cannot be read is no preference (RFC 7240 §2); of two the
/// first counts.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(PREFER).iter().filter_map(|field| field.to_str().ok());
    let mut preferences = fields.flat_map(|field| field.split(','));
    let value = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim())
    })?;
    let digits = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(digits.parse().unwrap_or(u64::MAX).min(WAIT_MAX)))
}

/// The name that the client gave to its request, if it did.
///
/// # Errors
/// 400 when it is not of 1 to 255 visible ASCII characters, or there are two.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, ApiError> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let visible = |octet: &u8| (0x21..=0x7E).contains(octet);
    let octets = first.as_bytes();
    let well_formed = (1..=IDEMPOTENCY_KEY_MAX).contains(&octets.len()) && octets.iter().all(visible);
    match first.to_str() {
        Ok(text) if well_formed && given.next().is_none() => Ok(Some(text.into())),
        Ok(_) | Err(_) => Err(ApiError::new(
            Code::InvalidField,
            format!(
                "The Idempotency-Key must be one, of 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters"
            ),
        )
        .about("Idempotency-Key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of(fields: &[&str]) -> Option<u64> {
        let fields = fields.iter().map(|field| (PREFER, field.parse().unwrap()));
        wait(&fields.collect()).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_found_among_other_preferences() {
        assert_eq!(of(&["wait=10"]), Some(10));
        assert_eq!(of(&["respond-async, Wait = \"10\"; x=1"]), Some(10));
        assert_eq!(of(&["return=minimal"]), None);
        assert_eq!(of(&[]), None);
        for bad in ["wait", "wait=", "wait=-1", "wait=1.5", "wait=\"1", "wait=a", "await=1"] {
            assert_eq!(of(&[bad]), None, "{bad}");
        }
        assert_eq!(of(&["wait=601"]), Some(600));
        assert_eq!(of(&["wait=99999999999999999999"]), Some(600));
        assert_eq!(of(&["wait=1, wait=2"]), Some(1));
    }

    #[test]
    fn an_idempotency_key_is_one_of_visible_ascii() {
        let of = |values: &[&[u8]]| {
            let fields =
                values.iter().map(|value| (IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap()));
            idempotency_key(&fields.collect())
        };
        assert!(of(&[]).unwrap().is_none());
        assert_eq!(&*of(&[b"!~a"]).unwrap().unwrap(), "!~a");
        assert!(of(&[&[b'x'; 255]]).unwrap().is_some());
        for bad in [&[&b""[..]][..], &[&[b'x'; 256]], &[b"a b"], &["é".as_bytes()], &[b"a", b"a"]] {
            assert_eq!(of(bad).unwrap_err().field(), Some("Idempotency-Key"));
        }
    }
}
