//! The body of a click-to-call, read strictly: every mistake is a sentence that names its field.

use crate::error::{ApiError, Code};
use crate::request::fields::{
    Fields, Mistake, boolean, number, optional, party_type, required, seconds, shown, text,
};
use crate::request::json::Json;
use call_control::{CallerId, ClickToCall, Refusal, VariableName, VariableValue};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

const TIMEOUT: RangeInclusive<u64> = 1..=600;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_TO_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_DURATION: RangeInclusive<u64> = 1..=86_400;
const VARIABLES: usize = 64;
/// Octets of all names and values, when written.
const VARIABLES_TEXT: usize = 8 * 1024;

/// Reads a body of `POST /calls/click-to-call`.
///
/// # Errors
/// 400, with the field when it is about one.
pub(crate) fn click_to_call_from(body: &[u8], key_name: &str) -> Result<ClickToCall, ApiError> {
    let mut fields = Fields::of(body)?;
    let from = required("from", fields.take("from")?, number)?;
    let to = required("to", fields.take("to")?, number)?;
    let request = ClickToCall {
        to_type: optional("to_type", fields.take("to_type")?, party_type)?,
        caller_id: optional("caller_id", fields.take("caller_id")?, caller_id)?,
        caller_ids: Vec::new(),
        timeout: seconds(&mut fields, "timeout", TIMEOUT)?.unwrap_or(DEFAULT_TIMEOUT),
        to_timeout: seconds(&mut fields, "to_timeout", TIMEOUT)?.unwrap_or(DEFAULT_TO_TIMEOUT),
        max_duration: seconds(&mut fields, "max_duration", MAX_DURATION)?,
        variables: optional("variables", fields.take("variables")?, variables)?.unwrap_or_default(),
        auto_answer: optional("auto_answer", fields.take("auto_answer")?, boolean)?.unwrap_or(false),
        key_name: key_name.into(),
        repeatable: None,
        from,
        to,
    };
    if optional("record", fields.take("record")?, boolean)? == Some(true) {
        return Err(ApiError::new(
            Code::InvalidField,
            "The field record cannot be true: Recording is not available in this release",
        )
        .about("record"));
    }
    fields.must_be_empty()?;
    if request.from == request.to {
        return Err(Refusal::SameParty.into());
    }
    Ok(request)
}

fn caller_id(value: Json) -> Result<CallerId, Mistake> {
    CallerId::new(&text(value)?).map_err(|error| error.to_string())
}

fn variables(value: Json) -> Result<BTreeMap<VariableName, VariableValue>, Mistake> {
    let Json::Object(members) = value else {
        return Err(format!("must be an object, not {}", value.kind()));
    };
    if members.len() > VARIABLES {
        return Err(format!("must have at most {VARIABLES} names"));
    }
    let mut variables = BTreeMap::new();
    let mut octets = 0;
    for (name, value) in members {
        let quoted = shown(&name);
        let (name, value) =
            variable(&name, value).map_err(|mistake| format!("is wrong at {quoted:?}: {mistake}"))?;
        octets += name.as_str().len() + value.to_text().len();
        if variables.insert(name, value).is_some() {
            return Err(format!("has the name {quoted:?} twice"));
        }
    }
    if octets > VARIABLES_TEXT {
        return Err(format!("must have at most {VARIABLES_TEXT} octets of names and values"));
    }
    Ok(variables)
}

