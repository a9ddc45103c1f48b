//! Starts everything, shows it, and stops everything it started.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http::StatusCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wecom_sim::{Clock, Config, Sim};

use crate::classic;
use crate::clock::Since;
use crate::files::Files;
use crate::http::Client;
use crate::load::Customers;
use crate::mailbox::Mailbox;
use crate::page::{self, People, Shared};
use crate::part::{self, Link, State};
use crate::ports::Ports;
use crate::stage::{Board, Lever, Stage};
use crate::tool::{Installed, Tool};
use crate::trouble::Trouble;
use crate::{Failure, Up, load, plan, say};

/// Runs the demo until SIGINT or SIGTERM.
pub(crate) async fn up(up: Up) -> Result<(), Failure> {
    let begin = Since::now();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ports = match up.any_port {
        true => Ports::free()?,
        false => Ports::documented(),
    };
    ports.check()?;
    let temporary = match up.data {
        None => Some(tempfile::tempdir().map_err(|error| {
            format!("there is no place for data: {error}; name a folder with --data")
        })?),
        Some(_) => None,
    };
    let given = up.data.as_deref().map(std::path::absolute).transpose()?;
    let folder = temporary
        .as_ref()
        .map(tempfile::TempDir::path)
        .or(given.as_deref());
    let installed = Installed::find();
    let files = {
        let mail = up.mail.as_deref().map(mail_config).transpose()?;
        Files::write(folder.ok_or("no data folder")?, &ports, &installed, mail)?
    };
    say(&format!("data and logs: {}", files.text("")));

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
    let recipes = plan::recipes(&ports, &files, &installed);
    let mut stage = Stage::new(recipes, files.clone(), plan::dependency(&installed));
    let customers = Customers {
        shop: ports.shop,
        per_second: up.rate,
        look: installed.has(Tool::Redis),
    };
    let worked = tokio::select! {
        worked = work(&mut stage, &ports, &files, people, customers, begin) => worked,
        () = stop => Ok(()),
    };
    stage.stop_all().await;
    worked
}

/// The entry of `email_configs` in a file.
fn mail_config(file: &Path) -> Result<serde_json::Value, Failure> {
    let named = |error: &dyn std::fmt::Display| format!("--mail {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    Ok(serde_yaml::from_str(&text).map_err(|error| named(&error))?)
}

/// Tells a running demo to break or to heal.
pub(crate) async fn tell(page: SocketAddr, trouble: Option<Trouble>) -> Result<(), Failure> {
    let path = page::switch_path(trouble);
    let answer = Client::new().post(page, &path).await;
    let answer = answer.map_err(|_| {
        let demo = called();
        format!("no demo at {page}: start one with `{demo}`, or say where it is with --page")
    })?;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status != StatusCode::SEE_OTHER {
        return Err(text.trim().into());
    }
    match (trouble, text.trim()) {
        (None, _) => say("healed"),
        (Some(_), "") => say("broken; the alert comes within two minutes"),
        (Some(_), why_not) => say(&format!("broken. {why_not}")),
    }
    Ok(())
}

async fn work(
    stage: &mut Stage,
    ports: &Ports,
    files: &Files,
    people: People,
    customers: Customers,
    begin: Since,
) -> Result<(), Failure> {
    stage.start_all().await;
    let client = Client::new();
    classic::find_pages(&client, ports.prometheus, stage.board()).await;
    let listener = TcpListener::bind(ports.page).await?;
    let (lever, orders) = Lever::new();
    let board = stage.board().subscribe();
    let shared = Shared::new(*ports, client.clone(), board, people, lever);
    files.announce(ports)?;
    announce(ports, stage.board(), begin);
    tokio::select! {
        served = axum::serve(listener, page::routes(shared)) => Ok(served?),
        () = load::run(client.clone(), customers), if customers.per_second > 0 => Ok(()),
        () = stage.run(orders) => Ok(()),
    }
}

fn announce(ports: &Ports, board: &Board, begin: Since) {
    let mut text = format!("\nready after {:.1} s\n", begin.elapsed().as_secs_f64());
    for part in board.borrow().iter() {
        if !matches!(part.state, State::Ready(_)) {
            text.push_str(&format!("  NOT RUN  {}: {}\n", part.name, part.state));
            continue;
        }
        for (what, url) in &part.links {
            text.push_str(&format!("  {:<13} {what:<16} {url}\n", part.name));
        }
    }
    for Link { name, what, url } in page::own_pages(ports) {
        text.push_str(&format!("  {name:<13} {what:<16} {url}\n"));
    }
    if let Some(why) = part::no_alert(&board.borrow()) {
        text.push_str(&format!("\n{why}\n"));
    }
    text.push_str(&format!(
        "\nstart page: http://{}/   break it there, or with: {} break\n",
        ports.page,
        called()
    ));
    text.push_str("Ctrl-C stops everything.");
    say(&text);
}

/// This program as it was called: `cargo run` puts it on nobody's PATH.
fn called() -> String {
    let name = std::env::args_os().next();
    name.map_or("demo".into(), |name| name.to_string_lossy().into_owned())
}
