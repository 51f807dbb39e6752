//! The messages of a call, as JSON and as a picture, and what is said of them.

use crate::fake::{Answer, Api, KEY, KEY_NO_CLICK, id};
use axum::body::Body;
use call_control::{
    Direction, Explanation, Finding, FindingCode, Ladder, LadderDevice, LadderMessage, LadderParty,
    LadderTransport, LeftOut, MessageKind, MessagesRefusal, Number, Party, Severity, Timestamp,
};
use roxmltree::{Document, Node};
use std::collections::BTreeSet;

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_unix_milliseconds(1_795_255_200_000 + milliseconds).unwrap()
}

fn party(number: &str, addresses: &[&str]) -> LadderParty {
    let device = |address: &&str| LadderDevice {
        trunk: None,
        address: address.parse().unwrap(),
        transport: LadderTransport::Udp,
        user_agent: Some("Phone & <Co>".into()),
        registered_at: at(-5000),
    };
    LadderParty {
        number: Number::new(number).unwrap(),
        devices: addresses.iter().map(device).collect(),
        passed_over: Vec::new(),
    }
}

fn message(
    number: u32,
    party: Party,
    direction: Direction,
    kind: MessageKind,
    summary: &str,
) -> LadderMessage {
    LadderMessage {
        number,
        at: at(i64::from(number) * 250),
        party,
        address: if party == Party::From { "192.0.2.1:5060" } else { "198.51.100.2:5060" }.parse().unwrap(),
        transport: LadderTransport::Udp,
        direction,
        kind,
        summary: summary.into(),
        sdp: false,
        repeats: None,
        text: format!("{summary} SIP/2.0\r\nTo: \"a&b\" <sip:c@d>;x='y'\r\n\r\n"),
    }
}

fn ladder() -> Ladder {
    use Direction::{Received, Sent};
    use Party::{From, To};
    let mut messages = vec![
        message(1, From, Sent, MessageKind::Request, "INVITE"),
        message(2, From, Sent, MessageKind::Request, "INVITE"),
        message(3, From, Received, MessageKind::Provisional, "180 Ringing"),
        message(4, To, Sent, MessageKind::Request, "INVITE"),
        message(5, To, Received, MessageKind::Failure, "</text><script>alert(1)</script>\u{1b}\u{0}]]>&"),
    ];
    messages[0].sdp = true;
    messages[1].repeats = Some(1);
    Ladder {
        call_id: id(1),
        created_at: at(0),
        from: party("1001", &["192.0.2.1:5060", "[2001:db8::7]:5062"]),
        to: party("1002", &["198.51.100.2:5060"]),
        messages,
        left_out: Some(LeftOut { messages: 12, after: 3 }),
    }
}

async fn ask(api: &Api, what: &str, accept: &str) -> Answer {
    let path = format!("/api/v1/calls/{}/{what}", id(1));
    api.ask("GET", &path, &[("x-api-key", KEY), ("accept", accept)], Body::empty()).await
}

async fn picture(ladder: Ladder) -> String {
    let api = Api::new().await;
    api.calls.script().ladder = Ok(ladder);
    let answer = ask(&api, "ladder", "image/svg+xml").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("image/svg+xml"));
    assert_eq!(answer.header("vary"), Some("accept"));
    assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    answer.text
}

#[tokio::test]
async fn a_ladder_is_json_unless_a_picture_is_liked_better() {
    let api = Api::new().await;
    api.calls.script().ladder = Ok(ladder());
    for accept in ["application/json", "*/*", "text/plain"] {
        let answer = ask(&api, "ladder", accept).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.header("vary"), Some("accept"));
        assert_eq!(serde_json::from_value::<Ladder>(answer.json.clone()).unwrap(), ladder());
        assert_eq!(answer.json["messages"][2]["summary"], "180 Ringing");
        assert_eq!(answer.json["messages"][1]["repeats"], 1);
        assert_eq!(answer.json["messages"][0]["direction"], "sent");
    }
}

