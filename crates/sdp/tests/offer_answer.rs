//! Offers and answers as phones make them, and rules that hold for all.

use proptest::prelude::*;
use sdp::{Answer, AudioStream, Direction, Format, Offer, Origin, ReceivedOffer, SdpError};
use std::net::SocketAddr;

const DESK_PHONE_VIDEO: &str = "v=0\r
o=1002 3804 1201 IN IP4 192.168.1.34\r
s=Talk\r
c=IN IP4 192.168.1.34\r
t=0 0\r
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r
m=audio 7078 RTP/AVPF 96 97 98 0 8 101 99 100\r
a=rtpmap:96 opus/48000/2\r
a=fmtp:96 useinbandfec=1\r
a=rtpmap:97 speex/16000\r
a=fmtp:97 vbr=on\r
a=rtpmap:98 speex/8000\r
a=rtpmap:101 telephone-event/48000\r
a=rtpmap:99 telephone-event/16000\r
a=rtpmap:100 telephone-event/8000\r
a=rtcp-fb:* trr-int 1000\r
m=video 9078 RTP/AVPF 96 97\r
a=rtpmap:96 VP8/90000\r
a=rtpmap:97 H264/90000\r
m=image 9400 udptl t38\r
";

const SOFT_PHONE: &str = "v=0\r
o=- 2890844526 1 IN IP4 10.0.0.7\r
s=-\r
c=IN IP4 10.0.0.7\r
t=0 0\r
a=tool:softphone\r
m=audio 36342 RTP/AVP 9 8 0 101\r
b=AS:125\r
a=rtpmap:9 G722/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=rtcp:36355\r
a=rtcp-mux\r
a=sendonly\r
a=label:1\r
a=ptime:30\r
";

fn format(payload_type: u8, name: &str, clock_rate: u32, channels: u8) -> Format {
    Format { payload_type, name: name.into(), clock_rate, channels, fmtp: None }
}

fn ours() -> Vec<Format> {
    vec![
        format(107, "opus", 48_000, 2),
        format(9, "G722", 8_000, 1),
        format(8, "PCMA", 8_000, 1),
        format(0, "PCMU", 8_000, 1),
        format(101, "telephone-event", 8_000, 1),
        format(102, "telephone-event", 48_000, 1),
    ]
}

fn origin() -> Origin {
    Origin { session_id: 42, version: 7 }
}

fn stream(formats: Vec<Format>) -> AudioStream {
    AudioStream::new("127.0.0.1:20000".parse().expect("an address"), formats)
}

fn answer_to(body: &str, formats: &[Format], direction: Direction) -> Result<Answer, SdpError> {
    let address = SocketAddr::from(([127, 0, 0, 1], 20_000));
    ReceivedOffer::parse(body.as_bytes())?.answer(&origin(), address, formats, direction)
}

fn offer_all() -> Offer {
    Offer::new(&origin(), stream(ours()))
}

/// An answer to our offer with these lines from `m=` on.
fn read(lines: &str) -> Result<AudioStream, SdpError> {
    offer_all().read_answer(format!("v=0\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n{lines}").as_bytes())
}

fn payload_types(stream: &AudioStream) -> Vec<u8> {
    stream.formats.iter().map(|format| format.payload_type).collect()
}

#[test]
fn an_offer_is_printed_line_by_line() {
    let formats = vec![
        format(107, "opus", 48_000, 2),
        format(0, "PCMU", 8_000, 1),
        format(101, "telephone-event", 8_000, 1),
    ];
    let printed = Offer::new(&origin(), stream(formats)).print();
    let expected = "v=0\r\n\
        o=dialbridge 42 7 IN IP4 127.0.0.1\r\n\
        s=-\r\n\
        c=IN IP4 127.0.0.1\r\n\
        t=0 0\r\n\
        m=audio 20000 RTP/AVP 107 0 101 96\r\n\
        a=rtpmap:107 opus/48000/2\r\n\
        a=fmtp:107 useinbandfec=1\r\n\
        a=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-16\r\n\
        a=rtpmap:96 telephone-event/48000\r\n\
        a=fmtp:96 0-16\r\n\
        a=ptime:20\r\n\
        a=sendrecv\r\n";
    assert_eq!(String::from_utf8(printed).expect("UTF-8"), expected);
}

