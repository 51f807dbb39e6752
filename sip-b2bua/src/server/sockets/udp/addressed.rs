//! Datagrams with the address of ours that they come to or leave from (RFC 3542 §6; IP_PKTINFO for IPv4).

use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

/// A socket that has no address of its own is told from now on where each datagram was sent to.
pub(super) fn ask_for(socket: &socket2::Socket, bound: SocketAddr) -> io::Result<()> {
    match bound {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// A datagram: its length, where it comes from, and our address that it came to.
pub(super) fn receive(
    socket: &tokio::net::UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(in_pktinfo, in6_pktinfo);
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let own = message.cmsgs().into_iter().flatten().find_map(own_address);
    let remote = message.address.and_then(|address| super::read_address(&address));
    // Each datagram has a source.
    let remote = remote.ok_or(io::ErrorKind::InvalidData)?;
    Ok((message.bytes, remote, own))
}

/// Sends from `source`, an address of ours and of the socket's family.
pub(super) fn send(
    socket: &tokio::net::UdpSocket,
    source: IpAddr,
    remote: SocketAddr,
    octets: &[u8],
) -> io::Result<usize> {
    let (v4, v6);
    let control = match source {
        IpAddr::V4(source) => {
            let address = in_addr { s_addr: u32::from_ne_bytes(source.octets()) };
            v4 = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: in_addr { s_addr: 0 } };
            ControlMessage::Ipv4PacketInfo(&v4)
        }
        IpAddr::V6(source) => {
            v6 = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: source.octets() }, ipi6_ifindex: 0 };
            ControlMessage::Ipv6PacketInfo(&v6)
        }
    };
    let (parts, to) = ([IoSlice::new(octets)], SockaddrStorage::from(remote));
    Ok(sendmsg(socket.as_raw_fd(), &parts, &[control], MsgFlags::MSG_DONTWAIT, Some(&to))?)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is asked for")]
fn own_address(control: ControlMessageOwned) -> Option<IpAddr> {
    let own = match control {
        // Where a datagram was sent to everybody it is the address from which it is answered.
        ControlMessageOwned::Ipv4PacketInfo(info) => IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()),
        ControlMessageOwned::Ipv6PacketInfo(info) => IpAddr::from(info.ipi6_addr.s6_addr).to_canonical(),
        _ => return None,
    };
    (!own.is_unspecified() && !own.is_multicast()).then_some(own)
}
