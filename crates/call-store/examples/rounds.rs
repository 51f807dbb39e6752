//! How many rounds of one call and one event are written in a second, and what memory a store of many calls takes.
//!
//! `cargo run --release -p call-store --example rounds -- FOLDER`
#![expect(clippy::print_stdout, reason = "its figures are for a person")]

use call_control::{
    Call, CallDirection, CallEvent, CallEventKind, CallId, Number, PartyType, PartyView, Timestamp,
};
use call_store::{CallFilter, CallMessages, Round, Store};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FOR: Duration = Duration::from_secs(5);
const CALLS: u32 = 20_000;

/// Call `n`, begun, as a round of its own.
fn beginning(n: u32) -> Result<Round, Box<dyn Error>> {
    let mut random = [7; 10];
    random[6..].copy_from_slice(&n.to_be_bytes());
    let at = Timestamp::from_unix_milliseconds(1_795_255_200_000 + i64::from(n)).ok_or("no such moment")?;
    let parties = [Number::new("1001")?, Number::new("1002")?]
        .map(|number| PartyView::waiting(number, PartyType::Extension));
    let id = CallId::new(1_795_255_200_000, &random);
    let call = Call::beginning(id, parties, CallDirection::Internal, at);
    let event = CallEvent { event: CallEventKind::Initiated, party: None, at, call: call.clone() };
    let (calls, events) = (vec![Arc::new(call)], vec![Arc::new(event)]);
    Ok(Round { number: n.into(), calls, events, ..Round::default() })
}

/// A figure of this process, in the unit of the kernel.
fn status(name: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or(": unknown")
        .trim_start_matches(':')
        .trim()
        .into()
}

/// Milliseconds of processor time that this process has taken.
fn processor() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = text.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("an empty folder, please")?;
    let store = Store::open(folder.as_ref()).await?;
    let (began, taken) = (Instant::now(), processor());
    let mut n = 0;
    while began.elapsed() < FOR {
        n += 1;
        store.put_round(Arc::new(beginning(n)?)).await?;
    }
    let rate = f64::from(n) / began.elapsed().as_secs_f64();
    let each = (processor() - taken) * 1000.0 / f64::from(n);
    println!(
        "{rate:.0} rounds of one call a second, {each:.0} us of a processor each; memory {}",
        status("VmRSS")
    );

    for number in n + 1..=n + CALLS / 100 {
        let mut round = Round { number: number.into(), ..Round::default() };
        for of in 0..100 {
            let one = beginning((number << 8) + of)?;
            let messages = one.calls.iter().map(|call| CallMessages {
                call: call.call_id,
                at: call.created_at,
                octets: vec![b'x'; 8000].into(),
            });
            round.messages.extend(messages);
            round.calls.extend(one.calls);
            for _ in 0..4 {
                round.events.extend(one.events.iter().map(|event| {
                    Arc::new(CallEvent { event: CallEventKind::Ringing, ..CallEvent::clone(event) })
                }));
            }
        }
        store.put_round(Arc::new(round)).await?;
    }
    let all = CallFilter { search: Some("nobody".into()), ..CallFilter::default() };
    let searches = [(); 8].map(|()| {
        let (store, all) = (store.clone(), all.clone());
        tokio::spawn(async move { store.calls(&all, 100, 0).await.map(drop) })
    });
    for search in searches {
        search.await??;
    }
    println!("{CALLS} calls more, and searched: memory {}, at most {}", status("VmRSS"), status("VmHWM"));
    store.close().await;
    Ok(())
}
