//! Raw phones in a world, and what else is out of the ordinary: ports that are taken, a server that starts anew.

use super::super::phone_set::PhoneSet;
use super::super::server::SERVER;
use super::{PhoneId, World};
use crate::simulation::{ByHand, Carrier, RawPhone, RawScript};
use media_relay::BindError;
use sip_core::{Flow, Transport};
use std::net::SocketAddr;
use test_phone::{Script, Source};

impl World {
    /// Plugs in a raw phone of an extension. A handset beside it registers for it.
    pub fn raw_phone(&mut self, user: &str, script: RawScript) -> PhoneId {
        let (sip, rtp) = self.free_place();
        let handset = self.handset(user, Script::default(), Source::Tone { hertz: 0.0 });
        let raw = RawPhone::new(script, sip, rtp);
        let flow =
            Flow { transport: Transport::Udp, local: sip, remote: SocketAddr::new(SERVER, 5060), peer: None };
        self.plug_in(PhoneSet::Raw { handset, raw, flow }, sip, rtp)
    }

    /// Plugs in the gateway of a carrier at an address. It registers nowhere.
    pub fn gateway(&mut self, address: &str, script: RawScript) -> PhoneId {
        let sip: SocketAddr = address.parse().expect("an address with a port");
        let rtp = SocketAddr::new(sip.ip(), 4000);
        let remote = SocketAddr::new(SERVER, 5060);
        let flow = Flow { transport: Transport::Udp, local: sip, remote, peer: None };
        self.plug_in(
            PhoneSet::Gateway { carrier: Carrier::new(RawPhone::new(script, sip, rtp)), flow },
            sip,
            rtp,
        )
    }

    /// Plugs in what a carrier calls from: it is played by hand, registers nowhere, and plays `hertz` in calls.
    pub fn caller(&mut self, address: &str, hertz: f64) -> PhoneId {
        let sip: SocketAddr = address.parse().expect("an address with a port");
        let (rtp, server) = (SocketAddr::new(sip.ip(), 4000), SocketAddr::new(SERVER, 5060));
        let phone = ByHand::unregistered(("carrier", "", ""), (sip, rtp, server), hertz);
        self.plug_in(PhoneSet::ByHand(phone), sip, rtp)
    }

    /// What a raw phone or a gateway saw.
    pub fn raw(&self, phone: PhoneId) -> &RawPhone {
        self.phones[phone.0].handset.raw().unwrap_or_else(|| panic!("{phone:?} is no raw phone"))
    }

    /// What a carrier was asked.
    pub fn carrier(&self, gateway: PhoneId) -> &Carrier {
        let PhoneSet::Gateway { carrier, .. } = &self.phones[gateway.0].handset else {
            panic!("{gateway:?} is no gateway")
        };
        carrier
    }

    /// A carrier that is told what to say.
    pub fn carrier_mut(&mut self, gateway: PhoneId) -> &mut Carrier {
        let PhoneSet::Gateway { carrier, .. } = &mut self.phones[gateway.0].handset else {
            panic!("{gateway:?} is no gateway")
        };
        carrier
    }

    /// Nobody listens where a phone was any more, and the network says so.
    pub fn refuse_packets_to(&mut self, phone: PhoneId) {
        self.unplug(phone);
        let (local, remote) = (SocketAddr::new(SERVER, 5060), self.phones[phone.0].sip);
        let flow = Flow { transport: Transport::Udp, local, remote, peer: None };
        self.switchboard.handle_unreachable(flow, self.moment());
        self.settle();
    }

    /// Somebody else has every media port from now on, or has none any more.
    pub fn take_ports(&mut self, taken: bool) {
        self.ports_are_taken = taken;
    }

    pub(super) fn bind(&mut self, port: u16) -> Result<(), BindError> {
        if self.ports_are_taken {
            return Err(BindError::PortTaken);
        }
        self.bound.insert(port);
        Ok(())
    }
}
