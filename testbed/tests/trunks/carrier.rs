//! An extension with a phone, and the gateways of one or two carriers.

use call_control::{Call, CallId, ClickToCall, Number, Refusal};
use sip_b2bua::TrunkSettings;
use sip_message::{Method, Request};
use std::sync::Arc;
use testbed::simulation::{PhoneId, RawScript, World, Zone, answers_after, trunk};

/// Whom all of them call, as it is asked for and as it is dialled.
pub(crate) const ASKED: &str = "9944421125";
pub(crate) const DIALLED: &str = "+919944421125";

/// A world in which 1001 calls outside.
pub(crate) struct Outside {
    pub(crate) world: World,
    pub(crate) phone: PhoneId,
    pub(crate) gateways: Vec<PhoneId>,
}

impl Outside {
    /// A trunk at each gateway: the first at 192.0.2.1, the second at 192.0.2.2.
    pub(crate) fn with(scripts: &[RawScript]) -> Self {
        let trunks = (1..=scripts.len()).map(|index| numbered(index, &format!("sip:192.0.2.{index}")));
        Self::of(trunks.collect(), Zone::default(), scripts)
    }

    /// These trunks, and the gateways 192.0.2.1, 192.0.2.2 …
    pub(crate) fn of(trunks: Vec<TrunkSettings>, zone: Zone, scripts: &[RawScript]) -> Self {
        Self::with_registrars(trunks, zone, scripts, &[])
    }

    /// The same, and what each gateway says to the first REGISTERs.
    pub(crate) fn with_registrars(
        trunks: Vec<TrunkSettings>,
        zone: Zone,
        scripts: &[RawScript],
        answers: &[&[(&'static str, &'static str)]],
    ) -> Self {
        let mut world = World::with_trunks(7, trunks, zone);
        let phone = world.phone("1001", answers_after(0.5), 500.0);
        let gateways = scripts
            .iter()
            .enumerate()
            .map(|(index, script)| world.gateway(&format!("192.0.2.{}:5060", index + 1), script.clone()));
        let gateways: Vec<PhoneId> = gateways.collect();
        for (gateway, answers) in gateways.iter().zip(answers) {
            world.carrier_mut(*gateway).registers(answers);
        }
        world.register_all();
        Self { world, phone, gateways }
    }

    /// Calls the number.
    pub(crate) fn call(&mut self) -> CallId {
        self.ask(|_| {}).expect("there is a trunk")
    }

    /// The same with a request of its own.
    pub(crate) fn ask(&mut self, change: impl FnOnce(&mut ClickToCall)) -> Result<CallId, Refusal> {
        let mut request = World::request("1001", ASKED);
        change(&mut request);
        self.world.click_to_call(request)
    }

    /// Calls, and waits for the end.
    pub(crate) fn call_to_its_end(&mut self) -> Arc<Call> {
        let call = self.call();
        self.end(call)
    }

    /// Waits for the end; whoever is left talking is hung up on.
    pub(crate) fn end(&mut self, call: CallId) -> Arc<Call> {
        self.world.run_for(std::time::Duration::from_secs(15));
        if self.world.is_live(call) {
            self.world.hang_up(call);
        }
        let record = self.world.run_until_ended(call);
        for gateway in &self.gateways {
            assert!(!self.world.is_busy(*gateway), "{:?}", self.world.raw(*gateway).standing());
        }
        record
    }

    /// The INVITEs that a gateway got, its copies apart.
    pub(crate) fn invites(&self, gateway: usize) -> Vec<&Request> {
        let mut invites = self.world.raw(self.gateways[gateway]).received(&Method::INVITE);
        invites
            .dedup_by_key(|invite| invite.header.via.first().and_then(|via| via.branch()).map(String::from));
        invites
    }

    pub(crate) fn count(&self, gateway: usize, method: &Method) -> usize {
        self.world.raw(self.gateways[gateway]).received(method).len()
    }
}

/// A trunk with a priority of its own.
pub(crate) fn numbered(index: usize, address: &str) -> TrunkSettings {
    let priority = u32::try_from(index).expect("few trunks");
    TrunkSettings { priority, ..trunk(&format!("trunk {index}"), address) }
}

pub(crate) fn number(text: &str) -> Number {
    Number::new(text).expect("a number")
}
