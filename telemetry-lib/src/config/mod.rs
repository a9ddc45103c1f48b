//! What `init` is told: defaults, then `OTEL_*` variables, then what the code sets.
//!
//! Reading is pure: [`Config::from_vars`] takes the variables as an argument, collects
//! what was invalid and starts nothing. `init` reports the invalid ones, each once.

mod endpoint;
mod exporter;
mod hosts;
mod http;
mod logs;
mod network;
mod service;
mod switches;
mod traces;
mod unused;
mod vars;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;

use ::http::HeaderName;

pub(crate) use self::endpoint::{Origin, shown_endpoint};
pub(crate) use self::exporter::{Exporter, Protocol};
pub use self::hosts::{HostRule, HostRuleError};
pub(crate) use self::http::HttpConfig;
use self::http::PathRule;
pub use self::http::{Callers, Endpoints};
pub(crate) use self::logs::LogConfig;
pub use self::logs::LogFormat;
pub use self::network::{Network, NetworkError};
pub(crate) use self::service::Service;
pub(crate) use self::traces::{Sampler, TraceConfig};
use self::vars::Vars;
#[cfg(feature = "otlp-grpc")]
pub(crate) use self::vars::percent_decoded;
pub(crate) use self::vars::{Invalid, percent_bytes};

/// What the service is called and how its telemetry is made and sent.
///
/// Code overrides variables, variables override defaults. The exception is the service's
/// name: `OTEL_SERVICE_NAME` wins over the one given here, because one binary may run
/// under several names. What switches off has no setting here: `OTEL_SDK_DISABLED` and
/// `OTEL_TRACES_EXPORTER=none` hold whatever the code says. `Display` prints the effective configuration, secrets hidden.
#[derive(Clone)]
pub struct Config {
    pub(crate) service: Service,
    pub(crate) disabled: bool,
    /// `None`: spans and their ids exist, nothing is sent.
    pub(crate) exporter: Option<Exporter>,
    pub(crate) traces: TraceConfig,
    pub(crate) http: HttpConfig,
    pub(crate) metrics: bool,
    pub(crate) exemplars: bool,
    pub(crate) logs: LogConfig,
    pub(crate) install_subscriber: bool,
    /// Where `/metrics` is to be served beside the service's own port.
    pub(crate) admin: Option<SocketAddr>,
    /// `OTEL_LOG_LEVEL` above warnings: nothing is said on stderr.
    pub(crate) silent: bool,
    /// Variables that are set, valid and without effect in this build.
    pub(crate) unused: Vec<&'static str>,
    pub(crate) invalid: Vec<Invalid>,
}

impl Config {
    /// Reads the environment of the process; see [`Config::from_vars`].
    #[must_use]
    pub fn from_env(service: impl Into<String>) -> Self {
        Self::from_os(service, std::env::vars_os())
    }

    /// Reads the given variables. An empty value is unset; an invalid one is ignored and
    /// reported by `init`, by its name only.
    #[must_use]
    pub fn from_vars(
        service: impl Into<String>,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let vars = vars.into_iter();
        Self::from_os(
            service,
            vars.map(|(name, value)| (name.into(), value.into())),
        )
    }

    fn from_os(
        service: impl Into<String>,
        vars: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let mut vars = Vars::new(vars);
        switches::report_unsupported(&mut vars);
        Self {
            service: Service::read(&mut vars, service.into()),
            disabled: vars.boolean("OTEL_SDK_DISABLED"),
            exporter: switches::exports_traces(&mut vars).then(|| Exporter::read(&mut vars)),
            traces: TraceConfig::read(&mut vars),
            http: HttpConfig::read(&mut vars),
            metrics: switches::serves_metrics(&mut vars),
            exemplars: switches::takes_exemplars(&mut vars),
            logs: LogConfig::read(&mut vars),
            install_subscriber: true,
            admin: switches::read_admin(&mut vars),
            silent: switches::is_silent(&mut vars),
            unused: unused::read(&mut vars),
            invalid: vars.into_invalid(),
        }
    }

