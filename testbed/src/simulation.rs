//! The whole B2BUA, its relay and phones on a simulated network, in simulated time, out of one seed.
//!
//! Nothing here opens a socket or reads a clock but once, for the zero of its own time: a day of calls takes seconds,
//! and the same seed gives the same trace, octet for octet.

mod by_hand;
mod carrier;
mod disk;
mod life;
mod network;
mod outside;
mod phone_set;
mod raw_phone;
mod scripts;
mod seeds;
mod server;
mod story;
mod world;

pub use by_hand::{ByHand, Otherwise, Read, Said};
pub use carrier::Carrier;
pub use disk::DiskState;
pub use life::{Act, Ended, Life};
pub use network::Network;
pub use outside::{Zone, trunk};
pub use raw_phone::{
    Deed, DescriptionHabit, Habits, Logged, RawPhone, RawScript, RegistrationHabit, Standing, hangs_up,
    reinvites, says, says_as, says_of_cancel, says_with,
};
pub use scripts::{answers_after, refuses, rings_for_ever, seconds, talks_for};
pub use seeds::each_seed;
pub use server::FORWARD_OF_1007;
pub use story::Story;
pub use world::{PhoneId, World, percent};
