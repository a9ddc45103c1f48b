//! The conversation with a mail server, step by step: each step has a deadline, each command
//! gives back the server's reply, and any trouble ends the session. What replies to a mail mean
//! is not known here.
//!
//! The commands are lettre's; its connection is not used, see `reply`.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::future::BoxFuture;
use lettre::Address;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Quit, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailParameter};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::classify::Step;
use super::reply::{Offers, Reply};
use super::token::Token;
use super::wire::{Io, Wire, within};
use crate::config::{Secret, SmtpAuth, SmtpTls};
use crate::receiver::tls;

/// Where mail is handed in, and how.
#[derive(Clone)]
pub(super) struct Relay {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: SmtpTls,
    /// The name that the certificate must hold.
    pub(super) server_name: ServerName<'static>,
    /// What is trusted besides the public roots.
    pub(super) ca_pem: Option<Arc<str>>,
    /// Follows from `ca_pem`.
    pub(super) client_config: Arc<rustls::ClientConfig>,
    /// The name in EHLO.
    pub(super) hello: ClientId,
    pub(super) auth: Option<SmtpAuth>,
}

/// Whether a session to one of them would do for the other.
impl PartialEq for Relay {
    fn eq(&self, other: &Self) -> bool {
        let way = |relay: &Self| (relay.port, relay.tls, relay.host.to_ascii_lowercase());
        way(self) == way(other)
            && self.server_name == other.server_name
            && self.ca_pem == other.ca_pem
            && self.hello == other.hello
            && self.auth == other.auth
    }
}

/// Opens byte streams. A seam, so that tests need no sockets and no real time.
pub(super) trait Dial: Send + Sync + 'static {
    /// A stream to `host`.
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Dialed>>;
}

/// An open byte stream.
pub(super) struct Dialed {
    pub(super) stream: Box<dyn Io>,
    /// Who is at the other end.
    pub(super) peer: SocketAddr,
}

/// What shows on the way into a session, for whoever wants to know why one does not open.
pub(super) enum Sight<'a> {
    /// TCP stands.
    Connected(SocketAddr),
    /// The server's first words.
    Greeted(&'a Reply),
    /// What it can do: again after STARTTLS, when it may be something else.
    Offered(&'a Offers),
    /// TLS stands, and the certificate holds.
    Protected(Option<rustls::ProtocolVersion>),
    /// The login begins.
    LoggingIn(Mechanism),
    /// The login was accepted, in these words.
    LoggedIn(&'a Reply),
}

/// What a login is proved with, fetched if need be.
#[derive(Clone)]
pub(super) enum Proof {
    /// AUTH PLAIN or LOGIN.
    Password(Secret),
    /// AUTH XOAUTH2.
    Token(Token),
}

/// Is told of each as it shows.
pub(super) type Watch<'a> = &'a mut (dyn FnMut(Sight<'_>) + Send);

/// TCP.
pub(super) struct Tcp;

impl Dial for Tcp {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Dialed>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            let peer = stream.peer_addr()?;
            Ok(Dialed {
                stream: Box::new(stream),
                peer,
            })
        })
    }
}

/// Why a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server said no.
    Refused { step: Step, reply: Reply },
    /// The connection failed.
    Lost { step: Step, why: String },
    /// The server did not answer in time.
    Late { step: Step },
    /// The server is not who it should be.
    Certificate { why: String },
    /// STARTTLS is required and not offered.
    NoStartTls,
    /// No mechanism for AUTH that both sides know.
    NoMechanism {
        /// What is missing, after "offers".
        wanted: &'static str,
    },
    /// Credentials would travel unprotected to another machine.
    Unprotected,
    /// The mail is larger than the server says it takes.
    TooLarge { most: usize },
}

/// The longest time that a step may take. Before the final dot a short one costs a retry; after
/// it, one that is too short makes duplicates, so RFC 5321's ten minutes stay.
pub(super) const fn deadline(step: Step) -> Duration {
    Duration::from_secs(match step {
        Step::Connect | Step::Tls => 10,
        Step::Greeting | Step::StartTls => 30,
        Step::Auth | Step::Mail | Step::Rcpt | Step::Data => 60,
        // Each block has a minute of its own; this bounds a server that takes byte by byte.
        Step::Text => 300,
        Step::Dot => 600,
    })
}

/// How long a server may take to say good-bye, which nobody waits for.
pub(super) const QUIT: Duration = Duration::from_secs(2);

/// Transactions in one session at most: some servers count them, and say so only by hanging up.
const MOST: u32 = 20;

/// A conversation in which mails may be handed in.
pub(super) struct Session {
    wire: Wire,
    offers: Offers,
    /// Transactions that came to their proper end.
    ended: u32,
    /// Whether the last one did, so that another may begin.
    is_between: bool,
}

impl Session {
    /// Connects, protects the connection as the relay wants it, and logs in.
    pub(super) async fn open(
        relay: &Relay,
        proof: Option<&Proof>,
        dial: &dyn Dial,
    ) -> Result<Self, Trouble> {
        Self::open_watched(relay, proof, dial, &mut |_| {}).await
    }

