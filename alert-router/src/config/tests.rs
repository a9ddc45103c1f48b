//! The file as a whole: what is read, what is inherited, what is refused and where.

mod examples;
mod hostile;
mod schema;
mod wrong;

use super::*;

/// Reads a config whose files and environment are these.
fn parse_with(text: &str, flags: &Flags, files: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let found = |path: &Path| {
        let name = path.to_string_lossy().into_owned();
        let hit = files.iter().find(|(file, _)| *file == name);
        hit.map(|(_, content)| (*content).to_owned())
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let outside = Outside {
        env: &|name| (name == "PASSWORD").then(|| "from-env".to_owned()),
        read: &found,
    };
    Config::parse(
        Path::new("/etc/ar/alert-router.yaml"),
        text,
        flags,
        &outside,
    )
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_with(text, &Flags::default(), &[])
}

/// Adds a route and a receiver behind a text that has none.
fn complete(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.contains("route:") {
        text.push_str("\nroute: {receiver: ops}");
    }
    if !text.contains("receivers:") {
        text.push_str("\nreceivers: [{name: ops}]");
    }
    text
}

/// The only channel of the only receiver, given one entry.
fn channel(kind: &str, entry: &str) -> Result<Channel, ConfigError> {
    let text = format!("receivers:\n  - name: ops\n    {kind}: [{entry}]\n");
    let mut config = parse(&complete(&text))?;
    Ok(config.receivers.remove(0).integrations.remove(0).channel)
}
