//! Reads the whole document: YAML, then every section, then the checks that need more than one.

use std::cell::RefCell;
use std::path::Path;

use alert_engine::{Matchers, RouteTree};
use serde_yaml::Value;

use super::duplicate::{self, Flaw};
use super::fields::Fields;
use super::names::Names;
use super::problem::{Complaint, KeyPath};
use super::read::{Context, Node};
use super::receiver::{self, Defaults};
use super::smtp::SmtpDefaults;
use super::wecom::WecomDefaults;
use super::{
    Config, ConfigError, Credential, Flags, Limits, Outside, Problem, address, locate, route,
    server, source,
};

/// A config is smaller.
pub(super) const MAX_BYTES: usize = 4 << 20;

pub(super) fn parse(
    file: &Path,
    text: &str,
    flags: &Flags,
    outside: &Outside<'_>,
) -> Result<Config, ConfigError> {
    let refuse = |problems, more| ConfigError {
        file: file.to_owned(),
        problems,
        more,
    };
    // Editors on Windows write a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value = value(text).map_err(|problem| refuse(vec![problem], 0))?;
    let cx = Context {
        outside,
        folder: file.parent().unwrap_or(Path::new("")),
        errors: RefCell::default(),
        warnings: RefCell::default(),
    };
    let config = Node::new(&cx, &value, KeyPath::default()).fields(|f| config(f, flags));
    let errors = cx.errors.into_inner();
    let more = errors.more;
    let errors = problems(text, errors.first);
    match config {
        Some(mut config) if errors.is_empty() => {
            let warnings = cx.warnings.into_inner();
            config.warnings = problems(text, warnings.first);
            config.more_warnings = warnings.more;
            if let Some(mut problem) = open_door(&config, flags) {
                if flags.listen.is_none() {
                    problem.line = locate::line_of(text, &KeyPath::default().key("listen"));
                }
                return Err(refuse(vec![problem], 0));
            }
            Ok(config)
        }
        _ => Err(refuse(errors, more)),
    }
}

/// What runs without a file. The address can only be that of the command line.
pub(super) fn default_inbox(flags: &Flags) -> Result<Config, ConfigError> {
    let config = Config::zero(flags);
    let Some(problem) = open_door(&config, flags) else {
        return Ok(config);
    };
    Err(ConfigError {
        file: "command line".into(),
        problems: vec![Problem {
            key: "--listen".to_owned(),
            fix: "name a file with `auth: {bearer_token_file: PATH}` by --config, \
                  listen on 127.0.0.1, or start with --open"
                .to_owned(),
            ..problem
        }],
        more: 0,
    })
}

/// Loopback is open; elsewhere somebody else could read, or post.
fn open_door(config: &Config, flags: &Flags) -> Option<Problem> {
    if flags.open || config.auth.is_some() || config.listen.ip().is_loopback() {
        return None;
    }
    let what = format!(
        "{} can be reached by others, and nothing protects it",
        config.listen
    );
    let fix = "add `auth: {bearer_token_file: PATH}`, listen on 127.0.0.1, or start with --open";
    Some(Problem {
        line: 0,
        key: "listen".to_owned(),
        what,
        fix: fix.to_owned(),
    })
}

fn value(text: &str) -> Result<Value, Problem> {
    let problem = |line, what: String, fix: &str| Problem {
        line,
        key: String::new(),
        what,
        fix: fix.to_owned(),
    };
    if text.len() > MAX_BYTES {
        return Err(problem(
            0,
            "it is larger than 4 MiB".to_owned(),
            "name the right file",
        ));
    }
    let yaml_error = |error: serde_yaml::Error| {
        let line = error.location().map_or(0, |at| at.line());
        let what = format!("no valid YAML: {error}");
        let fix = if what.contains("more than one document") {
            "keep one: remove the line --- and what is above or below it"
        } else {
            "correct the indentation, quotes or brackets there"
        };
        problem(line, what, fix)
    };
    duplicate::refuse(text).map_err(|flaw| match flaw {
        Flaw::Twice(key, at) => {
            let line = at.location().map_or(0, |at| at.line());
            problem(
                line,
                format!("the key {key} is there twice"),
                "keep one of them",
            )
        }
        Flaw::Yaml(error) => yaml_error(error),
    })?;
    let mut value: Value = serde_yaml::from_str(text).map_err(yaml_error)?;
    value.apply_merge().map_err(yaml_error)?;
    if value.is_null() {
        let fix = "write at least route and receivers, or start without --config";
        return Err(problem(0, "it is empty".to_owned(), fix));
    }
    Ok(value)
}

