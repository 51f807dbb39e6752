//! Scenarios of SIPp that are put together: each step is a piece of `testbed/sipp/steps/`.

use std::net::SocketAddr;
use std::path::Path;

/// One step of a phone in the one call that it has.
#[derive(Debug, Clone)]
pub enum Step {
    /// Is called.
    Invited,
    /// Answers the INVITE of the beginning: status line, further header lines, and what it says of its audio.
    Respond(&'static str, &'static str, Option<Audio>),
    /// Waits for a request.
    Await(&'static str),
    /// Refuses the re-INVITE that came before a request of its own.
    AnswerKept(&'static str),
    /// Answers the request that came last.
    Answer(&'static str, &'static str, Option<Audio>),
    /// Sends a request: method, further header lines, body.
    Ask(&'static str, &'static str, Content),
    /// Waits for this status.
    Expect(u16),
    /// Acknowledges a 2xx to its INVITE.
    Acknowledge(Content),
    /// Acknowledges another final response to it.
    AcknowledgeRefusal,
    /// Waits for so many milliseconds.
    Pause(u32),
}

/// A body.
#[derive(Debug, Clone)]
pub enum Content {
    /// No body.
    Nothing,
    /// A description of audio.
    Audio(Audio),
    /// Content-Type and lines.
    Text(&'static str, &'static str),
}

/// What a phone says of its audio.
#[derive(Debug, Clone)]
pub struct Audio {
    /// Where it hears; nowhere in `c=` when `None`.
    pub at: Option<SocketAddr>,
    /// `sendrecv` and the like.
    pub direction: &'static str,
    /// Payload types, and their `a=rtpmap` where they have none by themselves.
    pub formats: &'static str,
}

impl Audio {
    /// PCMU, both ways.
    pub fn at(address: SocketAddr) -> Self {
        Self { at: Some(address), direction: "sendrecv", formats: "0" }
    }

    /// The same with this direction.
    pub fn with_direction(self, direction: &'static str) -> Self {
        Self { direction, ..self }
    }

    fn print(&self, version: u32) -> String {
        let ip = self.at.map_or("0.0.0.0".to_owned(), |address| address.ip().to_string());
        let port = self.at.map_or(9, |address| address.port());
        let Self { direction, formats, .. } = self;
        format!(
            "v=0\no=sipp 1 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio {port} RTP/AVP {formats}\n\
             a={direction}"
        )
    }
}

impl Content {
    fn print(&self, version: u32) -> String {
        let (kind, body) = match self {
            Self::Nothing => return "Content-Length: 0".to_owned(),
            Self::Audio(audio) => ("application/sdp", audio.print(version)),
            Self::Text(kind, body) => (*kind, (*body).to_owned()),
        };
        format!("Content-Type: {kind}\nContent-Length: [len]\n\n{body}")
    }
}

/// The scenario of these steps.
pub(super) fn scenario(steps: &[Step], folder: &Path) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n<scenario name=\"steps\">\n",
    );
    // Rises with each request of the phone, and with each description.
    let (mut sequence, mut version) = (0, 1);
    for step in steps {
        if let Step::Ask(..) = step {
            sequence += 1;
        }
        version += 1;
        text += &piece(step, sequence, version, folder);
    }
    text + "</scenario>\n"
}

fn piece(step: &Step, sequence: u32, version: u32, folder: &Path) -> String {
    let described = |audio: &Option<Audio>| audio.clone().map_or(Content::Nothing, Content::Audio);
    let (name, values): (&str, Vec<(&str, String)>) = match step {
        Step::Invited => ("invited", Vec::new()),
        Step::Respond(status, lines, audio) | Step::Answer(status, lines, audio) => {
            let name = if matches!(step, Step::Respond(..)) { "respond" } else { "answer" };
            (
                name,
                vec![
                    ("status", (*status).into()),
                    ("lines", (*lines).into()),
                    ("content", described(audio).print(version)),
                ],
            )
        }
        Step::AnswerKept(status) => ("answer-kept", vec![("status", (*status).into())]),
        Step::Await(method) => ("await", vec![("method", (*method).into())]),
        Step::Ask(method, lines, content) => (
            "ask",
            vec![
                ("method", (*method).into()),
                ("lines", (*lines).into()),
                ("content", content.print(version)),
            ],
        ),
        Step::Expect(status) => ("expect", vec![("status", status.to_string())]),
        Step::Acknowledge(content) => {
            let values = [
                ("branch-ack", "[branch]".into()),
                ("lines", String::new()),
                ("content", content.print(version)),
            ];
            ("acknowledge", values.into())
        }
        // The ACK has the branch of its INVITE (RFC 3261 §17.1.1.3), which stands three pieces before it.
        Step::AcknowledgeRefusal => {
            let content = Content::Nothing.print(version);
            let values =
                [("branch-ack", "[branch-3]".into()), ("lines", String::new()), ("content", content)];
            ("acknowledge", values.into())
        }
        Step::Pause(milliseconds) => ("pause", vec![("milliseconds", milliseconds.to_string())]),
    };
    let path = folder.join(format!("{name}.xml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = text.replace("[sequence]", &sequence.to_string());
    let filled = values.iter().fold(text, |text, (key, value)| text.replace(&format!("[{key}]"), value));
    // A header ends at the first empty line: a placeholder for no line must leave none.
    filled.replace("      \n      Content", "      Content")
}
