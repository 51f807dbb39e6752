//! A SIP phone for people, CI and simulations.
//!
//! [`Handset`] is the whole phone without sockets and clock: SIP and RTP octets and the present time go in, octets to
//! send and [`PhoneEvent`]s come out. What it does is written in its [`Script`]. [`Driver`] gives it sockets.
//! Absent: more than one call at a time, RTCP, ringing that can be heard. Read [`Handset`] and [`Script`] first.

mod driver;
mod event;
mod handset;
mod media;
mod phone;
mod script;

pub use driver::{BindError, Driver, DriverOptions, Transport};
pub use event::{EndCause, HeldBy, PhoneEvent, Report};
pub use handset::{CallMedia, Command, Failure, Handset, HandsetAction, Outcome};
pub use media::{
    Arrival, Counts, Figures, Heard, LoudTone, Received, RtpReceiver, RtpSender, RtpView, Source, Stream,
    ToneHeard, loud_tones, parse_rtp,
};
pub use phone::{Phone, PhoneAction};
pub use script::{Account, Answering, Dtmf, Registering, Reply, Script};
