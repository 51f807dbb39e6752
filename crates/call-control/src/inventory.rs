//! What calls can reach: extensions with their phones, and trunks.

use crate::{LadderTransport, Number, Timestamp};
use serde::Serialize;
use std::net::SocketAddr;

/// An extension as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtensionView {
    /// Its number.
    pub number: Number,
    /// Shown to the other party.
    pub name: Option<Box<str>>,
    /// Whether it can be rung.
    pub state: ExtensionState,
    /// Where it is registered.
    pub phones: Vec<PhoneView>,
}

/// Whether an extension can be rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExtensionState {
    /// No phone is registered.
    Unregistered,
    /// A phone is registered, and in no call.
    Free,
    /// A leg of some call, ringing or answered, is one of its phones.
    Busy,
}

/// A registered phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhoneView {
    /// Where it is reached.
    pub address: SocketAddr,
    /// By which transport.
    pub transport: LadderTransport,
    /// What it says of itself.
    pub user_agent: Option<Box<str>>,
    /// When it registered last.
    pub registered_at: Timestamp,
    /// When its registration ends.
    pub expires_at: Timestamp,
}

/// A trunk as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrunkView {
    /// Its name.
    pub name: Box<str>,
    /// As it is configured.
    pub address: Box<str>,
    /// The addresses that it leads to at present.
    pub reached_at: Vec<ReachedAt>,
    /// Absent when it keeps none.
    pub registration: Option<RegistrationState>,
    /// Whether its addresses answer OPTIONS; absent as long as none has.
    pub reachable: Option<bool>,
    /// Calls that go through it.
    pub channels_in_use: usize,
    /// Calls that it takes.
    pub channels: usize,
    /// Why it could not be resolved, reached, believed over TLS, or registered last.
    pub last_failure: Option<Box<str>>,
}

/// An address of a trunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachedAt {
    /// Where.
    pub address: SocketAddr,
    /// By which transport.
    pub transport: LadderTransport,
}

/// How the registration of a trunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationState {
    /// The carrier has our binding.
    Registered,
    /// It was asked for the first time.
    Registering,
    /// It does not have it; it is asked again.
    Failed,
}
