//! Links: only http and https, written so that no channel's syntax can be broken out of.

use alert_engine::Labels;

/// The longest link that is shown. A longer one would not survive the channels.
const LONGEST: usize = 2048;

/// Names under which alert rules keep these addresses, by preference.
const DASHBOARD: [&str; 4] = ["dashboard_url", "dashboardURL", "dashboard", "panelURL"];
const RUNBOOK: [&str; 3] = ["runbook_url", "runbookURL", "runbook"];
const TRACES: [&str; 2] = ["trace_url", "traceURL"];

/// A link that may be shown and followed, or `None`.
///
/// Refused: other schemes, credentials in the authority (they would leak, or fake a host), no
/// host, too long. Characters that end a link in HTML, markdown or plain text are percent-encoded.
pub(super) fn safe(url: &str) -> Option<String> {
    let url = url.trim();
    let scheme = ["http://", "https://"].into_iter().find(|s| {
        url.get(..s.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(s))
    })?;
    let rest = &url[scheme.len()..];
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
    let odd = |c: char| !(c.is_alphanumeric() || "-._:[]%".contains(c));
    if authority.is_empty() || authority.contains(odd) || rest.contains('\\') {
        return None;
    }
    let link = rest
        .chars()
        .fold(scheme.to_owned(), |link, c| push(link, c, keeps));
    (link.len() <= LONGEST).then_some(link)
}

/// The dashboard that the annotations name.
pub(super) fn dashboard(annotations: &Labels) -> Option<String> {
    first(annotations, &DASHBOARD)
}

/// The runbook that the annotations name.
pub(super) fn runbook(annotations: &Labels) -> Option<String> {
    first(annotations, &RUNBOOK)
}

/// The search for traces that the annotations name.
pub(super) fn traces(annotations: &Labels) -> Option<String> {
    first(annotations, &TRACES)
}

/// The form of the source Alertmanager in which a silence for `labels` is filled in already.
pub(super) fn silence(alertmanager: &str, labels: &Labels) -> Option<String> {
    if labels.is_empty() {
        return None;
    }
    let matchers: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{}={}", matcher_name(name), quoted(value)))
        .collect();
    let filter = format!("{{{}}}", matchers.join(","))
        .chars()
        .fold(String::new(), |filter, c| {
            push(filter, c, |c| c.is_ascii_alphanumeric())
        });
    let base = safe(alertmanager)?;
    let link = format!(
        "{}/#/silences/new?filter={filter}",
        base.trim_end_matches('/')
    );
    (link.len() <= LONGEST).then_some(link)
}

fn first(annotations: &Labels, names: &[&str]) -> Option<String> {
    names
        .iter()
        .filter_map(|name| annotations.get(name))
        .find_map(safe)
}

/// Characters that may stand in a link as they are, in every channel.
fn keeps(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#@!$&+,;=%[]".contains(c)
}

/// Appends a character, percent-encoded unless `keeps` says otherwise.
fn push(mut link: String, c: char, keeps: impl Fn(char) -> bool) -> String {
    if keeps(c) {
        link.push(c);
    } else {
        let mut buffer = [0; 4];
        for byte in c.encode_utf8(&mut buffer).bytes() {
            link.push_str(&format!("%{byte:02X}"));
        }
    }
    link
}

/// A label name as a matcher writes it: quoted where it is not a classic name.
fn matcher_name(name: &str) -> String {
    let classic = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    if !name.is_empty() && name.chars().enumerate().all(classic) {
        return name.to_owned();
    }
    quoted(name)
}

fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_links_are_shown() {
        let cases = [
            (
                "https://prom.example.com/graph?g0.expr=up",
                Some("https://prom.example.com/graph?g0.expr=up"),
            ),
            ("HTTP://Prom:9090/a", Some("http://Prom:9090/a")),
            ("http://[::1]:9090/", Some("http://[::1]:9090/")),
            (
                "http://h/a b(c)'\"<>`|*",
                Some("http://h/a%20b%28c%29%27%22%3C%3E%60%7C%2A"),
            ),
            ("http://h/\r\nX: y", Some("http://h/%0D%0AX:%20y")),
            (
                "https://监控.example.com/图",
                Some("https://%E7%9B%91%E6%8E%A7.example.com/%E5%9B%BE"),
            ),
            ("javascript:alert(1)", None),
            (" data:text/html,x", None),
            ("https://", None),
            ("https://good.example@evil.example/", None),
            ("https:\\\\evil.example", None),
            ("//evil.example", None),
            ("", None),
        ];
        for (url, want) in cases {
            assert_eq!(safe(url).as_deref(), want, "{url:?}");
        }
        assert_eq!(safe(&format!("http://h/{}", "x".repeat(LONGEST))), None);
    }

    #[test]
    fn a_silence_is_filled_in_with_quoted_matchers() {
        let labels = Labels::from_iter([("alertname", "Disk \"full\""), ("k8s.pod", "a\\b")]);
        let link = silence("http://am.example:9093/", &labels).unwrap();
        assert_eq!(
            link,
            "http://am.example:9093/#/silences/new?filter=%7Balertname%3D%22Disk%20%5C%22full%5C%22%22%2C%22k8s%2Epod%22%3D%22a%5C%5Cb%22%7D"
        );
        assert_eq!(silence("", &labels), None);
        assert_eq!(silence("http://am", &Labels::default()), None);
    }

    #[test]
    fn annotations_name_dashboard_runbook_and_traces() {
        let annotations = Labels::from_iter([
            ("dashboard", "javascript:no"),
            ("panelURL", "https://g.example/d/1"),
            ("runbook_url", "https://r.example/disk"),
            (
                "trace_url",
                "https://j.example/search?service=a&tags=%7B%7D",
            ),
        ]);
        let search = "https://j.example/search?service=a&tags=%7B%7D";
        assert_eq!(traces(&annotations).unwrap(), search);
        assert_eq!(dashboard(&annotations).unwrap(), "https://g.example/d/1");
        assert_eq!(runbook(&annotations).unwrap(), "https://r.example/disk");
    }
}
