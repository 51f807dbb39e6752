//! Calls that were led on from one number to another before they are rung: by whom, and why. Carriers say so in Diversion
//! (RFC 5806) or in History-Info (RFC 7044); we keep what they say, add what we do, and say all of it in Diversion.

use super::{dialled_number, is_anonymous};
use call_control::Number;
use numbering::NumberingPlan;
use sip_message::{FieldName, Header, NameAddr, Uri};

/// A number whose call was led on to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion {
    /// Which number; in E.164, or an extension of ours.
    pub number: Number,
    /// It is ours; of others their carriers know.
    pub is_ours: bool,
    /// Why.
    pub reason: DiversionReason,
}

/// Why a call was led on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiversionReason {
    /// Nobody knows.
    Unknown,
    /// It was busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// No phone of it could be reached.
    Unavailable,
    /// All of its calls are led on.
    Unconditional,
    /// At this time of the day.
    TimeOfDay,
    /// It does not want to be disturbed.
    DoNotDisturb,
    /// A person or a phone led this one on.
    Deflection,
    /// It is followed to where it is.
    FollowMe,
    /// It is out of service.
    OutOfService,
    /// Its user is away.
    Away,
}

/// As RFC 5806 writes them.
const WORDS: [(DiversionReason, &str); 11] = [
    (DiversionReason::Unknown, "unknown"),
    (DiversionReason::Busy, "user-busy"),
    (DiversionReason::NoAnswer, "no-answer"),
    (DiversionReason::Unavailable, "unavailable"),
    (DiversionReason::Unconditional, "unconditional"),
    (DiversionReason::TimeOfDay, "time-of-day"),
    (DiversionReason::DoNotDisturb, "do-not-disturb"),
    (DiversionReason::Deflection, "deflection"),
    (DiversionReason::FollowMe, "follow-me"),
    (DiversionReason::OutOfService, "out-of-service"),
    (DiversionReason::Away, "away"),
];

/// Of longer ways the last steps are kept.
const STEPS_MAX: usize = 10;
/// Entries of a History-Info that are looked at.
const HISTORY_MAX: usize = 32;

impl DiversionReason {
    fn of_word(word: &str) -> Self {
        let known = WORDS.iter().find(|(_, known)| known.eq_ignore_ascii_case(word));
        known.map_or(Self::Unknown, |(reason, _)| *reason)
    }

