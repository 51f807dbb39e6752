//! What a phone says of itself when it calls: what others here see of it, and what carriers are told, now and after a
//! transfer.

use super::carrier::numbered;
use sip_message::{FieldName, Method, Request};
use testbed::SipText;
use testbed::simulation::{PhoneId, RawScript, World, Zone, seconds};

const PAI: FieldName = FieldName::P_ASSERTED_IDENTITY;

/// 1001 calls, and 1002 and 1003 have phones; a carrier takes what is called outside.
struct Calls {
    world: World,
    caller: PhoneId,
    called: PhoneId,
    third: PhoneId,
    carrier: PhoneId,
}

impl Calls {
    fn new(trusted: bool) -> Self {
        let trunk = sip_b2bua::TrunkSettings { trusted, ..numbered(1, "sip:192.0.2.1") };
        let mut world = World::with_trunks(19, vec![trunk], Zone::default());
        let [caller, called, third] = [("1001", 700.0), ("1002", 900.0), ("1003", 1100.0)]
            .map(|(user, hertz)| world.phone_by_hand(user, hertz));
        let carrier = world.gateway("192.0.2.1:5060", RawScript::answers_after(0.2));
        world.register_all();
        Self { world, caller, called, third, carrier }
    }

    /// 1001 calls, and is challenged first.
    fn call(&mut self, number: &str, lines: &str) {
        self.call_uri(&format!("sip:{number}@10.0.0.1"), lines);
    }

    fn call_uri(&mut self, uri: &str, lines: &str) {
        let lines = format!("From: <sip:1001@pbx.test>;tag=one\r\nTo: <{uri}>\r\n{lines}");
        self.world.play(self.caller, |phone, now| phone.call(uri, &lines, now));
        self.world.run_for(seconds(0.5));
        let proof = self.world.by_hand(self.caller).proof(uri, "1001", "secret-of-1001");
        self.world.play(self.caller, |phone, now| phone.call(uri, &format!("{lines}{proof}"), now));
        self.world.run_for(seconds(4.0));
    }

    fn seen_by(&self, phone: PhoneId) -> &SipText {
        self.world
            .by_hand(phone)
            .requests("INVITE")
            .first()
            .copied()
            .unwrap_or_else(|| panic!("{}", self.world.story()))
    }

    fn told_outside(&self) -> &Request {
        self.world
            .raw(self.carrier)
            .received(&Method::INVITE)
            .first()
            .copied()
            .unwrap_or_else(|| panic!("{}", self.world.story()))
    }
}

#[test]
fn an_extension_is_seen_as_itself_whatever_it_says() {
    for lines in [
        "P-Preferred-Identity: <sip:+18005551234@pbx.test>\r\n",
        "P-Preferred-Identity: <sip:+918065978021@pbx.test>\r\n",
        "P-Asserted-Identity: <sip:+18005551234@pbx.test>\r\n",
        "Remote-Party-ID: \"Bank\" <sip:+18005551234@pbx.test>;party=calling;screen=yes\r\n",
        "Diversion: <sip:+18005551234@pbx.test>;reason=no-answer\r\n",
    ] {
        let mut calls = Calls::new(false);
        calls.call("1002", lines);
        let invite = calls.seen_by(calls.called);
        assert!(invite.field("From").unwrap().contains("sip:1001@"), "{lines}{invite:?}");
        assert!(!format!("{invite:?}").contains("8005551234"), "{lines}{invite:?}");
    }
}

#[test]
fn a_number_is_dialled_at_us_or_at_a_trunk_and_nowhere_else() {
    for (uri, is_dialled) in [
        ("sip:+919944421125@10.0.0.1", true),
        ("sip:+919944421125@192.0.2.1", true),
        ("tel:+919944421125", true),
        ("sip:+919944421125@192.0.2.9", false),
    ] {
        let mut calls = Calls::new(false);
        calls.call_uri(uri, "");
        let invites = calls.world.raw(calls.carrier).received(&Method::INVITE).len();
        assert_eq!(invites > 0, is_dialled, "{uri}\n{}", calls.world.story());
    }
}

