//! A mail server that does what a test wants: it answers properly unless a rule says otherwise,
//! and remembers what it heard. It runs in memory, where virtual time works, or on a loopback
//! socket.

use std::sync::{Arc, Mutex};

use alert_engine::Timestamp;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::smtp::{Dial, Dialed};
use super::wire::Io;
use super::{Accounts, Email};
use crate::clock::{Clock, ManualClock};
use crate::config::{
    self, Header, Recipients, Secret, Smarthost, SmtpAuth, SmtpProof, SmtpTls, Thread, Trust,
};
use crate::receiver::conformance::{Behaviour, Stage, Subject};
use crate::receiver::{BuildError, Delivery, Progress, Quota, Receiver as _, Rendering};
use crate::render::{Language, Renderer, samples};

/// What the server does instead of answering properly.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Says this, to the byte.
    Say(Vec<u8>),
    /// Says nothing for ever.
    Hang,
    /// Closes the connection.
    Close,
    /// Says this and closes the connection.
    SayAndClose(Vec<u8>),
    /// Refuses for good, and repeats all that it heard.
    Echo,
}

/// Stands for an empty line, with which every line begins.
const NOTHING: &str = "(nothing)";

/// What the server heard.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Each command line, and `(connect)` and `(tls)`.
    pub(crate) lines: Vec<String>,
    /// The mails that it took, as they were before dot-stuffing.
    pub(crate) mails: Vec<Vec<u8>>,
}

