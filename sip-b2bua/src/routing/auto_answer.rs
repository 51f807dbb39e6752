//! What makes a phone answer by itself: a header field that its maker documents. Most phones want a switch of their own
//! turned on as well; one that only rings is no error.

use sip_message::FieldName;

/// How a phone is asked to answer by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoAnswer {
    /// `Call-Info: <…>;answer-after=0`
    CallInfo,
    /// `Alert-Info: <…>;info=alert-autoanswer;delay=0`
    AlertInfo,
    /// `Answer-Mode: Auto` (RFC 5373 §4.3)
    AnswerMode,
    /// Each of them: a phone leaves alone what it does not know.
    All,
}

/// Phones by the beginning of their User-Agent, in lower case, with what they obey and where that is written.
const PHONES: [(&str, AutoAnswer, &str); 13] = [
    (
        "yealink",
        AutoAnswer::AlertInfo,
        "support.yealink.com, faq 546; administrator's guide, Auto Answer by SIP header",
    ),
    (
        "grandstream",
        AutoAnswer::CallInfo,
        "GXP administration guide, Allow Auto Answer by Call-Info/Alert-Info",
    ),
    ("polycom", AutoAnswer::AlertInfo, "UC Software administrator guide, voIpProt.SIP.alertInfo"),
    ("poly/", AutoAnswer::AlertInfo, "UC Software administrator guide, voIpProt.SIP.alertInfo"),
    ("snom", AutoAnswer::CallInfo, "service.snom.com, Intercom"),
    ("gigaset", AutoAnswer::CallInfo, "teamwork.gigaset.com, Auto answer"),
    ("cisco", AutoAnswer::CallInfo, "IP Phone 7800/8800 multiplatform administration guide, Paging"),
    ("linksys", AutoAnswer::CallInfo, "SPA administration guide, Auto Answer Page"),
    ("aastra", AutoAnswer::AlertInfo, "6700i administrator guide, Allow Auto Answer"),
    ("mitel", AutoAnswer::AlertInfo, "6800 administrator guide, Allow Auto Answer"),
    ("fanvil", AutoAnswer::CallInfo, "administrator guide, Enable Auto Answer by Call-Info"),
    ("linphone", AutoAnswer::CallInfo, "liblinphone, answer-after in Call-Info"),
    ("baresip", AutoAnswer::All, "baresip, sip_autoanswer and answermode"),
];

impl AutoAnswer {
    /// What a phone obeys that says this of itself.
    pub(super) fn of_user_agent(user_agent: Option<&str>) -> Self {
        let name = user_agent.unwrap_or_default().trim_start().to_ascii_lowercase();
        let known = PHONES.iter().find(|(beginning, ..)| name.starts_with(beginning));
        known.map_or(Self::All, |(_, obeys, _)| *obeys)
    }

    /// The fields, with a URI of `domain` where their grammar wants one (RFC 3261 §20.4, §20.9).
    pub(super) fn fields(self, domain: &str) -> Vec<(FieldName, Box<str>)> {
        let call_info = || (FieldName::CALL_INFO, format!("<sip:{domain}>;answer-after=0").into());
        let alert_info =
            || (FieldName::ALERT_INFO, format!("<http://{domain}>;info=alert-autoanswer;delay=0").into());
        let answer_mode = || (FieldName::from_static("Answer-Mode"), "Auto".into());
        match self {
            Self::CallInfo => vec![call_info()],
            Self::AlertInfo => vec![alert_info()],
            Self::AnswerMode => vec![answer_mode()],
            Self::All => vec![call_info(), alert_info(), answer_mode()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phone_gets_what_its_maker_documents_and_an_unknown_one_everything() {
        let asked = |user_agent: Option<&str>| {
            let fields = AutoAnswer::of_user_agent(user_agent).fields("pbx.example.com");
            let lines = fields.into_iter().map(|(name, value)| format!("{}: {value}", name.as_str()));
            lines.collect::<Vec<_>>()
        };
        let call_info = "Call-Info: <sip:pbx.example.com>;answer-after=0";
        let alert_info = "Alert-Info: <http://pbx.example.com>;info=alert-autoanswer;delay=0";
        let answer_mode = "Answer-Mode: Auto";
        for (user_agent, expected) in [
            (Some("Yealink SIP-T46S 66.84.0.15"), vec![alert_info]),
            (Some("Grandstream GXP2170 1.0.11.64"), vec![call_info]),
            (Some("PolycomVVX-VVX_411-UA/5.9.5"), vec![alert_info]),
            (Some("snomD785/10.1.64.14"), vec![call_info]),
            (Some("Gigaset N510 IP PRO"), vec![call_info]),
            (Some("Cisco/SPA504G-7.6.2"), vec![call_info]),
            (Some("Linphone Desktop/5.1.2"), vec![call_info]),
            (Some("baresip v1.0.0 (x86_64/linux)"), vec![call_info, alert_info, answer_mode]),
            (Some("Acme 1.0"), vec![call_info, alert_info, answer_mode]),
            (None, vec![call_info, alert_info, answer_mode]),
        ] {
            assert_eq!(asked(user_agent), expected, "{user_agent:?}");
        }
    }

    #[test]
    fn no_beginning_hides_another_one() {
        for (index, (beginning, ..)) in PHONES.iter().enumerate() {
            let before = &PHONES[..index];
            assert!(before.iter().all(|(other, ..)| !beginning.starts_with(other)), "{beginning}");
            assert_eq!(*beginning, beginning.to_ascii_lowercase());
        }
    }
}
