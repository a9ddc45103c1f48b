//! Starts everything, shows it, and stops everything it started.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alert_router::render::Phrase;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wecom_sim::{Clock, Config, Sim};

use crate::announce::announce;
use crate::classic;
use crate::clock::Since;
use crate::files::Files;
use crate::http::Client;
use crate::load::Customers;
use crate::mailbox::Mailbox;
use crate::page::{self, People, Shared, Sources};
use crate::ports::Ports;
use crate::stage::{Lever, Stage};
use crate::tool::{Installed, Tool};
use crate::trouble::Trouble;
use crate::voice::{Voice, called};
use crate::{Failure, Place, Up, get, load, plan};

/// Runs the demo until SIGINT or SIGTERM.
pub(crate) async fn up(up: Up) -> Result<(), Failure> {
    let stop = asked_to_stop()?;
    tokio::pin!(stop);
    let ports = match up.any_port {
        true => Ports::free()?,
        false => Ports::documented(),
    };
    let voice = Voice::new(up.language.lang);
    ports.check().map_err(|why| voice.words(&why))?;
    let folder = Folder::new(up.data.as_deref())?;
    if up.get {
        let missing = Installed::find().missing();
        tokio::select! {
            got = get::get(&missing, voice) => got?,
            () = &mut stop => return Ok(()),
        }
    }
    let begin = Since::now();
    let installed = Installed::find();
    let mail = up.mail.as_deref().map(mail_config).transpose()?;
    let files = Files::write(folder.path(), &ports, &installed, mail, voice.0)?;
    let data = files.text("");
    voice.say(&Phrase::new(
        format!("data and logs: {data}"),
        format!("数据和日志：{data}"),
    ));
    let people = people(&ports).await?;
    let recipes = plan::recipes(&ports, &files, &installed, voice.0);
    let dependency = plan::dependency(&installed);
    let mut stage = Stage::new(recipes, files.clone(), dependency, voice);
    let customers = Customers {
        shop: ports.shop,
        per_second: up.rate,
        look: installed.has(Tool::Redis),
    };
    let worked = tokio::select! {
        worked = work(&mut stage, &ports, &files, people, customers, voice, begin) => worked,
        () = &mut stop => Ok(()),
    };
    stage.stop_all().await;
    worked
}

/// Listens from now on; ends with the first SIGINT or SIGTERM.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Where data and logs are.
enum Folder {
    /// Removed at the end.
    Temporary(tempfile::TempDir),
    Given(PathBuf),
}

impl Folder {
    fn new(given: Option<&Path>) -> Result<Self, Failure> {
        Ok(match given {
            Some(path) => Self::Given(std::path::absolute(path)?),
            None => Self::Temporary(tempfile::tempdir().map_err(|error| {
                format!("there is no place for data: {error}; name a folder with --data")
            })?),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Given(path) => path,
        }
    }
}

/// Whom messages reach: the phone, and the mailbox, which takes mail from now on.
async fn people(ports: &Ports) -> Result<People, Failure> {
    let sim = Config {
        listen: ports.wecom,
        clock: Clock::system(),
        ..Config::demo()
    };
    let people = People {
        mailbox: Mailbox::default(),
        sim: Arc::new(Sim::start(sim).await?),
    };
    let smtp = TcpListener::bind(ports.smtp).await?;
    // To the end of the program: while it stops, alert-router still sends what is under way.
    let mailbox = people.mailbox.clone();
    tokio::spawn(async move { mailbox.serve(smtp).await });
    Ok(people)
}

/// The entry of `email_configs` in a file.
fn mail_config(file: &Path) -> Result<serde_json::Value, Failure> {
    let named = |error: &dyn std::fmt::Display| format!("--mail {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    Ok(serde_yaml::from_str(&text).map_err(|error| named(&error))?)
}

/// Tells a running demo to break or to heal.
pub(crate) async fn tell(place: Place, trouble: Option<Trouble>) -> Result<(), Failure> {
    let Place { page, language } = place;
    let voice = Voice::new(language.lang);
    let answer = Client::new().post(page, &page::switch_path(trouble)).await;
    let answer = answer.map_err(|_| {
        let demo = called();
        let nobody = Phrase::new(
            format!("no demo at {page}: start one with `{demo}`, or say where it is with --page"),
            format!("{page} 没有运行中的演示：请用 `{demo}` 启动，或用 --page 指明地址"),
        );
        voice.words(&nobody)
    })?;
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.trim();
    if answer.status != StatusCode::SEE_OTHER {
        return Err(text.into());
    }
    voice.say(&match (trouble, text) {
        (None, _) => Phrase::fixed("healed", "已恢复正常"),
        (Some(_), "") => Phrase::fixed(
            "broken; the alert comes within two minutes",
            "已制造故障；两分钟内会收到告警",
        ),
        (Some(_), why_not) => Phrase::new(
            format!("broken. {why_not}"),
            format!("已制造故障。{why_not}"),
        ),
    });
    Ok(())
}

async fn work(
    stage: &mut Stage,
    ports: &Ports,
    files: &Files,
    people: People,
    customers: Customers,
    voice: Voice,
    begin: Since,
) -> Result<(), Failure> {
    stage.start_all().await;
    let client = Client::new();
    classic::find_pages(&client, ports.prometheus, stage.board()).await;
    let listener = TcpListener::bind(ports.page).await?;
    let (lever, orders) = Lever::new();
    let shared = Shared::new(Sources {
        ports: *ports,
        client: client.clone(),
        board: stage.board().subscribe(),
        people,
        lever,
        language: voice.0,
    });
    files.announce(ports)?;
    announce(ports, &stage.board().borrow(), voice, begin);
    tokio::select! {
        served = axum::serve(listener, page::routes(shared)) => Ok(served?),
        () = load::run(client.clone(), customers), if customers.per_second > 0 => Ok(()),
        () = stage.run(orders) => Ok(()),
    }
}