    /// Sets `service.version` (default: `OTEL_RESOURCE_ATTRIBUTES`, else unset).
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.service.version = Some(version.into());
        self
    }

    /// Sends spans to this URL, path included (default `http://localhost:4318/v1/traces`).
    ///
    /// It says where they go, not whether: with `OTEL_TRACES_EXPORTER=none`, by which an operator keeps a
    /// service from sending anything, nothing is sent to it either.
    ///
    /// # Errors
    ///
    /// If it is not an absolute `http` or `https` URL, or its port is not from 1 to 65535; also if nothing
    /// is sent.
    pub fn endpoint(mut self, url: &str) -> Result<Self, EndpointError> {
        let endpoint = endpoint::parse_endpoint(url).ok_or(EndpointError)?;
        if let Some(exporter) = &mut self.exporter {
            exporter.endpoint = endpoint;
            exporter.origin = Origin::Code;
        }
        Ok(self)
    }

    /// Says what a caller's trace id and sampling decision are worth (default: trusted).
    #[must_use]
    pub fn callers(mut self, callers: Callers) -> Self {
        self.http.callers = callers;
        self
    }

    /// Believes `X-Forwarded-*` from peers in these networks (default: none), or `Forwarded` where there is
    /// none of those. A proxy that sets `Forwarded` must drop the `X-Forwarded-*` of its clients.
    #[must_use]
    pub fn trusted_proxies(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.http.trusted_proxies = networks.into_iter().collect();
        self
    }

    /// Records these request headers as attributes (default: none); at most eight values of each, with
    /// 256 bytes, and those with the names of secrets, such as `x-api-key`, as `REDACTED`. Of a URL
    /// in a value the user-info is hidden, and its query and fragment are shown as `url.query` is.
    #[must_use]
    pub fn request_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.http.request_headers = http::each_once(names);
        self
    }

    /// Records these response headers as attributes (default: none), as those of requests.
    #[must_use]
    pub fn response_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.http.response_headers = http::each_once(names);
        self
    }

    /// Records only these keys of queries, in `url.query` of servers and `url.full` of clients
    /// (default: all); an empty list records no query at all. Values of secrets stay hidden.
    #[must_use]
    pub fn query_keys(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.http.query_keys = Some(keys.into_iter().collect());
        self
    }

    /// Gives requests to these paths neither a span nor a metric (default: none).
    ///
    /// A path is meant as it stands; with `/*` at its end all below it, as in `/static/*` or
    /// `/grpc.health.v1.Health/*`.
    #[must_use]
    pub fn skip_paths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.http.skipped_paths = paths.into_iter().map(PathRule::new).collect();
        self
    }

    /// Chooses the endpoints that `instrument` answers (default: all three).
    #[must_use]
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.http.endpoints = endpoints;
        self
    }

    /// Tells the caller the trace id in this response header (default: none).
    #[must_use]
    pub fn trace_id_header(mut self, name: HeaderName) -> Self {
        self.http.trace_id_header = Some(name);
        self
    }

    /// Copies these baggage entries to every span as attributes (default: none).
    #[must_use]
    pub fn baggage_attributes(mut self, keys: impl IntoIterator<Item = String>) -> Self {
        self.traces.baggage_attributes = keys.into_iter().collect();
        self
    }

    /// Sends baggage to these hosts only, instead of [`HostRule::internal`] (the default):
    /// private addresses, names without a dot, `.svc`, `.local` and `.internal`. Trace ids go to
    /// every host.
    #[must_use]
    pub fn propagate_to(mut self, hosts: impl IntoIterator<Item = HostRule>) -> Self {
        self.http.propagate_to = hosts.into_iter().collect();
        self
    }

    /// Records `tracing` spans down to this level (default: INFO).
    #[must_use]
    pub fn span_level(mut self, level: tracing::Level) -> Self {
        self.traces.level = level;
        self
    }

    /// Leaves the place of the `tracing` subscriber free (default: `true`, `init` takes it if
    /// it is free). With `false`, build your own after `init`:
    /// `registry().with(fmt::layer().with_filter(filter)).with(telemetry.tracing_layer()).init()`.
    #[must_use]
    pub fn install_subscriber(mut self, install: bool) -> Self {
        self.install_subscriber = install;
        self
    }

    /// Chooses the form of log lines (default: JSON).
    #[must_use]
    pub fn log_format(mut self, format: LogFormat) -> Self {
        self.logs.format = format;
        self
    }

    /// Writes at most so many lines a second from one place in the code (default: 100; 0: all).
    ///
    /// What is beyond is counted and told in one line, at the earliest after 10 s and with the
    /// next line of any place, on a flush and at the shutdown; `telemetry_log_lines_folded_total`
    /// has the sum.
    #[must_use]
    pub fn log_lines_per_second(mut self, lines: u32) -> Self {
        self.logs.lines_per_second = lines;
        self
    }

    /// Hides the values of fields with these words in their names, beside `password`, `token`,
    /// `authorization` and the like: in log lines, in what the service's own spans say, in
    /// queries and in headers that are recorded.
    ///
    /// Case does not count, nor percent-encoding in a query, nor how words are joined: `card_number` is also
    /// `Card-Number`, `cardNumber` and `cardnumber`. A value of a query or header that holds such a name
    /// before `=` or `:`, or the user-info of a URL, or that begins with `Bearer` or `Basic` and a token, is
    /// hidden whole. Texts of messages are not searched.
    #[must_use]
    pub fn redact_fields(mut self, names: impl IntoIterator<Item = String>) -> Self {
        let names: Vec<String> = names.into_iter().collect();
        self.http.secrets.add(names.iter().cloned());
        self.logs.redaction.add(names);
        self
    }
}

/// The text is not an absolute `http` or `https` URL, or its port is none.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "not an endpoint: write an absolute http or https URL, whose port is from 1 to 65535 if it has one, \
     as in http://collector:4318/v1/traces"
)]
pub struct EndpointError;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = self.service.shown(&self.logs.redaction);
        writeln!(f, "service: {service:?}")?;
        writeln!(f, "disabled: {}", self.disabled)?;
        writeln!(f, "exporter: {:?}", self.exporter)?;
        writeln!(f, "traces: {:?}", self.traces)?;
        writeln!(f, "http: {:?}", self.http)?;
        writeln!(
            f,
            "metrics: {}, exemplars: {}",
            self.metrics, self.exemplars
        )?;
        writeln!(f, "logs: {:?}, admin: {:?}", self.logs.format, self.admin)?;
        writeln!(
            f,
            "silent: {}, without effect: {:?}",
            self.silent, self.unused
        )?;
        self.invalid.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
