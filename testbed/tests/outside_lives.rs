//! Thousands of calls outside, each with trunks, gateways, name servers and a network out of its own seed: through trunks
//! that refuse, fall silent, register and are full, asked for by the API and dialled by phones, and ended at any moment.
//! Whatever happens, each comes to one right end, and nothing is left of it: no call at anybody's phone, no channel.

use call_control::{Call, CallDirection, EndReason, EndedBy, PartyType, Refusal};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sip_b2bua::TrunkSettings;
use sip_message::Method;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use test_phone::Command;
use testbed::simulation::{
    Network, PhoneId, RawScript, World, Zone, answers_after, each_seed, percent, says, says_with, seconds,
    trunk,
};

/// One call outside.
struct Life {
    random: ChaCha12Rng,
    world: World,
    phone: PhoneId,
    gateways: Vec<PhoneId>,
    loses: bool,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let count = random.random_range(1..=3);
        let mut zone = Zone::default();
        let trunks = (1..=count).map(|index| some_trunk(index, &mut random)).collect();
        for index in 1..=count {
            let hosts = hosts_of(index);
            let mut own = Zone::of(&[(&hosts[0], &[address(index, 1)]), (&hosts[1], &[address(index, 2)])]);
            own = own.with_srv(
                &format!("_sip._udp.carrier{index}.example"),
                &[(10, 5060, &hosts[0]), (20, 5060, &hosts[1])],
            );
            zone = zone.merged(own);
        }
        zone.delay = seconds(*pick(&[0.0, 0.0, 0.3, 2.0, 5.0], &mut random));
        zone.is_down = random.random_bool(0.05);
        zone.valid = seconds(*pick(&[5.0, 60.0, 3600.0], &mut random));
        let mut world = World::with_trunks(seed, trunks, zone);
        let script = answers_after(random.random_range(0.0..2.0));
        let phone = world.phone("1001", script, 500.0);
        let mut gateways = Vec::new();
        for index in 1..=count {
            for host in 1..=2 {
                let gateway =
                    world.gateway(&format!("{}:5060", address(index, host)), some_script(&mut random));
                let registers: &[_] = match random.random_range(0..4) {
                    0 => &[],
                    1 => &[("403 Forbidden", "")],
                    _ => &[("200 OK", "Contact: CONTACT;expires=600\r\n")],
                };
                world.carrier_mut(gateway).registers(registers);
                gateways.push(gateway);
            }
        }
        world.register_all();
        let loses = random.random_bool(0.3);
        if loses {
            world.set_network(Network {
                loss: percent(8),
                doubling: percent(5),
                delay: seconds(0.02),
                jitter: seconds(0.03),
            });
        }
        Self { random, world, phone, gateways, loses }
    }

    /// How the call ended; `None` when it was refused.
    fn live(&mut self) -> Option<Arc<Call>> {
        let early = self.random.random_range(0.0..3.0);
        self.world.run_for(seconds(early));
        let number = *pick(&["9944421125", "+442079460000", "112", "+4930901820"], &mut self.random);
        let dials = self.random.random_bool(0.4);
        let id = if dials {
            self.world.press(self.phone, &Command::Call(number.into()));
            self.world.run_for(seconds(0.2));
            let records = self.world.records();
            records.first()?.call_id
        } else {
            let from = if self.random.random_bool(0.3) { "+919900112233" } else { "1001" };
            let mut request = World::request(from, number);
            request.to_timeout = seconds(f64::from(self.random.random_range(2..40)));
            request.timeout = seconds(f64::from(self.random.random_range(2..40)));
            match self.world.click_to_call(request) {
                Ok(id) => id,
                Err(refusal) => {
                    let is_right = matches!(
                        refusal,
                        Refusal::PolicyDenied { .. } | Refusal::NoTrunk { .. } | Refusal::NoChannel { .. }
                    );
                    assert!(is_right, "{refusal:?}");
                    return None;
                }
            }
        };
        let later = self.random.random_range(0.0..12.0);
        self.world.run_for(seconds(later));
        match self.random.random_range(0..6) {
            0 => self.world.hang_up(id),
            // It dies, and comes back.
            3 => {
                self.world.kill_server();
                self.world.run_for(seconds(0.5));
                self.world.start_server_again();
            }
            1 if dials => self.world.press(self.phone, &Command::HangUp),
            2 => self.world.end_all(),
            _ => {}
        }
        self.world.run_for(seconds(45.0));
        if self.world.is_live(id) {
            self.world.hang_up(id);
        }
        let call = self.world.run_until_ended(id);
        self.judge(&call);
        Some(call)
    }

    fn judge(&self, call: &Call) {
        let end = call.end.as_ref().expect("it has ended");
        let story = || self.world.story();
        assert_eq!(self.world.channels_in_use(), 0, "{}", story());
        for gateway in &self.gateways {
            assert!(!self.world.is_busy(*gateway), "{:?}\n{}", self.world.raw(*gateway).standing(), story());
        }
        let outside = [&call.from, &call.to].into_iter().any(|party| party.party_type == PartyType::External);
        assert!(outside && call.direction == CallDirection::Outbound, "{call:?}");
        let right = match end.reason {
            EndReason::HungUp => call.connected_at.is_some(),
            EndReason::PolicyDenied => call.connected_at.is_none() && end.sip_status == Some(403),
            EndReason::TrunkFailed | EndReason::LimitReached => {
                call.connected_at.is_none() && end.by == EndedBy::Server
            }
            EndReason::ServerStopped | EndReason::MediaTimeout | EndReason::ServerCrashed => true,
            EndReason::InternalError
            | EndReason::LoopDetected
            | EndReason::Transferred
            | EndReason::TransferFailed => false,
            EndReason::Cancelled
            | EndReason::NoAnswer
            | EndReason::Busy
            | EndReason::Declined
            | EndReason::Unreachable
            | EndReason::NotFound
            | EndReason::Refused
            | EndReason::NoCommonCodec
            | EndReason::SessionExpired
            | EndReason::MaxDuration => call.connected_at.is_none(),
        };
        assert!(right, "{end:?}\n{}", story());
        if !self.loses {
            self.check_that_nobody_was_passed_over();
        }
    }

    /// Once one of them rang, no other one was called in the same leg: at most one for each party of the call.
    fn check_that_nobody_was_passed_over(&self) {
        let rang = |gateway: &PhoneId| {
            let log = self.world.raw(*gateway).log();
            log.iter().any(|it| it.sent && matches!(&it.message, sip_message::Message::Response(response) if (180..300).contains(&response.status.code())))
        };
        let rang = self.gateways.iter().filter(|gateway| rang(gateway)).count();
        let late = self.gateways.iter().filter(|gateway| {
            let invites = self.world.raw(**gateway).received(&Method::INVITE);
            invites.len() > 1
        });
        // A gateway whose first word came late was given up, and another one rang in its place.
        assert!(rang <= 2 + late.count(), "{rang} have rung\n{}", self.world.story());
    }
}

