//! What a request that calls somebody says: whom, and who calls.

use crate::settings::{IdentityField, TrunkSettings};
use call_control::Number;
use numbering::NumberingPlan;
use sip_message::{FieldName, Header, Host, NameAddr, Request, Uri};

/// Somebody outside who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// In E.164 where it is one; absent when nothing may be shown, or nothing can be read.
    pub(crate) number: Option<Number>,
    pub(crate) name: Option<Box<str>>,
}

/// So short a number can be that of a service in any country.
const SHORT_MAX: usize = 6;
/// The longest name that is shown, in characters.
const NAME_MAX: usize = 64;

/// The number in a `sip:` or `tel:` URI; `None` when it is at a host that is not ours, or is none.
pub(crate) fn dialled_number(uri: &Uri, is_ours: impl Fn(&Host) -> bool) -> Option<Number> {
    match uri {
        Uri::Sip(uri) if is_ours(&uri.host) => {
            let user = uri.decoded_user()?;
            written(&user)
        }
        Uri::Sip(_) => None,
        Uri::Other { scheme, rest } if &**scheme == "tel" => written(rest),
        Uri::Other { .. } => None,
    }
}

/// Carriers and phones put parameters behind the number in the user part (RFC 3261 §19.1.6, RFC 3966 §3): `;npdi`,
/// `;phone-context=…`. A number that is local to a country or an area is that of nobody elsewhere (RFC 3966 §5.1.5); but
/// short ones are those of services, or of extensions. A domain as context is that of whoever has written it.
fn written(user: &str) -> Option<Number> {
    let mut parts = user.split(';');
    let number = Number::written(parts.next().unwrap_or_default()).ok()?;
    let context = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        (name.trim().eq_ignore_ascii_case("phone-context") && value.starts_with('+')).then_some(value)
    });
    match context {
        Some(context) if !number.as_str().starts_with('+') && number.digits() > SHORT_MAX => {
            let context: String = context.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
            NumberingPlan::in_context(&context, &number)
        }
        Some(_) | None => Some(number),
    }
}

/// The caller in Remote-Party-ID, which carriers and phones used before RFC 3325.
fn remote_parties(header: &Header) -> impl Iterator<Item = NameAddr> {
    let parties = header.fields.addresses(&FieldName::REMOTE_PARTY_ID).unwrap_or_default();
    let is_caller = |address: &NameAddr| {
        address.parameters.value("party").is_none_or(|party| party.eq_ignore_ascii_case("calling"))
    };
    parties.into_iter().filter(is_caller)
}

/// Whether the caller wants to be shown to nobody (RFC 3323 §4.1, §4.2).
pub(crate) fn is_anonymous(header: &Header) -> bool {
    let wishes = header.fields.get_all(&FieldName::PRIVACY);
    let hides = |word: &str| {
        let word = word.trim();
        ["id", "user", "header"].iter().any(|hiding| hiding.eq_ignore_ascii_case(word))
    };
    let wants = wishes.flat_map(|value| value.split([';', ','])).any(hides);
    let from = header.from.uri.as_sip();
    let is_hidden = |host: &Host| matches!(host, Host::Name(name) if name.to_ascii_lowercase().ends_with("anonymous.invalid"));
    let is_private = |address: NameAddr| {
        let privacy = address.parameters.value("privacy").unwrap_or("off");
        !privacy.split(',').all(|word| word.trim().eq_ignore_ascii_case("off"))
    };
    wants || from.is_some_and(|uri| is_hidden(&uri.host)) || remote_parties(header).any(is_private)
}

/// Who calls through a trunk. What it says beside From is believed only of one that is trusted (RFC 3325 §5).
pub(crate) fn caller_of(request: &Request, trunk: &TrunkSettings) -> Caller {
    let header = &request.header;
    if is_anonymous(header) {
        return Caller { number: None, name: None };
    }
    let asserted = || {
        let asserted = header.fields.addresses(&FieldName::P_ASSERTED_IDENTITY).unwrap_or_default();
        asserted.into_iter().find(|address| number_of(address, trunk).is_some())
    };
    let remote = || remote_parties(header).find(|address| number_of(address, trunk).is_some());
    let address = match trunk.identity {
        _ if !trunk.trusted => None,
        IdentityField::RemotePartyId => remote().or_else(asserted),
        IdentityField::PAssertedIdentity | IdentityField::From => asserted(),
    };
    let address = address.as_ref().unwrap_or(&header.from);
    let name = address.display_name.as_deref().or(header.from.display_name.as_deref());
    Caller { number: number_of(address, trunk), name: name.and_then(shown) }
}

fn number_of(address: &NameAddr, trunk: &TrunkSettings) -> Option<Number> {
    let number = dialled_number(&address.uri, |_| true)?;
    Some(trunk.writing.plan.international_of_caller(&number).unwrap_or(number))
}

/// A name as phones can show it: what is broken or too long is left out, and the call goes on without.
fn shown(name: &str) -> Option<Box<str>> {
    let is_shown = |c: char| {
        !c.is_control()
            && !matches!(c, '"' | '\\' | '<' | '>' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.chars().filter(|c| is_shown(*c)).take(NAME_MAX).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_stands_before_its_parameters_at_a_host_of_ours() {
        let ours = |host: &Host| *host == Host::new("pbx.example.com").unwrap();
        for (uri, number) in [
            ("sip:1002@pbx.example.com", Some("1002")),
            ("sip:1002@PBX.example.com:5070;transport=tcp", Some("1002")),
            ("sip:+91%2080-6597@pbx.example.com", Some("+91806597")),
            ("sip:%2B918065978015@pbx.example.com;user=phone", Some("+918065978015")),
            ("sip:+918065978015;npdi;rn=x@pbx.example.com", Some("+918065978015")),
            ("sip:%2331%23017112345@pbx.example.com", Some("#31#017112345")),
            ("sip:#31#017112345@pbx.example.com", Some("#31#017112345")),
            ("sip:21#@pbx.example.com", Some("21#")),
            ("tel:+91-80-6597-8015", Some("+918065978015")),
            ("tel:08065978015;phone-context=+91", Some("+918065978015")),
            ("tel:6597-8015;phone-context=+91-80", Some("+918065978015")),
            ("tel:2079460000;phone-context=+44", Some("+442079460000")),
            ("sip:2079460000;Phone-Context=+44@pbx.example.com;user=phone", Some("+442079460000")),
            ("tel:8065978015;phone-context=+44", Some("+448065978015")),
            ("tel:+918065978015;phone-context=+44", Some("+918065978015")),
            ("tel:08065978015;phone-context=ims.example", Some("08065978015")),
            ("tel:112;phone-context=+44", Some("112")),
            ("tel:1002;phone-context=+91", Some("1002")),
            ("sip:1002@elsewhere.example", None),
            ("sip:alice@pbx.example.com", None),
            ("sip:pbx.example.com", None),
            ("mailto:1002@pbx.example.com", None),
            ("sip:1002%0d%0aX@pbx.example.com", None),
        ] {
            let parsed: Uri = uri.parse().unwrap();
            assert_eq!(dialled_number(&parsed, ours).as_ref().map(Number::as_str), number, "{uri}");
        }
    }
}
