//! The SIP ladder: who sent what to whom, drawn with letters.

use std::time::Duration;

/// One line of a ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rung {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) span: Span,
    pub(super) arrow: Arrow,
    pub(super) stroke: Stroke,
    pub(super) label: String,
}

/// Between which columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// The first and the one in the middle.
    Left,
    /// The one in the middle and the last.
    Right,
    /// The first and the last.
    Whole,
}

/// Where its heads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrow {
    ToLeft,
    ToRight,
    Both,
}

/// What it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    /// A message.
    Signalling,
    /// Audio that goes on for some time.
    Audio,
}

/// The ladder as lines of at most 88 columns, without line ends behind the last. The names stand over the columns.
pub(super) fn draw(names: [&str; 3], rungs: &[Rung]) -> Vec<String> {
    let mut lines = vec![head(names), empty()];
    lines.extend(rungs.iter().map(line));
    lines.push(empty());
    lines
}

fn head(names: [&str; 3]) -> String {
    let mut line = format!("{:>TIME$}", "s");
    for (name, column) in names.into_iter().zip([LEFT, LEFT + HALF + 1, LEFT + 2 * (HALF + 1)]) {
        let name: String = name.chars().take(HALF / 2).collect();
        let start = column.saturating_sub(name.chars().count() / 2).max(line.chars().count() + 1);
        let gap = start - line.chars().count();
        line.push_str(&" ".repeat(gap));
        line.push_str(&name);
    }
    line
}

fn empty() -> String {
    format!("{}|{:HALF$}|{:HALF$}|", " ".repeat(LEFT), "", "")
}

fn line(rung: &Rung) -> String {
    let time = format!("{:>TIME$.3}{}", rung.at.as_secs_f64(), " ".repeat(LEFT - TIME));
    match rung.span {
        Span::Left => format!("{time}|{}|{:HALF$}|", shaft(rung, HALF), ""),
        Span::Right => format!("{time}|{:HALF$}|{}|", "", shaft(rung, HALF)),
        Span::Whole => format!("{time}|{}|", shaft(rung, 2 * HALF + 1)),
    }
}

/// An arrow of exactly `width` columns with its label in the middle.
fn shaft(rung: &Rung, width: usize) -> String {
    let stroke = match rung.stroke {
        Stroke::Signalling => "-",
        Stroke::Audio => "=",
    };
    let (first, last) = match rung.arrow {
        Arrow::ToLeft => ("<", stroke),
        Arrow::ToRight => (stroke, ">"),
        Arrow::Both => ("<", ">"),
    };
    let label = shortened(&rung.label, width - MARGIN);
    let rest = width - 4 - label.chars().count();
    let (before, after) = (rest / 2, rest - rest / 2);
    format!("{first}{} {label} {}{last}", stroke.repeat(before), stroke.repeat(after))
}

/// What strangers write cannot move the columns.
fn shortened(label: &str, most: usize) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    if label.chars().count() <= most {
        return label.chars().map(plain).collect();
    }
    label.chars().take(most - 2).map(plain).chain("..".chars()).collect()
}

/// Columns of the time.
const TIME: usize = 8;
/// The column of the first line.
const LEFT: usize = 12;
/// Between two lines.
const HALF: usize = 36;
/// At least a head, a stroke and a space on each side.
const MARGIN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(span: Span, arrow: Arrow, label: &str) -> Rung {
        let at = Duration::from_millis(1_234);
        Rung { at, span, arrow, stroke: Stroke::Signalling, label: label.to_owned() }
    }

    #[test]
    fn arrows_point_where_messages_went() {
        let lines = draw(
            ["1001", "dialbridge", "1002"],
            &[
                rung(Span::Left, Arrow::ToLeft, "INVITE, SDP"),
                rung(Span::Right, Arrow::ToLeft, "180 Ringing"),
                rung(Span::Left, Arrow::ToRight, "BYE"),
                Rung { stroke: Stroke::Audio, ..rung(Span::Whole, Arrow::Both, "audio") },
            ],
        );
        let expected = [
            "       s  1001                              dialbridge                              1002",
            "            |                                    |                                    |",
            "   1.234    |<---------- INVITE, SDP ------------|                                    |",
            "   1.234    |                                    |<---------- 180 Ringing ------------|",
            "   1.234    |--------------- BYE --------------->|                                    |",
            "   1.234    |<================================ audio ================================>|",
            "            |                                    |                                    |",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn every_line_has_the_same_width_whatever_the_label() {
        for label in ["", "a", "ab", &"long ".repeat(50), "ü\u{1b}[2J\r\n漢字"] {
            for span in [Span::Left, Span::Right, Span::Whole] {
                for arrow in [Arrow::ToLeft, Arrow::ToRight, Arrow::Both] {
                    let line = line(&rung(span, arrow, label));
                    assert_eq!(line.len(), LEFT + 2 * HALF + 3, "{line}");
                    assert!(
                        line.is_ascii() && !line.bytes().any(|octet| octet.is_ascii_control()),
                        "{line:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_label_that_is_too_long_is_shortened() {
        let line = line(&rung(Span::Left, Arrow::ToRight, &"x".repeat(40)));
        assert!(line.contains(&format!("|-- {}.. ->|", "x".repeat(HALF - MARGIN - 2))), "{line}");
    }
}
