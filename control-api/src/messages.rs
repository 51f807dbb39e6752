//! The signalling of a call: its messages, as JSON or as a picture, and what is to be said of them.

use crate::api::Api;
use crate::auth::{Caller, READ};
use crate::error::ApiError;
use crate::ladder_svg;
use crate::lookup::call_id;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use call_control::Explanation;

const SVG: &str = "image/svg+xml";
/// A picture loads nothing and runs nothing.
const SVG_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// `GET /calls/{id}/ladder`: JSON, or a picture for those who would rather have one.
pub(crate) async fn ladder(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    key.must(READ)?;
    let ladder = api.calls.ladder(call_id(id)?).await?;
    let mut response = if prefers_svg(&headers) {
        let fields = [
            (header::CONTENT_TYPE, SVG),
            (header::CONTENT_SECURITY_POLICY, SVG_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (fields, ladder_svg::draw(&ladder)).into_response()
    } else {
        Json(ladder).into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// `GET /calls/{id}/explain`: what the call was like, in words.
pub(crate) async fn explanation(
    State(api): State<Api>,
    Caller(key): Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Explanation>, ApiError> {
    key.must(READ)?;
    Ok(Json(api.calls.explanation(call_id(id)?).await?))
}

/// Whether a picture is liked better than JSON (RFC 9110 §12.5.1). Who likes neither gets JSON.
fn prefers_svg(headers: &HeaderMap) -> bool {
    let values = || headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let quality = |kind: &str| {
        let ranges = values().flat_map(|value| value.split(',')).filter_map(|range| matching(range, kind));
        // The most exact range that matches says how much.
        ranges.max_by_key(|(exactness, _)| *exactness).map_or(0, |(_, quality)| quality)
    };
    quality(SVG) > quality("application/json")
}

/// How exactly a media range means this type, and its quality in thousandths.
fn matching(range: &str, kind: &str) -> Option<(u8, u32)> {
    let mut parts = range.split(';').map(str::trim);
    let wanted = parts.next()?;
    let family = kind.split('/').next()?;
    let exactness = match wanted.split_once('/')? {
        ("*", "*") => 0,
        (wanted_family, "*") if wanted_family.eq_ignore_ascii_case(family) => 1,
        _ if wanted.eq_ignore_ascii_case(kind) => 2,
        _ => return None,
    };
    let quality = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f64>().unwrap_or_default())
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000 by the clamp; not a number becomes 0"
    )]
    let thousandths = (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u32;
    Some((exactness, thousandths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_for_those_who_like_it_better_than_json() {
        for (accept, svg) in [
            ("", false),
            ("*/*", false),
            ("application/json", false),
            ("text/html", false),
            ("image/svg+xml", true),
            ("IMAGE/SVG+XML ; charset=utf-8", true),
            ("image/*", true),
            ("image/avif,image/webp,*/*;q=0.8", false),
            ("image/svg+xml,*/*;q=0.8", true),
            ("image/svg+xml;q=0.5, application/json", false),
            ("image/svg+xml, application/json;q=0.9", true),
            ("image/*, image/svg+xml;q=0", false),
            ("image/svg+xml;q=nonsense", false),
            ("image", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_svg(&headers), svg, "{accept:?}");
        }
        assert!(!prefers_svg(&HeaderMap::new()));
    }
}
