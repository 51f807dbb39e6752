//! The whole phone: signalling and audio. Pure.

use crate::media::{Figures, Heard, Received, RtpReceiver, RtpSender, Source, Stream, ToneHeard};
use crate::{Account, Phone, PhoneAction, PhoneEvent, Script};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use serde::{Serialize, Serializer};
use sip_core::Flow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A phone with its media, without sockets and clock.
pub struct Handset {
    phone: Phone,
    source: Source,
    expected_tone: Option<f64>,
    random: StdRng,
    media: Option<CallInProgress>,
    answered_at: Option<Instant>,
    tone_misses: Vec<ToneHeard>,
    calls_heard: u32,
    actions: VecDeque<HandsetAction>,
}

/// What somebody asks of a phone while its script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Calls a number.
    Call(Box<str>),
    /// Ends the call.
    HangUp,
    /// Holds the other side.
    Hold,
    /// Ends the hold.
    Resume,
    /// Sends digits.
    Dtmf(Box<str>),
    /// Ends the script.
    Leave,
}

/// What the owner of a handset has to do, in order.
#[derive(Debug)]
pub enum HandsetAction {
    /// Send a SIP message.
    Sip {
        /// From where to where.
        flow: Flow,
        /// The message.
        octets: Vec<u8>,
    },
    /// Send an RTP packet from `Account::rtp`.
    Rtp {
        /// To where.
        to: SocketAddr,
        /// The packet.
        octets: Vec<u8>,
    },
    /// For those who watch.
    Report(PhoneEvent),
    /// What was heard in a call that has ended.
    CallMedia(CallMedia),
}

/// What was heard in a call.
#[derive(Debug, Clone)]
pub struct CallMedia {
    /// In numbers.
    pub figures: Figures,
    /// In sound.
    pub heard: Heard,
    /// When the call was answered.
    pub answered_at: Option<Instant>,
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// What did not go as the script asked; nothing when all did.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// Everything went as the script asked.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }
}

/// What did not go as the script asked.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The registrar said no, or nothing.
    #[error("the registration failed{}", with_status(*.status))]
    NotRegistered {
        /// Its final status.
        status: Option<u16>,
    },
    /// The call that was placed was refused.
    #[error("the call was refused with {status}")]
    CallRefused {
        /// The final status.
        status: u16,
    },
    /// Nobody answered the call that was placed, or it could not be sent.
    #[error("the call was not answered")]
    CallUnanswered,
    /// Our answer was never acknowledged.
    #[error("the answer to a call was never acknowledged")]
    NoAck,
    /// The dialog was unknown to the other side, or its session timer ran out.
    #[error("the session of a call expired")]
    SessionExpired,
    /// Hold or resume was refused.
    #[error("hold or resume was refused with {status}")]
    ReofferRefused {
        /// The final status.
        status: u16,
    },
    /// The other side answered without a codec of ours.
    #[error("there was no common codec")]
    NoCommonCodec,
    /// The time was over before.
    #[error("there were {were} calls of {expected}")]
    TooFewCalls {
        /// `Script::calls`.
        expected: u32,
        /// Calls that had ended.
        were: u32,
    },
    /// The tone that was expected was not heard for long enough.
    #[error("the tone of {hertz} Hz was heard for {milliseconds} ms only")]
    ToneNotHeard {
        /// Its frequency.
        hertz: f64,
        /// Its longest run.
        milliseconds: u64,
    },
    /// There was no call in which the tone that is expected could have been heard.
    #[error("there was no audio in which a tone of {hertz} Hz could have been heard")]
    NothingHeard {
        /// Its frequency.
        hertz: f64,
    },
}

/// As the sentence it is.
impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

struct CallInProgress {
    stream: Stream,
    sender: RtpSender,
    receiver: RtpReceiver,
}

impl Handset {
    /// A handset that begins with its script.
    ///
    /// `source` is what it plays in calls; with `expected_tone` (hertz) the script has succeeded only if that was
    /// heard for half a second in a row in every call. `seed` is the only source of randomness.
    pub fn new(
        account: Account,
        script: Script,
        source: Source,
        expected_tone: Option<f64>,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut handset = Self {
            phone: Phone::new(account, script, seed, now),
            source,
            expected_tone,
            random: StdRng::from_seed(seed),
            media: None,
            answered_at: None,
            tone_misses: Vec::new(),
            calls_heard: 0,
            actions: VecDeque::new(),
        };
        handset.perform_actions(now);
        handset
    }

    /// One SIP datagram, or one message that was cut from a stream.
    pub fn handle_sip(&mut self, octets: &[u8], flow: Flow, now: Instant) {
        self.phone.handle_octets(octets, flow, now);
        self.perform_actions(now);
    }

    /// Nothing could be sent along `flow`.
    pub fn handle_unreachable(&mut self, flow: Flow, now: Instant) {
        self.phone.handle_unreachable(flow, now);
        self.perform_actions(now);
    }

    /// The connection `flow` is closed, or cannot be written to any more.
    pub fn handle_closed(&mut self, flow: Flow, now: Instant) {
        self.phone.handle_closed(flow, now);
        self.perform_actions(now);
    }

    /// Whether a connection to the server is to be opened now: see [`Phone::poll_connect`].
    pub fn poll_connect(&mut self) -> bool {
        self.phone.poll_connect()
    }

    /// The connection that was wanted is open.
    pub fn handle_connected(&mut self, flow: Flow, now: Instant) {
        self.phone.handle_connected(flow, now);
        self.perform_actions(now);
    }

    /// The connection that was wanted cannot be had.
    pub fn handle_not_connected(&mut self, now: Instant) {
        self.phone.handle_not_connected(now);
        self.perform_actions(now);
    }

