//! RFC 4475 §3.1 to §3.4, one test for each message.
use super::{dropped, octets, refused, request, response};
use sip_message::{AuthParams, Contacts, FieldName, Message, Method, NameAddr, ParseErrorKind, Request, Uri};

fn contacts(request: &Request) -> &[NameAddr] {
    match &request.header.contact {
        Some(Contacts::List(list)) => list,
        Some(Contacts::Star) | None => panic!("no list of contacts"),
    }
}

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn field<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.header.fields.get(&FieldName::new(name)?)
}

#[test]
fn wsinv_has_white_space_and_folds_everywhere() {
    let request = request("rfc4475/wsinv.dat");
    let header = &request.header;
    assert_eq!(request.uri.to_string(), "sip:vivekg@chair-dnrc.example.com;unknownparam");
    assert_eq!((header.max_forwards, header.cseq.number), (Some(68), 9));
    assert_eq!(header.to.tag(), Some("1918181833n"));
    assert_eq!(header.from.display_name.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(header.from.tag(), Some("98asjd8"));
    assert_eq!(&*header.call_id.0, "wsinv.ndaksdj@192.0.2.1");
    let via: Vec<_> = header.via.iter().map(ToString::to_string).collect();
    assert_eq!(
        via,
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
            "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
            "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
        ]
    );
    let contact = &contacts(&request)[0];
    assert_eq!(contact.display_name.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.parameters.to_string(), ";newparam=newvalue;secondparam;q=0.33");
    assert_eq!(field(&request, "Subject"), Some(""));
    assert_eq!(field(&request, "NewFangledHeader"), Some("newfangled value continued newfangled value"));
    assert_eq!(field(&request, "UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    let route = header.fields.addresses(&FieldName::ROUTE).unwrap();
    assert_eq!(route[0].uri.to_string(), "sip:services.example.com;lr;unknownwith=value;unknown-no-value");
    assert_eq!(request.body.len(), 150);
}

#[test]
fn intmeth_uses_the_whole_range_of_characters() {
    let request = request("rfc4475/intmeth.dat");
    assert_eq!(request.method.as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert!(matches!(request.method, Method::Extension(_)));
    let sip = request.uri.as_sip().unwrap();
    assert_eq!(sip.user.as_deref(), Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"));
    assert_eq!(sip.password.as_deref(), Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"));
    let header = &request.header;
    assert_eq!(header.to.display_name.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    assert!(header.to.to_string().starts_with("\"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7f}\" <sip:"));
    assert_eq!(header.from.display_name.as_deref(), Some("token1~` token2'+_ token3*%!.-"));
    assert_eq!(header.from.parameters.value("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(header.from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(header.via[0].branch(), Some("z9hG4bK-.!%66*_+`'~"));
    assert_eq!(header.cseq.number, 139_122_385);
    assert_eq!(field(&request, "extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電"));
}

#[test]
fn esc01_decodes_escapes_for_comparison_only() {
    let request = request("rfc4475/esc01.dat");
    let sip = request.uri.as_sip().unwrap();
    assert!(!sip.secure);
    assert_eq!(sip.user.as_deref(), Some("sips%3Auser%40example.com"));
    assert_eq!(sip.decoded_user().as_deref(), Some("sips:user@example.com"));
    assert!(request.header.to.uri.is_equivalent(&uri("sip:user@example.com")));
    let from = request.header.from.uri.as_sip().unwrap();
    assert_eq!(from.decoded_user().as_deref(), Some("I have spaces"));
    let contact = contacts(&request)[0].uri.to_string();
    assert_eq!(contact, "sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31");
    assert_eq!(contacts(&request)[0].uri.as_sip().unwrap().parameters.get("lr"), None);
}

#[test]
fn escnull_has_two_contacts() {
    let request = request("rfc4475/escnull.dat");
    let [one, two] = contacts(&request) else { panic!() };
    assert_eq!(one.uri.as_sip().unwrap().user.as_deref(), Some("%00"));
    assert_eq!(two.uri.as_sip().unwrap().user.as_deref(), Some("%00%00"));
    assert!(!one.uri.is_equivalent(&two.uri));
    assert_eq!(one.uri.as_sip().unwrap().decoded_user(), None);
    assert_eq!(request.header.to.uri.to_string(), "sip:null-%00-null@example.com");
}

#[test]
fn esc02_is_no_register() {
    let request = request("rfc4475/esc02.dat");
    assert_eq!(request.method, Method::Extension("RE%47IST%45R".into()));
    assert_eq!(request.header.from.display_name.as_deref(), Some("%Z%45"));
    let users: Vec<_> = contacts(&request).iter().map(|contact| contact.uri.to_string()).collect();
    assert_eq!(users, ["sip:alias1@host1.example.com", "sip:alias3@host3.example.com"]);
    assert_eq!(field(&request, "C%6Fntact"), Some("<sip:alias2@host2.example.com>"));
}

#[test]
fn lwsdisp_lacks_the_white_space_after_the_display_name() {
    let request = request("rfc4475/lwsdisp.dat");
    assert_eq!(request.header.from.display_name.as_deref(), Some("caller"));
    assert_eq!(request.header.from.tag(), Some("323"));
}

#[test]
fn longreq_has_34_vias() {
    let request = request("rfc4475/longreq.dat");
    assert_eq!(request.header.via.len(), 34);
    assert_eq!(request.header.via[0].host.to_string(), "sip33.example.com");
    assert_eq!(request.header.via[33].host.to_string(), "host.example.com");
    assert_eq!(request.body.len(), 150);
    let answer = request.response(sip_message::StatusCode::OK);
    assert_eq!(answer.header.via.len(), 34);
}

#[test]
fn dblreq_is_one_register() {
    let request = request("rfc4475/dblreq.dat");
    assert_eq!(request.method, Method::REGISTER);
    assert!(request.body.is_empty());
}

#[test]
fn semiuri_has_semicolons_in_the_user_part() {
    let request = request("rfc4475/semiuri.dat");
    let sip = request.uri.as_sip().unwrap();
    assert_eq!(sip.decoded_user().as_deref(), Some("user;par=u@example.net"));
    assert!(sip.parameters.is_empty());
    let accept = request.header.fields.tokens(&FieldName::ACCEPT);
    assert_eq!(accept.last(), Some(&"message/sipfrag"));
    assert_eq!(accept.len(), 6);
}

#[test]
fn transports_may_be_unknown() {
    let request = request("rfc4475/transports.dat");
    let transports: Vec<_> = request.header.via.iter().map(|via| &*via.transport).collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test]
fn mpart01_has_a_binary_body() {
    let request = request("rfc4475/mpart01.dat");
    assert_eq!(request.method, Method::MESSAGE);
    assert_eq!(request.body.len(), 553);
    assert!(request.body.contains(&0));
    assert!(request.print().ends_with(&request.body));
}

#[test]
fn unreason_keeps_its_reason_phrase() {
    let response = response("rfc4475/unreason.dat");
    assert_eq!(response.status.code(), 200);
    assert_eq!(&*response.reason, "= 2**3 * 5**2 но сто девяносто девять - простое");
}

#[test]
fn noreason_has_no_reason_phrase() {
    let response = response("rfc4475/noreason.dat");
    assert_eq!((response.status.code(), &*response.reason), (100, ""));
    assert!(response.print().starts_with(b"SIP/2.0 100 \r\n"));
}

#[test]
fn badinv01_has_empty_parameters() {
    let salvage = refused("rfc4475/badinv01.dat", ParseErrorKind::Malformed("Via"), 400);
    assert_eq!(salvage.request.header.via[0].to_string(), "SIP/2.0/UDP 192.0.2.15");
}

#[test]
fn clerr_is_shorter_than_it_says() {
    refused("rfc4475/clerr.dat", ParseErrorKind::BodyTooShort, 400);
}

#[test]
fn ncl_has_a_negative_length() {
    refused("rfc4475/ncl.dat", ParseErrorKind::Malformed("Content-Length"), 400);
}

#[test]
fn scalar02_has_numbers_that_fit_nowhere() {
    let salvage = refused("rfc4475/scalar02.dat", ParseErrorKind::Malformed("CSeq"), 400);
    assert_eq!(salvage.request.header.cseq.number, u32::MAX);
}

#[test]
fn scalarlg_is_dropped() {
    dropped("rfc4475/scalarlg.dat", ParseErrorKind::Malformed("CSeq"));
}

#[test]
fn quotbal_never_closes_its_quote() {
    let salvage = refused("rfc4475/quotbal.dat", ParseErrorKind::Malformed("To"), 400);
    assert_eq!(salvage.request.header.to.to_string(), "<sip:j.user@example.com>");
}

#[test]
fn ltgtruri_has_brackets_round_the_request_uri() {
    refused("rfc4475/ltgtruri.dat", ParseErrorKind::RequestUri, 400);
}

#[test]
fn lwsruri_has_white_space_in_the_request_uri() {
    refused("rfc4475/lwsruri.dat", ParseErrorKind::StartLine, 400);
}

#[test]
fn lwsstart_has_two_spaces_in_the_start_line() {
    refused("rfc4475/lwsstart.dat", ParseErrorKind::StartLine, 400);
}

#[test]
fn trws_has_spaces_after_the_version() {
    refused("rfc4475/trws.dat", ParseErrorKind::StartLine, 400);
}

#[test]
fn escruri_has_headers_in_the_request_uri() {
    let salvage = refused("rfc4475/escruri.dat", ParseErrorKind::RequestUri, 400);
    assert_eq!(salvage.request.header.fields.iter().count(), 0);
}

#[test]
fn baddate_is_not_looked_at() {
    let request = request("rfc4475/baddate.dat");
    assert_eq!(request.header.fields.get(&FieldName::DATE), Some("Fri, 01 Jan 2010 16:00:00 EST"));
}

#[test]
fn regbadct_lacks_the_brackets_that_headers_need() {
    refused("rfc4475/regbadct.dat", ParseErrorKind::Malformed("Contact"), 400);
}

#[test]
fn badaspec_has_spaces_inside_the_brackets() {
    let salvage = refused("rfc4475/badaspec.dat", ParseErrorKind::Malformed("To"), 400);
    assert_eq!(salvage.request.header.to.uri.to_string(), "sip:t.watson@example.org");
}

#[test]
fn baddn_has_no_empty_line() {
    refused("rfc4475/baddn.dat", ParseErrorKind::HeaderNotEnded, 400);
}

#[test]
fn baddn_has_a_comma_in_the_display_name() {
    let salvage = refused("rfc4475/baddn-terminated.dat", ParseErrorKind::Malformed("From"), 400);
    assert_eq!(salvage.request.header.from.to_string(), "<sip:a.g.bell@example.com>;tag=43");
}

#[test]
fn badvers_is_another_version() {
    refused("rfc4475/badvers.dat", ParseErrorKind::Version, 505);
}

#[test]
fn mismatch01_makes_no_invite() {
    let salvage = refused("rfc4475/mismatch01.dat", ParseErrorKind::CSeqMethod, 400);
    assert_eq!(salvage.request.method, Method::OPTIONS);
    assert_eq!(salvage.request.header.cseq.method, Method::INVITE);
}

#[test]
fn mismatch02_is_an_unknown_method() {
    refused("rfc4475/mismatch02.dat", ParseErrorKind::CSeqUnknownMethod, 501);
}

#[test]
fn bigcode_does_not_wrap() {
    dropped("rfc4475/bigcode.dat", ParseErrorKind::StatusCode);
}

#[test]
fn badbranch_is_for_the_transaction_layer() {
    assert_eq!(request("rfc4475/badbranch.dat").header.via[0].branch(), Some("z9hG4bK"));
}

#[test]
fn insuf_cannot_be_answered() {
    dropped("rfc4475/insuf.dat", ParseErrorKind::Missing("From"));
}

#[test]
fn unknown_schemes_are_for_the_user_of_the_parser() {
    for (name, scheme) in [("unkscm", "nobodyknowsthisscheme"), ("novelsc", "soap.beep")] {
        let request = request(&format!("rfc4475/{name}.dat"));
        match &request.uri {
            Uri::Other { scheme: found, .. } => assert_eq!(&**found, scheme),
            Uri::Sip(uri) => panic!("{uri}"),
        }
    }
}

#[test]
fn unksm2_has_unknown_schemes_in_its_addresses() {
    let request = request("rfc4475/unksm2.dat");
    assert_eq!(request.header.to.uri.to_string(), "isbn:2983792873");
    assert_eq!(request.header.from.uri.to_string(), "http://www.example.com");
    assert_eq!(contacts(&request)[0].uri.to_string(), "name:John_Smith");
}

#[test]
fn bext01_requires_what_nobody_knows() {
    let request = request("rfc4475/bext01.dat");
    let required = request.header.fields.tokens(&FieldName::REQUIRE);
    assert_eq!(required, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    assert_eq!(request.header.fields.tokens(&FieldName::PROXY_REQUIRE).len(), 2);
}

#[test]
fn invut_has_an_unknown_body_type() {
    let request = request("rfc4475/invut.dat");
    assert_eq!(request.header.fields.get(&FieldName::CONTENT_TYPE), Some("application/unknownformat"));
    assert!(!request.body.is_empty());
}

#[test]
fn regaut01_has_an_unknown_scheme() {
    let request = request("rfc4475/regaut01.dat");
    let params: AuthParams = request.header.fields.get(&FieldName::AUTHORIZATION).unwrap().parse().unwrap();
    assert!(params.is_scheme("nooneknowsthisscheme"));
    assert_eq!(params.value("opaque-data"), Some("here"));
}

#[test]
fn multi01_is_answered_with_the_first_of_each() {
    let salvage = refused("rfc4475/multi01.dat", ParseErrorKind::Repeated("CSeq"), 400);
    let header = &salvage.request.header;
    assert_eq!(header.cseq.number, 5);
    assert_eq!(&*header.call_id.0, "multi01.98asdh@192.0.2.1");
    assert_eq!(header.from.tag(), Some("3413415"));
    assert_eq!(header.to.uri.to_string(), "sip:user@example.com");
}

#[test]
fn mcl01_has_two_lengths() {
    refused("rfc4475/mcl01.dat", ParseErrorKind::Repeated("Content-Length"), 400);
}

#[test]
fn bcast_is_well_formed() {
    let response = response("rfc4475/bcast.dat");
    assert_eq!(response.header.via.len(), 2);
    assert_eq!(response.header.via[1].host.to_string(), "255.255.255.255");
}

#[test]
fn zeromf_is_zero_hops() {
    assert_eq!(request("rfc4475/zeromf.dat").header.max_forwards, Some(0));
}

#[test]
fn cparam01_is_a_parameter_of_the_field() {
    let request = request("rfc4475/cparam01.dat");
    let contact = &contacts(&request)[0];
    assert_eq!(contact.uri.to_string(), "sip:+19725552222@gw1.example.net");
    assert_eq!(contact.parameters.get("unknownparam"), Some(None));
}

#[test]
fn cparam02_is_a_parameter_of_the_uri() {
    let request = request("rfc4475/cparam02.dat");
    let contact = &contacts(&request)[0];
    assert_eq!(contact.uri.to_string(), "sip:+19725552222@gw1.example.net;unknownparam");
    assert!(contact.parameters.is_empty());
}

#[test]
fn regescrt_keeps_the_headers_of_its_contact() {
    let request = request("rfc4475/regescrt.dat");
    assert_eq!(contacts(&request)[0].uri.to_string(), "sip:user@example.com?Route=%3Csip:sip.example.com%3E");
    assert_eq!(request.header.fields.get(&FieldName::ROUTE), None);
}

#[test]
fn sdp01_accepts_no_sdp() {
    let request = request("rfc4475/sdp01.dat");
    assert_eq!(request.header.fields.tokens(&FieldName::ACCEPT), ["text/nobodyKnowsThis"]);
}

#[test]
fn inv2543_has_what_rfc_2543_asked_for() {
    let request = request("rfc4475/inv2543.dat");
    let header = &request.header;
    assert_eq!((header.max_forwards, header.from.tag(), header.via[0].branch()), (None, None, None));
    assert_eq!(header.to.parameters.value("user"), Some("phone"));
    assert!(request.body.starts_with(b"v=0\r\n"));
    assert!(octets("rfc4475/inv2543.dat").ends_with(&request.body));
}

#[test]
fn all_of_them_are_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture/rfc4475");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 50);
    let good = files
        .iter()
        .filter(|file| Message::parse(&octets(&format!("rfc4475/{}", file.to_string_lossy()))).is_ok());
    assert_eq!(good.count(), 28);
}
