//! Legs that outlive the process: what is needed to end them is kept while they last, and when the server comes back
//! after a crash, phones that still ring get a CANCEL and phones that still talk a BYE.

use super::*;
use crate::stored_flow;
use call_store::{StoredBinding, StoredInvite};
use sip_core::{GoneCause, SavedInvite, Transport};
use sip_message::{Message, Reason};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is kept on disk of INVITEs.
#[derive(Default)]
pub(super) struct Saved {
    /// By what is kept: the same is not written twice.
    running: BTreeMap<InviteId, (Box<str>, u64)>,
    /// Of the last process, being ended now.
    ending: BTreeMap<InviteId, LeftBehind>,
    /// Of the last process; the phone did not hear its end, and has not come back yet.
    waiting: Vec<LeftBehind>,
}

#[derive(Debug, Clone)]
struct LeftBehind {
    /// The user part of the phone's address-of-record.
    user: Box<str>,
    sip_call_id: Box<str>,
    saved: SavedInvite,
    /// It has registered along this way in the meantime.
    returned_along: Option<Flow>,
    /// Whoever has not heard of it by then has ended it for himself.
    until: Instant,
}

/// How long a phone is told again whenever it comes back; phones register every hour at least.
const COMES_BACK: Duration = Duration::from_hours(1);

impl Switchboard {
    /// The registrations that the last process kept.
    pub fn restore_bindings(&mut self, bindings: Vec<StoredBinding>, moment: Moment) {
        self.registrar.restore(bindings, moment.now, moment.unix_milliseconds);
    }

    /// Ends what the last process left behind when it died.
    pub fn end_left_behind(&mut self, invites: Vec<StoredInvite>, moment: Moment) {
        for invite in invites {
            match LeftBehind::read(&invite, moment.now + COMES_BACK) {
                Some(left) => self.end_left(left.at_its_contact(), moment),
                None => self.outputs.push_back(Output::ForgetInvite(invite.sip_call_id)),
            }
        }
        self.drain_endpoint(moment);
    }

    /// A phone has registered along `flow`: what it did not hear, when its connection was gone or its NAT had forgotten us,
    /// it is told now.
    pub(super) fn tell_returned(&mut self, user: &str, flow: Flow, moment: Moment) {
        for left in self.saved.ending.values_mut().filter(|left| left.is_of(user, flow)) {
            left.returned_along = Some(flow);
        }
        let (told, waiting) = std::mem::take(&mut self.saved.waiting)
            .into_iter()
            .partition(|left| left.is_of(user, flow) || left.until <= moment.now);
        self.saved.waiting = waiting;
        for left in told {
            self.end_left(left.along(flow), moment);
        }
    }

    /// Keeps what an INVITE is ended with, as the event has left it.
    pub(super) fn save(&mut self, invite: InviteId, event: &InviteEvent, moment: Moment) {
        match event {
            InviteEvent::Answered { .. } => self.save_answered(invite, moment),
            InviteEvent::Progress { .. }
            | InviteEvent::Offered { .. }
            | InviteEvent::Reanswered { .. }
            | InviteEvent::Requested { .. } => {
                self.save_again(invite, None);
            }
            InviteEvent::Gone(gone) => self.forget_saved(invite, gone.cause, moment),
            // Nobody rings.
            InviteEvent::Sent { .. }
            | InviteEvent::Trying
            | InviteEvent::Confirmed { .. }
            | InviteEvent::ReofferRefused { .. } => {}
        }
    }

    /// The record of this INVITE is on disk: now its answer is acknowledged. A phone that was told so before could be left
    /// in a call that nobody knows of.
    pub fn handle_invite_kept(&mut self, invite: InviteId, moment: Moment) {
        self.command(sip_core::Command::Acknowledge { invite }, moment);
        self.drain_endpoint(moment);
    }

    fn save_answered(&mut self, invite: InviteId, moment: Moment) {
        if !self.save_again(invite, Some(invite)) {
            self.command(sip_core::Command::Acknowledge { invite }, moment);
        }
    }

    /// `false` when there is nothing to write.
    fn save_again(&mut self, invite: InviteId, waiting: Option<InviteId>) -> bool {
        let (Some(place), Some(saved)) = (self.invites.get(&invite), self.endpoint.saved(invite)) else {
            return false;
        };
        let mut hasher = DefaultHasher::new();
        saved.hash(&mut hasher);
        let hash = hasher.finish();
        if self.saved.running.get(&invite).is_some_and(|(_, kept)| *kept == hash) {
            return false;
        }
        let sip_call_id = saved.call_id.0.clone();
        self.saved.running.insert(invite, (sip_call_id.clone(), hash));
        let [transport, local, remote] = stored_flow::words(saved.flow);
        let (call_id, request) = (place.call, saved.request);
        let stored = StoredInvite { sip_call_id, call_id, transport, local, remote, request };
        self.outputs.push_back(Output::KeepInvite { invite: stored, waiting });
        true
    }

