//! What a request says, read strictly.

pub(crate) mod body;
pub(crate) mod header;
mod json;
pub(crate) mod query;
