//! Examples that inputs are made of.

use std::fs;
use std::path::{Path, PathBuf};

/// The messages of RFC 4475 and their like, and plain ones.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let mut messages = files("crates/sip-message/tests/torture");
    messages.extend(MESSAGES.map(with_line_ends));
    messages
}

/// Descriptions, broken and whole.
pub(crate) fn descriptions() -> Vec<Vec<u8>> {
    let mut descriptions = files("crates/sdp/tests/torture");
    descriptions.extend(DESCRIPTIONS.map(with_line_ends));
    descriptions
}

/// RTP and RTCP packets.
pub(crate) fn packets() -> Vec<Vec<u8>> {
    let mut packets = files("media-relay/tests/torture");
    let header = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
    packets.push([&header[..], &[0x55; 160]].concat());
    packets.push([&[0x80, 101, 0, 2, 0, 0, 0, 160, 0, 0, 0, 7][..], &[5, 0x8a, 1, 64]].concat());
    packets.push([&[0x80, 200, 0, 6, 0, 0, 0, 7][..], &[0; 20]].concat());
    packets.push([&[0x81, 201, 0, 7, 0, 0, 0, 7][..], &[0; 24]].concat());
    packets.push(vec![0x81, 203, 0, 1, 0, 0, 0, 7]);
    packets
}

pub(crate) fn uris() -> Vec<Vec<u8>> {
    URIS.map(|text| text.as_bytes().to_vec()).to_vec()
}

pub(crate) fn credentials() -> Vec<Vec<u8>> {
    CREDENTIALS.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// All files under a folder of this repository.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut open = vec![root.join(folder)];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    // In one order on every machine: the same seed gives the same inputs.
    found.sort();
    found.iter().filter_map(|file| fs::read(file).ok()).filter(|octets| octets.len() < 70_000).collect()
}

fn with_line_ends(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

const MESSAGES: [&str; 5] = [
    "INVITE sip:1001@pbx.example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport\nMax-Forwards: 70\n\
     From: \"A\" <sip:1002@pbx.example.com>;tag=1\nTo: <sip:1001@pbx.example.com>\nCall-ID: 1@a\nCSeq: 1 INVITE\n\
     Contact: <sip:1002@192.0.2.9:5070;ob>;+sip.instance=\"<urn:uuid:1>\"\nSupported: timer, 100rel\nSession-Expires: 1800\n\
     Content-Type: application/sdp\nContent-Length: 97\n\nv=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n\
     m=audio 4000 RTP/AVP 0 101\n",
    "REGISTER sip:pbx.example.com SIP/2.0\nv: SIP/2.0/TCP 192.0.2.9:5070;branch=z9hG4bK2\nf: <sip:1001@pbx.example.com>;tag=2\n\
     t: <sip:1001@pbx.example.com>\ni: 2\nCSeq: 7 REGISTER\nm: *\nExpires: 0\nPath: <sip:p;lr>\nl: 0\n\n",
    "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabcdef0123456789\nFrom: <sip:1@a>;tag=0123456789abcdef\n\
     To: <sip:2@a>;tag=p\nCall-ID: 3\nCSeq: 1 INVITE\nContact: <sip:2@192.0.2.9>\nRecord-Route: <sip:p;lr>\n\
     Require: 100rel\nRSeq: 1\nReason: Q.850;cause=16;text=\"bye\"\nContent-Length: 0\n\n",
    "BYE sip:1@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK4\nFrom: <sip:2@a>;tag=p\n\
     To: <sip:1@a>;tag=0123456789abcdef\nCall-ID: 3\nCSeq: 2 BYE\nRoute: <sip:p;lr>,<sip:q;lr>\nContent-Length: 0\n\n",
    "INVITE sip:1@a SIP/2.0\nVia: SIP/2.0/UDP a;branch=z9hG4bK5\nFrom: <sip:2@a>;tag=5\nTo: <sip:1@a>\nCall-ID: 5\n\
     CSeq: 1 INVITE\nContent-Type: multipart/mixed;boundary=\"b\"\nContent-Length: 71\n\n--b\n\
     Content-Type: application/sdp\n\nv=0\nm=audio 1 RTP/AVP 0\n--b--\n",
];

const DESCRIPTIONS: [&str; 2] = [
    "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\na=sendonly\nm=audio 4000 RTP/AVP 107 9 8 0 101 13\n\
     a=rtpmap:107 opus/48000/2\na=fmtp:107 useinbandfec=1;usedtx=1\na=rtpmap:9 G722/16000\na=rtpmap:101 telephone-event/8000\n\
     a=fmtp:101 0-16\na=rtcp:4001 IN IP4 192.0.2.9\na=rtcp-mux\na=ptime:20\na=sendrecv\n",
    "v=0\no=- 1 1 IN IP6 2001:db8::9\ns=-\nt=0 0\nm=video 0 RTP/AVP 96\nm=audio 4000/2 RTP/AVPF 0\nc=IN IP6 2001:db8::9\n\
     m=application 9 UDP/BFCP *\n",
];

const URIS: [&str; 8] = [
    "sip:alice@example.com",
    "sips:alice:secret@[2001:db8::1]:5061;transport=tcp;lr?subject=a%20b&priority=urgent",
    "tel:+1-201-555-0123;phone-context=example.com",
    "sip:%61lice%40a;x=y@192.0.2.1;maddr=224.0.0.1;ttl=1",
    "sip:a",
    "urn:service:sos",
    "sip:+12125551212@server.phone2net.com;user=phone;method=INVITE",
    "sip:a&b=c+$d,e;f?g/h@i-j.k1.",
];

const CREDENTIALS: [&str; 3] = [
    "Digest username=\"1001\", realm=\"example.com\", nonce=\"000003e800000000000000015f97a1f493d3c17728baafee\", uri=\"sip:a\", \
     response=\"dadcb84ccac9fc89abcfc6f2ffb160d4\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"0a4f113b\"",
    "Digest username=\"1001\",realm=\"\",nonce=\"\",uri=\"sip:a\",response=\"\",algorithm=AKAv1-MD5",
    "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
];
