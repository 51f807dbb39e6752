//! Outside numbers: read as E.164 however they are written, and dialled only where the operator allows it.
//!
//! [`NumberingPlan`] knows how numbers are written where the server stands; [`DialPolicy`] knows which of them may be
//! dialled. What may not has a [`Denial`] that says which rule it met. [`Writing`] knows how a carrier wants them,
//! [`NumberPattern`] which of them are ours.

mod pattern;
mod plan;
mod policy;
mod writing;

pub use pattern::{NumberPattern, PatternError};
pub use plan::{DIGITS_MAX, NumberingPlan, PlanError, Unreadable};
pub use policy::{Denial, DialPolicy, Entry, EntryError, Rule};
pub use writing::{Format, Writing};
