//! Two phones on real sockets.

use sip_message::{Host, Message, Request, StatusCode, StreamFramer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use test_phone::{Driver, DriverOptions, Registering, Script, Source, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

fn options(server: SocketAddr, plays: f64, expects: f64, script: Script) -> DriverOptions {
    DriverOptions {
        server,
        transport: Transport::Udp,
        tls: None,
        local: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        user: "1001".into(),
        password: None,
        display_name: None,
        domain: Host::new("pbx.test"),
        script: Script { registering: Registering::Never, ..script },
        source: Source::Tone { hertz: plays },
        expected_tone: Some(expects),
    }
}

#[tokio::test]
async fn a_call_between_two_phones_has_audio_both_ways() {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let callee = Script { calls: Some(1), ..Script::default() };
    let caller = Script {
        call: Some("1002".into()),
        hang_up_after: Some(Duration::from_secs(1)),
        ..Script::default()
    };
    let (reports, _unread) = mpsc::unbounded_channel();
    let (_commands, commanded) = mpsc::channel(1);
    let callee =
        Driver::start(options(nobody, 1_100.0, 700.0, callee), reports.clone(), commanded).await.unwrap();
    let (_more_commands, commanded) = mpsc::channel(1);
    let caller =
        Driver::start(options(callee.local(), 700.0, 1_100.0, caller), reports, commanded).await.unwrap();
    let mut heard = Vec::new();
    let both = async { tokio::join!(callee.run(|_| {}), caller.run(|call| heard.push(call))) };
    let (one, two) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("the call ends");
    assert!(one.is_success() && two.is_success(), "{one:?} {two:?}");
    assert_eq!(heard.len(), 1);
}

#[tokio::test]
async fn a_phone_without_commanders_leaves() {
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let (reports, _unread) = mpsc::unbounded_channel();
    let (commands, commanded) = mpsc::channel(1);
    let phone =
        Driver::start(options(nobody, 700.0, 700.0, Script::default()), reports, commanded).await.unwrap();
    drop(commands);
    tokio::time::timeout(Duration::from_secs(5), phone.run(|_| {})).await.expect("it leaves");
}

/// Accepts a connection and says yes to the REGISTER that comes along it.
async fn registers(listener: &TcpListener) -> (TcpStream, Request) {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let (mut framer, mut buffer) = (StreamFramer::default(), [0; 4096]);
    let octets = loop {
        if let Some(octets) = framer.poll().expect("a stream of SIP") {
            break octets;
        }
        let length = stream.read(&mut buffer).await.expect("it stays connected");
        assert_ne!(length, 0, "it sends nothing");
        framer.push(&buffer[..length]);
    };
    let Ok(Message::Request(request)) = Message::parse(&octets) else { panic!("no request") };
    stream.write_all(&request.response(StatusCode::OK).print()).await.expect("it reads");
    (stream, request)
}

#[tokio::test]
async fn a_phone_whose_server_starts_again_comes_back_over_tcp() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = listener.local_addr().unwrap();
    let (reports, _unread) = mpsc::unbounded_channel();
    let (commands, commanded) = mpsc::channel(1);
    let options = options(server, 700.0, 700.0, Script::default());
    let script = Script::default();
    let options = DriverOptions { transport: Transport::Tcp, expected_tone: None, script, ..options };
    let phone = Driver::start(options, reports, commanded).await.unwrap();
    let running = tokio::spawn(phone.run(|_| {}));
    let both = async {
        let (first, _) = registers(&listener).await;
        // Nobody listens when the phone tries for the first time.
        drop((first, listener));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let listener = TcpListener::bind(server).await.unwrap();
        let (stream, again) = registers(&listener).await;
        let contact = format!("{:?}", again.header.contact);
        (stream.peer_addr().unwrap().port(), contact)
    };
    let (port, contact) = tokio::time::timeout(Duration::from_secs(10), both).await.expect("it comes back");
    assert!(contact.contains(&port.to_string()), "{port}: {contact}");
    drop(commands);
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("it leaves").unwrap();
}
