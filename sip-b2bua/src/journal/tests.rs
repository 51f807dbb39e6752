use super::*;
use call_control::{CallDirection, EndedBy, EventId, Number, PartyType, PartyView, Repeatable};
use std::collections::BTreeMap;

/// A journal and a disk that does as it is told.
struct World {
    journal: Journal,
    start: Instant,
    now: Instant,
    events: u64,
    /// What may go on.
    gone_on: Vec<Waiting>,
    refused: Vec<Waiting>,
    told: Vec<(CallEventKind, CallId)>,
    storage: Vec<StorageState>,
    /// The round that is to be written.
    round: Option<Arc<Round>>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            journal: Journal::new(),
            start: now,
            now,
            events: 0,
            gone_on: Vec::new(),
            refused: Vec::new(),
            told: Vec::new(),
            storage: Vec::new(),
            round: None,
        }
    }

    fn moment(&self) -> Moment {
        let passed = i64::try_from((self.now - self.start).as_millis()).unwrap();
        Moment { now: self.now, unix_milliseconds: 1_000 + passed }
    }

    /// Performs what is wanted until nothing is.
    fn settle(&mut self) {
        while let Some(action) = self.journal.poll_action(self.now) {
            match action {
                JournalAction::Write(round) => assert!(self.round.replace(round).is_none(), "two at a time"),
                JournalAction::Go(waiting) => self.gone_on.push(waiting),
                JournalAction::Refuse(waiting) => self.refused.push(waiting),
                JournalAction::Announce(event) => {
                    self.told.push((event.event.event, event.event.call.call_id))
                }
                JournalAction::Storage(state) => self.storage.push(state),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.journal.handle_timeout(self.now);
        self.settle();
    }

    /// The round lands; what was in it.
    fn lands(&mut self) -> Arc<Round> {
        let round = self.round.take().expect("a round is to be written");
        let events = round.events.iter().map(|event| {
            self.events += 1;
            NumberedEvent { id: EventId(self.events), event: Arc::clone(event) }
        });
        let events = events.collect();
        self.journal.handle_written(Ok(events), self.moment());
        self.settle();
        round
    }

    fn fails(&mut self) -> Arc<Round> {
        let round = self.round.take().expect("a round is to be written");
        self.journal.handle_written(Err("the disk is full".into()), self.moment());
        self.settle();
        round
    }

    fn begin(&mut self, n: u8) -> Waiting {
        let answer = FirstAnswer { request: repeatable(n), call_id: id(n), at: 0, body: None };
        let at = call(n).created_at;
        let initiated = CallEvent { event: CallEventKind::Initiated, party: None, at, call: call(n) };
        self.journal.begin(number(n), initiated, Some(answer));
        self.settle();
        Waiting::Begin(number(n), id(n))
    }

    /// A call that runs ends.
    fn end(&mut self, n: u8, trace: usize) -> Waiting {
        let record = Arc::new(call(n).broken_off(EndReason::HungUp, call(n).created_at));
        let at = record.created_at;
        let trace = CallMessages { call: id(n), at, octets: vec![0; trace].into() };
        self.journal.end(number(n), &record, Some(trace));
        self.settle();
        Waiting::End(number(n))
    }

    fn answered(&mut self, n: u8) -> Waiting {
        let stored = StoredInvite {
            sip_call_id: format!("dialog-{n}").into(),
            call_id: id(n),
            transport: "udp".into(),
            local: "192.0.2.1:5060".into(),
            remote: "192.0.2.2:5060".into(),
            request: Vec::new(),
        };
        self.journal.keep_invite(stored, Some(Waiting::Acknowledge(InviteId(n.into()))));
        self.settle();
        Waiting::Acknowledge(InviteId(n.into()))
    }

    fn register(&mut self, n: u8) -> Waiting {
        let key = (sip_message::CallId(format!("register-{n}").into()), 1);
        self.journal.keep_bindings(format!("100{n}").into(), Vec::new(), Some(key.clone()));
        self.settle();
        Waiting::Register(key)
    }
}

fn number(n: u8) -> CallNumber {
    CallNumber(n.into())
}

fn id(n: u8) -> CallId {
    CallId::new(1, &[n; 10])
}

fn repeatable(n: u8) -> Repeatable {
    Repeatable { api_key: [1; 32], idempotency_key: format!("key-{n}").into(), body: [n; 32] }
}

fn call(n: u8) -> Call {
    let waiting = |text| PartyView::waiting(Number::new(text).unwrap(), PartyType::Extension);
    let at = Timestamp::from_unix_milliseconds(1_000).unwrap();
    Call::beginning(id(n), [waiting("1001"), waiting("1002")], CallDirection::Internal, at)
}

#[test]
fn a_call_begins_when_its_row_its_first_event_and_the_answer_to_its_request_are_on_disk_together() {
    let mut world = World::new();
    let begin = world.begin(1);
    assert!(world.gone_on.is_empty() && world.told.is_empty(), "nothing before the disk has it");
    let round = world.lands();
    assert_eq!((round.number, round.calls.len(), round.events.len()), (1, 1, 1));
    assert_eq!(round.first_answers[0].request, repeatable(1));
    assert_eq!((world.gone_on, world.told), (vec![begin], vec![(CallEventKind::Initiated, id(1))]));
    assert!(world.journal.is_idle());
}

#[test]
fn what_comes_while_a_round_is_written_shares_the_next_one() {
    let mut world = World::new();
    world.begin(1);
    let waiting = [world.begin(2), world.answered(1), world.register(1), world.end(1, 10)];
    assert_eq!(world.lands().calls.len(), 1);
    world.gone_on.clear();
    let round = world.lands();
    assert_eq!((round.number, round.calls.len(), round.events.len()), (2, 2, 2));
    assert_eq!((round.invites.len(), round.bindings.len(), round.messages.len()), (1, 1, 1));
    assert_eq!(world.gone_on, waiting);
}

#[test]
fn what_waits_behind_a_round_that_fails_is_refused_but_for_what_running_calls_need() {
    let mut world = World::new();
    let first = world.begin(1);
    // These are gathered behind it.
    let (second, register) = (world.begin(2), world.register(1));
    let (answer, end) = (world.answered(3), world.end(4, 10));
    let failed = world.fails();
    assert_eq!(world.refused, [first, second, register]);
    assert_eq!(world.gone_on, [answer], "its call's row is on disk: the phone is not kept waiting");
    assert!(!world.journal.can_write() && world.round.is_none());
    assert_eq!(world.storage, [StorageState::Failing("the disk is full".into())]);
    // While it lasts.
    let refused = [world.begin(5), world.register(2)];
    assert_eq!(world.refused[3..], refused);
    let answer = world.answered(6);
    assert_eq!(world.gone_on[1..], [answer]);
    // The very same round again, and nothing is said a second time.
    world.pass(AGAIN);
    assert!(Arc::ptr_eq(&failed, world.round.as_ref().unwrap()));
    world.fails();
    world.pass(AGAIN);
    assert_eq!(world.storage.len(), 1);
    world.gone_on.clear();
    world.told.clear();
    world.lands();
    assert_eq!(world.storage[1..], [StorageState::Fine]);
    assert!(world.journal.can_write() && world.gone_on.is_empty());
    let round = world.lands();
    assert_eq!(world.gone_on, [end], "an end is told when it is on disk, however long that takes");
    // The row that landed after its request was refused is closed, and a repeat of the request begins anew; nothing of
    // the requests that were refused before anything of them was written is there.
    let calls: Vec<_> = round.calls.iter().map(|call| (call.call_id, call.end.is_some())).collect();
    assert_eq!(calls, [(id(4), true), (id(1), true)]);
    let refused = round.calls[1].end.as_ref().unwrap();
    assert_eq!((refused.reason, refused.by), (EndReason::Refused, EndedBy::Server));
    assert_eq!((round.forgotten_answers.clone(), round.first_answers.len()), (vec![id(1)], 0));
    let ended = |n| (CallEventKind::Ended, id(n));
    assert_eq!(world.told, [(CallEventKind::Initiated, id(1)), ended(4), ended(1)]);
    assert_eq!(round.invites.len(), 2);
    assert!(world.journal.is_idle());
}

#[test]
fn a_round_that_takes_over_two_seconds_keeps_nobody_waiting() {
    let mut world = World::new();
    let (begin, answer) = (world.begin(1), world.answered(2));
    world.pass(SLOW - Duration::from_millis(1));
    assert!(world.refused.is_empty() && world.gone_on.is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!((&world.refused[..], &world.gone_on[..]), (&[begin][..], &[answer][..]));
    assert_eq!(world.storage, [StorageState::Slow]);
    assert_eq!(world.journal.poll_timeout(), None, "the writer has it");
    world.lands();
    assert_eq!(world.storage[1..], [StorageState::Fine]);
    let round = world.lands();
    assert_eq!((round.calls[0].call_id, &round.forgotten_answers[..]), (id(1), &[id(1)][..]));
    assert!(world.journal.is_idle());
}

#[test]
fn a_slow_round_that_fails_in_the_end_says_why() {
    let mut world = World::new();
    world.begin(1);
    world.pass(SLOW);
    world.fails();
    let failing = StorageState::Failing("the disk is full".into());
    assert_eq!(world.storage, [StorageState::Slow, failing]);
    world.pass(AGAIN);
    // Slow again: that it fails is worse.
    world.pass(SLOW);
    assert_eq!(world.storage.len(), 2);
}

#[test]
fn traces_give_way_while_nothing_can_be_written_and_records_never_do() {
    let mut world = World::new();
    world.register(1);
    world.fails();
    for n in 1..=40 {
        world.end(n, 1024 * 1024);
    }
    assert_eq!(world.journal.unwritten_ends(), 40);
    world.pass(AGAIN);
    world.lands();
    let round = world.lands();
    assert_eq!((round.calls.len(), round.messages.len()), (40, 8));
    assert_eq!(round.messages.last().unwrap().call, id(40), "the youngest stay");
    assert_eq!(world.journal.unwritten_ends(), 0);
}

#[test]
fn calls_that_a_crash_cut_off_end_once_and_never_before_they_began() {
    let mut world = World::new();
    let mut connected = call(2);
    connected.connected_at = Timestamp::from_unix_milliseconds(50_000);
    let moment = world.moment();
    recover(&mut world.journal, vec![call(1), connected], moment);
    world.settle();
    let round = world.lands();
    for (record, event) in round.calls.iter().zip(&round.events) {
        let end = record.end.as_ref().unwrap();
        assert_eq!((end.reason, end.by), (EndReason::ServerCrashed, EndedBy::Server));
        assert_eq!(
            (event.event, &event.call, Some(event.at)),
            (CallEventKind::Ended, &**record, record.ended_at)
        );
    }
    // The clock was set back since the second one was connected.
    let ends: Vec<_> = round.calls.iter().map(|call| call.ended_at.unwrap().unix_milliseconds()).collect();
    assert_eq!(ends, [1_000, 50_000]);
    assert_eq!(BTreeMap::from_iter(world.told.into_iter().map(|(kind, id)| (id, kind))).len(), 2);
}
