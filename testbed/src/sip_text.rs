//! A SIP message as text, for looking at what others sent. Lenient, and nobody's judge of syntax.

/// A message as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipText(String);

impl SipText {
    /// Takes a message.
    pub fn new(text: &str) -> Self {
        Self(text.trim_start().to_owned())
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The request line or status line.
    pub fn start_line(&self) -> &str {
        self.0.lines().next().unwrap_or_default().trim_end()
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        let word = self.start_line().split(' ').next()?;
        (!word.is_empty() && !word.starts_with("SIP/")).then_some(word)
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.start_line().strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Values of a header field by its name, without case, or by its compact form.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let compact = compact_form(name);
        head.lines().skip(1).filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            let key = key.trim();
            (key.eq_ignore_ascii_case(name) || compact.is_some_and(|short| key.eq_ignore_ascii_case(short)))
                .then(|| value.trim())
        })
    }

    /// The first value of a header field.
    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.fields(name).next()
    }

    /// What follows the header.
    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// Where the session description wants its audio sent: `c=` and `m=audio`.
    pub fn audio_address(&self) -> Option<std::net::SocketAddr> {
        let ip = self.body().lines().find_map(|line| line.strip_prefix("c=IN IP4 "))?.trim().parse().ok()?;
        let port = self
            .body()
            .lines()
            .find_map(|line| line.strip_prefix("m=audio "))?
            .split(' ')
            .next()?
            .parse()
            .ok()?;
        Some((std::net::IpAddr::V4(ip), port).into())
    }
}

/// RFC 3261 §7.3.3 and §20.
fn compact_form(name: &str) -> Option<&'static str> {
    const FORMS: [(&str, &str); 7] = [
        ("Via", "v"),
        ("From", "f"),
        ("To", "t"),
        ("Call-ID", "i"),
        ("Contact", "m"),
        ("Content-Length", "l"),
        ("Content-Type", "c"),
    ];
    FORMS.iter().find(|(long, _)| long.eq_ignore_ascii_case(name)).map(|(_, short)| *short)
}