    /// As [`open`](Self::open), before the eyes of `watch`.
    pub(super) async fn open_watched(
        relay: &Relay,
        proof: Option<&Proof>,
        dial: &dyn Dial,
        watch: Watch<'_>,
    ) -> Result<Self, Trouble> {
        let Dialed { stream, peer } =
            step(Step::Connect, dial.dial(&relay.host, relay.port)).await?;
        watch(Sight::Connected(peer));
        let is_loopback = peer.ip().to_canonical().is_loopback();
        if relay.tls == SmtpTls::Plain && relay.auth.is_some() && !is_loopback {
            return Err(Trouble::Unprotected);
        }
        let mut session = match relay.tls {
            SmtpTls::Plain => Self::greet(stream, relay, watch).await?,
            SmtpTls::Implicit => {
                let stream = handshake(relay, stream, watch).await?;
                Self::greet(stream, relay, watch).await?
            }
            SmtpTls::StartTls => {
                let session = Self::greet(stream, relay, watch).await?;
                session.start_tls(relay, watch).await?
            }
        };
        if let (Some(auth), Some(proof)) = (&relay.auth, proof) {
            session.log_in(auth, proof, watch).await?;
        }
        Ok(session)
    }

    fn new(wire: Wire) -> Self {
        Self {
            wire,
            offers: Offers::default(),
            ended: 0,
            is_between: false,
        }
    }

    /// Whether it was used before. Since then the server may have hung up.
    pub(super) fn is_used(&self) -> bool {
        self.ended > 0
    }

    /// Whether another mail may follow: the last one ended well, and they were not too many.
    pub(super) fn may_go_on(&mut self) -> bool {
        self.is_between && self.ended < MOST && self.is_quiet()
    }

    /// Whether the server has neither closed the connection nor said something unasked.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.wire.is_quiet()
    }

    /// MAIL FROM: begins a transaction.
    pub(super) async fn mail(&mut self, from: &Address, size: usize) -> Result<Reply, Trouble> {
        self.is_between = false;
        let size = match self.offers.size {
            Some(most) if size > most => return Err(Trouble::TooLarge { most }),
            Some(_) => vec![MailParameter::Size(size)],
            None => vec![],
        };
        self.ask(Step::Mail, Mail::new(Some(from.clone()), size))
            .await
    }

    /// RCPT TO: one recipient of the transaction.
    pub(super) async fn rcpt(&mut self, to: &Address) -> Result<Reply, Trouble> {
        self.ask(Step::Rcpt, Rcpt::new(to.clone(), vec![])).await
    }

    /// DATA: asks whether the server wants the text now.
    pub(super) async fn data(&mut self) -> Result<Reply, Trouble> {
        self.ask(Step::Data, Data).await
    }

    /// The text and the final dot. Trouble at [`Step::Dot`] means that it may have arrived.
    pub(super) async fn text(&mut self, mail: &[u8]) -> Result<Reply, Trouble> {
        step(Step::Text, self.wire.send_mail(mail)).await?;
        let reply = self.ask(Step::Dot, ".\r\n").await?;
        self.end(&reply);
        Ok(reply)
    }

    /// RSET: gives up a transaction, so that another may begin.
    pub(super) async fn reset(&mut self) -> Result<Reply, Trouble> {
        let reply = self.ask(Step::Mail, Rset).await?;
        self.end(&reply);
        Ok(reply)
    }

    /// The reply to what ends a transaction, after which the server expects the next one.
    fn end(&mut self, reply: &Reply) {
        if reply.code == 250 {
            self.ended += 1;
            self.is_between = true;
        }
    }

    /// Says good-bye. The mail is settled, whatever the answer.
    pub(super) async fn quit(mut self) {
        let _ = within(QUIT, self.wire.ask(&Quit.to_string())).await;
    }

    /// Waits for the greeting and says EHLO, or HELO to a server so old that it must not be
    /// trusted with more than a mail.
    async fn greet(stream: Box<dyn Io>, relay: &Relay, watch: Watch<'_>) -> Result<Self, Trouble> {
        let mut wire = Wire::new(stream);
        let greeting = step(Step::Greeting, wire.reply()).await?;
        watch(Sight::Greeted(&greeting));
        expect(220, Step::Greeting, greeting)?;
        let mut session = Self::new(wire);
        let reply = session
            .ask(Step::Greeting, Ehlo::new(relay.hello.clone()))
            .await?;
        let is_simple = relay.tls == SmtpTls::Plain && relay.auth.is_none();
        if is_simple && matches!(reply.code, 500 | 502) {
            let reply = session
                .ask(Step::Greeting, format!("HELO {}\r\n", relay.hello))
                .await?;
            expect(250, Step::Greeting, reply)?;
            return Ok(session);
        }
        session.learn(reply, watch)?;
        Ok(session)
    }

    /// Takes the reply to EHLO for what the server can do.
    fn learn(&mut self, reply: Reply, watch: Watch<'_>) -> Result<(), Trouble> {
        self.offers = expect(250, Step::Greeting, reply)?.offers();
        watch(Sight::Offered(&self.offers));
        Ok(())
    }

    /// Begins TLS on a plain session, of which nothing is believed afterwards.
    async fn start_tls(mut self, relay: &Relay, watch: Watch<'_>) -> Result<Self, Trouble> {
        if !self.offers.start_tls {
            return Err(Trouble::NoStartTls);
        }
        let reply = self.ask(Step::StartTls, Starttls).await?;
        expect(220, Step::StartTls, reply)?;
        let stream = self
            .wire
            .into_stream()
            .map_err(|error| lost(Step::StartTls, &error))?;
        let wire = Wire::new(handshake(relay, stream, watch).await?);
        let mut session = Self::new(wire);
        let reply = session
            .ask(Step::Greeting, Ehlo::new(relay.hello.clone()))
            .await?;
        session.learn(reply, watch)?;
        Ok(session)
    }

    async fn log_in(
        &mut self,
        auth: &SmtpAuth,
        proof: &Proof,
        watch: Watch<'_>,
    ) -> Result<(), Trouble> {
        let mechanism = self.mechanism(proof)?;
        watch(Sight::LoggingIn(mechanism));
        let reply = match (proof, mechanism) {
            (Proof::Token(token), _) => self.show_token(&token.proof(&auth.username)).await?,
            (Proof::Password(password), Mechanism::Login) => {
                self.answer_prompts(&auth.username, password).await?
            }
            (Proof::Password(password), _) => {
                let proof = plain_proof(auth, password);
                self.ask(Step::Auth, format!("AUTH PLAIN {proof}\r\n"))
                    .await?
            }
        };
        let welcome = expect(235, Step::Auth, reply)?;
        watch(Sight::LoggedIn(&welcome));
        Ok(())
    }

    fn mechanism(&self, proof: &Proof) -> Result<Mechanism, Trouble> {
        let (mechanism, wanted) = match proof {
            Proof::Password(_) => (self.offers.for_password(), "neither AUTH PLAIN nor LOGIN"),
            Proof::Token(_) => (self.offers.for_token(), "no AUTH XOAUTH2"),
        };
        mechanism.ok_or(Trouble::NoMechanism { wanted })
    }

    /// AUTH XOAUTH2. A refusal comes as a question, and an empty answer brings the reply.
    async fn show_token(&mut self, proof: &str) -> Result<Reply, Trouble> {
        let reply = self
            .ask(Step::Auth, format!("AUTH XOAUTH2 {proof}\r\n"))
            .await?;
        match reply.code {
            334 => self.ask(Step::Auth, "\r\n").await,
            _ => Ok(reply),
        }
    }

    /// AUTH LOGIN.
    async fn answer_prompts(&mut self, user: &str, password: &Secret) -> Result<Reply, Trouble> {
        let mut prompt = self.ask(Step::Auth, "AUTH LOGIN\r\n").await?;
        for answer in [user, password.expose()] {
            expect(334, Step::Auth, prompt)?;
            let answer = format!("{}\r\n", BASE64.encode(answer));
            prompt = self.ask(Step::Auth, answer).await?;
        }
        Ok(prompt)
    }

    async fn ask(&mut self, at: Step, command: impl Display) -> Result<Reply, Trouble> {
        step(at, self.wire.ask(&command.to_string())).await
    }
}