    fn forget_saved(&mut self, invite: InviteId, cause: GoneCause, moment: Moment) {
        let untold = matches!(cause, GoneCause::TimedOut | GoneCause::Unreachable);
        let running = self.saved.running.remove(&invite).map(|(sip_call_id, _)| sip_call_id);
        let ended = match self.saved.ending.remove(&invite) {
            Some(left) if untold => {
                match left.returned_along {
                    Some(flow) => self.end_left(left.along(flow), moment),
                    None => self.saved.waiting.push(left),
                }
                None
            }
            ended => ended.map(|left| left.sip_call_id),
        };
        self.outputs.extend(running.or(ended).map(Output::ForgetInvite));
    }

    fn end_left(&mut self, left: LeftBehind, moment: Moment) {
        let reason = Reason {
            protocol: "Q.850".into(),
            cause: Some(41), // Temporary failure.
            text: Some("The server was restarted".into()),
        };
        let in_time = Some(&left.saved).filter(|_| moment.now < left.until);
        match in_time.cloned() {
            Some(saved) => {
                let invite = self.next_invite();
                self.command(sip_core::Command::EndSaved { invite, saved, reason: Some(reason) }, moment);
                self.saved.ending.insert(invite, left);
            }
            None => self.outputs.push_back(Output::ForgetInvite(left.sip_call_id)),
        }
    }
}

impl LeftBehind {
    fn read(stored: &StoredInvite, until: Instant) -> Option<Self> {
        let flow = stored_flow::read(&stored.transport, &stored.local, &stored.remote)?;
        let Ok(Message::Request(request)) = Message::parse(&stored.request) else { return None };
        let user = request.header.to.uri.as_sip()?.decoded_user()?.into();
        let sip_call_id = stored.sip_call_id.clone();
        let call_id = sip_message::CallId(sip_call_id.clone());
        let saved = SavedInvite { call_id, flow, request: stored.request.clone() };
        Some(Self { user, sip_call_id, saved, returned_along: None, until })
    }

    fn along(mut self, flow: Flow) -> Self {
        self.saved.flow = flow;
        self.returned_along = None;
        self
    }

    /// Whether the phone that registers along `flow` may be the one.
    fn is_of(&self, user: &str, flow: Flow) -> bool {
        *self.user == *user && self.saved.flow.remote.ip() == flow.remote.ip()
    }

