//! What is asked of a running call.

use crate::error::ApiError;
use crate::request::fields::{Fields, Mistake, number, optional, party_type, required, text};
use crate::request::json::Json;
use call_control::{Digits, Number, Party, Transfer, Wish};

/// `{"party":"from"}`: whom it is about.
///
/// # Errors
/// 400, with the field when it is about one.
pub(crate) fn party_from(body: &[u8]) -> Result<Party, ApiError> {
    let mut fields = Fields::of(body)?;
    let party = required("party", fields.take("party")?, party)?;
    fields.must_be_empty()?;
    Ok(party)
}

/// `{"party":"to","digits":"12#"}`.
///
/// # Errors
/// 400, with the field when it is about one.
pub(crate) fn keys_from(body: &[u8]) -> Result<Wish, ApiError> {
    let mut fields = Fields::of(body)?;
    let party = required("party", fields.take("party")?, party)?;
    let digits = required("digits", fields.take("digits")?, digits)?;
    fields.must_be_empty()?;
    Ok(Wish::Dial(party, digits))
}

/// `{"party":"to","to":"1003","to_type":"extension"}`; `caller_ids` are those of the key.
///
/// # Errors
/// 400, with the field when it is about one.
pub(crate) fn transfer_from(body: &[u8], caller_ids: Vec<Number>) -> Result<Wish, ApiError> {
    let mut fields = Fields::of(body)?;
    let transfer = Transfer {
        party: required("party", fields.take("party")?, party)?,
        to: required("to", fields.take("to")?, number)?,
        to_type: optional("to_type", fields.take("to_type")?, party_type)?,
        caller_ids,
    };
    fields.must_be_empty()?;
    Ok(Wish::Transfer(transfer))
}

fn party(value: Json) -> Result<Party, Mistake> {
    match text(value)?.as_str() {
        "from" => Ok(Party::From),
        "to" => Ok(Party::To),
        _ => Err("must be from or to".into()),
    }
}

fn digits(value: Json) -> Result<Digits, Mistake> {
    Digits::new(&text(value)?).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn what_is_asked_is_read() {
        assert_eq!(party_from(br#"{"party":"to"}"#).unwrap(), Party::To);
        let keys = keys_from(br#"{"digits":"12#","party":"from"}"#).unwrap();
        assert_eq!(keys, Wish::Dial(Party::From, Digits::new("12#").unwrap()));
        let Wish::Transfer(transfer) =
            transfer_from(br#"{"party":"to","to":" +44 20-7946 "}"#, Vec::new()).unwrap()
        else {
            panic!("a transfer");
        };
        assert_eq!((transfer.party, transfer.to.as_str(), transfer.to_type), (Party::To, "+44207946", None));
    }

    #[test]
    fn a_mistake_names_its_field() {
        let of_party = |body: &str| party_from(body.as_bytes()).map(drop);
        let of_keys = |body: &str| keys_from(body.as_bytes()).map(drop);
        let of_transfer = |body: &str| transfer_from(body.as_bytes(), Vec::new()).map(drop);
        for (outcome, code, field) in [
            (of_party("{}"), Code::MissingField, "party"),
            (of_party(r#"{"party":"both"}"#), Code::InvalidField, "party"),
            (of_party(r#"{"party":"to","music":"x"}"#), Code::UnknownField, "music"),
            (of_party(r#"{"party":"to","party":"to"}"#), Code::DuplicateField, "party"),
            (of_keys(r#"{"party":"to"}"#), Code::MissingField, "digits"),
            (of_keys(r#"{"party":"to","digits":12}"#), Code::InvalidField, "digits"),
            (of_keys(r#"{"party":"to","digits":""}"#), Code::InvalidField, "digits"),
            (of_keys(r#"{"party":"to","digits":"1w2"}"#), Code::InvalidField, "digits"),
            (of_transfer(r#"{"party":"to"}"#), Code::MissingField, "to"),
            (of_transfer(r#"{"party":"to","to":"sip:1003@x"}"#), Code::InvalidField, "to"),
            (of_transfer(r#"{"party":"to","to":"1003","to_type":"phone"}"#), Code::InvalidField, "to_type"),
            (of_transfer(r#"{"party":"to","to":"1003","caller_id":"+1"}"#), Code::UnknownField, "caller_id"),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!((error.code(), error.field()), (code, Some(field)), "{}", error.message());
            assert!(error.message().contains(field), "{}", error.message());
        }
    }
}
