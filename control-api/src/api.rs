//! What every route holds.

use crate::auth::Keys;
use crate::turns::Turns;
use crate::wrong_keys::WrongKeys;
use axum::extract::FromRef;
use call_control::Calls;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Those who read events at once: the rest of the connections is for others.
pub(crate) const READERS: usize = 256;

#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) calls: Arc<dyn Calls>,
    pub(crate) store: call_store::Store,
    keys: Keys,
    wrong_keys: WrongKeys,
    pub(crate) turns: Turns,
    /// Places for those who read events.
    pub(crate) readers: Arc<Semaphore>,
}

impl Api {
    pub(crate) fn new(calls: Arc<dyn Calls>, store: call_store::Store, keys: Keys) -> Self {
        Self {
            calls,
            store,
            keys,
            wrong_keys: WrongKeys::default(),
            turns: Turns::default(),
            readers: Arc::new(Semaphore::new(READERS)),
        }
    }
}

impl FromRef<Api> for Keys {
    fn from_ref(api: &Api) -> Self {
        api.keys.clone()
    }
}

impl FromRef<Api> for WrongKeys {
    fn from_ref(api: &Api) -> Self {
        api.wrong_keys.clone()
    }
}

/// Milliseconds since 1970, by the wall clock.
pub(crate) fn unix_milliseconds() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
