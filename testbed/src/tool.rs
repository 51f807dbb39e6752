//! The programs of others that the tests run.

use std::path::{Path, PathBuf};

/// A program and the Debian package that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// SIPp.
    Sipp,
    /// baresip.
    Baresip,
    /// linphone on the command line.
    Linphone,
    /// Kamailio, with its TLS.
    Kamailio,
    /// What makes networks.
    Ip,
    /// What makes a NAT of one.
    Nft,
    /// What makes it forget.
    Conntrack,
}

impl Tool {
    const fn program(self) -> &'static str {
        match self {
            Self::Sipp => "sipp",
            Self::Baresip => "baresip",
            Self::Linphone => "linphonec",
            Self::Kamailio => "kamailio",
            Self::Ip => "ip",
            Self::Nft => "nft",
            Self::Conntrack => "conntrack",
        }
    }

    const fn package(self) -> &'static str {
        match self {
            Self::Sipp => "sip-tester",
            Self::Baresip => "baresip-core",
            Self::Linphone => "linphone-cli",
            Self::Kamailio => "kamailio kamailio-tls-modules",
            Self::Ip => "iproute2",
            Self::Nft => "nftables",
            Self::Conntrack => "conntrack",
        }
    }

    /// Where it is installed. A test that needs it fails without it, and says what to type.
    pub fn path(self) -> PathBuf {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        // Servers are where only root looks.
        let found = std::env::split_paths(&folders)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|folder| folder.join(self.program()))
            .find(|path| is_file(path));
        found.unwrap_or_else(|| {
            panic!(
                "{} is not installed. Install it with `apt-get install -y --no-install-recommends {}`, \
                 or run testbed/check, which installs whatever the tests need",
                self.program(),
                self.package()
            )
        })
    }
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file())
}
