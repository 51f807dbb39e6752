//! What can be asked of the B2BUA.

use crate::{CallerId, Number, PartyType};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A click-to-call as it was asked for; every value has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ClickToCall {
    /// Rung first.
    pub from: Number,
    /// Connected after `from` answered.
    pub to: Number,
    /// Kind of `to`; found by its number when absent.
    pub to_type: Option<PartyType>,
    /// Shown to `to`, never to `from`.
    pub caller_id: Option<CallerId>,
    /// Those that the API key may show, if it is bound to some: outside they are shown whoever owns them.
    pub caller_ids: Vec<Number>,
    /// How long `from` may ring.
    pub timeout: Duration,
    /// How long `to` may ring.
    pub to_timeout: Duration,
    /// How long both may talk; without bound when absent.
    pub max_duration: Option<Duration>,
    /// Kept with the call, shown to extensions as header fields.
    pub variables: BTreeMap<VariableName, VariableValue>,
    /// Ask the phone of `from` to answer by itself.
    pub auto_answer: bool,
    /// The name of the API key that asked.
    pub key_name: Box<str>,
    /// What a repeat of this request is known by: kept in the same write as the call itself.
    pub repeatable: Option<Repeatable>,
}

/// A request that names itself, so that a repeat of it does nothing twice (`Idempotency-Key`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Repeatable {
    /// SHA-256 of the API key.
    pub api_key: [u8; 32],
    /// 1 to 255 visible ASCII characters.
    pub idempotency_key: Box<str>,
    /// SHA-256 of the body.
    pub body: [u8; 32],
}

/// `[A-Za-z0-9_.-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(Box<str>);

/// The name of a variable has other characters or another length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name must have 1 to 64 of A-Z, a-z, 0-9, _, . and -")]
pub struct VariableNameError;

impl VariableName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is not of the form.
    pub fn new(text: &str) -> Result<Self, VariableNameError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            Err(VariableNameError)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VariableName {
    type Error = VariableNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<VariableName> for String {
    fn from(name: VariableName) -> Self {
        name.0.into()
    }
}

/// The value of a variable: a JSON string, number or boolean, at most 1,024 characters when written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub struct VariableValue(serde_json::Value);

/// Why a value cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VariableValueError {
    /// null, an array, an object.
    #[error("a value must be a string, a number or a boolean")]
    NotScalar,
    /// Over 1,024 characters.
    #[error("a value must have at most 1024 characters")]
    TooLong,
    /// CR, LF, NUL and their like.
    #[error("a value must not have control characters")]
    ControlCharacter,
}

impl VariableValue {
    /// Takes a JSON value.
    ///
    /// # Errors
    /// See [`VariableValueError`].
    pub fn new(value: serde_json::Value) -> Result<Self, VariableValueError> {
        match &value {
            serde_json::Value::String(text) if text.chars().count() > 1024 => {
                Err(VariableValueError::TooLong)
            }
            serde_json::Value::String(text) if text.chars().any(char::is_control) => {
                Err(VariableValueError::ControlCharacter)
            }
            serde_json::Value::String(_) | serde_json::Value::Number(_) | serde_json::Value::Bool(_) => {
                Ok(Self(value))
            }
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
                Err(VariableValueError::NotScalar)
            }
        }
    }

    /// As text for a header field.
    pub fn to_text(&self) -> String {
        match &self.0 {
            serde_json::Value::String(text) => text.clone(),
            other @ (serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_)) => other.to_string(),
        }
    }
}

impl TryFrom<serde_json::Value> for VariableValue {
    type Error = VariableValueError;

    fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
        Self::new(value)
    }
}

impl From<VariableValue> for serde_json::Value {
    fn from(value: VariableValue) -> Self {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_are_short_scalars_without_control_characters() {
        assert!(VariableName::new("custom_key.1-a").is_ok());
        for bad in ["", "a b", "a:b", "ä", &"a".repeat(65)] {
            assert!(VariableName::new(bad).is_err(), "{bad}");
        }
        assert_eq!(VariableValue::new(json!(12)).unwrap().to_text(), "12");
        assert_eq!(VariableValue::new(json!(true)).unwrap().to_text(), "true");
        assert_eq!(VariableValue::new(json!("a\r\nb")), Err(VariableValueError::ControlCharacter));
        assert_eq!(VariableValue::new(json!("x".repeat(1025))), Err(VariableValueError::TooLong));
        assert_eq!(VariableValue::new(json!(null)), Err(VariableValueError::NotScalar));
    }
}
