//! The names of sessions, of what is in them, and of what is played.

/// The media of one call. Chosen by whoever opens it; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A termination of a session (RFC 3525 §6.2): the end of the media that faces one phone. Chosen by whoever adds it;
/// never used twice in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TerminationId(pub u16);

/// One playing of a sound. Chosen by whoever plays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayId(pub u32);