/// The server. Clones share their log.
#[derive(Clone)]
pub(crate) struct Server {
    /// What to do at a line that starts so; the first fitting rule holds. `(connect)` is the
    /// greeting, `(body)` the text after DATA, `.` its end.
    rules: Vec<(String, Act)>,
    /// On connections that have carried so many mails.
    ruled_after: usize,
    offers: String,
    tls: Option<Arc<rustls::ServerConfig>>,
    is_implicit: bool,
    is_loopback: bool,
    log: Arc<Mutex<Log>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            rules: Vec::new(),
            ruled_after: 0,
            offers: "250-mx.example.com\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
            tls: None,
            is_implicit: false,
            is_loopback: true,
            log: Arc::default(),
        }
    }

    /// Does `act` at lines that start with `line`.
    pub(crate) fn at(mut self, line: &str, act: Act) -> Self {
        self.rules.push((line.to_owned(), act));
        self
    }

    /// Answers properly until a connection has carried so many mails.
    pub(super) fn after(mut self, mails: usize) -> Self {
        self.ruled_after = mails;
        self
    }

    /// Says `reply` at lines that start with `line`.
    pub(super) fn says(self, line: &str, reply: &str) -> Self {
        self.at(line, Act::Say(format!("{reply}\r\n").into_bytes()))
    }

    /// Says `reply` at empty lines.
    pub(super) fn says_to_nothing(self, reply: &str) -> Self {
        self.says(NOTHING, reply)
    }

    pub(super) fn offering(mut self, reply: &str) -> Self {
        self.offers = reply.to_owned();
        self
    }

    pub(super) fn with_tls(mut self, certificate: &Certificate, implicit: bool) -> Self {
        self.tls = Some(certificate.server.clone());
        self.is_implicit = implicit;
        self
    }

    pub(super) fn far_away(mut self) -> Self {
        self.is_loopback = false;
        self
    }

    pub(crate) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }

    /// How many lines started with `line`.
    pub(super) fn heard(&self, line: &str) -> usize {
        self.log()
            .lines
            .iter()
            .filter(|heard| heard.starts_with(line))
            .count()
    }

    /// Serves on a loopback port.
    pub(crate) async fn listen(&self) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(Box::new(stream)));
            }
        });
        port
    }

    async fn serve(mut self, stream: Box<dyn Io>) -> std::io::Result<()> {
        let mut stream = match &self.tls {
            Some(tls) if self.is_implicit => accept(tls, stream).await?,
            Some(_) | None => stream,
        };
        let mut answers = self
            .answer(&mut stream, "(connect)", "220 mx.example.com ESMTP\r\n")
            .await?;
        while answers {
            let line = read_line(&mut stream).await?;
            let word = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_uppercase();
            let proper = match word.as_str() {
                "EHLO" => self.offers.as_str(),
                "STARTTLS" => "220 go on\r\n",
                "AUTH" if line == "AUTH LOGIN" => "334 VXNlcm5hbWU6\r\n",
                "AUTH" => "235 welcome\r\n",
                "HELO" | "MAIL" | "RCPT" | "RSET" => "250 ok\r\n",
                "DATA" => "354 go on\r\n",
                "QUIT" => "221 bye\r\n",
                _ if line == "dXNlcg==" => "334 UGFzc3dvcmQ6\r\n",
                _ => "235 welcome\r\n",
            };
            answers = self.answer(&mut stream, &line, proper).await?;
            match (word.as_str(), &self.tls) {
                ("STARTTLS", Some(tls)) => stream = accept(tls, stream).await?,
                ("DATA", _) if answers => answers = self.take_mail(&mut stream).await?,
                ("QUIT", _) => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    async fn take_mail(&mut self, stream: &mut Box<dyn Io>) -> std::io::Result<bool> {
        if let Some(act) = self.rule("DATA")
            && !matches!(act, Act::Say(reply) if reply.starts_with(b"354"))
        {
            return Ok(true);
        }
        if self.rule("(body)").is_some() {
            return self.answer(stream, "(body)", "").await;
        }
        let mut mail = Vec::new();
        loop {
            let line = read_line(stream).await?;
            if line == "." {
                break;
            }
            let line = line.strip_prefix('.').unwrap_or(&line);
            mail.extend_from_slice(line.as_bytes());
            mail.extend_from_slice(b"\r\n");
        }
        let mails = {
            let mut log = self.log();
            log.mails.push(mail);
            log.mails.len()
        };
        let queued = format!("250 2.0.0 queued as {mails}\r\n");
        let answers = self.answer(stream, ".", &queued).await;
        self.ruled_after = self.ruled_after.saturating_sub(1);
        answers
    }

    fn rule(&self, line: &str) -> Option<&Act> {
        let is_ruled = self.ruled_after == 0;
        self.rules
            .iter()
            .find(|(start, _)| {
                let fits = line.starts_with(start.as_str());
                is_ruled && (fits || (line.is_empty() && start == NOTHING))
            })
            .map(|(_, act)| act)
    }

    /// Answers a line; `false` ends the connection.
    async fn answer(
        &self,
        stream: &mut Box<dyn Io>,
        line: &str,
        proper: &str,
    ) -> std::io::Result<bool> {
        self.log().lines.push(line.to_owned());
        let (reply, goes_on) = match self.rule(line) {
            None => (proper.as_bytes().to_vec(), true),
            Some(Act::Say(reply)) => (reply.clone(), true),
            Some(Act::SayAndClose(reply)) => (reply.clone(), false),
            Some(Act::Echo) => (
                format!("550 {}\r\n", self.log().lines.join(" ")).into_bytes(),
                true,
            ),
            Some(Act::Close) => (Vec::new(), false),
            Some(Act::Hang) => std::future::pending().await,
        };
        stream.write_all(&reply).await?;
        stream.flush().await?;
        Ok(goes_on)
    }
}

impl Dial for Server {
    fn dial<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, std::io::Result<Dialed>> {
        let (near, far) = tokio::io::duplex(8 * 1024);
        tokio::spawn(self.clone().serve(Box::new(far)));
        let address = if self.is_loopback {
            [127, 0, 0, 1]
        } else {
            [192, 0, 2, 1]
        };
        Box::pin(async move {
            Ok(Dialed {
                stream: Box::new(near),
                peer: (address, 587).into(),
            })
        })
    }
}

async fn read_line(stream: &mut Box<dyn Io>) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await?);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8_lossy(&line).into_owned())
}

async fn accept(
    tls: &Arc<rustls::ServerConfig>,
    stream: Box<dyn Io>,
) -> std::io::Result<Box<dyn Io>> {
    Ok(Box::new(
        tokio_rustls::TlsAcceptor::from(tls.clone())
            .accept(stream)
            .await?,
    ))
}

/// A certificate for a name, and the text that makes a client trust it.
pub(super) struct Certificate {
    server: Arc<rustls::ServerConfig>,
    pub(super) pem: String,
}

impl Certificate {
    pub(super) fn of(name: &str, last_year: i32) -> Self {
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Self {
            server: Arc::new(server),
            pem: certificate.pem(),
        }
    }
}

