//! baresip, told what to do by its `ctrl_tcp` module.

use super::{PhoneAccount, Recording};
use crate::{Elsewhere, Running, Tool, loopback};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A baresip.
#[derive(Debug)]
pub struct Baresip {
    process: Running,
    control: SocketAddr,
    folder: PathBuf,
    elsewhere: Option<Elsewhere>,
}

impl Baresip {
    /// Starts it with files in `folder`, which is made.
    pub fn start(account: &PhoneAccount, folder: &Path) -> Self {
        let tool = Tool::Baresip.path();
        std::fs::create_dir_all(folder.join("heard")).expect("a folder");
        // Its RTP comes from 127.0.0.1, whatever address it announces: it announces that one.
        let here = Ipv4Addr::LOCALHOST.into();
        let (sip, control) = match &account.elsewhere {
            // Nobody else is there.
            Some(elsewhere) => (SocketAddr::new(elsewhere.ip, 5062), SocketAddr::new(here, 4444)),
            None => (loopback::free_port(here), loopback::free_port(here)),
        };
        let (_, rate, channels) = codec(account.codec);
        super::write_tone(&folder.join("tone.wav"), account.hertz, rate, channels);
        let write =
            |name: &str, text: String| std::fs::write(folder.join(name), text).expect("a file of baresip");
        let tls = account.roots().map(|file| format!("sip_cafile {file}\nsip_verify_server yes\n"));
        write("config", configuration(folder, sip, control) + &tls.unwrap_or_default());
        write("accounts", account_line(account));
        write("contacts", String::new());
        let elsewhere = account.elsewhere.clone();
        let mut command =
            elsewhere.as_ref().map_or_else(|| Command::new(&tool), |elsewhere| elsewhere.command(&tool));
        command.arg("-f").arg(folder).args(["-s", "-v"]).current_dir(folder).env("HOME", folder);
        let process = Running::start("baresip", &mut command, &folder.join("baresip.log"));
        Self { process, control, folder: folder.to_owned(), elsewhere }
    }

    /// Its process and what it has printed, all SIP messages included.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// Waits until the server has taken its registration.
    pub fn wait_until_registered(&mut self) {
        self.process.wait_for_output("200 OK (", Duration::from_secs(10));
    }

    /// Calls a number.
    pub fn dial(&self, number: &str) {
        self.command_with("dial", &format!(",\"params\":\"{number}\""));
    }

    /// Holds its call.
    pub fn hold(&self) {
        self.command("hold");
    }

    /// Ends the hold.
    pub fn resume(&self) {
        self.command("resume");
    }

    /// Answers the call that rings.
    pub fn answer(&self) {
        self.command("accept");
    }

    /// Wants this number to take its place in its call (RFC 3515).
    pub fn transfer(&self, number: &str) {
        self.command_with("transfer", &format!(",\"params\":\"sip:{number}@{}\"", crate::server::DOMAIN));
    }

    /// Hangs up.
    pub fn hang_up(&self) {
        self.command("hangup");
    }

    /// Ends it; it takes its registration back first.
    pub fn quit(mut self) {
        self.command("quit");
        let ended = self.process.wait(Duration::from_secs(8));
        assert!(ended.is_some(), "baresip does not end:\n{}", self.process.output_tail(40));
    }

    /// What it has heard in its last call. A re-INVITE that holds it ends that: its recorder is taken out of its sound
    /// then, and is not put back when its loudspeaker is.
    pub fn recording(&self) -> Recording {
        let files = std::fs::read_dir(self.folder.join("heard")).expect("the folder of recordings");
        let files = files.filter_map(Result::ok).map(|entry| entry.path());
        let heard = files.filter(|path| path.to_string_lossy().ends_with("-dec.wav"));
        let last = heard.max_by_key(|path| path.metadata().and_then(|file| file.modified()).ok());
        Recording::read(&last.unwrap_or_else(|| panic!("no recording:\n{}", self.process.output_tail(60))))
    }

    /// One command, as a netstring of JSON.
    fn command(&self, name: &str) {
        self.command_with(name, "");
    }

    fn command_with(&self, name: &str, more: &str) {
        let json = format!("{{\"command\":\"{name}\"{more}}}");
        let netstring = format!("{}:{json},", json.len());
        if let Some(elsewhere) = &self.elsewhere {
            let script = "exec 3<>/dev/tcp/$1/$2; printf %s \"$3\" >&3; sleep 0.1";
            let (ip, port) = (self.control.ip().to_string(), self.control.port().to_string());
            let mut command = elsewhere.command(Path::new("bash"));
            let status = command.args(["-c", script, "bash", &ip, &port, &netstring]).status();
            assert!(status.is_ok_and(|status| status.success()), "baresip takes no command");
            return;
        }
        let mut stream = TcpStream::connect(self.control).expect("baresip listens for commands");
        stream.write_all(netstring.as_bytes()).expect("baresip takes a command");
        // It reads before it closes what we close.
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn configuration(folder: &Path, sip: SocketAddr, control: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "sip_listen {sip}\nnet_interface {}\nctrl_tcp_listen {control}\n\
         audio_source aufile,{folder}/tone.wav\naudio_player aufile,{folder}/unused.wav\n\
         audio_alert aufile,{folder}/unused.wav\nsnd_path {folder}/heard\n\
         module_path /usr/lib/baresip/modules\nmodule g711.so\nmodule g722.so\nmodule opus.so\nmodule aufile.so\n\
         module_app account.so\nmodule_app menu.so\nmodule_app sndfile.so\nmodule_app ctrl_tcp.so\n",
        sip.ip()
    )
}

/// What baresip calls a codec; the rate and the channels it wants of its source.
fn codec(name: &str) -> (&'static str, u32, u16) {
    match name {
        "opus" => ("opus/48000/2", 48_000, 2),
        "G722" => ("G722/16000/1", 16_000, 1),
        "PCMA" => ("PCMA/8000/1", 8000, 1),
        _ => ("PCMU/8000/1", 8000, 1),
    }
}

fn account_line(account: &PhoneAccount) -> String {
    let PhoneAccount { extension, wire, answers, elsewhere, .. } = account;
    let server = account.registrar();
    let (codec, _, _) = codec(account.codec);
    let transport = wire.token();
    format!(
        "<sip:{}@{};transport={transport}>;outbound=\"sip:{server};transport={transport}\";auth_pass={};regint={};\
         answermode={};audio_codecs={codec}\n",
        extension.number,
        crate::server::DOMAIN,
        extension.password,
        // Whoever is behind a NAT may be forgotten there.
        if elsewhere.is_some() { 10 } else { 600 },
        if *answers { "auto" } else { "manual" }
    )
}
