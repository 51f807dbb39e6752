//! Which challenges a phone can be given.
//!
//! RFC 8760 §2.4 wants one challenge for each algorithm, the strongest first, and a phone to take the first one that it
//! knows. Some phones give up instead when they meet one that they do not know.

use sip_core::digest::Algorithm;
use sip_message::{FieldName, Request};

const STRONGEST_FIRST: &[Algorithm] = &[Algorithm::Sha256, Algorithm::Md5];
/// SIPp 3.6 looks at the first challenge only, and knows MD5 only.
const WEAKEST_FIRST: &[Algorithm] = &[Algorithm::Md5, Algorithm::Sha256];
/// baresip before 3 gives up at any challenge but MD5, wherever it stands.
const MD5_ONLY: &[Algorithm] = &[Algorithm::Md5];

/// The algorithms to challenge with, in order, for the phone that sent `request`.
pub(super) fn algorithms_for(request: &Request) -> &'static [Algorithm] {
    let Some(phone) = request.header.fields.get(&FieldName::USER_AGENT) else { return WEAKEST_FIRST };
    let is_one_of = |names: &[&str]| names.iter().any(|name| phone.starts_with(name));
    if is_one_of(&["baresip v0.", "baresip v1.", "baresip v2."]) {
        MD5_ONLY
    } else if is_one_of(&["SIPp"]) {
        WEAKEST_FIRST
    } else {
        STRONGEST_FIRST
    }
}
