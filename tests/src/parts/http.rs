//! What tests ask servers over HTTP.

use std::sync::LazyLock;

use reqwest::Client;
use serde_json::Value;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    // Another test of this process may have installed it: it is the same one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0);
    client.build().expect("a client without proxies")
});

/// The body of a page, or why there is none.
pub async fn get_text(url: &str) -> Result<String, String> {
    let failed = |error: reqwest::Error| format!("{url}: {error}");
    let answer = CLIENT.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    let text = answer.text().await.map_err(failed)?;
    if status.is_success() {
        Ok(text)
    } else {
        Err(format!("{url}: {status}: {text}"))
    }
}

/// The JSON of a page, or why there is none.
pub async fn get_json(url: &str) -> Result<Value, String> {
    let text = get_text(url).await?;
    serde_json::from_str(&text).map_err(|error| format!("{url}: {error}: {text}"))
}

/// The sum of the samples of a metric, in the text of `/metrics`, whose line has all of `labels`
/// (`receiver="x"`).
#[must_use]
pub fn samples(exposition: &str, metric: &str, labels: &[&str]) -> f64 {
    let value = |line: &str| {
        let rest = line.strip_prefix(metric)?;
        let own = rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label));
        own.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    };
    exposition.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_metric_are_added_and_others_left_out() {
        let text = "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"2\"} 4\nab 5\n";
        assert_eq!(samples(text, "a", &[]), 7.0);
        assert_eq!(samples(text, "a", &["x=\"1\""]), 3.0);
        assert_eq!(samples(text, "ab", &[]), 5.0);
        assert_eq!(samples(text, "c", &[]), 0.0);
    }
}
