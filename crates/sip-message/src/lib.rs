//! SIP requests, responses, header fields and URIs: parsed from octets and printed to octets.
//!
//! Parsing is total: any octets give a [`Message`] or a [`ParseError`] that says what can still be answered.
//! Printing is safe: whatever stands in a value, it cannot end its line.
//! Absent: what transports do, transactions, digests, and any look into a body. Read [`Message`] and [`Header`] first.

mod address;
mod auth;
mod equivalence;
mod error;
mod field;
mod field_name;
mod fields;
mod framing;
mod host;
mod limits;
mod list;
mod message;
mod method;
mod multipart;
mod parameters;
mod parse;
mod print;
mod raw;
mod reason;
mod replaces;
mod salvage;
mod scan;
mod section;
mod start_line;
mod status;
mod transport;
mod uri;
mod via;

pub use address::NameAddr;
pub use auth::AuthParams;
pub use error::{ParseError, ParseErrorKind, Salvage};
pub use field::{CSeq, CallId, Contacts};
pub use field_name::FieldName;
pub use fields::Fields;
pub use framing::{FramingError, StreamFramer};
pub use host::Host;
pub use list::split_commas;
pub use message::{Header, Message, Request, Response};
pub use method::Method;
pub use parameters::Parameters;
pub use raw::{RawLine, RawLines, raw_call_id};
pub use reason::Reason;
pub use replaces::Replaces;
pub use status::StatusCode;
pub use transport::Transport;
pub use uri::{SipUri, Uri};
pub use via::Via;