/// What AUTH PLAIN sends.
pub(super) fn plain_proof(auth: &SmtpAuth, password: &Secret) -> String {
    let identity = auth.identity.as_deref().unwrap_or_default();
    let password = password.expose();
    BASE64.encode(format!("{identity}\0{}\0{password}", auth.username))
}

fn expect(code: u16, step: Step, reply: Reply) -> Result<Reply, Trouble> {
    if reply.code == code {
        Ok(reply)
    } else {
        Err(Trouble::Refused { step, reply })
    }
}

async fn handshake(
    relay: &Relay,
    stream: Box<dyn Io>,
    watch: Watch<'_>,
) -> Result<Box<dyn Io>, Trouble> {
    let connector = TlsConnector::from(relay.client_config.clone());
    let connecting = connector.connect(relay.server_name.clone(), stream);
    match within(deadline(Step::Tls), connecting).await {
        Ok(stream) => {
            watch(Sight::Protected(stream.get_ref().1.protocol_version()));
            Ok(Box::new(stream))
        }
        Err(error) => Err(match tls::distrust(&error) {
            Some(why) => Trouble::Certificate { why },
            None => lost(Step::Tls, &error),
        }),
    }
}

/// Does the work of a step within its time.
async fn step<T>(step: Step, work: impl Future<Output = io::Result<T>>) -> Result<T, Trouble> {
    within(deadline(step), work)
        .await
        .map_err(|error| lost(step, &error))
}

fn lost(step: Step, error: &io::Error) -> Trouble {
    if error.kind() == io::ErrorKind::TimedOut {
        return Trouble::Late { step };
    }
    // rustls adds a link to its manual, which helps nobody who reads an alert's history.
    let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
    let why = if is_end {
        "the server closed it".to_owned()
    } else {
        error.to_string()
    };
    Trouble::Lost { step, why }
}
