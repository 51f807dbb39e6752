//! Session descriptions (RFC 8866) and offer/answer (RFC 3264) for one audio stream.
//!
//! An [`Offer`] is what we say first and the reader of its answer; a [`ReceivedOffer`] is what came in and
//! the maker of its [`Answer`]. Both speak of one [`AudioStream`]. Absent: SIP, sockets, name resolution (a
//! host name in `c=` is an error of its own), SRTP, ICE, video. Pure: octets in, octets out.

mod answer;
mod description;
mod direction;
mod error;
mod format;
mod offer;
mod printing;
mod stream;

pub use answer::{Answer, ReceivedOffer};
pub use direction::Direction;
pub use error::SdpError;
pub use format::Format;
pub use offer::Offer;
pub use printing::Origin;
pub use stream::AudioStream;