    /// A connection has not outlived the process; perhaps the phone listens where its Contact says.
    fn at_its_contact(mut self) -> Self {
        let Ok(Message::Request(request)) = Message::parse(&self.saved.request) else { return self };
        let flow = &mut self.saved.flow;
        if let (Transport::Tcp, Some(uri)) = (flow.transport, request.uri.as_sip())
            && uri.host == Host::Address(flow.remote.ip())
        {
            flow.remote.set_port(uri.port.unwrap_or(5060));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrar::RegistrarConfig;
    use crate::settings::{Limits, MediaSettings, RegistrationTimes};
    use audio::TonePlan;

    fn moment(start: Instant, seconds: u64) -> Moment {
        let unix_milliseconds = i64::try_from(seconds).unwrap() * 1000;
        Moment { now: start + Duration::from_secs(seconds), unix_milliseconds }
    }

    fn switchboard() -> Switchboard {
        let registration = RegistrationTimes {
            min: Duration::from_secs(60),
            default: Duration::from_secs(600),
            max: Duration::from_secs(3600),
        };
        let settings = Settings {
            listen: Vec::new(),
            domain: "pbx.test".into(),
            external_address: None,
            user_agent: "test".into(),
            session_expires: Duration::from_secs(1800),
            registration,
            media: MediaSettings {
                address: None,
                ports: 20_000..=20_003,
                codecs: vec![audio::Codec::Pcmu],
                silence_timeout: Duration::from_secs(60),
                ringback: TonePlan::ringback("us").unwrap(),
            },
            limits: Limits { calls: 1, calls_per_second: 1, calls_per_key: 1 },
            extensions: Vec::new(),
        };
        let config = RegistrarConfig {
            domain: settings.domain.clone(),
            min: registration.min,
            default: registration.default,
            max: registration.max,
            bindings_max: 10,
            nonce_key: [0; 32],
        };
        let registrar = Registrar::new(config, []);
        let endpoint = Endpoint::new(settings.endpoint(), [1; 32]);
        Switchboard::new(settings, endpoint, registrar, [2; 32])
    }

    fn flow(remote: &str) -> Flow {
        let local = "192.0.2.1:5060".parse().unwrap();
        Flow { transport: Transport::Tcp, local, remote: remote.parse().unwrap() }
    }

    /// The dialog with a phone at 192.0.2.7 whose Contact names port 5062.
    fn stored(remote: &str) -> StoredInvite {
        let request = "BYE sip:1001@192.0.2.7:5062;transport=tcp SIP/2.0\r\n\
                       Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK0000000000000000\r\n\
                       From: <sip:1002@pbx.test>;tag=0123456789abcdef\r\nTo: <sip:1001@pbx.test>;tag=p\r\n\
                       Call-ID: c\r\nCSeq: 65536 BYE\r\nContent-Length: 0\r\n\r\n";
        let [transport, local, remote] = stored_flow::words(flow(remote));
        StoredInvite {
            sip_call_id: "c".into(),
            call_id: CallId::new(1, &[0; 10]),
            transport,
            local,
            remote,
            request: request.into(),
        }
    }

    /// Where a BYE was sent, and whether the INVITE was forgotten.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is done is a fault")]
    fn done(board: &mut Switchboard) -> (Vec<Flow>, bool) {
        let (mut byes, mut forgotten) = (Vec::new(), false);
        while let Some(output) = board.poll_output() {
            match output {
                Output::Send { flow, octets } => {
                    assert!(octets.starts_with(b"BYE "));
                    byes.push(flow);
                }
                Output::ForgetInvite(sip_call_id) => {
                    assert_eq!(&*sip_call_id, "c");
                    forgotten = true;
                }
                other => panic!("{other:?}"),
            }
        }
        (byes, forgotten)
    }

    #[test]
    fn a_phone_whose_connection_was_cut_is_tried_at_its_contact_and_told_when_it_returns() {
        let start = Instant::now();
        let (contact, back) = (flow("192.0.2.7:5062"), flow("192.0.2.7:50001"));
        let mut board = switchboard();
        board.end_left_behind(vec![stored("192.0.2.7:50000")], moment(start, 0));
        assert_eq!(done(&mut board), (vec![contact], false));
        board.handle_unreachable(contact, moment(start, 1));
        assert_eq!(done(&mut board), (vec![], false));
        board.tell_returned("1002", back, moment(start, 2));
        board.tell_returned("1001", flow("192.0.2.8:50001"), moment(start, 2));
        board.drain_endpoint(moment(start, 2));
        assert_eq!(done(&mut board), (vec![], false), "that is somebody else");
        board.tell_returned("1001", back, moment(start, 3));
        board.drain_endpoint(moment(start, 3));
        assert_eq!(done(&mut board), (vec![back], false));
        // Nothing comes back along that way either.
        board.handle_timeout(moment(start, 40));
        assert_eq!((done(&mut board), board.counts()), ((vec![], false), (0, 0, 0)));
        board.tell_returned("1001", back, moment(start, 50));
        board.drain_endpoint(moment(start, 50));
        assert_eq!(done(&mut board), (vec![back], false));
        board.handle_timeout(moment(start, 90));
        // Not for ever, however often it comes back.
        board.tell_returned("1001", back, moment(start, 3600));
        board.drain_endpoint(moment(start, 3600));
        assert_eq!((done(&mut board), board.counts()), ((vec![], true), (0, 0, 0)));
    }

    #[test]
    fn a_phone_that_returns_before_its_old_connection_is_known_to_be_gone_is_told_too() {
        let start = Instant::now();
        let (contact, back) = (flow("192.0.2.7:5062"), flow("192.0.2.7:50001"));
        let mut board = switchboard();
        board.end_left_behind(vec![stored("192.0.2.7:50000")], moment(start, 0));
        board.tell_returned("1001", back, moment(start, 1));
        board.handle_unreachable(contact, moment(start, 2));
        assert_eq!(done(&mut board), (vec![contact, back], false));
    }

    #[test]
    fn a_phone_that_does_not_return_is_given_up_and_what_cannot_be_read_is_forgotten() {
        let start = Instant::now();
        let mut board = switchboard();
        board.end_left_behind(vec![stored("192.0.2.7:50000")], moment(start, 0));
        board.handle_unreachable(flow("192.0.2.7:5062"), moment(start, 1));
        done(&mut board);
        board.tell_returned("1002", flow("192.0.2.9:1"), moment(start, 3700));
        assert_eq!(done(&mut board), (vec![], true));
        let broken = StoredInvite { request: b"BYE".to_vec(), ..stored("192.0.2.7:50000") };
        board.end_left_behind(vec![broken], moment(start, 3800));
        assert_eq!(done(&mut board), (vec![], true));
    }
}
