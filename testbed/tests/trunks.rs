//! Stories: numbers outside, through trunks whose gateways do all that gateways do.

#[path = "trunks/carrier.rs"]
mod carrier;
#[path = "trunks/diversion.rs"]
mod diversion;
#[path = "trunks/explained.rs"]
mod explained;
#[path = "trunks/failover.rs"]
mod failover;
#[path = "trunks/from_outside.rs"]
mod from_outside;
#[path = "trunks/identity.rs"]
mod identity;
#[path = "trunks/inbound.rs"]
mod inbound;
#[path = "trunks/limits.rs"]
mod limits;
#[path = "trunks/names.rs"]
mod names;
#[path = "trunks/redirect.rs"]
mod redirect;
#[path = "trunks/registering.rs"]
mod registering;
#[path = "trunks/said_of_oneself.rs"]
mod said_of_oneself;