#[test]
fn outside_a_number_of_the_trunk_may_be_preferred_and_no_other() {
    for (preferred, shown) in [
        ("<sip:+918065978021@pbx.test>", "+918065978021"),
        ("\"X\" <tel:+91-80-6597-8021>", "+918065978021"),
        ("<sip:08065978021@pbx.test>", "+918065978021"),
        ("<sip:+18005551234@pbx.test>", "+918065978015"),
        ("<sip:1001@pbx.test>", "+918065978015"),
        ("nonsense", "+918065978015"),
    ] {
        for (privacy, trusted) in [("", false), ("Privacy: id\r\n", true)] {
            let mut calls = Calls::new(trusted);
            calls.call("9944421125", &format!("P-Preferred-Identity: {preferred}\r\n{privacy}"));
            let header = &calls.told_outside().header;
            let asserted = header.fields.get(&PAI).unwrap();
            assert!(asserted.contains(shown), "{preferred}: {asserted}");
            assert_eq!(
                header.from.uri.to_string().contains(shown),
                privacy.is_empty(),
                "{preferred} {privacy}"
            );
        }
    }
}

#[test]
fn whoever_wants_to_be_shown_to_nobody_is_not_shown_after_a_transfer_either() {
    for lines in ["Privacy: id\r\n", "Privacy: user;id\r\n", "Privacy: header\r\n"] {
        for target in ["1003", "9944421125"] {
            let mut calls = Calls::new(false);
            calls.call("1002", lines);
            assert!(
                calls.seen_by(calls.called).field("From").unwrap().contains("anonymous.invalid"),
                "{lines}"
            );
            let refer = format!("Refer-To: <sip:{target}@10.0.0.1>\r\n");
            calls.world.play(calls.called, |phone, _| phone.ask("REFER", &refer, ("", "")));
            calls.world.run_for(seconds(3.0));
            if target == "1003" {
                let invite = calls.seen_by(calls.third);
                assert!(invite.field("From").unwrap().contains("anonymous.invalid"), "{invite:?}");
                assert!(!format!("{invite:?}").contains("1001"), "{invite:?}");
            } else {
                let header = &calls.told_outside().header;
                assert!(header.from.uri.to_string().contains("anonymous.invalid"), "{lines}");
                assert_eq!(
                    (header.fields.get(&FieldName::PRIVACY), header.fields.get(&PAI)),
                    (Some("id"), None)
                );
            }
        }
    }
}

#[test]
fn what_the_api_wanted_to_be_shown_is_shown_after_a_transfer_too() {
    use call_control::{CallerId, Number, Party, Transfer, Wish};
    for (caller_id, key, shown) in [
        ("anonymous", None, "anonymous.invalid"),
        ("+918065978021", None, "+918065978021"),
        ("+918065978021", Some("+918065978022"), "+918065978022"),
    ] {
        let mut calls = Calls::new(false);
        let mut request = World::request("1001", "1002");
        request.caller_id = Some(CallerId::new(caller_id).unwrap());
        let id = calls.world.click_to_call(request).unwrap();
        calls.world.run_for(seconds(4.0));
        let caller_ids = key.map(|key| Number::new(key).unwrap()).into_iter().collect();
        let to = Number::new("9944421125").unwrap();
        let wish = Wish::Transfer(Transfer { party: Party::From, to, to_type: None, caller_ids });
        assert_eq!(calls.world.wish(id, wish), Ok(()));
        calls.world.run_for(seconds(2.0));
        let from = calls.told_outside().header.from.uri.to_string();
        assert!(from.contains(shown), "{caller_id} {key:?}: {from}");
        calls.world.hang_up(id);
        calls.world.run_until_ended(id);
    }
}