#[test]
fn telephone_events_are_offered_only_where_asked_for() {
    let printed = Offer::new(&origin(), stream(vec![format(107, "opus", 48_000, 2)])).print();
    assert!(!String::from_utf8_lossy(&printed).contains("telephone-event"));
}

#[test]
fn rtcp_elsewhere_and_ipv6_are_said() {
    let mut stream = AudioStream::new("[::1]:20000".parse().expect("an address"), ours());
    stream.rtcp.set_port(20007);
    stream.direction = Direction::Inactive;
    stream.ptime = Some(30);
    let printed = String::from_utf8(Offer::new(&origin(), stream).print()).expect("UTF-8");
    for line in ["c=IN IP6 ::1", "a=rtcp:20007", "a=inactive", "a=ptime:30", "o=dialbridge 42 7 IN IP6 ::1"] {
        assert!(printed.contains(&format!("{line}\r\n")), "{line} is not in\n{printed}");
    }
}

#[test]
fn our_own_offer_is_read_as_it_was_made() {
    let offer = offer_all();
    let received = ReceivedOffer::parse(&offer.print()).expect("an offer");
    let audio = received.audio().expect("audio");
    assert_eq!(payload_types(audio), payload_types(offer.stream()));
    assert_eq!(
        (audio.rtp, audio.rtcp, audio.direction),
        (offer.stream().rtp, offer.stream().rtcp, Direction::SendRecv)
    );
}

#[test]
fn an_offer_of_a_desk_phone_is_understood() {
    let offer = ReceivedOffer::parse(DESK_PHONE_VIDEO.as_bytes()).expect("an offer");
    let audio = offer.audio().expect("audio");
    assert_eq!(audio.rtp, "192.168.1.34:7078".parse().expect("an address"));
    assert_eq!(audio.rtcp.port(), 7079);
    assert_eq!(payload_types(audio), [96, 97, 98, 0, 8, 101, 99, 100]);
    assert_eq!(audio.codec().map(|codec| &*codec.name), Some("opus"));
    assert_eq!(audio.telephone_event(48_000).map(|event| event.payload_type), Some(101));
    assert_eq!(audio.ptime, None);
}

#[test]
fn an_offer_of_a_soft_phone_is_understood() {
    let offer = ReceivedOffer::parse(SOFT_PHONE.as_bytes()).expect("an offer");
    let audio = offer.audio().expect("audio");
    assert_eq!(audio.direction, Direction::SendOnly);
    assert_eq!(audio.ptime, Some(30));
    assert!(audio.rtcp_mux);
    assert_eq!(audio.rtcp, audio.rtp);
    let printed =
        String::from_utf8(answer_to(SOFT_PHONE, &ours(), Direction::SendRecv).expect("an answer").print());
    let printed = printed.expect("UTF-8");
    assert!(printed.contains("a=recvonly\r\n") && printed.contains("a=rtcp-mux\r\n"), "{printed}");
}

#[test]
fn the_answer_has_our_order_their_payload_types_and_every_medium() {
    let answer = answer_to(DESK_PHONE_VIDEO, &ours(), Direction::SendRecv).expect("an answer");
    assert_eq!(payload_types(&answer.stream), [96, 8, 0, 100, 101]);
    let printed = String::from_utf8(answer.print()).expect("UTF-8");
    let media: Vec<&str> = printed.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        media,
        ["m=audio 20000 RTP/AVPF 96 8 0 100 101", "m=video 0 RTP/AVPF 96", "m=image 0 udptl t38"]
    );
}

#[test]
fn telephone_events_without_a_codec_of_their_clock_are_left_out() {
    let formats = [format(0, "PCMU", 8_000, 1), ours()[4].clone(), ours()[5].clone()];
    let answer = answer_to(DESK_PHONE_VIDEO, &formats, Direction::SendRecv).expect("an answer");
    assert_eq!(payload_types(&answer.stream), [0, 100]);
}

#[test]
fn telephone_event_alone_is_no_common_format() {
    let ours = [format(101, "telephone-event", 8_000, 1), format(18, "G729", 8_000, 1)];
    assert_eq!(answer_to(SOFT_PHONE, &ours, Direction::SendRecv).err(), Some(SdpError::NoCommonFormat));
}

