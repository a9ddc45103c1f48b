//! Starts everything, shows it, and stops everything it started.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::interval;
use wecom_sim::{Clock, Config, Sim};

use crate::classic;
use crate::clock::Since;
use crate::files::Files;
use crate::http::Client;
use crate::load::Customers;
use crate::mailbox::Mailbox;
use crate::page::{self, People, Shared};
use crate::part::{self, Link, Part, Program, Ready, Recipe, State};
use crate::ports::Ports;
use crate::process::{Process, Stopped};
use crate::service::Mode;
use crate::tool::{Installed, Tool};
use crate::{Failure, Up, load, plan};

/// What a part has to become ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a part.
const LOOK: Duration = Duration::from_millis(100);

/// All parts, for the page.
pub(crate) type Board = watch::Sender<Vec<Part>>;

/// Processes by their place on the board, in the order in which they started.
type Running = Vec<(usize, Process)>;

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
    let board = Board::new(recipes.iter().map(|recipe| recipe.part.clone()).collect());
    let mut running = Running::new();
    let customers = Customers {
        shop: ports.shop,
        per_second: up.rate,
        look: installed.has(Tool::Redis),
    };
    let worked = tokio::select! {
        worked = work(&ports, &files, recipes, &board, &mut running, people, customers, begin) => worked,
        () = stop => Ok(()),
    };
    stop_all(running, &board).await;
    worked
}

/// The entry of `email_configs` in a file.
fn mail_config(file: &Path) -> Result<serde_json::Value, Failure> {
    let named = |error: &dyn std::fmt::Display| format!("--mail {}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    Ok(serde_yaml::from_str(&text).map_err(|error| named(&error))?)
}

/// Tells a running demo to break or to heal.
pub(crate) async fn tell(page: SocketAddr, mode: Option<Mode>) -> Result<(), Failure> {
    let path = page::switch_path(mode);
    let answer = Client::new().post(page, &path).await;
    let answer = answer.map_err(|_| {
        let demo = called();
        format!("no demo at {page}: start one with `{demo}`, or say where it is with --page")
    })?;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status != StatusCode::SEE_OTHER {
        return Err(text.trim().into());
    }
    match (mode, text.trim()) {
        (None, _) => say("healed"),
        (Some(_), "") => say("broken; the alert comes within two minutes"),
        (Some(_), why_not) => say(&format!("broken. {why_not}")),
    }
    Ok(())
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one run, named where it begins"
)]
async fn work(
    ports: &Ports,
    files: &Files,
    recipes: Vec<Recipe>,
    board: &Board,
    running: &mut Running,
    people: People,
    customers: Customers,
    begin: Since,
) -> Result<(), Failure> {
    let client = Client::new();
    let mut waiting = Vec::new();
    for (place, recipe) in recipes.iter().enumerate() {
        if let Some(process) = start(recipe, files, board, place) {
            running.push((place, process));
            waiting.push(place);
        }
    }
    while_starting(&recipes, waiting, running, board, &client, files).await;
    classic::find_pages(&client, ports.prometheus, board).await;
    let listener = TcpListener::bind(ports.page).await?;
    let shared = Shared::new(*ports, client.clone(), board.subscribe(), people);
    files.announce(ports)?;
    announce(ports, board, begin);
    tokio::select! {
        served = axum::serve(listener, page::routes(shared)) => Ok(served?),
        () = load::run(client.clone(), customers), if customers.per_second > 0 => Ok(()),
        () = watch_for_ends(running, board, files) => Ok(()),
    }
}

/// Starts a process, or says why not.
fn start(recipe: &Recipe, files: &Files, board: &Board, place: usize) -> Option<Process> {
    let other = match &recipe.program {
        Program::Own(_) => None,
        Program::OwnWith(tool, _) | Program::Other(tool, _) => {
            let Some(found) = tool.find() else {
                set(board, place, State::Missing(*tool));
                return None;
            };
            Some(found)
        }
    };
    let own = std::env::current_exe().ok();
    let command = match &recipe.program {
        Program::Own(arguments) | Program::OwnWith(_, arguments) => own.zip(Some(arguments)),
        Program::Other(_, arguments) => other.zip(Some(arguments)),
    };
    let (program, arguments) = command?;
    let mut command = vec![program.into_os_string()];
    command.extend(arguments.iter().map(OsString::from));
    match Process::start(&command, &recipe.vars, &log_of(recipe.part.name, files)) {
        Ok(process) => Some(process),
        Err(error) => {
            set(board, place, State::Failed(error.to_string()));
            None
        }
    }
}

fn log_of(part: &str, files: &Files) -> std::path::PathBuf {
    files.path(&format!("logs/{part}.log"))
}

/// Looks at the parts until each is ready or will not be.
async fn while_starting(
    recipes: &[Recipe],
    mut waiting: Vec<usize>,
    running: &mut Running,
    board: &Board,
    client: &Client,
    files: &Files,
) {
    let begin = Since::now();
    let mut tick = interval(LOOK);
    while !waiting.is_empty() {
        tick.tick().await;
        let mut still = Vec::new();
        for place in waiting {
            let log = log_of(recipes[place].part.name, files);
            let process = running.iter_mut().find(|(of, _)| *of == place);
            if let Some(status) = process.and_then(|(_, process)| process.ended()) {
                set(board, place, ended(&status.to_string(), &log));
            } else if is_ready(recipes[place].ready, client).await {
                set(board, place, State::Ready(begin.elapsed()));
            } else if begin.elapsed() > PATIENCE {
                set(board, place, ended("no answer for 30 s", &log));
            } else {
                still.push(place);
            }
        }
        waiting = still;
    }
}

async fn is_ready(ready: Ready, client: &Client) -> bool {
    match ready {
        Ready::Page(at, path) => {
            let answer = client.get(at, path).await;
            answer.is_ok_and(|answer| answer.is_success())
        }
        Ready::Port(at) => TcpStream::connect(at).await.is_ok(),
    }
}

/// Notices parts that end by themselves; never ends itself.
async fn watch_for_ends(running: &mut Running, board: &Board, files: &Files) {
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        for (place, process) in &mut *running {
            let part = board.borrow()[*place].clone();
            if matches!(part.state, State::Failed(_)) {
                continue;
            }
            if let Some(status) = process.ended() {
                set(
                    board,
                    *place,
                    ended(&status.to_string(), &log_of(part.name, files)),
                );
            }
        }
    }
}

fn ended(why: &str, log: &Path) -> State {
    State::Failed(format!("{why}; its log: {}", log.display()))
}

/// Changes the board and says so.
fn set(board: &Board, place: usize, state: State) {
    board.send_modify(|parts| parts[place].state = state);
    let parts = board.borrow();
    say(&format!("{:<16} {}", parts[place].name, parts[place].state));
}

async fn stop_all(running: Running, board: &Board) {
    say("stopping");
    for (place, process) in running.into_iter().rev() {
        let how = match process.stop().await {
            Stopped::Before => "had ended",
            Stopped::Politely => "stopped",
            Stopped::Killed => "killed: it did not stop when asked",
        };
        say(&format!("{:<16} {how}", board.borrow()[place].name));
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

/// A line for whoever started the demo.
fn say(line: &str) {
    // A closed stdout is no reason to leave processes behind.
    let _ = writeln!(std::io::stdout(), "{line}");
}