fn variable(name: &str, value: Json) -> Result<(VariableName, VariableValue), Mistake> {
    let value = match value {
        Json::Text(text) => serde_json::Value::String(text),
        Json::Number(number) => serde_json::Value::Number(number),
        Json::Bool(value) => serde_json::Value::Bool(value),
        Json::Null | Json::Array | Json::Object(_) => serde_json::Value::Null,
    };
    let name = VariableName::new(name).map_err(|error| error.to_string())?;
    Ok((name, VariableValue::new(value).map_err(|error| error.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use call_control::{Number, PartyType};

    fn read(body: &str) -> Result<ClickToCall, ApiError> {
        click_to_call_from(body.as_bytes(), "crm")
    }

    fn with(more: &str) -> Result<ClickToCall, ApiError> {
        read(&format!(r#"{{"from":"1001","to":"1002",{more}}}"#))
    }

    /// The code, the field and the message of what is refused.
    fn refused(outcome: Result<ClickToCall, ApiError>) -> (Code, String, String) {
        let error = outcome.unwrap_err();
        assert!(error.message().len() <= 500, "{}", error.message());
        (error.code(), error.field().unwrap_or_default().to_owned(), error.message().to_owned())
    }

    #[test]
    fn two_numbers_are_enough() {
        let request = read(r#" {"to":"1002", "from":"1001"} "#).unwrap();
        let expected = ClickToCall {
            from: Number::new("1001").unwrap(),
            to: Number::new("1002").unwrap(),
            to_type: None,
            caller_id: None,
            caller_ids: Vec::new(),
            timeout: Duration::from_secs(30),
            to_timeout: Duration::from_secs(60),
            max_duration: None,
            variables: [].into(),
            auto_answer: false,
            key_name: "crm".into(),
            repeatable: None,
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn every_field_is_read() {
        let request = read(
            r#"{"from":"1001","to":"+918065978015","to_type":"external","caller_id":"\"Asha\" <+15550100>",
                "timeout":600,"variables":{"a.b":"ü","n":1.5,"t":true},"to_timeout":1,"max_duration":86400,
                "auto_answer":true,"record":false}"#,
        )
        .unwrap();
        assert_eq!(request.to_type, Some(PartyType::External));
        assert_eq!(request.caller_id.unwrap().to_string(), "\"Asha\" <+15550100>");
        assert_eq!(request.timeout, Duration::from_secs(600));
        assert_eq!(request.to_timeout, Duration::from_secs(1));
        assert_eq!(request.max_duration, Some(Duration::from_secs(86_400)));
        assert!(request.auto_answer);
        let variables: Vec<_> =
            request.variables.iter().map(|(name, value)| (name.as_str(), value.to_text())).collect();
        assert_eq!(variables, [("a.b", "ü".into()), ("n", "1.5".into()), ("t", "true".into())]);
        for kind in ["extension", "queue", "ivr", "ai_agent", "external"] {
            let request = with(&format!(r#""to_type":"{kind}""#)).unwrap();
            assert_eq!(serde_json::to_value(request.to_type).unwrap(), kind);
        }
    }

    #[test]
    fn what_is_no_json_object_is_an_invalid_body() {
        let deep = format!(r#"{{"from":"1001","to":"1002","variables":{}"#, r#"{"a":"#.repeat(10_000));
        let far = format!(r#"{{"from":"1001","to":{}"#, "[".repeat(60_000));
        for body in [
            "",
            " \n",
            "null",
            "[]",
            "\"from\"",
            "1",
            "{",
            "from=1001&to=1002",
            "\u{feff}{}",
            &deep,
            &far,
            r#"{"from":"1001","to":"1002"}{"from":"1001","to":"1003"}"#,
            r#"{"from":"1001","to":"1002"} x"#,
            r#"{"from":"1001","to":"1002",}"#,
            r#"{"from":"1001","to":"\ud800"}"#,
            r#"{"from":"1001","to":"1002","timeout":1e999}"#,
            r#"{"from":"1001","to":"1002","timeout":NaN}"#,
            r#"{"from":"1001",'to':"1002"}"#,
        ] {
            let (code, field, message) = refused(read(body));
            assert_eq!((code, &*field), (Code::InvalidBody, ""), "{body:.60}");
            assert!(message.starts_with("The body "), "{message}");
        }
        for octets in [&b"{\"from\":\"1001\",\"to\":\"10\xff02\"}"[..], b"\xff", b"{\"from\":\"1001\"\0}"] {
            assert_eq!(refused(click_to_call_from(octets, "crm")).0, Code::InvalidBody);
        }
    }

    #[test]
    fn a_mistake_names_its_field() {
        use Code::{DuplicateField, InvalidField, MissingField, SameParty, UnknownField};
        let cases: &[(&str, Code, &str)] = &[
            (r#"{}"#, MissingField, "from"),
            (r#"{"from":"1001"}"#, MissingField, "to"),
            (r#"{"from":"","to":"1002"}"#, InvalidField, "from"),
            (r#"{"from":1001,"to":"1002"}"#, InvalidField, "from"),
            (r#"{"from":"1001","to":null}"#, InvalidField, "to"),
            (r#"{"from":"1001","to":["1002"]}"#, InvalidField, "to"),
            (r#"{"from":"1001\r\nX: 1","to":"1002"}"#, InvalidField, "from"),
            (r#"{"from":"1001","to":"1002","to":"1003"}"#, DuplicateField, "to"),
            (r#"{"from":"1001","to":"1001"}"#, SameParty, "to"),
            (r#"{"from":"1001","to":"1002","form":"1003"}"#, UnknownField, "form"),
            (r#"{"from":"1001","to":"1002","From":"1003"}"#, UnknownField, "From"),
        ];
        for (body, code, field) in cases {
            let (got, named, message) = refused(read(body));
            assert_eq!((got, &*named), (*code, *field), "{body}");
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn an_optional_field_has_its_type_and_its_range_and_is_not_null() {
        for (field, bad) in [
            ("to_type", &["null", "\"spaceship\"", "1", "\"Extension\""][..]),
            ("caller_id", &["null", "1", "\"Alice\\r\\nP: x\"", "\"\"", "\"<1001\""]),
            (
                "timeout",
                &["null", "0", "601", "-1", "1000000000", "\"30\"", "30.5", "true", "-0.0", "1e30", "[30]"],
            ),
            ("to_timeout", &["0", "601", "0.5", "18446744073709551616"]),
            ("max_duration", &["0", "86401", "{}"]),
            ("auto_answer", &["1", "\"true\"", "null"]),
            ("record", &["true", "1", "null", "\"yes\""]),
        ] {
            for value in bad {
                let (code, named, message) = refused(with(&format!("\"{field}\":{value}")));
                assert_eq!((code, &*named), (Code::InvalidField, field), "{field}: {value}");
                assert!(message.contains(field), "{message}");
            }
            let twice = format!("\"{field}\":1,\"{field}\":1");
            assert_eq!(refused(with(&twice)).0, Code::DuplicateField, "{twice}");
        }
        assert!(refused(with("\"record\":true")).2.contains("Recording is not available in this release"));
        assert_eq!(with("\"timeout\":3e1").unwrap().timeout, Duration::from_secs(30));
        assert_eq!(with("\"timeout\":30.0").unwrap().timeout, Duration::from_secs(30));
    }

    fn with_variables(members: impl IntoIterator<Item = String>) -> Result<ClickToCall, ApiError> {
        with(&format!("\"variables\":{{{}}}", members.into_iter().collect::<Vec<_>>().join(",")))
    }

    #[test]
    fn variables_are_few_short_and_flat() {
        let numbered = |count| (0..count).map(|n| format!("\"k{n}\":\"v\""));
        assert_eq!(with_variables(numbered(64)).unwrap().variables.len(), 64);
        let long =
            |count, octets: usize| (0..count).map(move |n| format!("\"k{n}\":\"{}\"", "v".repeat(octets)));
        // 8 × (2 + 1,022) octets: just as many as there may be.
        assert!(with_variables(long(8, 1022)).is_ok());
        let one = |member: &str| vec![member.to_owned()];
        for bad in [
            numbered(65).collect(),
            long(8, 1023).collect(),
            one(&format!("\"k\":\"{}\"", "v".repeat(1025))),
            one(r#""a":null"#),
            one(r#""a":[1]"#),
            one(r#""a":{"b":1}"#),
            one(r#""a":"x\r\ny""#),
            one(r#""a b":1"#),
            one(r#""":1"#),
            one(&format!("\"{}\":1", "\\u0007".repeat(100))),
            one(&format!("\"{}\":1", "\u{10fffe}".repeat(100))),
            one(r#""a":1,"a":2"#),
        ] {
            let (code, field, message) = refused(with_variables(bad));
            assert_eq!((code, &*field), (Code::InvalidField, "variables"));
            assert!(message.starts_with("The field variables ") && !message.contains('\u{7}'), "{message}");
        }
        for other in ["null", "[]", "\"a\"", "1"] {
            assert_eq!(refused(with(&format!("\"variables\":{other}"))).1, "variables");
        }
    }
}