#[test]
fn the_direction_of_the_answer_is_limited() {
    let direction = |limit| answer_to(DESK_PHONE_VIDEO, &ours(), limit).expect("an answer").stream.direction;
    assert_eq!(direction(Direction::SendRecv), Direction::SendRecv);
    assert_eq!(direction(Direction::SendOnly), Direction::SendOnly);
    let held = answer_to(SOFT_PHONE, &ours(), Direction::SendOnly).expect("an answer");
    assert_eq!(held.stream.direction, Direction::Inactive);
}

#[test]
fn an_offer_without_audio_is_readable_and_cannot_be_answered() {
    for media in ["m=video 9078 RTP/AVP 96\r\n", "m=audio 0 RTP/AVP 0\r\n", "m=audio 4000 RTP/SAVP 0\r\n", ""]
    {
        let body = format!("v=0\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n{media}");
        assert_eq!(ReceivedOffer::parse(body.as_bytes()).expect("readable").audio(), None, "{media}");
        assert_eq!(answer_to(&body, &ours(), Direction::SendRecv).err(), Some(SdpError::NoAudio));
    }
}

#[test]
fn the_second_audio_stream_is_taken_when_the_first_is_encrypted() {
    let body = "v=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 4000 RTP/SAVP 0\r\nm=audio 4002 RTP/AVP 0\r\n";
    let answer = answer_to(body, &ours(), Direction::SendRecv).expect("an answer");
    let printed = String::from_utf8(answer.print()).expect("UTF-8");
    assert!(printed.contains("m=audio 0 RTP/SAVP 0\r\nm=audio 20000 RTP/AVP 0\r\n"), "{printed}");
}

#[test]
fn media_level_lines_win_over_session_level_ones() {
    let body = "v=0\r\nc=IN IP4 10.0.0.7\r\na=inactive\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=recvonly\r\na=rtcp:4009 IN IP6 2001:db8::2\r\n";
    let offer = ReceivedOffer::parse(body.as_bytes()).expect("an offer");
    let audio = offer.audio().expect("audio");
    assert_eq!(audio.rtp, "[2001:db8::1]:4000".parse().expect("an address"));
    assert_eq!(audio.rtcp, "[2001:db8::2]:4009".parse().expect("an address"));
    assert_eq!(audio.direction, Direction::RecvOnly);
    let without = body.replace("a=recvonly\r\n", "");
    let offer = ReceivedOffer::parse(without.as_bytes()).expect("an offer");
    assert_eq!(offer.audio().map(|audio| audio.direction), Some(Direction::Inactive));
}

#[test]
fn a_host_name_has_its_own_error() {
    let body = |host: &str| format!("v=0\r\nc=IN IP4 {host}\r\nm=audio 4000 RTP/AVP 0\r\n");
    let error = |host| ReceivedOffer::parse(body(host).as_bytes()).expect_err("an error");
    assert_eq!(error("media.example.com"), SdpError::HostName("media.example.com".into()));
    for host in ["1.2.3", "a..b", "a\u{1b}b.example", "300.1.1.1", "-"] {
        assert!(matches!(error(host), SdpError::NotAnAddress | SdpError::HostName(_)), "{host}");
        assert_eq!(error("a\u{1b}b.example"), SdpError::NotAnAddress);
    }
    for host in ["0.1.2.3", "239.1.1.1/127", "255.255.255.255"] {
        assert!(matches!(error(host), SdpError::ForbiddenAddress(_)), "{host}");
    }
    let mapped = "v=0\r\nc=IN IP6 ::ffff:224.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n";
    assert!(matches!(ReceivedOffer::parse(mapped.as_bytes()), Err(SdpError::ForbiddenAddress(_))));
}

#[test]
fn packet_times_beyond_sense_are_ignored() {
    for (ptime, expected) in
        [("20", Some(20)), ("10", Some(10)), ("200", Some(200)), ("0", None), ("201", None), ("x", None)]
    {
        let body = format!("v=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 4000 RTP/AVP 0\r\na=ptime:{ptime}\r\n");
        let offer = ReceivedOffer::parse(body.as_bytes()).expect("an offer");
        assert_eq!(offer.audio().and_then(|audio| audio.ptime), expected, "{ptime}");
    }
}

