//! Connections to carriers that are lost: with a word, or without one.

use crate::carrier::{Carrier, Shows};
use crate::certificates::Authority;
use crate::running::{KEY, Running, configuration};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// What a carrier does about a message.
enum Does {
    /// Says 200 to it; these lines are in the answer.
    Ok(&'static str),
    Nothing,
    Closes,
    /// The same after a 100.
    TriesAndCloses,
}

/// A message, and the connection that it came along, counted from 0.
struct Came {
    at: Instant,
    connection: usize,
    text: String,
}

/// A carrier over TCP, and what comes to it.
fn carrier(does: fn(usize, &str) -> Does) -> (SocketAddr, Receiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, came) = channel();
    std::thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let told = told.clone();
            std::thread::spawn(move || serve(&stream.unwrap(), connection, does, &told));
        }
    });
    (address, came)
}

fn serve(stream: &TcpStream, connection: usize, does: fn(usize, &str) -> Does, told: &Sender<Came>) {
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    while reader.read_line(&mut text).is_ok_and(|length| length > 0) {
        if text == "\r\n" {
            text.clear();
        }
        if !text.ends_with("\r\n\r\n") {
            continue;
        }
        let is_copied = |line: &&str| {
            let name = line.split(':').next().unwrap_or_default();
            ["Via", "From", "To", "Call-ID", "CSeq", "Contact"].contains(&name)
        };
        let copied: String = text.lines().filter(is_copied).map(|line| format!("{line}\r\n")).collect();
        let does = does(connection, &text);
        // The test may be over.
        let _over = told.send(Came { at: Instant::now(), connection, text: std::mem::take(&mut text) });
        match does {
            Does::Ok(lines) => {
                let ok = format!("SIP/2.0 200 OK\r\n{copied}{lines}Content-Length: 0\r\n\r\n");
                let _over = (&*stream).write_all(ok.as_bytes());
            }
            Does::Nothing => {}
            Does::Closes => {
                let _over = stream.shutdown(std::net::Shutdown::Both);
            }
            Does::TriesAndCloses => {
                let trying = format!("SIP/2.0 100 Trying\r\n{copied}Content-Length: 0\r\n\r\n");
                let _over = (&*stream).write_all(trying.as_bytes());
                let _over = stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

fn registering(folder: &Path, rtp: &str, address: SocketAddr) -> Running {
    let file = folder.join("a.toml");
    let trunk = format!(
        "[[trunks]]\nname = \"carrier\"\naddress = \"sip:{address};transport=tcp\"\nusername = \"acct\"\n\
         password = \"secret\"\nregister = true\nnumbers = [\"+918065978015\"]\nprobe_seconds = 0\n"
    );
    std::fs::write(&file, configuration(folder, rtp, KEY) + &trunk).unwrap();
    Running::start(&file, "info")
}

/// The next REGISTER.
fn register(came: &Receiver<Came>) -> Came {
    loop {
        let next = came.recv_timeout(Duration::from_secs(15)).expect("a REGISTER comes");
        if next.text.starts_with("REGISTER ") {
            return next;
        }
    }
}

#[test]
fn a_connection_that_gets_no_answer_to_a_refresh_is_given_up_and_registered_along_anew_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (address, came) =
        carrier(|connection, text| match (connection, text.contains("\r\nExpires: 0\r\n")) {
            (0, _) if !text.contains("CSeq: 1 ") => Does::Nothing,
            (0, _) => Does::Ok("Expires: 2\r\n"),
            _ => Does::Ok("Expires: 600\r\n"),
        });
    let mut running = registering(folder.path(), "42300-42399", address);
    let [first, refresh, anew] = [(); 3].map(|()| register(&came));
    assert_eq!([first.connection, refresh.connection, anew.connection], [0, 0, 1]);
    let silence = anew.at - refresh.at;
    assert!((Duration::from_millis(3_800)..Duration::from_millis(4_800)).contains(&silence), "{silence:?}");
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert_eq!(register(&came).connection, 1, "the new one is taken back");
    assert!(!running.seen.contains("trunk.down"), "{}", running.seen);
}

#[test]
fn a_connection_that_is_closed_is_opened_and_registered_along_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (address, came) = carrier(|connection, text| match connection {
        0 if text.contains("CSeq: 1 ") => Does::Ok("Expires: 2\r\n"),
        // The refresh shows that it is gone.
        0 => Does::Closes,
        _ => Does::Ok("Expires: 600\r\n"),
    });
    let mut running = registering(folder.path(), "42400-42499", address);
    let [first, refresh, anew] = [(); 3].map(|()| register(&came));
    assert_eq!([first.connection, refresh.connection, anew.connection], [0, 0, 1]);
    assert!(anew.at - refresh.at < Duration::from_millis(1_000), "{:?}", anew.at - refresh.at);
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// The last failure of the trunk, once there is one.
fn last_failure(folder: &Path, rtp: &str, trunk: &str) -> String {
    last_failure_with(folder, rtp, trunk, "\"tcp:127.0.0.1:0\"]\n[media]")
}

/// The same where `[sip] listen` ends so.
fn last_failure_with(folder: &Path, rtp: &str, trunk: &str, sip: &str) -> String {
    let file = folder.join("b.toml");
    let text = configuration(folder, rtp, KEY).replace("[\"calls.*\"]", "[\"calls.*\", \"config.read\"]");
    let text = text.replace("\"tcp:127.0.0.1:0\"]\n[media]", sip);
    assert!(text.contains(sip) && text.contains("config.read"), "{text}");
    std::fs::write(&file, text + trunk).unwrap();
    let running = Running::start(&file, "info");
    let since = Instant::now();
    loop {
        let shown = running.get("/api/v1/trunks");
        if let Some((_, why)) = shown.split_once("\"last_failure\":\"") {
            return why.split_once('"').unwrap().0.to_owned();
        }
        assert!(since.elapsed() < Duration::from_secs(15), "{shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn why_a_trunk_is_not_reached_stands_in_the_api_until_somebody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let trunk = format!(
        "[[trunks]]\nname = \"carrier\"\naddress = \"sip:{closed};transport=tcp\"\nnumbers = [\"+918065978015\"]\n"
    );
    assert_eq!(
        last_failure(folder.path(), "42500-42599", &trunk),
        format!("nobody listens at {closed}"),
        "OPTIONS found it out"
    );
    let ours = Authority::new(folder.path(), "ours");
    let other = Carrier::start(Shows::plain(&ours.certify(&["other.test"])));
    let files = ours.certify(&["pbx.test"]);
    let trunk = format!(
        "[[trunks]]\nname = \"carrier\"\naddress = \"sip:{};transport=tls\"\nnumbers = [\"+918065978015\"]\n\
         tls = {{ roots = \"{}\" }}\n",
        other.address,
        ours.roots()
    );
    let tls = format!(
        "\"tls:127.0.0.1:0\"]\ntls = {{ certificate = \"{}\", key = \"{}\" }}\n[media]",
        files.certificate, files.key
    );
    let folder = tempfile::tempdir().unwrap();
    let why = last_failure_with(folder.path(), "42600-42699", &trunk, &tls);
    assert!(why.starts_with("TLS: its certificate is for other.test, and not for 127.0.0.1"), "{why}");
}

/// The INVITE of a call that is too large for a datagram: what came over UDP, or over TCP.
fn large_invite(takes_tcp: bool, parameters: &str) -> [Option<String>; 2] {
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = datagrams.local_addr().unwrap();
    let streams = takes_tcp.then(|| TcpListener::bind(address).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.toml");
    let more = format!(
        "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n\
         [[trunks]]\nname = \"carrier\"\naddress = \"sip:{address}{parameters}\"\nprobe_seconds = 0\n\
         numbers = [\"+918065978015\"]\npass_variables = true\n"
    );
    std::fs::write(&file, configuration(folder.path(), "42700-42799", KEY) + &more).unwrap();
    let running = Running::start(&file, "info");
    let variables: Vec<String> =
        (0..10).map(|index| format!("\"v{index}\":\"{}\"", "x".repeat(200))).collect();
    let body =
        format!(r#"{{"from":"9900112233","to":"9944421125","variables":{{{}}}}}"#, variables.join(","));
    assert_eq!(running.post("/api/v1/calls/click-to-call", &body), 200);
    let limit = Duration::from_secs(3);
    let connection = streams.map(|streams| streams.accept().unwrap().0);
    let over_tcp = connection.as_ref().map(|stream| {
        stream.set_read_timeout(Some(limit)).unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    });
    datagrams
        .set_read_timeout(Some(if over_tcp.is_some() { Duration::from_millis(300) } else { limit }))
        .unwrap();
    let mut buffer = [0; 65_535];
    let length = datagrams.recv(&mut buffer).ok();
    let over_udp = length.map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
    [over_udp, over_tcp]
}

#[test]
fn what_is_too_large_for_a_datagram_goes_over_tcp_and_as_a_datagram_where_nobody_listens() {
    let came = large_invite(true, "");
    let [None, Some(text)] = came else { panic!("over TCP alone: {came:?}") };
    assert!(text.starts_with("INVITE ") && text.contains("Via: SIP/2.0/TCP "), "{text}");
    for (takes_tcp, parameters) in [(false, ""), (true, ";transport=udp")] {
        let listens = takes_tcp && parameters.is_empty();
        let [Some(text), None] = large_invite(listens, parameters) else { panic!("over UDP alone") };
        assert!(
            text.starts_with("INVITE ") && text.contains("Via: SIP/2.0/UDP ") && text.len() > 2_000,
            "{text}"
        );
    }
}

#[test]
fn a_carrier_whose_connection_closes_after_its_100_is_passed_over() {
    let (first, came_first) = carrier(|_, _| Does::TriesAndCloses);
    let (second, came_second) = carrier(|_, _| Does::Nothing);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("b.toml");
    let trunk = |name: &str, address: SocketAddr, priority: u8| {
        format!(
            "[[trunks]]\nname = \"{name}\"\naddress = \"sip:{address};transport=tcp\"\nprobe_seconds = 0\n\
             numbers = [\"+918065978015\"]\npriority = {priority}\n"
        )
    };
    let policy = "[dial_policy]\ncountry = \"91\"\nallow = [\"+91\"]\n";
    let more = policy.to_owned() + &trunk("one", first, 1) + &trunk("two", second, 2);
    std::fs::write(&file, configuration(folder.path(), "42800-42899", KEY) + &more).unwrap();
    let running = Running::start(&file, "info");
    assert_eq!(running.click_to_call_of(KEY, "9900112233", "9944421125"), 200);
    let [one, two] =
        [&came_first, &came_second].map(|came| came.recv_timeout(Duration::from_secs(15)).unwrap());
    assert!(one.text.starts_with("INVITE ") && two.text.starts_with("INVITE "));
    let waited = two.at - one.at;
    assert!((Duration::from_millis(3_800)..Duration::from_millis(5_500)).contains(&waited), "{waited:?}");
}