    /// A datagram at `Account::rtp`.
    pub fn handle_rtp(&mut self, octets: &[u8], from: SocketAddr, now: Instant) {
        let Some(call) = &mut self.media else { return };
        match call.receiver.handle_packet(octets, from, now) {
            Received::Audio { first: true } => {
                let ms_after_answer = milliseconds_after(self.answered_at, Some(now));
                self.report(PhoneEvent::FirstAudio { ms_after_answer });
            }
            Received::Digit(digit) => self.report(PhoneEvent::Dtmf { digit }),
            Received::Audio { first: false } | Received::Nothing => {}
        }
    }

    /// Somebody presses keys.
    pub fn handle_command(&mut self, command: &Command, now: Instant) {
        match command {
            Command::Call(number) => self.phone.call(number, now),
            Command::HangUp => self.phone.end_call(now),
            Command::Hold => self.phone.hold(true, now),
            Command::Resume => self.phone.hold(false, now),
            Command::Dtmf(digits) => self.phone.send_dtmf(digits),
            Command::Leave => self.phone.leave(now),
        }
        self.perform_actions(now);
    }

    /// Does what is due at `now`, the packets of the audio included.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.phone.handle_timeout(now);
        self.perform_actions(now);
        if let Some(call) = &mut self.media {
            while let Some(octets) = call.sender.poll_packet(now) {
                self.actions.push_back(HandsetAction::Rtp { to: call.stream.remote, octets });
            }
        }
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let packet = self.media.as_ref().map(|call| call.sender.poll_timeout());
        self.phone.poll_timeout().into_iter().chain(packet).min()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<HandsetAction> {
        self.actions.pop_front()
    }

    fn perform_actions(&mut self, now: Instant) {
        while let Some(action) = self.phone.poll_action() {
            match action {
                PhoneAction::Send { flow, octets } => {
                    self.actions.push_back(HandsetAction::Sip { flow, octets })
                }
                PhoneAction::MediaStart(stream) => self.start_media(stream, now),
                PhoneAction::SendDtmf(digits) => {
                    if let Some(call) = &mut self.media {
                        call.sender.send_digits(&digits);
                    }
                }
                PhoneAction::MediaStop => self.stop_media(),
                PhoneAction::Report(event) => {
                    if matches!(event, PhoneEvent::Answered { .. }) {
                        self.answered_at = Some(now);
                    }
                    self.report(event);
                }
                PhoneAction::Finished(outcome) => self.finish(outcome),
            }
        }
    }

    fn start_media(&mut self, stream: Stream, now: Instant) {
        match &mut self.media {
            Some(call) => {
                call.sender.set_stream(stream);
                call.receiver.set_stream(stream);
                call.stream = stream;
            }
            None => {
                let sender = RtpSender::new(stream, self.source.clone(), self.random.next_u64(), now);
                self.media = Some(CallInProgress { stream, sender, receiver: RtpReceiver::new(stream) });
            }
        }
    }

    fn stop_media(&mut self) {
        let answered_at = self.answered_at.take();
        let Some(CallInProgress { stream, sender, receiver }) = self.media.take() else { return };
        let tone = self.expected_tone.map(|hertz| tone_heard(hertz, receiver.heard()));
        if answered_at.is_some() {
            self.calls_heard += 1;
            self.tone_misses.extend(tone.filter(|tone| tone.milliseconds < TONE_MILLISECONDS_MIN));
        }
        let counts = receiver.counts();
        let figures = Figures {
            codec: Some(stream.codec.name()),
            packets_sent: sender.sent(),
            packets_received: counts.received,
            packets_lost: receiver.lost(),
            packets_doubled: counts.doubled,
            packets_from_strangers: counts.strangers,
            packets_unusable: counts.unusable,
            sources: receiver.sources(),
            jitter_ms: (receiver.jitter_ms() * 100.0).round() / 100.0,
            longest_gap_ms: whole_milliseconds(counts.longest_gap),
            first_audio_ms_after_answer: milliseconds_after(answered_at, counts.first_audio_at),
            heard_ms: whole_milliseconds(receiver.heard().duration()),
            tone,
        };
        self.report(PhoneEvent::Media(figures.clone()));
        let heard = receiver.into_heard();
        self.actions.push_back(HandsetAction::CallMedia(CallMedia { figures, heard, answered_at }));
    }

    fn finish(&mut self, mut outcome: Outcome) {
        outcome.failures.extend(
            self.tone_misses
                .drain(..)
                .map(|tone| Failure::ToneNotHeard { hertz: tone.hertz, milliseconds: tone.milliseconds }),
        );
        if let Some(hertz) = self.expected_tone
            && self.calls_heard == 0
        {
            outcome.failures.push(Failure::NothingHeard { hertz });
        }
        self.report(PhoneEvent::Finished(outcome));
    }

    fn report(&mut self, event: PhoneEvent) {
        self.actions.push_back(HandsetAction::Report(event));
    }
}

fn tone_heard(hertz: f64, heard: &Heard) -> ToneHeard {
    let share = audio::tone_share(&heard.samples, heard.sample_rate, hertz);
    let milliseconds = audio::tone_milliseconds(&heard.samples, heard.sample_rate, hertz);
    ToneHeard { hertz, share: (share * 1_000.0).round() / 1_000.0, milliseconds }
}

fn milliseconds_after(earlier: Option<Instant>, later: Option<Instant>) -> Option<u64> {
    later?.checked_duration_since(earlier?).map(whole_milliseconds)
}

fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn with_status(status: Option<u16>) -> String {
    status.map_or_else(|| ": no answer".to_owned(), |status| format!(" with {status}"))
}

/// A shorter run of a tone may be chance.
const TONE_MILLISECONDS_MIN: u64 = 500;
