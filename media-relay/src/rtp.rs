//! Streams of RTP and RTCP: packets, whose they are, what came, what leaves.

pub(crate) mod continuity;
pub(crate) mod header;
pub(crate) mod learning;
pub(crate) mod reception;
pub(crate) mod reports;
