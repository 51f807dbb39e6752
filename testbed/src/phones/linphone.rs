//! linphone on the command line, told what to do on its standard input.

use super::{PhoneAccount, Recording};
use crate::{Loopback, Running, Tool};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A linphone.
#[derive(Debug)]
pub struct Linphone {
    process: Running,
    heard: PathBuf,
    _loopback: Loopback,
}

impl Linphone {
    /// Starts it with files in `folder`, which is made.
    pub fn start(account: &PhoneAccount, folder: &Path) -> Self {
        let tool = Tool::Linphone.path();
        // Without this folder it has no database and does not start.
        std::fs::create_dir_all(folder.join(".local/share/linphone")).expect("a folder");
        let loopback = Loopback::claim();
        let (tone, heard) = (folder.join("tone.wav"), folder.join("heard.wav"));
        super::write_tone(&tone, account.hertz, 8000, 1);
        std::fs::write(folder.join("linphonerc"), configuration(account, &loopback))
            .expect("linphone's file");
        let mut command = Command::new(tool);
        command
            .args(account.answers.then_some("-a"))
            .args(["-d", "6", "-c", "linphonerc"])
            .current_dir(folder);
        command.env("HOME", folder).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        let mut process = Running::start("linphonec", &mut command, &folder.join("linphone.log"));
        process.type_line("soundcard use files");
        process.type_line(&format!("play {}", tone.display()));
        process.type_line(&format!("record {}", heard.display()));
        Self { process, heard, _loopback: loopback }
    }

    /// Its process and what it has printed, all SIP messages included.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Waits until the server has taken its registration.
    pub fn wait_until_registered(&mut self) {
        self.process.wait_for_output("LinphoneRegistrationOk", Duration::from_secs(10));
    }

    /// Takes its registration back.
    pub fn unregister(&mut self) {
        self.process.type_line("unregister");
    }

    /// Calls a number.
    pub fn dial(&mut self, number: &str) {
        self.process.type_line(&format!("call sip:{number}@{}", crate::server::DOMAIN));
    }

    /// Holds its call of this number: it counts them from one.
    pub fn hold(&mut self, call: u32) {
        self.process.type_line(&format!("pause {call}"));
    }

    /// Wants this number to take its place in its only call (RFC 3515).
    pub fn transfer(&mut self, number: &str) {
        self.process.type_line(&format!("transfer sip:{number}@{}", crate::server::DOMAIN));
    }

    /// Wants whoever it talks to in the second of these calls to take its place in the first one (RFC 3891).
    pub fn transfer_to_call(&mut self, call: u32, second: u32) {
        self.process.type_line(&format!("transfer {call} --to-call {second}"));
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.process.type_line("terminate");
    }

    /// Ends it; it takes its registration back first.
    pub fn quit(mut self) {
        self.process.type_line("quit");
        let ended = self.process.wait(Duration::from_secs(8));
        assert!(ended.is_some(), "linphone does not end:\n{}", self.process.output_tail(40));
    }

    /// What it has heard in its last call.
    pub fn recording(&self) -> Recording {
        Recording::read(&self.heard)
    }
}

fn configuration(account: &PhoneAccount, loopback: &Loopback) -> String {
    let PhoneAccount { extension, wire, codec, .. } = account;
    let server = account.registrar();
    let (ip, port, rtp) = (loopback.ip(), loopback.free_port().port(), loopback.free_port().port());
    let (user, password, domain) = (&extension.number, &extension.password, crate::server::DOMAIN);
    let transport = wire.token();
    let (udp, tcp, tls) = match wire {
        super::Wire::Udp => (port, 0, 0),
        super::Wire::Tcp => (0, port, 0),
        super::Wire::Tls => (0, 0, port),
    };
    // Its TLS knows no addresses in certificates, and the server has no name: the authority is looked at, the name is not.
    let believes =
        account.roots().map(|file| format!("root_ca={file}\nverify_server_certs=1\nverify_server_cn=0\n"));
    let believes = believes.unwrap_or_default();
    format!(
        "[sip]\nsip_port={udp}\nsip_tcp_port={tcp}\nsip_tls_port={tls}\n{believes}bind_address={ip}\nuse_ipv6=0\nprefer_ipv4=1\n\
         ipv6_migration_done=1\ndefault_proxy=0\nregister_only_when_network_is_up=0\n\n\
         [rtp]\nbind_address={ip}\naudio_rtp_port={rtp}\n\n\
         [proxy_0]\nreg_identity=sip:{user}@{domain}\nreg_proxy=<sip:{server};transport={transport}>\n\
         reg_route=<sip:{server};transport={transport};lr>\nreg_expires=600\nreg_sendregister=1\npublish=0\n\n\
         [auth_info_0]\nusername={user}\npasswd={password}\nrealm={domain}\ndomain={domain}\n\n{}",
        codecs(codec)
    )
}

/// All that this version knows, one of them enabled.
fn codecs(enabled: &str) -> String {
    let known = [
        ("opus", 48_000, 2),
        ("speex", 16_000, 1),
        ("speex", 8000, 1),
        ("PCMU", 8000, 1),
        ("PCMA", 8000, 1),
        ("G722", 8000, 1),
    ];
    let table = |(index, (mime, rate, channels)): (usize, &(&str, u32, u32))| {
        let on = u8::from(mime.eq_ignore_ascii_case(enabled));
        format!("[audio_codec_{index}]\nmime={mime}\nrate={rate}\nchannels={channels}\nenabled={on}\n\n")
    };
    known.iter().enumerate().map(table).collect()
}
