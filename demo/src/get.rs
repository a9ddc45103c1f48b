//! Gets what is missing, with the scripts that `ci.sh` uses: packages of Debian, and builds into the cache
//! folder. The scripts travel in this program, so that it need not be run from a clone.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use std::{fmt, io};

use alert_router::render::Phrase;
use tokio::time::interval;

use crate::Failure;
use crate::clock::Since;
use crate::process::{Output, Process};
use crate::tool::{Source, Tool};
use crate::voice::Voice;

/// The files of `demo/parts/`, which lie side by side.
const PARTS: [(&str, &str); 3] = [
    ("packages.sh", include_str!("../parts/packages.sh")),
    ("build.sh", include_str!("../parts/build.sh")),
    (
        "otelcol-builder.yaml",
        include_str!("../parts/otelcol-builder.yaml"),
    ),
];
/// Compilers say nothing for minutes.
const PULSE: Duration = Duration::from_secs(20);

/// One script to run.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    script: &'static str,
    arguments: Vec<&'static str>,
    /// What it brings.
    tools: Vec<&'static str>,
    /// How long it takes where nothing is there yet.
    minutes: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "demo/parts/{} {}", self.script, self.arguments.join(" "))
    }
}

/// What to run for these, the quick one first.
fn steps(missing: &[Tool]) -> Vec<Step> {
    let mut packages = Step {
        script: "packages.sh",
        arguments: Vec::new(),
        tools: Vec::new(),
        minutes: 1,
    };
    let mut builds = Step {
        script: "build.sh",
        arguments: vec!["--fetch-go"],
        tools: Vec::new(),
        minutes: 10,
    };
    for tool in missing {
        match tool.source() {
            Source::Package(name) => {
                packages.arguments.push(name);
                packages.tools.push(tool.name());
            }
            Source::Build => builds.tools.push(tool.name()),
        }
    }
    let steps = [packages, builds].into_iter();
    steps.filter(|step| !step.tools.is_empty()).collect()
}

/// Gets these, as far as it can, and says what it does; what it cannot get stays missing.
pub(crate) async fn get(missing: &[Tool], voice: Voice) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    for (name, text) in PARTS {
        std::fs::write(folder.path().join(name), text)?;
    }
    let steps = steps(missing);
    if steps.is_empty() {
        voice.say(&Phrase::fixed("nothing is missing", "什么都不缺"));
    }
    for step in steps {
        let what = step.tools.join(", ");
        voice.say(&Phrase::new(
            format!("getting {what}: {step}"),
            format!("正在获取 {what}：{step}"),
        ));
        let status = run(&step, folder.path(), voice).await?;
        if !status.success() {
            voice.say(&Phrase::new(
                format!("not got: {what} ({status}; the line above says why)"),
                format!("未能获取 {what}（{status}；原因见上一行）"),
            ));
        }
    }
    Ok(())
}

/// Runs a script, which prints itself how it goes; while it is silent, we say that it runs.
async fn run(step: &Step, folder: &Path, voice: Voice) -> io::Result<ExitStatus> {
    let mut command: Vec<OsString> = vec!["bash".into(), folder.join(step.script).into()];
    command.extend(step.arguments.iter().map(OsString::from));
    let mut process = Process::start(&command, &[], Output::Ours)?;
    let begin = Since::now();
    let mut pulse = interval(PULSE);
    pulse.tick().await; // the first comes at once
    loop {
        tokio::select! {
            status = process.end() => return status,
            _ = pulse.tick() => voice.say(&still(step, begin.elapsed())),
        }
    }
}

fn still(step: &Step, elapsed: Duration) -> Phrase {
    let (what, minutes) = (step.tools.join(", "), step.minutes);
    let (m, s) = (elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    Phrase::new(
        format!("still getting {what}: {m} min {s} s of about {minutes} min"),
        format!("仍在获取 {what}：已 {m} 分 {s} 秒，共约 {minutes} 分钟"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(missing: &[Tool]) -> String {
        let lines = steps(missing).into_iter();
        let lines = lines.map(|step| format!("{}: {step}\n", step.tools.join(", ")));
        lines.collect()
    }

    #[test]
    fn packages_come_from_debian_and_the_rest_is_built() {
        insta::assert_snapshot!(plan(&Tool::ALL), @r"
        Prometheus, Alertmanager, Redis: demo/parts/packages.sh prometheus prometheus-alertmanager redis-server
        Collector, Jaeger: demo/parts/build.sh --fetch-go
        ");
        insta::assert_snapshot!(plan(&[Tool::Redis]), @"Redis: demo/parts/packages.sh redis-server");
        insta::assert_snapshot!(plan(&[Tool::Jaeger]), @"Jaeger: demo/parts/build.sh --fetch-go");
        assert_eq!(plan(&[]), "");
    }

    #[test]
    fn whoever_waits_hears_how_long_it_takes() {
        let step = &steps(&[Tool::Collector, Tool::Jaeger])[0];
        let said = still(step, Duration::from_secs(200));
        insta::assert_snapshot!(said, @"still getting Collector, Jaeger: 3 min 20 s of about 10 min");
    }
}