fn text_of(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).map(|node| node.text().unwrap()).collect()
}

#[tokio::test]
async fn a_trunk_stands_below_its_number_by_its_name() {
    let mut one = ladder();
    one.to.devices[0].trunk = Some("carrier <1>".into());
    one.to.devices[0].user_agent = None;
    let svg = picture(one.clone()).await;
    assert!(svg.contains("carrier &lt;1&gt;, 198.51.100.2:5060 UDP"), "{svg}");
    let mut again = one.to.devices[0].clone();
    one.to.devices.push(again.clone());
    again.trunk = Some("second".into());
    one.to.devices.push(again);
    let svg = picture(one).await;
    assert!(svg.contains(">carrier &lt;1&gt;, second<"), "{svg}");
}

#[tokio::test]
async fn the_picture_is_xml_whatever_stands_in_the_messages() {
    let svg = picture(ladder()).await;
    let document = Document::parse(&svg).unwrap();
    let names: BTreeSet<&str> =
        document.descendants().filter(Node::is_element).map(|node| node.tag_name().name()).collect();
    assert_eq!(names, BTreeSet::from(["g", "path", "rect", "style", "svg", "text", "title", "tspan"]));
    let rows: Vec<_> = document.descendants().filter(|node| node.has_tag_name("g")).collect();
    assert_eq!(rows.len(), 5);
    for (row, message) in rows.iter().zip(ladder().messages) {
        let hover = row.first_element_child().unwrap();
        let shown = message.text.replace('\r', "").replace(['\u{1b}', '\u{0}'], "?");
        assert!(text_of(hover).ends_with(&shown), "{}", text_of(hover));
    }
    assert!(text_of(rows[0]).contains("INVITE + SDP") && !text_of(rows[3]).contains("SDP"));
    assert!(text_of(rows[1]).contains("INVITE (again)"));
    let dimmed: Vec<bool> = rows.iter().map(|row| row.has_attribute("opacity")).collect();
    assert_eq!(dimmed, [false, true, false, false, false]);
    assert!(text_of(rows[4]).contains("1.250 s"));
    let whole = text_of(document.root());
    assert!(whole.contains("… 12 more, not kept …") && whole.contains("2 phones"), "{whole}");
    assert!(text_of(rows[0]).contains("192.0.2.1:5060"), "which of the two phones it was");
}

/// Start, end and height of the arrow of a row.
fn arrow(row: Node<'_, '_>) -> (u32, u32, u32) {
    let path = row.children().find(|node| node.has_tag_name("path")).unwrap().attribute("d").unwrap();
    let mut numbers = path.split(['M', 'H', 'L', ' ']).filter_map(|word| word.parse::<u32>().ok());
    let (start, y, end) = (numbers.next().unwrap(), numbers.next().unwrap(), numbers.next().unwrap());
    (start, end, y)
}

#[tokio::test]
async fn arrows_go_from_column_to_column_one_below_the_other() {
    let svg = picture(ladder()).await;
    let document = Document::parse(&svg).unwrap();
    let rows = document.descendants().filter(|node| node.has_tag_name("g"));
    let arrows: Vec<_> = rows.map(arrow).collect();
    let (us, from, to) = (arrows[0].0, arrows[0].1, arrows[3].1);
    assert!(from < us && us < to, "{arrows:?}");
    let ends: Vec<_> = arrows.iter().map(|(start, end, _)| (*start, *end)).collect();
    assert_eq!(ends, [(us, from), (us, from), (from, us), (us, to), (to, us)]);
    assert!(arrows.windows(2).all(|pair| pair[0].2 < pair[1].2), "{arrows:?}");
    let view: Vec<u32> = document
        .root_element()
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    assert!(arrows.iter().all(|(start, end, y)| start.max(end) < &view[2] && *y < view[3]));
}

