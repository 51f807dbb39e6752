//! The parameters of a challenge or of credentials.

/// `scheme name=value, name="value"`
pub(super) struct AuthParams {
    pub(super) parameters: Vec<(String, String)>,
}

impl AuthParams {
    /// `None` when it is not of that form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (_scheme, mut rest) = text.trim().split_once(' ')?;
        let mut parameters = Vec::new();
        loop {
            let (name, after) = rest.trim_start().split_once('=')?;
            let after = after.trim_start();
            let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
                unquoted(quoted)?
            } else {
                let end = after.find([',', ' ', '\t']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            };
            parameters.push((name.trim_end().to_owned(), value));
            match after.trim_start().strip_prefix(',') {
                Some(next) => rest = next,
                None if after.trim().is_empty() => return Some(Self { parameters }),
                None => return None,
            }
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}