fn config(f: &mut Fields<'_>, flags: &Flags) -> Option<Config> {
    let usual = Config::zero(flags);
    let later = "remove it: it comes with a later version";
    f.refuse(
        &[
            "templates",
            "inhibit_rules",
            "time_intervals",
            "mute_time_intervals",
        ],
        later,
    );
    f.refuse(
        &["tracing"],
        "remove it, and set OTEL_EXPORTER_OTLP_ENDPOINT",
    );
    let listen = f.read("listen", |n| n.parse(address::listen));
    let store = f.read("store", |n| {
        Some(n.parse(server::place)?.within(n.folder()))
    });
    let external_url = f.read("external_url", |n| n.parse(address::base_url));
    f.refuse_empty(&["auth"], source::NO_CREDENTIAL);
    let auth = f.read("auth", |n| n.fields(auth));
    let locale = server::locale(f, &usual.locale);
    let (smtp, wecom) = f
        .read("global", |n| n.fields(global))
        .unwrap_or_else(|| (SmtpDefaults::none(), WecomDefaults::none()));
    let defaults = Defaults {
        smtp,
        wecom,
        locale: locale.clone(),
    };
    let list = f.get("receivers");
    let names = Names::of(list.as_ref());
    let receivers = f.given("receivers", |n| Some(receiver::read(n, &names, &defaults)));
    let receivers = receivers
        .required(f, "receivers", "add at least one")
        .unwrap_or_default();
    let operators = f.read("operators", |n| names.reference(n));
    let tree = f.given("route", |n| {
        let spec = route::read(n, &names)?;
        RouteTree::new(&spec)
            .map_err(|error| n.error(split(&error.to_string())))
            .ok()
    });
    let routes = tree.required(f, "route", "add `route: {receiver: NAME}`");
    let sources = f.read("sources", source::read).unwrap_or_default();
    let priority = f
        .read("priority", |n| Some(priority(n)))
        .unwrap_or(usual.priority);
    let limits = f
        .read("limits", |n| n.fields(Limits::read))
        .unwrap_or_default();
    Some(Config {
        listen: flags.listen.or(listen).unwrap_or(usual.listen),
        store: flags.store.clone().or(store).unwrap_or_default(),
        external_url,
        auth,
        locale,
        routes: routes?,
        receivers,
        operators,
        sources,
        priority,
        limits,
        warnings: Vec::new(),
        more_warnings: 0,
    })
}

fn global(f: &mut Fields<'_>) -> Option<(SmtpDefaults, WecomDefaults)> {
    let smtp = SmtpDefaults::read(f);
    let wecom = WecomDefaults::read(f);
    // Only alerts posted by a Prometheus expire; those are not taken in yet.
    let _unused = f.read("resolve_timeout", Node::duration);
    f.refuse(
        &["http_config"],
        "remove it, and write it below the webhook",
    );
    Some((smtp, wecom))
}

fn auth(f: &mut Fields<'_>) -> Option<Credential> {
    let fix = "add bearer_token_file, bearer_token or basic_auth";
    Credential::read(f).required(f, "a credential", fix)
}

/// Each entry is a set of matchers; an alert goes first if any set fits.
fn priority(node: &Node<'_>) -> Vec<Matchers> {
    let read = |n: &Node<'_>| n.parse(route::matchers);
    node.list().iter().filter_map(read).collect()
}

/// The engine's errors end in `: fix` too.
fn split(text: &str) -> Complaint {
    let (what, fix) = text.split_once(": ").unwrap_or((text, "correct it"));
    Complaint::new(what, fix)
}

fn problems(text: &str, found: Vec<(KeyPath, Complaint)>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = found
        .into_iter()
        .map(|(path, complaint)| Problem {
            line: locate::line_of(text, &path),
            key: path.to_string(),
            what: complaint.what,
            fix: complaint.fix,
        })
        .collect();
    problems.sort_by_key(|problem| problem.line);
    problems
}
