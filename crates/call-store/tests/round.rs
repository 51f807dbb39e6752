//! What a server writes at one time.

use call_control::{CallId, Timestamp};
use call_store::{CallMessages, Round, Store, StoredBinding, StoredInvite};

fn id(n: u8) -> CallId {
    CallId::new(1_795_255_200_000, &[n; 10])
}

fn invite(sip_call_id: &str, request: &[u8]) -> StoredInvite {
    StoredInvite {
        sip_call_id: sip_call_id.into(),
        call_id: id(1),
        transport: "udp".into(),
        local: "192.0.2.1:5060".into(),
        remote: "192.0.2.2:5060".into(),
        request: request.into(),
    }
}

fn round(changes: impl IntoIterator<Item = (&'static str, Option<StoredInvite>)>) -> Round {
    let invites = changes.into_iter().map(|(sip_call_id, invite)| (sip_call_id.into(), invite)).collect();
    Round { invites, ..Round::default() }
}

fn binding(contact: &str) -> StoredBinding {
    StoredBinding {
        user: "1001".into(),
        contact: contact.into(),
        call_id: "c".into(),
        cseq: 1,
        expires_at: 1,
        transport: "udp".into(),
        local: "192.0.2.1:5060".into(),
        remote: "192.0.2.2:5060".into(),
        path: None,
        user_agent: None,
    }
}

#[tokio::test]
async fn invites_are_kept_as_they_were_last_written_until_they_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let (first, second) = (invite("a", b"INVITE"), invite("b", b"INVITE"));
    store.put_round(&round([("a", Some(first)), ("b", Some(second.clone()))])).await.unwrap();
    let mut moved = invite("a", b"BYE");
    (moved.transport, moved.remote) = ("tcp".into(), "192.0.2.3:5060".into());
    store.put_round(&round([("a", Some(moved.clone()))])).await.unwrap();
    store.close().await;

    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.invites().await.unwrap(), [moved, second]);
    store.put_round(&round([("a", None), ("b", None), ("never", None)])).await.unwrap();
    assert_eq!(store.invites().await.unwrap(), []);
}

#[tokio::test]
async fn more_invites_than_one_statement_takes() {
    let store = Store::in_memory().await.unwrap();
    let names: Vec<String> = (0..450).map(|n| n.to_string()).collect();
    let all = |kept: bool| Round {
        invites: names
            .iter()
            .map(|name| (name.as_str().into(), kept.then(|| invite(name, b"INVITE"))))
            .collect(),
        ..Round::default()
    };
    store.put_round(&all(true)).await.unwrap();
    assert_eq!(store.invites().await.unwrap().len(), 450);
    store.put_round(&all(false)).await.unwrap();
    assert_eq!(store.invites().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_round_is_written_whole_or_not_at_all() {
    let store = Store::in_memory().await.unwrap();
    let at = Timestamp::from_unix_milliseconds(1_795_255_200_000).unwrap();
    let good = Round {
        bindings: [("1001".into(), vec![binding("<sip:a@192.0.2.2>")])].into(),
        ..round([("a", Some(invite("a", b"INVITE")))])
    };
    let bad = Round {
        bindings: [("1001".into(), vec![binding("<sip:b@192.0.2.2>"), binding("<sip:b@192.0.2.2>")])].into(),
        messages: vec![CallMessages { call: id(1), at, octets: [1].as_slice().into() }],
        ..round([("a", None)])
    };
    assert!(Round::default().is_empty() && !good.is_empty());
    store.put_round(&good).await.unwrap();
    assert!(store.put_round(&bad).await.is_err(), "a contact is there once");
    assert_eq!(store.bindings().await.unwrap(), [binding("<sip:a@192.0.2.2>")]);
    assert_eq!(store.invites().await.unwrap().len(), 1);
    assert_eq!(store.messages(id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_secret_stays_what_it_was_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.secret("one", [1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.secret("two", [2; 32]).await.unwrap(), [2; 32]);
    store.close().await;
    let store = Store::open(folder.path()).await.unwrap();
    assert_eq!(store.secret("one", [3; 32]).await.unwrap(), [1; 32]);
}