    pub(super) fn word(self) -> &'static str {
        WORDS.iter().find(|(reason, _)| *reason == self).map_or("unknown", |(_, word)| word)
    }

    /// What a status says of why somebody else is rung.
    const fn of_status(status: u16) -> Self {
        match status {
            301 | 302 => Self::Unconditional,
            408 => Self::NoAnswer,
            486 | 600 => Self::Busy,
            487 | 603 => Self::Deflection,
            404 | 410 | 480 | 503 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// A call was led on once more. The last step comes first.
pub(crate) fn add(diversions: &mut Vec<Diversion>, step: Diversion) {
    diversions.insert(0, step);
    diversions.truncate(STEPS_MAX);
}

/// What a carrier says of how its call came to us, the last step first. Nothing where the caller, or whoever led it on,
/// wants to be shown to nobody.
pub(crate) fn diversions_of(header: &Header, plan: &NumberingPlan) -> Vec<Diversion> {
    if is_anonymous(header) {
        return Vec::new();
    }
    let fields = &header.fields;
    if fields.get(&FieldName::DIVERSION).is_none() {
        return history_of(header, plan);
    }
    let steps = fields.addresses(&FieldName::DIVERSION).unwrap_or_default();
    let shown = steps.iter().filter(|step| !wants_privacy(step));
    let steps = shown.filter_map(|step| {
        let reason = DiversionReason::of_word(step.parameters.value("reason").unwrap_or_default());
        told(&step.uri, reason, plan)
    });
    steps.take(STEPS_MAX).collect()
}

fn wants_privacy(step: &NameAddr) -> bool {
    step.parameters.value("privacy").is_some_and(|privacy| !privacy.eq_ignore_ascii_case("off"))
}

fn told(uri: &Uri, reason: DiversionReason, plan: &NumberingPlan) -> Option<Diversion> {
    let number = dialled_number(uri, |_| true)?;
    let number = plan.international_of_caller(&number).unwrap_or(number);
    Some(Diversion { number, is_ours: false, reason })
}

/// RFC 7044 §5: an entry was left when a response came to it, which it names in Reason, or when another one says that it
/// was mapped from it (`mp`). Which of them are private is said of all of them or of each (§10.1.1).
fn history_of(header: &Header, plan: &NumberingPlan) -> Vec<Diversion> {
    let privacy = header.fields.get_all(&FieldName::PRIVACY).flat_map(|value| value.split([';', ',']));
    if privacy.into_iter().any(|word| word.trim().eq_ignore_ascii_case("history")) {
        return Vec::new();
    }
    let entries = header.fields.addresses(&FieldName::HISTORY_INFO).unwrap_or_default();
    let entries: Vec<_> = entries.iter().take(HISTORY_MAX).collect();
    let steps = entries.iter().rev().filter_map(|entry| {
        let own = header_of(&entry.uri, "reason");
        let index = entry.parameters.value("index");
        let mapped = entries.iter().find(|other| index.is_some() && other.parameters.value("mp") == index);
        let is_private = header_of(&entry.uri, "privacy").is_some_and(|value| value.contains("history"));
        if is_private || (own.is_none() && mapped.is_none()) {
            return None;
        }
        // The target that followed may say why it was rung (RFC 4458).
        let next = mapped.and_then(|next| next.uri.as_sip()?.parameters.value("cause")?.parse().ok());
        let status = next.or_else(|| own.as_deref().and_then(status_in));
        told(&entry.uri, status.map_or(DiversionReason::Unknown, DiversionReason::of_status), plan)
    });
    steps.take(STEPS_MAX).collect()
}

/// The value of a header field in a URI (RFC 3261 §19.1.1), in lower case, as far as it matters here without escapes.
fn header_of(uri: &Uri, name: &str) -> Option<String> {
    let headers = uri.as_sip()?.headers.as_deref()?;
    let found = headers.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = found.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.to_ascii_lowercase().replace("%3b", ";").replace("%3d", "=").replace("%20", " "))
}

/// The status in a Reason of SIP (RFC 3326 §2).
fn status_in(reason: &str) -> Option<u16> {
    let mut parts = reason.split(';').map(str::trim);
    parts.next().filter(|protocol| *protocol == "sip")?;
    parts.find_map(|part| part.strip_prefix("cause=")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_message::{CallId, Method, Request, SipUri};

    fn read(fields: &[(FieldName, &str)]) -> Vec<(String, &'static str)> {
        let from = NameAddr::new("sip:+442079460000@c".parse::<Uri>().unwrap());
        let uri = SipUri::at(None, "192.0.2.1:5060".parse().unwrap());
        let mut request = Request::new(Method::INVITE, uri, from.clone(), from, CallId("c".into()), 1);
        for (name, value) in fields {
            request.header.fields.push(name.clone(), value);
        }
        let steps = diversions_of(&request.header, &NumberingPlan::of("91").unwrap());
        steps.iter().map(|step| (step.number.as_str().to_owned(), step.reason.word())).collect()
    }

    fn step(number: &str, reason: &'static str) -> (String, &'static str) {
        (number.to_owned(), reason)
    }

    #[test]
    fn what_a_carrier_says_of_the_way_is_read_the_last_step_first() {
        let one = "\"B\" <sip:+442079460001@c;user=phone>;reason=user-busy;counter=1;privacy=off";
        let two = "<tel:+442079460002>;reason=\"No-Answer\"";
        let both = [step("+442079460001", "user-busy"), step("+442079460002", "no-answer")];
        assert_eq!(read(&[(FieldName::DIVERSION, &format!("{one}, {two}"))]), both);
        assert_eq!(read(&[(FieldName::DIVERSION, one), (FieldName::DIVERSION, two)]), both);
        for (value, steps) in [
            ("<sip:+442079460001@c>", vec![step("+442079460001", "unknown")]),
            ("<sip:+442079460001@c>;reason=whim", vec![step("+442079460001", "unknown")]),
            ("<sip:+442079460001@c>;privacy=full", vec![]),
            ("<sip:+442079460001@c>;privacy=URI", vec![]),
            ("<sip:anonymous@anonymous.invalid>", vec![]),
            ("<mailto:x@c>", vec![]),
            ("<sip:+4420", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(read(&[(FieldName::DIVERSION, value)]), steps, "{value}");
        }
        let many = vec![one; 30].join(",");
        assert_eq!(read(&[(FieldName::DIVERSION, &many)]).len(), STEPS_MAX);
    }

    #[test]
    fn a_history_says_who_was_left_and_why() {
        let read = |value: &str| read(&[(FieldName::HISTORY_INFO, value)]);
        assert_eq!(
            read(
                "<sip:+442079460001@c?Reason=SIP%3Bcause%3D302>;index=1,\
                 <sip:+442079460002@c?Reason=SIP%3bcause%3d486%3Btext%3D%22x%22>;index=1.1;mp=1,\
                 <sip:+918065978015@us>;index=1.2;mp=1.1"
            ),
            [step("+442079460002", "user-busy"), step("+442079460001", "unconditional")]
        );
        let mapped = "<sip:+442079460001@c>;index=1,<sip:+918065978015@us;cause=408>;index=1.1;mp=1";
        assert_eq!(read(mapped), [step("+442079460001", "no-answer")]);
        for nothing in [
            "<sip:+918065978015@us>;index=1",
            "<sip:+442079460001@c?Privacy=history&Reason=SIP%3Bcause%3D302>;index=1,<sip:x@us>;index=2;mp=1",
            "<sip:+918065978015@us>;index=1,<sip:+918065978015@10.0.0.1>;index=1.1;rc=1",
            "<sip:+442079460001",
        ] {
            assert_eq!(read(nothing), [], "{nothing}");
        }
        let many: Vec<String> =
            (1..200).map(|n| format!("<sip:+4420794600{n}@c?Reason=SIP%3Bcause%3D302>;index={n}")).collect();
        assert!(read(&many.join(",")).len() <= STEPS_MAX);
    }

    #[test]
    fn whoever_wants_privacy_has_it() {
        let diversion = (FieldName::DIVERSION, "<sip:+442079460001@c>;reason=user-busy");
        let history = (FieldName::HISTORY_INFO, "<sip:+442079460001@c?Reason=SIP%3Bcause%3D302>;index=1");
        assert_eq!(read(&[diversion.clone(), (FieldName::PRIVACY, "id")]), []);
        assert_eq!(read(&[history.clone(), (FieldName::PRIVACY, "History")]), []);
        assert_eq!(read(&[history, (FieldName::PRIVACY, "none")]).len(), 1);
        // What both say is taken from the one that says it better.
        let hidden = (FieldName::DIVERSION, "<sip:+442079460001@c>;privacy=full");
        let history = (FieldName::HISTORY_INFO, "<sip:+442079460001@c?Reason=SIP%3Bcause%3D302>;index=1");
        assert_eq!(read(&[hidden, history]), []);
    }
}
