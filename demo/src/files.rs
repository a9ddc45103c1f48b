//! The files that the parts read, in the data folder.

use std::path::{Path, PathBuf};

use alert_router::render::Language;
use serde_json::Value;

use crate::Failure;
use crate::ports::Ports;
use crate::tool::Installed;
use crate::{config, rules};

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Writes all files below `folder`.
    pub(crate) fn write(
        folder: &Path,
        ports: &Ports,
        installed: &Installed,
        mail: Option<Value>,
        language: Language,
    ) -> Result<Self, Failure> {
        let files = Self {
            folder: folder.to_owned(),
        };
        let folders = [
            "logs",
            "rules",
            "targets",
            "prometheus",
            "alertmanager",
            "jaeger",
            "redis",
        ];
        for below in folders.into_iter().chain(["queue"]) {
            std::fs::create_dir_all(folder.join(below)).map_err(|error| {
                let folder = folder.display();
                format!("cannot write to {folder}: {error}; name another folder with --data")
            })?;
        }
        let collector = include_str!("../../otel-collector-config.yaml");
        let jaeger = include_str!("../../dashboards/jaeger.yaml");
        let write = |name: &str, text: &str| std::fs::write(files.path(name), text);
        write("collector.yaml", collector)?;
        write("jaeger.yaml", jaeger)?;
        for (name, text) in rules::files()? {
            write(&format!("rules/{name}"), &text)?;
        }
        write("targets/services.yaml", &config::targets(ports, installed))?;
        write("prometheus.yml", &config::prometheus(ports, installed)?)?;
        write("alertmanager.yml", &config::alertmanager(ports))?;
        let store = files.text("alert-router.db");
        let router = config::alert_router(ports, &store, mail, language);
        write("alert-router.yaml", &router)?;
        Ok(files)
    }

    /// Says where everything listens, for programs: `addresses.json`. It is there once everything
    /// is ready, and whole.
    pub(crate) fn announce(&self, ports: &Ports) -> Result<(), Failure> {
        let addresses = ports
            .all()
            .map(|(name, at)| (name.to_owned(), at.to_string().into()));
        let addresses = Value::Object(addresses.into_iter().collect());
        let half = self.path("addresses.json.new");
        std::fs::write(&half, format!("{addresses:#}\n"))?;
        Ok(std::fs::rename(half, self.path("addresses.json"))?)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }
}