#[tokio::test]
async fn an_arrow_has_its_tip_at_its_end_its_words_in_its_middle_and_the_colour_of_its_kind() {
    let svg = picture(ladder()).await;
    let document = Document::parse(&svg).unwrap();
    let mut colours = Vec::new();
    for row in document.descendants().filter(|node| node.has_tag_name("g")) {
        let (start, end, y) = arrow(row);
        let path = row.children().find(|node| node.has_tag_name("path")).unwrap();
        let numbers = path.attribute("d").unwrap().split(['M', 'H', 'L', ' ']);
        let numbers: Vec<u32> = numbers.filter_map(|word| word.parse().ok()).collect();
        let tip = if start < end { end - 9 } else { end + 9 };
        assert_eq!(numbers[3..], [tip, y - 4, end, y, tip, y + 4]);
        let words = row.children().filter(|node| node.attribute("class") == Some("ink"));
        let middle = words.filter_map(|node| node.attribute("x")).next().unwrap();
        assert_eq!(middle, ((start + end) / 2).to_string());
        colours.push((path.attribute("class").unwrap(), path.attribute("stroke").unwrap()));
    }
    let classes: Vec<&str> = colours.iter().map(|(class, _)| *class).collect();
    assert_eq!(classes, ["request", "request", "provisional", "request", "failure"]);
    let strokes: BTreeSet<&str> = colours.iter().map(|(_, colour)| *colour).collect();
    assert!(strokes.len() == 3 && strokes.iter().all(|colour| colour.starts_with('#')), "{strokes:?}");
}

#[tokio::test]
async fn a_picture_of_nothing_is_a_picture() {
    let svg = picture(Ladder { messages: vec![], left_out: None, ..ladder() }).await;
    assert!(Document::parse(&svg).is_ok(), "{svg}");
}

#[tokio::test]
async fn what_is_said_of_a_call_is_shown_with_its_evidence() {
    let api = Api::new().await;
    let busy = Finding {
        code: FindingCode::Busy,
        severity: Severity::Fault,
        party: Some(Party::To),
        sentence: "Busy.".into(),
        evidence: vec![ladder().messages[4].clone()],
    };
    let explanation = Explanation { call_id: id(1), findings: vec![busy] };
    api.calls.script().explanation = Ok(explanation.clone());
    let answer = ask(&api, "explain", "*/*").await;
    assert_eq!(answer.status, 200);
    let finding = &answer.json["findings"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&"busy".into(), &"fault".into()));
    assert_eq!((&finding["party"], &finding["evidence"][0]["number"]), (&"to".into(), &5.into()));
    assert_eq!(serde_json::from_value::<Explanation>(answer.json).unwrap(), explanation);
}

#[tokio::test]
async fn who_may_not_read_and_what_is_not_there_is_said() {
    let api = Api::new().await;
    for what in ["ladder", "explain"] {
        let path = format!("/api/v1/calls/{}/{what}", id(1));
        api.ask("GET", &path, &[], Body::empty()).await.is_error(401, "unauthorized");
        let answer = api.ask("GET", &path, &[("x-api-key", KEY_NO_CLICK)], Body::empty()).await;
        assert!(answer.is_error(403, "permission_missing").0.contains("calls.read"));
        ask(&api, what, "image/svg+xml").await.is_error(404, "call_not_found");
        api.with_key("GET", &format!("/api/v1/calls/nonsense/{what}")).await.is_error(404, "call_not_found");
        api.with_key("POST", &path).await.is_error(405, "method_not_allowed");
    }
    api.calls.script().ladder = Err(MessagesRefusal::NotKept(id(1)));
    ask(&api, "ladder", "*/*").await.is_error(404, "messages_not_kept");
    api.calls.script().ladder = Err(MessagesRefusal::Unreadable);
    ask(&api, "ladder", "*/*").await.is_error(500, "internal_error");
}
