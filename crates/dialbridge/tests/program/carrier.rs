//! The server of a trunk, over TLS. It answers every INVITE with 486.

use crate::certificates::Files;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// What a carrier shows, and whether it asks for the same.
pub(crate) struct Shows {
    files: Files,
    asks_for: Option<String>,
}

impl Shows {
    pub(crate) fn plain(files: &Files) -> Self {
        Self { files: files.clone(), asks_for: None }
    }

    pub(crate) fn asking_for(self, roots: &str) -> Self {
        Self { asks_for: Some(roots.into()), ..self }
    }

    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match &self.asks_for {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let certificate = CertificateDer::from_pem_file(&self.files.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&self.files.key).unwrap();
        Arc::new(builder.with_single_cert(vec![certificate], key).unwrap())
    }
}

/// Listens until the test is over.
pub(crate) struct Carrier {
    pub(crate) address: SocketAddr,
    invites: Receiver<Invite>,
    /// Connections that came to nothing.
    refused: Receiver<()>,
}

/// An INVITE and the connection that it came along.
#[derive(Debug)]
pub(crate) struct Invite {
    pub(crate) text: String,
    /// Counted from 0 by this carrier.
    pub(crate) connection: usize,
    /// The name that was asked for.
    pub(crate) sni: Option<String>,
    /// The caller has shown a certificate.
    pub(crate) shown: bool,
}

const SOON: Duration = Duration::from_secs(10);

impl Carrier {
    pub(crate) fn start(shows: Shows) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, config) = (listener.local_addr().unwrap(), shows.config());
        let (told, invites) = channel();
        let (tells_refused, refused) = channel();
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (config, told, refused) = (Arc::clone(&config), told.clone(), tells_refused.clone());
                std::thread::spawn(move || {
                    if !serve(stream.unwrap(), config, connection, &told) {
                        // The test may be over.
                        let _over = refused.send(());
                    }
                });
            }
        });
        Self { address, invites, refused }
    }

    /// The next INVITE.
    pub(crate) fn next(&self) -> Invite {
        self.invites.recv_timeout(SOON).expect("an INVITE comes")
    }

    /// Those that have come and were not asked for.
    pub(crate) fn invites(&self) -> Vec<Invite> {
        self.invites.try_iter().collect()
    }

    /// A connection comes to nothing, without an INVITE.
    pub(crate) fn refused(&self) -> bool {
        self.refused.recv_timeout(SOON).is_ok() && self.invites().is_empty()
    }
}

/// `false`: there was no INVITE.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, connection: usize, told: &Sender<Invite>) -> bool {
    let tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut stream = BufReader::new(tls);
    let mut came = false;
    while let Some(text) = message(&mut stream) {
        if !text.starts_with("INVITE ") {
            continue;
        }
        came = true;
        let tls = &stream.get_ref().conn;
        let (sni, shown) = (tls.server_name().map(Into::into), tls.peer_certificates().is_some());
        let answer = busy(&text);
        // The test may be over.
        let _over = told.send(Invite { text, connection, sni, shown });
        let tls = stream.get_mut();
        if tls.write_all(answer.as_bytes()).and_then(|()| tls.flush()).is_err() {
            break;
        }
    }
    came
}

/// The header of the next message; its body is read and dropped.
fn message(stream: &mut impl BufRead) -> Option<String> {
    let mut header = String::new();
    while !header.ends_with("\r\n\r\n") {
        if stream.read_line(&mut header).ok()? == 0 {
            return None;
        }
    }
    let length = field(&header, "Content-Length").parse().unwrap();
    stream.read_exact(&mut vec![0; length]).ok()?;
    Some(header.trim_start().to_owned() + "\r\n\r\n")
}

fn field<'a>(header: &'a str, name: &str) -> &'a str {
    header.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("0")
}

fn busy(invite: &str) -> String {
    let same = ["Via", "From", "Call-ID", "CSeq"].map(|name| format!("{name}: {}\r\n", field(invite, name)));
    let to = field(invite, "To");
    format!("SIP/2.0 486 Busy Here\r\n{}To: {to};tag=c\r\nContent-Length: 0\r\n\r\n", same.concat())
}