/// Settings for mails to `to`, without TLS and login.
pub(super) fn settings(to: &[&str]) -> config::Email {
    config::Email {
        to: to.iter().map(|to| to.parse().unwrap()).collect(),
        bcc: vec![],
        from: "告警 <alerts@example.com>".parse().unwrap(),
        envelope_from: "bounces@example.com".parse().unwrap(),
        reply_to: None,
        smarthost: Smarthost {
            host: "mx.example.com".into(),
            port: 587,
        },
        hello: Some("router.example.com".into()),
        tls: SmtpTls::Plain,
        trust: Trust::default(),
        auth: None,
        headers: vec![header("X-Team", "数据库")],
        recipients: Recipients::Shared,
        thread: Thread::Episode,
        subject_status: false,
        id_domain: "id.example.com".into(),
        hourly_limit: 60,
        account_limits: None,
    }
}

/// A further header, which must be a proper one.
pub(super) fn header(name: &str, value: &str) -> Header {
    Header::new(name, value).unwrap_or_else(|why| panic!("{name}: {why:?}"))
}

/// The account of tests.
pub(super) fn auth() -> Option<SmtpAuth> {
    Some(SmtpAuth {
        username: "user".into(),
        proof: SmtpProof::Password(Secret::new("hunter2")),
        identity: None,
    })
}

/// What receivers share, at the samples' time.
pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) renderer: Arc<Renderer>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            clock: Arc::new(ManualClock::at(samples::NOW)),
            renderer: Arc::new(Renderer::built_in()),
        }
    }

    /// All receivers of these settings.
    pub(super) fn build(&self, settings: &config::Email) -> Result<Vec<Email>, BuildError> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let accounts = Accounts::of([settings], &clock);
        Email::build("db-team", settings, &accounts, &self.renderer)
    }

    /// What the accounts of a config with all these settings take, for the first mail of each.
    pub(super) fn quotas(&self, all: &[config::Email]) -> Vec<Option<Quota>> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let accounts = Accounts::of(all, &clock);
        let build = |settings| Email::build("db-team", settings, &accounts, &self.renderer);
        let quota = |settings| build(settings).unwrap().remove(0).quota().cloned();
        all.iter().map(quota).collect()
    }

    /// The first receiver of these settings, talking to `server`.
    pub(super) fn receiver(&self, settings: &config::Email, server: &Server) -> Email {
        let mut email = self.build(settings).unwrap().remove(0);
        email.dial = Box::new(server.clone());
        email
    }
}

/// The first attempt to deliver `message`.
pub(super) fn delivery(email: &Email, message: &crate::message::Message) -> Delivery {
    let locale = samples::locale(Language::English);
    let rendering = Rendering {
        message,
        memory: None,
        locale: &locale,
    };
    let parts = email.render(&rendering).unwrap();
    let created = Timestamp::from_millis(message.created.as_millis());
    Delivery {
        id: message.id,
        attempt: 1,
        created,
        parts,
        progress: Progress::new(),
    }
}

/// The e-mail receiver for the list of what all receivers promise.
pub(in crate::receiver) struct EmailSubject;

impl Subject for EmailSubject {
    // As it is, and as AUTH PLAIN and AUTH LOGIN send it.
    const SECRETS: &'static [&'static str] = &["hunter2", "AHVzZXIAaHVudGVyMg==", "aHVudGVyMg=="];

    async fn stage(behaviour: Behaviour) -> Stage {
        let server = match behaviour {
            Behaviour::Accept => Server::new(),
            Behaviour::HangBeforeAnswer => Server::new().at("(connect)", Act::Hang),
            Behaviour::HangInAnswer => Server::new().at("MAIL", Act::Say(b"250-o".to_vec())),
            Behaviour::LoseAnswer => Server::new().at(".", Act::Close),
            Behaviour::Echo => Server::new().at("RCPT", Act::Echo),
        };
        let mut settings = settings(&["a@example.com", "b@example.com"]);
        settings.auth = auth();
        let receiver = World::new().receiver(&settings, &server);
        Stage {
            debug: format!("{receiver:?}"),
            receiver: Box::new(receiver),
            sent: Box::new(move || server.log().mails.len()),
        }
    }
}