#[test]
fn an_answer_keeps_the_answerers_payload_types() {
    let answer = read(
        "m=audio 4000 RTP/AVP 120 0 97\r\na=rtpmap:120 OPUS/48000/2\r\na=rtpmap:97 telephone-event/48000\r\n",
    );
    let answer = answer.expect("an answer");
    assert_eq!(payload_types(&answer), [120, 0, 97]);
    assert_eq!(answer.codec().map(|codec| codec.clock_rate), Some(48_000));
}

#[test]
fn an_answer_without_rtpmap_means_what_was_offered() {
    let answer = read("m=audio 4000 RTP/AVP 107 101\r\n").expect("an answer");
    assert_eq!(
        payload_types(&answer),
        [107, 101],
        "101 was telephone-event/8000, and there is none at 48000"
    );
    assert!(answer.formats[0].is_named("opus"));
}

#[test]
fn what_was_not_offered_is_not_in_the_answer() {
    let answer = read("m=audio 4000 RTP/AVP 18 8 3\r\n").expect("an answer");
    assert_eq!(payload_types(&answer), [8]);
    assert_eq!(read("m=audio 4000 RTP/AVP 18\r\n"), Err(SdpError::NoCommonFormat));
    assert_eq!(read("m=audio 4000 RTP/AVP 101\r\n"), Err(SdpError::NoCommonFormat));
}

#[test]
fn an_answer_may_write_what_was_offered_otherwise() {
    for (rtpmap, payload_type) in [
        ("99 opus/48000", 99),
        ("99 opus/48000/1", 99),
        ("0 PCMU", 0),
        ("0 PCMU/8000/1", 0),
        ("8 pcma/8000", 8),
    ] {
        let answer = read(&format!("m=audio 4000 RTP/AVP {payload_type}\r\na=rtpmap:{rtpmap}\r\n"));
        assert_eq!(payload_types(&answer.expect(rtpmap)), [payload_type]);
    }
}

#[test]
fn of_two_telephone_events_the_one_beside_its_codec_stays() {
    let both = "m=audio 4000 RTP/AVP 107 101 97\r\na=rtpmap:97 telephone-event/48000\r\n";
    assert_eq!(payload_types(&read(both).expect("an answer")), [107, 97]);
    let narrow = read("m=audio 4000 RTP/AVP 107 101\r\n").expect("an answer");
    assert_eq!(narrow.telephone_event(48_000).map(|event| event.payload_type), Some(101));
}

#[test]
fn an_offer_that_closes_its_audio_is_answered_in_kind() {
    let body = "v=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n";
    let offer = ReceivedOffer::parse(body.as_bytes()).expect("readable");
    assert!(offer.closes_audio() && offer.audio().is_none());
    let origin = Origin { session_id: 1, version: 2 };
    let answer = offer.answer_without_audio(&origin, "192.0.2.1:20000".parse().expect("an address"));
    let text = String::from_utf8(answer).expect("text");
    assert!(text.contains("\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n"), "{text}");
    for open in ["m=audio 4000 RTP/AVP 0\r\n", "m=video 0 RTP/AVP 96\r\n", ""] {
        let body = format!("v=0\r\nc=IN IP4 10.0.0.7\r\n{open}");
        assert!(!ReceivedOffer::parse(body.as_bytes()).expect("readable").closes_audio(), "{open}");
    }
}

#[test]
fn a_refused_stream_is_told_from_none() {
    assert_eq!(read("m=audio 0 RTP/AVP 0\r\n"), Err(SdpError::AudioRefused));
    assert_eq!(read(""), Err(SdpError::NoAudio));
    assert_eq!(read("m=video 4000 RTP/AVP 96\r\n"), Err(SdpError::NoAudio));
    assert_eq!(read("m=audio 4000 RTP/SAVP 0\r\n"), Err(SdpError::NoAudio));
}

#[test]
fn multiplexing_that_was_not_offered_does_not_hold() {
    let lines = "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n";
    let answer = read(lines).expect("an answer");
    assert!(!answer.rtcp_mux);
    assert_eq!(answer.rtcp.port(), 4001);
    let mut wish = stream(ours());
    wish.rtcp_mux = true;
    let body = format!("v=0\r\nc=IN IP4 10.0.0.7\r\n{lines}");
    let answer = Offer::new(&origin(), wish).read_answer(body.as_bytes()).expect("an answer");
    assert_eq!(answer.rtcp, answer.rtp);
}

