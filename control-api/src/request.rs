//! What a request says, read strictly.

pub(crate) mod body;
mod fields;
pub(crate) mod header;
mod json;
pub(crate) mod query;
pub(crate) mod wishes;
