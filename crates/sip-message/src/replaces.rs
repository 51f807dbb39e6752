//! Which dialog an INVITE takes the place of (RFC 3891).

use crate::CallId;

/// The value of Replaces (RFC 3891 §6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Of the dialog.
    pub call_id: CallId,
    /// The tag of whoever receives the Replaces.
    pub to_tag: Box<str>,
    /// The tag of its peer.
    pub from_tag: Box<str>,
    /// Only a dialog that was not answered yet.
    pub early_only: bool,
}

/// Call-IDs and tags that are longer are nobody's.
const OCTETS_MAX: usize = 1_024;

impl Replaces {
    /// Reads a value; `None` when it is too long, or has not both tags exactly once.
    pub fn read(value: &str) -> Option<Self> {
        if value.len() > OCTETS_MAX {
            return None;
        }
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|call_id| is_word(call_id))?;
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            let tag = match name {
                _ if name.eq_ignore_ascii_case("to-tag") => &mut to_tag,
                _ if name.eq_ignore_ascii_case("from-tag") => &mut from_tag,
                _ => {
                    early_only |= name.eq_ignore_ascii_case("early-only");
                    continue;
                }
            };
            if !is_word(value) || tag.replace(value).is_some() {
                return None;
            }
        }
        let call_id = CallId(call_id.into());
        Some(Self { call_id, to_tag: to_tag?.into(), from_tag: from_tag?.into(), early_only })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_by_its_call_id_and_both_tags() {
        let read = Replaces::read("12345@192.0.2.1;to-tag=a1;from-tag=b2").unwrap();
        assert_eq!((&*read.call_id.0, &*read.to_tag, &*read.from_tag), ("12345@192.0.2.1", "a1", "b2"));
        assert!(!read.early_only);
        let early = Replaces::read("x ; From-Tag = b ;To-Tag=a; early-only;other=1").unwrap();
        assert_eq!((&*early.to_tag, &*early.from_tag, early.early_only), ("a", "b", true));
        let long = format!("{};to-tag=a;from-tag=b", "x".repeat(OCTETS_MAX));
        for bad in [
            "",
            ";to-tag=a;from-tag=b",
            "x;to-tag=a",
            "x;to-tag=;from-tag=b",
            "x;to-tag=a;to-tag=c;from-tag=b",
            "x y;to-tag=a;from-tag=b",
            "x\r\ny;to-tag=a;from-tag=b",
            &long,
        ] {
            assert_eq!(Replaces::read(bad), None, "{bad}");
        }
    }
}