fn any_format() -> impl Strategy<Value = Format> {
    let name = prop::sample::select(vec!["PCMU", "pcma", "opus", "G722", "telephone-event", "speex", "CN"]);
    let rate = prop::sample::select(vec![8_000, 16_000, 48_000]);
    (0..128_u8, name, rate, 1..3_u8)
        .prop_map(|(number, name, rate, channels)| format(number, name, rate, channels))
}

fn any_offer() -> impl Strategy<Value = String> {
    let medium =
        (prop::sample::select(vec!["audio", "video"]), 0..3_u16, prop::collection::vec(any_format(), 1..6));
    prop::collection::vec(medium, 1..6).prop_map(|media| {
        let mut body =
            String::from("v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n");
        for (kind, port, formats) in media {
            let numbers: Vec<String> = formats.iter().map(|format| format.payload_type.to_string()).collect();
            body += &format!("m={kind} {} RTP/AVP {}\r\n", port * 4000, numbers.join(" "));
            for format in formats {
                body += &format!(
                    "a=rtpmap:{} {}/{}/{}\r\n",
                    format.payload_type, format.name, format.clock_rate, format.channels
                );
            }
        }
        body
    })
}

proptest! {
    #[test]
    fn an_answer_names_only_what_was_offered(body in any_offer(), ours in prop::collection::vec(any_format(), 0..6)) {
        let offer = ReceivedOffer::parse(body.as_bytes()).expect("an offer");
        let address = "127.0.0.1:20000".parse().expect("an address");
        let Ok(answer) = offer.answer(&origin(), address, &ours, Direction::SendRecv) else { return Ok(()) };
        let offered = &offer.audio().expect("audio").formats;
        for format in &answer.stream.formats {
            let same = |other: &Format| other.is_same_encoding(format) && other.payload_type == format.payload_type;
            prop_assert!(offered.iter().any(same));
            prop_assert!(ours.iter().any(|our| our.is_same_encoding(format)));
        }
        let printed = String::from_utf8(answer.print()).expect("UTF-8");
        let media = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
        prop_assert_eq!(media(&printed), media(&body));
        let again = ReceivedOffer::parse(printed.as_bytes()).expect("readable");
        prop_assert_eq!(&again.audio().expect("audio").rtp, &answer.stream.rtp);
    }

    #[test]
    fn no_octets_make_it_panic(noise in prop::collection::vec(any::<u8>(), 0..200), at in 0..600_usize, cut in 0..100_usize) {
        let mut body = DESK_PHONE_VIDEO.as_bytes().to_vec();
        let at = at.min(body.len());
        let end = (at + cut).min(body.len());
        body.splice(at..end, noise);
        if let Ok(offer) = ReceivedOffer::parse(&body) {
            let address = "127.0.0.1:20000".parse().expect("an address");
            let _ = offer.answer(&origin(), address, &ours(), Direction::SendRecv);
        }
        let _ = offer_all().read_answer(&body);
    }
}

#[test]
fn whoever_suppresses_silence_is_known_by_its_formats_or_its_attribute() {
    let read = |payload_types: &str, lines: &str| {
        let body = format!(
            "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP {payload_types}\r\n{lines}"
        );
        ReceivedOffer::parse(body.as_bytes()).unwrap().audio().unwrap().suppresses_silence
    };
    for (payload_types, lines) in [
        ("0 13", ""),
        ("0", "a=silenceSupp:on - - - -\r\n"),
        ("107", "a=rtpmap:107 opus/48000/2\r\na=fmtp:107 minptime=10; useDTX=1\r\n"),
    ] {
        assert!(read(payload_types, lines), "{payload_types} {lines}");
    }
    for (payload_types, lines) in [
        ("0 101", ""),
        ("0", "a=silenceSupp:off - - - -\r\n"),
        ("107", "a=rtpmap:107 opus/48000/2\r\na=fmtp:107 usedtx=0\r\n"),
    ] {
        assert!(!read(payload_types, lines), "{payload_types} {lines}");
    }
}
