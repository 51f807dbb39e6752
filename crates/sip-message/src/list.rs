//! Comma-separated values of one header field (RFC 3261 §7.3.1).

/// The values between commas that stand neither in a quoted-string nor between `<` and `>`, trimmed; an empty
/// text is one empty value.
pub fn split_commas(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (value, after) = match comma(text).and_then(|at| text.split_at_checked(at)) {
            Some((value, after)) => (value, after.strip_prefix(',')),
            None => (text, None),
        };
        rest = after;
        Some(value.trim_matches([' ', '\t']))
    })
}

fn comma(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    text.bytes().position(|octet| {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !bracketed => quoted = !quoted,
            b'<' if !quoted => bracketed = true,
            b'>' if !quoted => bracketed = false,
            b',' => return !quoted && !bracketed,
            _ => {}
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::split_commas;

    #[test]
    fn quotes_and_brackets_hide_commas() {
        let text = r#""a, \" b" <sip:a,b@h>;x="1,2" , c,,<d"#;
        let values: Vec<_> = split_commas(text).collect();
        assert_eq!(values, [r#""a, \" b" <sip:a,b@h>;x="1,2""#, "c", "", "<d"]);
    }

    #[test]
    fn an_empty_text_is_one_empty_value() {
        assert_eq!(split_commas("").collect::<Vec<_>>(), [""]);
        assert_eq!(split_commas("a,").collect::<Vec<_>>(), ["a", ""]);
    }
}
