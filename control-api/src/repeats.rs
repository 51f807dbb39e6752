//! `Idempotency-Key`: a request that is repeated, because its answer was lost, does its work once.

use crate::Api;
use crate::calls::{Placed, place};
use crate::error::{ApiError, Code};
use crate::lists::{unix_milliseconds, unreadable};
use crate::prefer::settled;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use call_control::ClickToCall;
use call_store::{FirstAnswer, RequestName};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEY_MAX: usize = 255;

/// How a request is named, if it is.
///
/// # Errors
/// 400 when the name is not of 1 to 255 visible ASCII characters, or there are two.
pub(crate) fn name(headers: &HeaderMap, api_key: [u8; 32]) -> Result<Option<RequestName>, ApiError> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let visible = |octet: &u8| (0x21..=0x7E).contains(octet);
    let octets = first.as_bytes();
    let well_formed = (1..=KEY_MAX).contains(&octets.len()) && octets.iter().all(visible);
    match first.to_str() {
        Ok(text) if well_formed && given.next().is_none() => {
            Ok(Some(RequestName { api_key, idempotency_key: text.into() }))
        }
        Ok(_) | Err(_) => Err(ApiError::new(
            Code::InvalidField,
            format!("The Idempotency-Key must be one, of 1 to {KEY_MAX} visible ASCII characters"),
        )
        .about("Idempotency-Key")),
    }
}

/// Named requests that are being answered; a repeat waits for its turn.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashMap<RequestName, Weak<tokio::sync::Mutex<()>>>>>);

impl UnderWay {
    async fn turn(&self, name: &RequestName) -> tokio::sync::OwnedMutexGuard<()> {
        self.gate(name).lock_owned().await
    }

    fn gate(&self, name: &RequestName) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.0.lock();
        gates.retain(|_, gate| gate.strong_count() > 0);
        if let Some(gate) = gates.get(name).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::default();
        gates.insert(name.clone(), Arc::downgrade(&gate));
        gate
    }
}

/// A named request: its first answer if there is one, else its work. The work goes on to its end when the client is
/// gone: the client will ask again.
///
/// # Errors
/// 409 when the name was used for another body; else those of the work, and these are not kept.
pub(crate) async fn once(
    api: Api,
    name: RequestName,
    body_sha256: [u8; 32],
    request: ClickToCall,
    wait: Option<Duration>,
) -> Result<Response, ApiError> {
    let turn = api.under_way.turn(&name).await;
    if let Some(first) = api.store.first_answer(&name, unix_milliseconds()).await.map_err(unreadable)? {
        return again(first, body_sha256);
    }
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        work(&api, &name, body_sha256, request, wait, tell).await;
        drop(turn);
    });
    // Nothing is told when the work panicked.
    told.await.unwrap_or_else(|_| Err(ApiError::internal())).map(IntoResponse::into_response)
}

async fn work(
    api: &Api,
    name: &RequestName,
    request: [u8; 32],
    asked: ClickToCall,
    wait: Option<Duration>,
    mut tell: oneshot::Sender<Result<Placed, ApiError>>,
) {
    let events = wait.map(|_| api.calls.subscribe());
    let mut placed = match place(api, asked).await {
        Ok(placed) => placed,
        Err(refusal) => {
            let _ = tell.send(Err(refusal));
            return;
        }
    };
    // Before any waiting: a server that dies meanwhile still knows what it has done.
    keep(api, name, request, &placed).await;
    if let (Some(events), Some(wait)) = (events, wait) {
        let call = tokio::select! {
            call = settled(api, placed.call_id, events, wait) => call,
            () = tell.closed() => None,
        };
        if call.is_some() {
            placed = Placed { call, waited: Some(wait), ..placed };
            keep(api, name, request, &placed).await;
        }
    }
    let _ = tell.send(Ok(placed));
}

async fn keep(api: &Api, name: &RequestName, request: [u8; 32], placed: &Placed) {
    let answer = FirstAnswer {
        request,
        status: StatusCode::OK.as_u16(),
        location: Some(placed.location().into()),
        body: placed.body().into(),
    };
    if let Err(error) = api.store.put_first_answer(name, &answer, unix_milliseconds()).await {
        // The call is there, and is answered for all the same.
        let call_id = placed.call_id;
        tracing::error!(%error, %call_id, "an answer is not kept: a repeat of its request would be a new one");
    }
}

fn again(first: FirstAnswer, body_sha256: [u8; 32]) -> Result<Response, ApiError> {
    if first.request != body_sha256 {
        return Err(ApiError::new(
            Code::IdempotencyConflict,
            "The Idempotency-Key was used for a request with another body; a new request needs a new key",
        ));
    }
    let status = StatusCode::from_u16(first.status).map_err(|_| ApiError::internal())?;
    let json = HeaderValue::from_static("application/json");
    let headers = [(header::CONTENT_TYPE, json), (REPLAYED, HeaderValue::from_static("true"))];
    let mut response = (status, headers, String::from(first.body)).into_response();
    if let Some(location) = first.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_of_visible_ascii() {
        let of = |values: &[&[u8]]| {
            let fields =
                values.iter().map(|value| (IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap()));
            name(&fields.collect(), [0; 32])
        };
        assert!(of(&[]).unwrap().is_none());
        assert_eq!(&*of(&[b"!~a"]).unwrap().unwrap().idempotency_key, "!~a");
        assert!(of(&[&[b'x'; 255]]).unwrap().is_some());
        for bad in [&[&b""[..]][..], &[&[b'x'; 256]], &[b"a b"], &["é".as_bytes()], &[b"a", b"a"]] {
            assert_eq!(of(bad).unwrap_err().field(), Some("Idempotency-Key"));
        }
    }
}
