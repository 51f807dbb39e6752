//! The messages of a call as a picture: `from` on the left, we in the middle, `to` on the right, time going down.
//!
//! Pure. Whatever stands in a message, it ends no element and begins none; there is no script, and nothing is loaded.
//! The colours are those of a light page; `STYLE` has those of a dark one.

use call_control::{
    Direction, Ladder, LadderDevice, LadderMessage, LadderParty, MessageKind, Party, Timestamp,
};
use std::fmt::{self, Display, Write as _};

/// The whole document.
pub(crate) fn draw(ladder: &Ladder) -> String {
    let mut picture = Picture { svg: String::with_capacity(4096 + ladder.messages.len() * 2048), y: TOP };
    let gap = ladder.left_out.filter(|left_out| left_out.messages > 0);
    if let Some(left_out) = gap.filter(|left_out| left_out.after == 0) {
        picture.gap(left_out.messages);
    }
    for message in &ladder.messages {
        picture.message(ladder, message);
        if let Some(left_out) = gap.filter(|left_out| left_out.after == message.number) {
            picture.gap(left_out.messages);
        }
    }
    picture.framed(ladder)
}

struct Picture {
    svg: String,
    /// Where the next row begins.
    y: u32,
}

impl Picture {
    fn message(&mut self, ladder: &Ladder, message: &LadderMessage) {
        let (party, column) = match message.party {
            Party::From => (&ladder.from, FROM),
            Party::To => (&ladder.to, TO),
        };
        // Which of several phones it was stands below the arrow.
        let phone = (party.devices.len() > 1).then_some(message.address);
        let height = if phone.is_some() { ROW + PHONE } else { ROW };
        let (top, arrow) = (self.y, self.y + ARROW);
        let (start, end) = match message.direction {
            Direction::Sent => (US, column),
            Direction::Received => (column, US),
        };
        let opacity = if message.repeats.is_some() { " opacity=\"0.45\"" } else { "" };
        let again = if message.repeats.is_some() { " (again)" } else { "" };
        let sdp = if message.sdp { "+ SDP" } else { "" };
        let (class, colour) = colour(message.kind);
        let tip = if start < end { (end - 9, arrow - 4, arrow + 4) } else { (end + 9, arrow - 4, arrow + 4) };
        let middle = (start + end) / 2;
        self.put(format_args!(
            "<g{opacity}><title>{}</title>\n\
             <rect x=\"0\" y=\"{}\" width=\"{WIDTH}\" height=\"{height}\" fill=\"transparent\"/>\n\
             <text class=\"dim\" x=\"{NUMBER}\" y=\"{}\" fill=\"{DIM}\">{}</text>\
             <text class=\"dim\" x=\"{TIME}\" y=\"{}\" fill=\"{DIM}\" text-anchor=\"end\">{:.3} s</text>\n\
             <path class=\"{class}\" d=\"M{start} {arrow}H{end}M{} {}L{end} {arrow}L{} {}\" fill=\"none\" \
             stroke=\"{colour}\" stroke-width=\"1.6\"/>\n\
             <text class=\"ink\" x=\"{middle}\" y=\"{}\" fill=\"{INK}\" text-anchor=\"middle\">{}{again} \
             <tspan class=\"sdp\" fill=\"{SDP}\">{sdp}</tspan></text>\n",
            Hover(message),
            top,
            arrow + 4,
            message.number,
            arrow + 4,
            seconds(ladder.created_at, message.at),
            tip.0,
            tip.1,
            tip.0,
            tip.2,
            arrow - 6,
            Xml(&shortened(&message.summary, LABEL)),
        ));
        if let Some(address) = phone {
            self.put(format_args!(
                "<text class=\"dim\" x=\"{middle}\" y=\"{}\" fill=\"{DIM}\" font-size=\"11\" \
                 text-anchor=\"middle\">{address}</text>\n",
                arrow + 14
            ));
        }
        self.svg.push_str("</g>\n");
        self.y += height;
    }

    fn gap(&mut self, messages: u32) {
        let arrow = self.y + ARROW;
        self.put(format_args!(
            "<text class=\"dim\" x=\"{US}\" y=\"{arrow}\" fill=\"{DIM}\" text-anchor=\"middle\">… {messages} more, \
             not kept …</text>\n"
        ));
        self.y += ROW;
    }