fn pick<'a, T>(choices: &'a [T], random: &mut ChaCha12Rng) -> &'a T {
    &choices[random.random_range(0..choices.len())]
}

fn hosts_of(index: u8) -> [String; 2] {
    [1, 2].map(|host| format!("host{host}.carrier{index}.example"))
}

fn address(index: u8, host: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, index * 10 + host])
}

fn some_trunk(index: u8, random: &mut ChaCha12Rng) -> TrunkSettings {
    let uri = match random.random_range(0..3) {
        0 => format!("sip:{}", address(index, 1)),
        _ => format!("sip:carrier{index}.example"),
    };
    let registers = random.random_bool(0.3);
    TrunkSettings {
        priority: random.random_range(1..4),
        channels: random.random_range(1..3),
        username: registers.then(|| "acct".into()),
        registration: registers.then(|| Duration::from_secs(600)),
        probe: random.random_bool(0.3).then(|| Duration::from_secs(30)),
        ..trunk(&format!("trunk {index}"), &uri)
    }
}

fn some_script(random: &mut ChaCha12Rng) -> RawScript {
    let soon = random.random_range(0.0..0.5);
    let later = soon + random.random_range(0.0..6.0);
    let refusal = *pick(&[403, 404, 408, 480, 486, 488, 500, 502, 503, 504, 603], random);
    match random.random_range(0..9) {
        0 => RawScript::new([]),
        1 => RawScript::new([says(soon, refusal)]),
        2 => RawScript::new([says(0.0, 100), says(later, refusal)]),
        3 => RawScript::new([says(soon, 180), says(later, refusal)]),
        4 => RawScript::new([says_with("Retry-After: 20\r\n", soon, 503)]),
        5 => RawScript::new([says(4.0 + soon, *pick(&[180, 200, 486], random))]),
        6 => RawScript::rings(),
        _ => RawScript::new([says(soon, *pick(&[180, 183], random)), says(later, 200)]),
    }
}

#[test]
fn every_call_outside_comes_to_one_right_end_and_leaves_nothing() {
    let ends: Mutex<BTreeMap<EndReason, usize>> = Mutex::default();
    let refused = Mutex::new(0_usize);
    each_seed(10_000, |seed| {
        let ended = Life::new(seed).live();
        match ended.and_then(|call| call.end.clone()) {
            Some(end) => *ends.lock().expect("no test has failed").entry(end.reason).or_default() += 1,
            None => *refused.lock().expect("no test has failed") += 1,
        }
    });
    let ends = ends.into_inner().expect("no test has failed");
    for reason in [
        EndReason::HungUp,
        EndReason::Cancelled,
        EndReason::NoAnswer,
        EndReason::Busy,
        EndReason::Declined,
        EndReason::NotFound,
        EndReason::TrunkFailed,
        EndReason::PolicyDenied,
        EndReason::ServerStopped,
        EndReason::ServerCrashed,
    ] {
        assert!(ends.contains_key(&reason), "no life ends with {reason:?}: {ends:?}");
    }
    assert!(*refused.lock().expect("no test has failed") > 0);
}
