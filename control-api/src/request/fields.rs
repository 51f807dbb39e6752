//! The members of a JSON object, read strictly: every mistake is a sentence that names its field.

use crate::error::{ApiError, Code};
use crate::request::json::Json;
use call_control::{Number, PartyType};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Characters of a stranger's text that are shown back to it.
const SHOWN: usize = 32;

/// The members of the object that have not been taken.
pub(super) struct Fields(Vec<(String, Json)>);

impl Fields {
    pub(super) fn of(body: &[u8]) -> Result<Self, ApiError> {
        let not = |message: String| ApiError::new(Code::InvalidBody, message);
        let text = std::str::from_utf8(body).map_err(|_| not("The body is not UTF-8".into()))?;
        if text.trim().is_empty() {
            return Err(not("The body is empty; it must be a JSON object".into()));
        }
        match serde_json::from_str(text) {
            Ok(Json::Object(members)) => Ok(Self(members)),
            Ok(other) => Err(not(format!("The body must be a JSON object, not {}", other.kind()))),
            Err(error) => Err(not(format!(
                "The body is not valid JSON: line {}, column {}",
                error.line(),
                error.column()
            ))),
        }
    }

    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<Json>, ApiError> {
        let Some(first) = self.0.iter().position(|(member, _)| member == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(first);
        if self.0.iter().any(|(member, _)| member == name) {
            let message = format!("The field {name} is given twice");
            return Err(ApiError::new(Code::DuplicateField, message).about(name));
        }
        Ok(Some(value))
    }

    pub(super) fn must_be_empty(self) -> Result<(), ApiError> {
        let Some((name, _)) = self.0.into_iter().next() else { return Ok(()) };
        let name = shown(&name);
        Err(ApiError::new(Code::UnknownField, format!("There is no field {name:?}")).about(name))
    }
}

/// What is wrong with a value; a sentence when `The field NAME ` is put in front of it.
pub(super) type Mistake = String;

fn invalid(field: &'static str, mistake: &Mistake) -> ApiError {
    ApiError::new(Code::InvalidField, format!("The field {field} {mistake}")).about(field)
}

pub(super) fn required<T>(
    field: &'static str,
    value: Option<Json>,
    read: fn(Json) -> Result<T, Mistake>,
) -> Result<T, ApiError> {
    match optional(field, value, read)? {
        Some(value) => Ok(value),
        None => Err(ApiError::new(Code::MissingField, format!("The field {field} is required")).about(field)),
    }
}

pub(super) fn optional<T>(
    field: &'static str,
    value: Option<Json>,
    read: impl FnOnce(Json) -> Result<T, Mistake>,
) -> Result<Option<T>, ApiError> {
    value.map(read).transpose().map_err(|mistake| invalid(field, &mistake))
}

pub(super) fn seconds(
    fields: &mut Fields,
    field: &'static str,
    range: RangeInclusive<u64>,
) -> Result<Option<Duration>, ApiError> {
    optional(field, fields.take(field)?, |value| {
        let mistake = || format!("must be whole seconds, {} to {}", range.start(), range.end());
        let Json::Number(number) = value else {
            return Err(format!("{}, not {}", mistake(), value.kind()));
        };
        whole_number(&number)
            .filter(|seconds| range.contains(seconds))
            .map(Duration::from_secs)
            .ok_or_else(mistake)
    })
}

/// JSON has one type of number (RFC 8259 §6): 30.0 is 30.
fn whole_number(number: &serde_json::Number) -> Option<u64> {
    let of_float = |value: f64| {
        let exact = value.fract() == 0.0 && (0.0..=1e9).contains(&value);
        exact.then_some(value as u64)
    };
    number.as_u64().or_else(|| number.as_f64().and_then(of_float))
}

pub(super) fn text(value: Json) -> Result<String, Mistake> {
    match value {
        Json::Text(text) => Ok(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array | Json::Object(_) => {
            Err(format!("must be a string, not {}", value.kind()))
        }
    }
}

pub(super) fn boolean(value: Json) -> Result<bool, Mistake> {
    match value {
        Json::Bool(value) => Ok(value),
        Json::Null | Json::Text(_) | Json::Number(_) | Json::Array | Json::Object(_) => {
            Err(format!("must be true or false, not {}", value.kind()))
        }
    }
}

pub(super) fn number(value: Json) -> Result<Number, Mistake> {
    Number::written(&text(value)?).map_err(|error| error.to_string())
}

pub(super) fn party_type(value: Json) -> Result<PartyType, Mistake> {
    Ok(match text(value)?.as_str() {
        "extension" => PartyType::Extension,
        "queue" => PartyType::Queue,
        "ivr" => PartyType::Ivr,
        "ai_agent" => PartyType::AiAgent,
        "external" => PartyType::External,
        _ => return Err("must be one of extension, queue, ivr, ai_agent, external".into()),
    })
}

/// The start of a stranger's text.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