    /// The rows, between head and lifelines: these are as long as the rows are high.
    fn framed(self, ladder: &Ladder) -> String {
        let (bottom, rows) = (self.y + 12, self.svg);
        let height = bottom + 20;
        let mut page = Self { svg: String::with_capacity(rows.len() + 4096), y: 0 };
        page.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"{FONT}\" font-size=\"13\">\n<style>{STYLE}</style>\n\
             <title>SIP messages of call {}</title>\n\
             <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
             <text class=\"ink\" x=\"{NUMBER}\" y=\"28\" fill=\"{INK}\" font-size=\"15\" font-weight=\"600\">{} and \
             {}</text>\n<text class=\"dim\" x=\"{NUMBER}\" y=\"46\" fill=\"{DIM}\">{}, call {}</text>\n",
            ladder.call_id,
            Xml(ladder.from.number.as_str()),
            Xml(ladder.to.number.as_str()),
            ladder.created_at,
            ladder.call_id,
        ));
        for (column, party) in [(FROM, Some(&ladder.from)), (US, None), (TO, Some(&ladder.to))] {
            page.column(column, party, bottom);
        }
        page.svg.push_str(&rows);
        page.svg.push_str("</svg>\n");
        page.svg
    }

    fn column(&mut self, x: u32, party: Option<&LadderParty>, bottom: u32) {
        let name = party.map_or("dialbridge", |party| party.number.as_str());
        let below = party.map(|party| beneath(&party.devices)).unwrap_or_default();
        self.put(format_args!(
            "<path class=\"line\" d=\"M{x} {HEAD_BOTTOM}V{bottom}\" stroke=\"{LINE}\" stroke-width=\"1.2\"/>\n\
             <rect class=\"box\" x=\"{}\" y=\"{HEAD_TOP}\" width=\"{BOX}\" height=\"{}\" rx=\"6\" fill=\"#f3f5f8\" \
             stroke=\"{LINE}\"/>\n\
             <text class=\"ink\" x=\"{x}\" y=\"{}\" fill=\"{INK}\" font-weight=\"600\" text-anchor=\"middle\">{}</text>\n\
             <text class=\"dim\" x=\"{x}\" y=\"{}\" fill=\"{DIM}\" font-size=\"11\" text-anchor=\"middle\">{}</text>\n",
            x - BOX / 2,
            HEAD_BOTTOM - HEAD_TOP,
            HEAD_TOP + 19,
            Xml(&shortened(name, 26)),
            HEAD_TOP + 35,
            Xml(&shortened(&below, 40)),
        ));
    }

    fn put(&mut self, content: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _infallible = self.svg.write_fmt(content);
    }
}

/// What stands below the number of a party.
fn beneath(devices: &[LadderDevice]) -> String {
    match devices {
        [] => "not rung".to_owned(),
        [device] => {
            let user_agent = device.user_agent.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
            let trunk = device.trunk.as_deref().map(|name| format!("{name}, ")).unwrap_or_default();
            format!("{trunk}{} {}{user_agent}", device.address, device.transport.name())
        }
        // Which addresses of them were tried stands at each message.
        [first, rest @ ..] if first.trunk.is_some() => {
            let mut names: Vec<&str> = Vec::new();
            for name in [first].into_iter().chain(rest).filter_map(|device| device.trunk.as_deref()) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            names.join(", ")
        }
        [..] => format!("{} phones", devices.len()),
    }
}

fn seconds(start: Timestamp, at: Timestamp) -> f64 {
    (at.unix_milliseconds() - start.unix_milliseconds()) as f64 / 1000.0
}

fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

/// The class of a kind of message, and its colour on a light page.
const fn colour(kind: MessageKind) -> (&'static str, &'static str) {
    match kind {
        MessageKind::Request => ("request", "#0b62c4"),
        MessageKind::Provisional => ("provisional", "#6b7280"),
        MessageKind::Success => ("success", "#18794e"),
        MessageKind::Failure | MessageKind::Unreadable => ("failure", "#c4320a"),
    }
}

/// What is shown of a message when one points at it.
struct Hover<'a>(&'a LadderMessage);

impl Display for Hover<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LadderMessage { number, at, address, transport, direction, text, repeats, .. } = self.0;
        let way = match direction {
            Direction::Sent => "to",
            Direction::Received => "from",
        };
        write!(f, "{number}: {at}, {way} {address} over {}", transport.name())?;
        if let Some(first) = repeats {
            write!(f, ", a copy of {first}")?;
        }
        write!(f, "\n\n{}", Xml(text))
    }
}

/// Text in a document: characters that mean something there are written as references, those that may not stand there
/// (XML 1.0 §2.2) as question marks.
struct Xml<'a>(&'a str);

impl Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\r' => {}
                '\n' | '\t' => f.write_char(character)?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('?')?,
                control if control.is_control() => f.write_char('?')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

const WIDTH: u32 = 980;
const NUMBER: u32 = 20;
/// Right end of the times.
const TIME: u32 = 118;
const FROM: u32 = 235;
const US: u32 = 540;
const TO: u32 = 845;
const BOX: u32 = 250;
const HEAD_TOP: u32 = 62;
const HEAD_BOTTOM: u32 = 106;
/// Where the rows begin.
const TOP: u32 = 116;
const ROW: u32 = 34;
/// The arrow below the beginning of its row.
const ARROW: u32 = 24;
/// What a line below the arrow takes.
const PHONE: u32 = 12;
/// Characters of a summary between two columns.
const LABEL: usize = 30;

const INK: &str = "#1b1f24";
const DIM: &str = "#59636e";
const LINE: &str = "#c8ced6";
const SDP: &str = "#8250b8";
const FONT: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const STYLE: &str = "@media (prefers-color-scheme: dark) {\
    .page { fill: #14171b } .ink { fill: #e8ebef } .dim { fill: #9aa4b0 } .line { stroke: #3a424c } \
    .box { fill: #20252b; stroke: #3a424c } .sdp { fill: #c4a1f0 } .request { stroke: #6cb2ff } \
    .provisional { stroke: #98a2b0 } .success { stroke: #4cc38a } .failure { stroke: #ff8a66 } }";
