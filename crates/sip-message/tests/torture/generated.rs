//! A hundred generated datagrams, twenty kinds of five. What is well formed here may still be refused by those who
//! know more than the grammar: registrars, dialogs, readers of bodies and credentials.
use super::{accepted, dropped, refused};
use sip_message::ParseErrorKind;

macro_rules! accepted {
    ($($name:ident $file:literal)*) => {$(
        #[test]
        fn $name() {
            accepted(concat!("generated/", $file, ".sip"));
        }
    )*};
}

macro_rules! refused {
    ($($name:ident $file:literal $kind:expr => $status:literal)*) => {$(
        #[test]
        fn $name() {
            refused(concat!("generated/", $file, ".sip"), $kind, $status);
        }
    )*};
}

macro_rules! dropped {
    ($($name:ident $file:literal $kind:expr;)*) => {$(
        #[test]
        fn $name() {
            dropped(concat!("generated/", $file, ".sip"), $kind);
        }
    )*};
}

accepted! {
    auth_empty_response "auth-empty-response"
    auth_long_nonce "auth-long-nonce"
    auth_many "auth-many"
    auth_no_params "auth-no-params"
    auth_open_quote "auth-open-quote"
    body_gzip "body-gzip"
    body_handling "body-handling"
    body_no_boundary "body-no-boundary"
    body_no_type "body-no-type"
    body_type_long "body-type-long"
    escape_contact "escape-contact"
    escape_ruri "escape-ruri"
    escape_to "escape-to"
    expires_2p32 "expires-2p32"
    expires_negative "expires-negative"
    expires_one_second "expires-one-second"
    expires_param_huge "expires-param-huge"
    expires_word "expires-word"
    length_short "length-short"
    reply_200 "reply-200"
    reply_302 "reply-302"
    reply_401 "reply-401"
    reply_two_vias "reply-two-vias"
    require_cancel "require-cancel"
    require_invite "require-invite"
    require_many "require-many"
    require_proxy "require-proxy"
    require_register "require-register"
    star_expires600 "star-expires600"
    star_no_expires "star-no-expires"
    start_lower "start-lower"
    stray_ack "stray-ack"
    stray_bye "stray-bye"
    stray_cancel "stray-cancel"
    stray_prack "stray-prack"
    stray_reinvite "stray-reinvite"
    utf8_cut "utf8-cut"
    utf8_ff_name "utf8-ff-name"
    utf8_overlong_nul "utf8-overlong-nul"
    utf8_surrogate "utf8-surrogate"
    via_maddr_broadcast "via-maddr-broadcast"
    via_received_spoof "via-received-spoof"
}

refused! {
    big_contacts "big-contacts" ParseErrorKind::TooManyFields => 513
    big_folds "big-folds" ParseErrorKind::FieldTooLarge => 513
    big_headers "big-headers" ParseErrorKind::TooManyFields => 513
    big_value "big-value" ParseErrorKind::HeaderTooLarge => 513
    control_cr_from "control-cr-from" ParseErrorKind::ControlCharacter => 400
    control_esc_agent "control-esc-agent" ParseErrorKind::ControlCharacter => 400
    control_nul_ruri "control-nul-ruri" ParseErrorKind::RequestUri => 400
    control_nul_to "control-nul-to" ParseErrorKind::ControlCharacter => 400
    cseq_2p31 "cseq-2p31" ParseErrorKind::Malformed("CSeq") => 400
    cseq_negative "cseq-negative" ParseErrorKind::Malformed("CSeq") => 400
    cseq_no_method "cseq-no-method" ParseErrorKind::Malformed("CSeq") => 400
    cseq_other_method "cseq-other-method" ParseErrorKind::CSeqMethod => 400
    cseq_wrap64 "cseq-wrap64" ParseErrorKind::Malformed("CSeq") => 400
    escape_headers "escape-headers" ParseErrorKind::RequestUri => 400
    escape_quoted_pair "escape-quoted-pair" ParseErrorKind::Malformed("From") => 400
    hops_256 "hops-256" ParseErrorKind::Malformed("Max-Forwards") => 400
    hops_empty "hops-empty" ParseErrorKind::Malformed("Max-Forwards") => 400
    hops_huge "hops-huge" ParseErrorKind::Malformed("Max-Forwards") => 400
    hops_negative "hops-negative" ParseErrorKind::Malformed("Max-Forwards") => 400
    hops_word "hops-word" ParseErrorKind::Malformed("Max-Forwards") => 400
    length_one_more "length-one-more" ParseErrorKind::BodyTooShort => 400
    length_word "length-word" ParseErrorKind::Malformed("Content-Length") => 400
    length_wrap32 "length-wrap32" ParseErrorKind::BodyTooShort => 400
    length_wrap64 "length-wrap64" ParseErrorKind::BodyTooShort => 400
    ruri_no_host "ruri-no-host" ParseErrorKind::RequestUri => 400
    ruri_open_bracket "ruri-open-bracket" ParseErrorKind::RequestUri => 400
    ruri_port_huge "ruri-port-huge" ParseErrorKind::RequestUri => 400
    ruri_port_neg "ruri-port-neg" ParseErrorKind::RequestUri => 400
    ruri_port65536 "ruri-port65536" ParseErrorKind::RequestUri => 400
    star_and_other "star-and-other" ParseErrorKind::Malformed("Contact") => 400
    star_invite "star-invite" ParseErrorKind::Malformed("Contact") => 400
    star_params "star-params" ParseErrorKind::Malformed("Contact") => 400
    start_http "start-http" ParseErrorKind::StartLine => 400
    start_none "start-none" ParseErrorKind::StartLine => 400
    start_v1 "start-v1" ParseErrorKind::Version => 505
    start_v22 "start-v22" ParseErrorKind::Version => 505
    twice_call_id "twice-call-id" ParseErrorKind::Repeated("Call-ID") => 400
    twice_content_type "twice-content-type" ParseErrorKind::Repeated("Content-Type") => 400
    twice_cseq "twice-cseq" ParseErrorKind::Repeated("CSeq") => 400
    twice_from "twice-from" ParseErrorKind::Repeated("From") => 400
    twice_to "twice-to" ParseErrorKind::Repeated("To") => 400
    utf8_overlong_slash "utf8-overlong-slash" ParseErrorKind::RequestUri => 400
    via_v3 "via-v3" ParseErrorKind::Malformed("Via") => 400
}

