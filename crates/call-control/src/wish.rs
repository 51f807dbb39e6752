//! What a running call can be asked for.

use crate::{CallId, Number, Party, PartyType, Refusal};

/// What is asked of a running call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Hold this party: it hears a quiet tone, and the other one does not hear it.
    Hold(Party),
    /// End a [`Wish::Hold`].
    Resume(Party),
    /// Let this party hear keys (RFC 4733), one after the other.
    Dial(Party, Digits),
    /// Connect a party with somebody else.
    Transfer(Transfer),
}

/// A party is to be connected with somebody else than now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Who is transferred: held while `to` is rung, then connected with it. The other party is let go.
    pub party: Party,
    /// Whom it is to be connected with.
    pub to: Number,
    /// Kind of `to`; found by its number when absent.
    pub to_type: Option<PartyType>,
    /// Those that the API key may show outside, if it is bound to some.
    pub caller_ids: Vec<Number>,
}

/// Keys of a telephone: `0` to `9`, `*`, `#`, `A` to `D`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits(Box<str>);

/// The text has no keys, too many, or something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 64 of 0 to 9, *, # and A to D")]
pub struct DigitsError;

impl Digits {
    /// Reads keys.
    ///
    /// # Errors
    /// When it has none, more than 64, or something that is no key.
    pub fn new(text: &str) -> Result<Self, DigitsError> {
        let is_key =
            |octet: u8| octet.is_ascii_digit() || matches!(octet, b'*' | b'#' | b'A'..=b'D' | b'a'..=b'd');
        if (1..=64).contains(&text.len()) && text.bytes().all(is_key) {
            Ok(Self(text.to_ascii_uppercase().into()))
        } else {
            Err(DigitsError)
        }
    }

    /// The keys, each as one character.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a wish is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WishRefusal {
    /// No running call has that id.
    #[error("There is no running call {0}")]
    NotFound(CallId),
    /// The call cannot do that now.
    #[error(transparent)]
    NotNow(#[from] NotNow),
    /// Nobody would be rung there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server is gone.
    #[error("The server is stopping")]
    Stopped,
}

/// Why a call cannot do something now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// One of the two parties is not there yet.
    #[error("The call is not connected yet")]
    NotConnected,
    /// Somebody is rung for a transfer.
    #[error("The call is being transferred; wait until that has succeeded or failed")]
    BeingTransferred,
    /// [`Wish::Resume`] without [`Wish::Hold`].
    #[error("This party is not held by the API")]
    NotHeld,
    /// Transfers of one call.
    #[error("This call has been transferred too often")]
    TransferredTooOften,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_nothing_else() {
        assert_eq!(Digits::new("12#aD*").map(|digits| digits.0), Ok("12#AD*".into()));
        for bad in ["", "1 2", "1w2", "E", "１", &"1".repeat(65)] {
            assert_eq!(Digits::new(bad), Err(DigitsError), "{bad}");
        }
    }
}
