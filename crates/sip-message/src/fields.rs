//! Header fields that are not typed in [`Header`](crate::Header).
use crate::list::split_commas;
use crate::print::Line;
use crate::{FieldName, NameAddr, ParseError, ParseErrorKind, limits, scan};

/// The other header fields, in order, values unfolded and trimmed.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(FieldName, Box<str>)>);

impl Fields {
    /// Appends; octets that may not stand in a value (CR, LF, NUL and other control characters) are replaced by
    /// a space, whatever the caller gave.
    pub fn push(&mut self, name: FieldName, value: impl AsRef<str>) {
        self.0.push((name, clean(value.as_ref())));
    }

    /// As [`push`](Self::push), in place of the first field of that name; the others of that name go.
    pub fn set(&mut self, name: FieldName, value: impl AsRef<str>) {
        let at = self.0.iter().position(|(other, _)| *other == name).unwrap_or(self.0.len());
        self.remove(&name);
        self.0.insert(at, (name, clean(value.as_ref())));
    }

    /// All fields of that name.
    pub fn remove(&mut self, name: &FieldName) {
        self.0.retain(|(other, _)| other != name);
    }

    /// Leaves the first ones of that name, so many of them.
    pub fn keep(&mut self, name: &FieldName, mut count: usize) {
        self.0.retain(|(other, _)| {
            let goes = other == name && count == 0;
            count -= usize::from(other == name && !goes);
            !goes
        });
    }

    /// The first value of that name.
    pub fn get(&self, name: &FieldName) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// The values of that name, one for each field.
    pub fn get_all<'a>(&'a self, name: &'a FieldName) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, &str)> {
        self.0.iter().map(|(name, value)| (name, &**value))
    }

    /// Comma-separated tokens over all fields of that name (Require, Supported, Allow …).
    pub fn tokens(&self, name: &FieldName) -> Vec<&str> {
        let values = self.0.iter().filter(|(other, _)| other == name);
        values.flat_map(|(_, value)| split_commas(value)).filter(|token| !token.is_empty()).collect()
    }

    /// A delta-seconds value: `None` when absent, `Some(Err)` when it is no number; over 2³²-1 is clamped to it.
    /// A comment or parameters may follow (RFC 3261 §20.33, RFC 4028 §4).
    pub fn delta_seconds(&self, name: &FieldName) -> Option<Result<u32, ParseError>> {
        let value = self.get(name)?;
        let digits = value.split([';', '(', ' ', '\t']).next().unwrap_or_default();
        let seconds = scan::number(digits).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
        Some(seconds.ok_or_else(|| ParseErrorKind::DeltaSeconds.into()))
    }

    /// Name-addr lists (Route, Record-Route, Path), over all fields of that name, in order.
    ///
    /// # Errors
    /// [`ParseErrorKind::NameAddr`] when a value is none, or there are more than 32.
    pub fn addresses(&self, name: &FieldName) -> Result<Vec<NameAddr>, ParseError> {
        let mut addresses = Vec::new();
        for value in self.get_all(name) {
            let list = NameAddr::read_list(value, limits::ROUTE_VALUES);
            addresses.extend(list.ok_or(ParseErrorKind::NameAddr)?);
            if addresses.len() > limits::ROUTE_VALUES {
                return Err(ParseErrorKind::NameAddr.into());
            }
        }
        Ok(addresses)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

fn clean(value: &str) -> Box<str> {
    Line(value).to_string().trim_matches([' ', '\t']).into()
}

#[cfg(test)]
mod tests {
    use super::Fields;
    use crate::FieldName;

    fn fields(values: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        values.iter().for_each(|(name, value)| fields.push(FieldName::new(name).unwrap(), value));
        fields
    }

    #[test]
    fn values_cannot_end_a_line() {
        let fields = fields(&[("Subject", " a\r\nX-Evil: 1\0 ")]);
        assert_eq!(fields.get(&FieldName::SUBJECT), Some("a  X-Evil: 1"));
    }

    #[test]
    fn tokens_are_gathered_over_fields() {
        let fields = fields(&[("Require", "100rel, timer"), ("Subject", "x"), ("require", ",replaces,")]);
        assert_eq!(fields.tokens(&FieldName::REQUIRE), ["100rel", "timer", "replaces"]);
        assert_eq!(fields.get_all(&FieldName::REQUIRE).count(), 2);
    }

    #[test]
    fn set_takes_the_place_of_the_first() {
        let mut fields = fields(&[("Allow", "A"), ("Server", "S"), ("Allow", "B")]);
        fields.set(FieldName::ALLOW, "C");
        let all: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(all, ["Allow: C", "Server: S"]);
    }

    #[test]
    fn seconds_are_clamped_and_never_negative() {
        for (value, seconds) in [
            ("3600", Some(3600)),
            ("4294967296", Some(u32::MAX)),
            ("99999999999999999999", Some(u32::MAX)),
            ("1800;refresher=uac", Some(1800)),
            ("120 (I'm in a meeting)", Some(120)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let fields = fields(&[("Expires", value)]);
            assert_eq!(fields.delta_seconds(&FieldName::EXPIRES).and_then(Result::ok), seconds, "{value}");
            assert!(fields.delta_seconds(&FieldName::EXPIRES).is_some());
        }
        assert!(fields(&[]).delta_seconds(&FieldName::EXPIRES).is_none());
    }

    #[test]
    fn addresses_keep_their_order_and_their_bound() {
        let two = fields(&[("Route", "<sip:a;lr>, <sip:b;lr>"), ("Route", "<sip:c;lr>")]);
        let uris: Vec<_> =
            two.addresses(&FieldName::ROUTE).unwrap().iter().map(|a| a.uri.to_string()).collect();
        assert_eq!(uris, ["sip:a;lr", "sip:b;lr", "sip:c;lr"]);
        assert!(fields(&[("Route", "nonsense")]).addresses(&FieldName::ROUTE).is_err());
        let many = vec![("Route", "<sip:a;lr>"); 33];
        assert!(fields(&many).addresses(&FieldName::ROUTE).is_err());
        assert!(fields(&many[..32]).addresses(&FieldName::ROUTE).is_ok());
    }
}