dropped! {
    big_vias "big-vias" ParseErrorKind::TooManyFields;
    control_nul_call_id "control-nul-call-id" ParseErrorKind::ControlCharacter;
    missing_call_id "missing-call-id" ParseErrorKind::Missing("Call-ID");
    missing_cseq "missing-cseq" ParseErrorKind::Missing("CSeq");
    missing_from "missing-from" ParseErrorKind::Missing("From");
    missing_to "missing-to" ParseErrorKind::Missing("To");
    missing_via "missing-via" ParseErrorKind::Missing("Via");
    reply_2x0 "reply-2x0" ParseErrorKind::StatusCode;
    tiny_crlf "tiny-crlf" ParseErrorKind::Empty;
    tiny_crlf700 "tiny-crlf700" ParseErrorKind::Empty;
    tiny_empty "tiny-empty" ParseErrorKind::Empty;
    tiny_line_only "tiny-line-only" ParseErrorKind::StartLine;
    tiny_nuls "tiny-nuls" ParseErrorKind::StartLine;
    via_no_sent_by "via-no-sent-by" ParseErrorKind::Malformed("Via");
    via_port "via-port" ParseErrorKind::Malformed("Via");
}

#[test]
fn what_is_cut_off_or_made_up_is_not_read() {
    let message = accepted("generated/length-short.sip");
    let body = match message {
        sip_message::Message::Request(request) => request.body,
        sip_message::Message::Response(_) => panic!("a response"),
    };
    assert!(!body.windows(10).any(|window| window == b"a=inactive"));
}

#[test]
fn nothing_makes_a_line_of_its_own() {
    for name in ["escape-ruri", "escape-to", "escape-contact"] {
        let printed = super::print(&accepted(&format!("generated/{name}.sip")));
        assert!(!String::from_utf8_lossy(&printed).lines().any(|line| line.starts_with("X-Evil")), "{name}");
    }
    for name in ["escape-quoted-pair", "control-cr-from", "escape-headers"] {
        let octets = super::octets(&format!("generated/{name}.sip"));
        let salvage = sip_message::Message::parse(&octets).expect_err(name).salvage.expect(name);
        let answer = salvage.response().print();
        assert!(!String::from_utf8_lossy(&answer).lines().any(|line| line.starts_with("X-Evil")), "{name}");
    }
}

#[test]
fn what_is_not_utf_8_goes_out_as_utf_8() {
    for name in ["utf8-cut", "utf8-ff-name", "utf8-overlong-nul", "utf8-surrogate"] {
        let printed = super::print(&accepted(&format!("generated/{name}.sip")));
        assert!(String::from_utf8(printed).is_ok(), "{name}");
    }
}
