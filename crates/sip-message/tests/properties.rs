//! What is printed can be read, says the same, and is printed the same again.
use proptest::prelude::*;
use sip_message::{
    CallId, Contacts, FieldName, Host, Message, Method, NameAddr, Parameters, Request, Response, SipUri,
    StatusCode, Uri, Via,
};

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9.!%*_+`'~-]{1,20}"
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        "[a-z][a-z0-9]{0,10}(\\.[a-z][a-z0-9-]{0,10}){0,3}".prop_map(|name| Host::Name(name.into())),
        any::<std::net::Ipv4Addr>().prop_map(|address| Host::Address(address.into())),
        any::<std::net::Ipv6Addr>().prop_map(|address| Host::Address(address.into())),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    proptest::collection::vec((token(), proptest::option::of(any::<String>())), 0..5).prop_map(|list| {
        let mut parameters = Parameters::default();
        list.iter().for_each(|(name, value)| parameters.set(name, value.as_deref()));
        parameters
    })
}

fn uri_parameters() -> impl Strategy<Value = Parameters> {
    proptest::collection::vec(("[a-z]{1,8}", proptest::option::of("[A-Za-z0-9:/+$]{1,12}")), 0..4).prop_map(
        |list| {
            let mut parameters = Parameters::default();
            list.iter().for_each(|(name, value)| parameters.set(name, value.as_deref()));
            parameters
        },
    )
}

fn sip_uri() -> impl Strategy<Value = SipUri> {
    (proptest::option::of(any::<String>()), host(), any::<Option<u16>>(), uri_parameters(), any::<bool>())
        .prop_map(|(user, host, port, parameters, secure)| SipUri {
            parameters,
            secure,
            ..SipUri::new(user.as_deref(), host, port)
        })
}

fn name_addr() -> impl Strategy<Value = NameAddr> {
    (any::<String>(), sip_uri(), parameters()).prop_map(|(name, uri, parameters)| NameAddr {
        parameters,
        ..NameAddr::new(uri).with_display_name(&name)
    })
}

fn via() -> impl Strategy<Value = Via> {
    (token(), host(), any::<Option<u16>>(), parameters()).prop_map(|(transport, host, port, parameters)| {
        Via { transport: transport.into(), host, port, parameters }
    })
}

fn request() -> impl Strategy<Value = Request> {
    let header = (
        proptest::collection::vec(via(), 1..4),
        name_addr(),
        name_addr(),
        "[!-~]{1,30}",
        0..(1_u32 << 31),
        proptest::option::of(proptest::collection::vec(name_addr(), 1..3)),
        proptest::collection::vec(("X-[A-Za-z0-9]{1,10}", any::<String>()), 0..5),
    );
    (token(), sip_uri(), header, any::<Vec<u8>>()).prop_map(|(method, uri, header, body)| {
        let (via, from, to, id, number, contact, fields) = header;
        let method = Method::new(&method).expect("a token");
        let mut request = Request::new(method, uri, from, to, CallId(id.into()), number);
        request.header.via = via;
        request.header.contact = contact.map(Contacts::List);
        for (name, value) in fields {
            request.header.fields.push(FieldName::new(&name).expect("a token"), value);
        }
        request.body = body;
        request
    })
}

/// What becomes of text on its way: CR and LF cannot be written.
fn written(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn assert_same_parameters(a: &Parameters, b: &Parameters) {
    let a: Vec<_> = a.iter().map(|(name, value)| (name, value.map(written))).collect();
    let b: Vec<_> = b.iter().map(|(name, value)| (name, value.map(written))).collect();
    assert_eq!(a, b);
}

fn assert_same_address(a: &NameAddr, b: &NameAddr) {
    assert_eq!(a.display_name.as_deref().map(written), b.display_name.as_deref().map(written));
    assert!(a.uri.is_equivalent(&b.uri), "{} {}", a.uri, b.uri);
    assert_same_parameters(&a.parameters, &b.parameters);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_request_survives_printing(request in request()) {
        let printed = request.print();
        let Ok(Message::Request(read)) = Message::parse(&printed) else {
            panic!("{:?}: {}", Message::parse(&printed).map(|_| ()), String::from_utf8_lossy(&printed));
        };
        assert_eq!(read.method, request.method);
        assert_eq!(read.uri.to_string(), request.uri.to_string());
        assert_same_address(&read.header.from, &request.header.from);
        assert_same_address(&read.header.to, &request.header.to);
        assert_eq!(read.header.call_id, request.header.call_id);
        assert_eq!(read.header.cseq, request.header.cseq);
        assert_eq!(read.header.via.len(), request.header.via.len());
        for (a, b) in read.header.via.iter().zip(&request.header.via) {
            assert_eq!((&a.transport, &a.host, a.port), (&b.transport, &b.host, b.port));
            assert_same_parameters(&a.parameters, &b.parameters);
        }
        assert_eq!(read.header.fields.iter().collect::<Vec<_>>(), request.header.fields.iter().collect::<Vec<_>>());
        assert_eq!(&read.body, &request.body);
        assert_eq!(read.print(), printed);
    }

    #[test]
    fn a_response_survives_printing(request in request(), code in 100_u16..700, reason in any::<String>()) {
        let status = StatusCode::new(code).expect("in range");
        let response = Response { reason: reason.into(), ..request.response(status) };
        let printed = response.print();
        let Ok(Message::Response(read)) = Message::parse(&printed) else {
            panic!("{}", String::from_utf8_lossy(&printed));
        };
        assert_eq!(read.status, status);
        assert_eq!(read.print(), printed);
    }

    #[test]
    fn users_come_back_as_they_went_in(user in any::<String>().prop_filter("some", |user| !user.is_empty())) {
        let uri = SipUri::new(Some(&user), Host::Name("h".into()), None);
        let read = Uri::parse(uri.to_string().as_bytes()).expect("a URI");
        let decoded = read.as_sip().and_then(SipUri::decoded_user);
        assert_eq!(decoded, Some(user).filter(|user| !user.chars().any(char::is_control)));
    }

    #[test]
    fn equivalence_is_reflexive_and_symmetric(a in sip_uri(), b in sip_uri()) {
        let (a, b) = (Uri::from(a), Uri::from(b));
        assert!(a.is_equivalent(&a));
        assert_eq!(a.is_equivalent(&b), b.is_equivalent(&a));
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in any::<Vec<u8>>()) {
        let _ = Message::parse(&octets);
        let _ = Uri::parse(&octets);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Ok(address) = text.parse::<NameAddr>() {
            let printed = address.to_string();
            assert_eq!(printed.parse::<NameAddr>().expect("printed").to_string(), printed);
        }
        if let Ok(params) = text.parse::<sip_message::AuthParams>() {
            let printed = params.to_string();
            assert_eq!(printed.parse::<sip_message::AuthParams>().expect("printed").to_string(), printed);
        }
        let _ = text.parse::<sip_message::Reason>();
        assert!(sip_message::split_commas(&text).count() <= text.len() + 1);
    }
}
